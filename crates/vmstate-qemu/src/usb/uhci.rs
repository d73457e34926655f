//! The host controller for USB 1.
//!
//! | field of `uhci` 3 | since |
//! |---|---|
//! | `dev`, a conventional device | |
//! | `num_ports_vmstate` u8, must be equal: 2 | |
//! | `ports` × 2: `uhci port` 1, `ctrl` u16 | 1 |
//! | `cmd`, `status`, `intr`, `frnum` u16, `fl_base_addr` u32, `sof_timing`, `status2` u8 | |
//! | `frame_timer` timer | |
//! | `expire_time` i64, ns of the virtual clock | 2 |
//! | `pending_int_mask` u32 | 3 |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`pc`, `q35`), and their schema dumps.

use vmstate::VmState;
use vmstate::codecs::TimerExpiry;

use crate::pci::PciDeviceImage;

/// Ports of a controller.
pub const PORTS: u8 = 2;

/// The controller.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "uhci", version = 3, min = 1)]
#[expect(missing_docs, reason = "registers, by their names in QEMU")]
pub struct UhciImage {
    /// The device.
    pub dev: PciDeviceImage,
    /// Ports that it has.
    #[vmstate(equal, name = "num_ports_vmstate")]
    pub num_ports: u8,
    /// The ports.
    #[vmstate(since = 1)]
    pub ports: [UhciPortImage; PORTS as usize],
    pub cmd: u16,
    pub status: u16,
    pub intr: u16,
    pub frnum: u16,
    pub fl_base_addr: u32,
    pub sof_timing: u8,
    pub status2: u8,
    pub frame_timer: TimerExpiry,
    #[vmstate(since = 2)]
    pub expire_time: i64,
    #[vmstate(since = 3)]
    pub pending_int_mask: u32,
}

impl Default for UhciImage {
    fn default() -> Self {
        Self {
            dev: PciDeviceImage::conventional(),
            num_ports: PORTS,
            ports: Default::default(),
            cmd: 0,
            status: 0,
            intr: 0,
            frnum: 0,
            fl_base_addr: 0,
            sof_timing: 0,
            status2: 0,
            frame_timer: TimerExpiry(None),
            expire_time: 0,
            pending_int_mask: 0,
        }
    }
}

/// A port.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "uhci port", version = 1)]
pub struct UhciPortImage {
    /// Status and control.
    pub ctrl: u16,
}
