//! Watchdogs.
//!
//! | image | section, version | fields |
//! |---|---|---|
//! | [`I6300EsbImage`] | `i6300esb_wdt` 10000 | `dev`, a conventional device; `reboot_enabled`, `clock_scale`, `int_type`, `free_run`, `locked`, `enabled` i32; `timer` timer; `timer1_preload`, `timer2_preload` u32; `stage`, `unlock_state`, `previous_reboot_flag` i32 |
//! | [`Ib700Image`] | `ib700_wdt` 0 | `timer` timer |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`pc`), and their schema dumps.

use vmstate::VmState;
use vmstate::codecs::TimerExpiry;

use crate::pci::PciDeviceImage;

/// Intel's 6300ESB. All releases seen write version 10000 and load those down to 1, with the same fields.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "i6300esb_wdt", version = 10000, min = 1)]
#[expect(missing_docs, reason = "registers, by their names in QEMU")]
pub struct I6300EsbImage {
    /// The device.
    pub dev: PciDeviceImage,
    pub reboot_enabled: i32,
    pub clock_scale: i32,
    pub int_type: i32,
    pub free_run: i32,
    pub locked: i32,
    pub enabled: i32,
    pub timer: TimerExpiry,
    pub timer1_preload: u32,
    pub timer2_preload: u32,
    pub stage: i32,
    pub unlock_state: i32,
    pub previous_reboot_flag: i32,
}

/// The watchdog on the ISA bus.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ib700_wdt", version = 0)]
pub struct Ib700Image {
    /// When it resets the machine.
    pub timer: TimerExpiry,
}
