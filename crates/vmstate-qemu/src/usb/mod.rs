//! USB: host controllers and the devices behind them.
//!
//! | image | section, version | what |
//! |---|---|---|
//! | [`uhci::UhciImage`] | `uhci` 3 | USB 1 |
//! | [`ehci::EhciImage`] | `ehci` 2 | USB 2 |
//! | [`xhci::XhciImage`] | `xhci` 1 | USB 3 |
//! | [`hid::UsbKeyboardImage`], [`hid::UsbPointerImage`] | `usb-kbd` 1, `usb-ptr` 1 | keyboard; mouse and tablet |
//! | [`UsbDeviceImage`] | `USBDevice` 1, in every device | below |
//!
//! | fields of `USBDevice` 1 |
//! |---|
//! | `addr` u8; `state`, `remote_wakeup`, `setup_state`, `setup_len`, `setup_index` i32; `setup_buf` u8 × 8 |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`pc`, `q35`), and their schema dumps.

pub mod ehci;
pub mod hid;
pub mod uhci;
pub mod xhci;

use vmstate::VmState;

/// What every device has.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "USBDevice", version = 1)]
pub struct UsbDeviceImage {
    /// Address on its bus.
    pub addr: u8,
    /// Attached, powered, with its default address, addressed, configured or suspended.
    pub state: i32,
    /// Whether it may wake its host.
    pub remote_wakeup: i32,
    /// How far a transfer by the control pipe is.
    pub setup_state: i32,
    /// Octets of that transfer.
    pub setup_len: i32,
    /// How many of them are done.
    pub setup_index: i32,
    /// What is asked for.
    pub setup_buf: [u8; 8],
}
