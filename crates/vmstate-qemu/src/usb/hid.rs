//! Keyboards, mice and tablets on USB.
//!
//! | image | name, version | fields |
//! |---|---|---|
//! | [`UsbKeyboardImage`] | section `usb-kbd` 1 | `dev`, `hid` |
//! | [`UsbPointerImage`] | section `usb-ptr` 1 | `dev`, `hid` |
//! | [`HidKeyboardImage`] | `HIDKeyboardDevice` 1 | `kbd.keycodes` u32 × 16, `head`, `n` u32, `kbd.modifiers` u16, `kbd.leds` u8, `kbd.key` u8 × 16, `kbd.keys`, `protocol` i32, `idle` u8 |
//! | [`HidPointerImage`] | `HIDPointerDevice` 1 | `ptr.queue` × 16, `head`, `n` u32, `protocol` i32, `idle` u8 |
//! | [`PointerEventImage`] | `HIDPointerEventQueue` 1 | `xdx`, `ydy`, `dz`, `buttons_state` i32 |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`pc`, `q35`).

use vmstate::VmState;

use crate::usb::UsbDeviceImage;

/// The keyboard.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "usb-kbd", version = 1)]
pub struct UsbKeyboardImage {
    /// The device.
    pub dev: UsbDeviceImage,
    /// The keyboard.
    pub hid: HidKeyboardImage,
}

/// The mouse or tablet.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "usb-ptr", version = 1)]
pub struct UsbPointerImage {
    /// The device.
    pub dev: UsbDeviceImage,
    /// The pointer.
    pub hid: HidPointerImage,
}

/// What a keyboard has on any bus.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "HIDKeyboardDevice", version = 1)]
pub struct HidKeyboardImage {
    /// Codes of keys that were not reported yet, a ring.
    #[vmstate(name = "kbd.keycodes")]
    pub keycodes: [u32; 16],
    /// Where it begins.
    pub head: u32,
    /// How many there are.
    pub n: u32,
    /// Shift, control and others that are down.
    #[vmstate(name = "kbd.modifiers")]
    pub modifiers: u16,
    /// LEDs that are on.
    #[vmstate(name = "kbd.leds")]
    pub leds: u8,
    /// Keys that are down.
    #[vmstate(name = "kbd.key")]
    pub key: [u8; 16],
    /// How many of them.
    #[vmstate(name = "kbd.keys")]
    pub keys: i32,
    /// 0: that of firmware; 1: that of reports.
    pub protocol: i32,
    /// How often an unchanged report is sent again, in 4 ms.
    pub idle: u8,
}

/// What a pointer has on any bus.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "HIDPointerDevice", version = 1)]
pub struct HidPointerImage {
    /// Events that were not reported yet, a ring.
    #[vmstate(name = "ptr.queue")]
    pub queue: [PointerEventImage; 16],
    /// Where it begins.
    pub head: u32,
    /// How many there are.
    pub n: u32,
    /// 0: that of firmware; 1: that of reports.
    pub protocol: i32,
    /// How often an unchanged report is sent again, in 4 ms.
    pub idle: u8,
}

/// A movement.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "HIDPointerEventQueue", version = 1)]
pub struct PointerEventImage {
    /// To the right, or where it is now.
    pub xdx: i32,
    /// Downwards, or where it is now.
    pub ydy: i32,
    /// Of the wheel.
    pub dz: i32,
    /// Buttons that are down.
    pub buttons_state: i32,
}
