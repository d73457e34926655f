//! The host controller for USB 2.
//!
//! | image | name, version | fields |
//! |---|---|---|
//! | [`EhciImage`] | section `ehci` 2 | `pcidev`, a conventional device; `ehci` (since 2) |
//! | [`EhciCoreImage`] | `ehci-core` 2 | below |
//!
//! | field of `ehci-core` 2 | since |
//! |---|---|
//! | `usbcmd`, `usbsts` u32 | |
//! | `usbsts_pending`, `usbsts_frindex` u32 | 2 |
//! | `usbintr`, `frindex`, `ctrldssegment`, `periodiclistbase`, `asynclistaddr`, `configflag`, `portsc[0]` to `portsc[5]` u32 | |
//! | `frame_timer` timer, `last_run_ns` u64 | |
//! | `async_stepdown`, `astate`, `pstate`, `a_fetch_addr`, `p_fetch_addr` u32 | |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`q35`), and their schema dumps.

use vmstate::VmState;
use vmstate::codecs::TimerExpiry;

use crate::pci::PciDeviceImage;

/// The controller as a PCI device.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ehci", version = 2, min = 1)]
pub struct EhciImage {
    /// The device.
    pub pcidev: PciDeviceImage,
    /// The controller.
    #[vmstate(since = 2)]
    pub ehci: EhciCoreImage,
}

/// The controller.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ehci-core", version = 2, min = 1)]
#[expect(missing_docs, reason = "registers, by their names in QEMU")]
pub struct EhciCoreImage {
    pub usbcmd: u32,
    pub usbsts: u32,
    #[vmstate(since = 2)]
    pub usbsts_pending: u32,
    #[vmstate(since = 2)]
    pub usbsts_frindex: u32,
    pub usbintr: u32,
    pub frindex: u32,
    pub ctrldssegment: u32,
    pub periodiclistbase: u32,
    pub asynclistaddr: u32,
    pub configflag: u32,
    #[vmstate(name = "portsc[0]")]
    pub portsc_0: u32,
    #[vmstate(name = "portsc[1]")]
    pub portsc_1: u32,
    #[vmstate(name = "portsc[2]")]
    pub portsc_2: u32,
    #[vmstate(name = "portsc[3]")]
    pub portsc_3: u32,
    #[vmstate(name = "portsc[4]")]
    pub portsc_4: u32,
    #[vmstate(name = "portsc[5]")]
    pub portsc_5: u32,
    /// When the next frame is.
    pub frame_timer: TimerExpiry,
    /// When the last one was.
    pub last_run_ns: u64,
    pub async_stepdown: u32,
    pub astate: u32,
    pub pstate: u32,
    pub a_fetch_addr: u32,
    pub p_fetch_addr: u32,
}
