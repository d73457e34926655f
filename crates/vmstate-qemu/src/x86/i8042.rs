//! The 8042 keyboard controller.
//!
//! | image, version | fields |
//! |---|---|
//! | `pckbd` 3, the device on the ISA bus | `kbd` |
//! | `pckbd` 3, within it | `write_cmd`, `status`, `mode`, `pending_tmp` u8; QEMU 5.2 calls the last one `pending` |
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `pckbd_outport` 1 | `outport` u8 | the output port is not what it is after a reset |
//! | `pckbd/extended_state` 0 | `migration_flags`, `obsrc` u32, `obdata`, `cbdata` u8 | always on machine types from 6.1 on; not in 5.2 |
//!
//! Keyboard and mouse behind it have sections of their own: [`crate::x86::ps2`].
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`pc`, `q35`), and their schema dumps.

use vmstate::VmState;

/// The controller on the ISA bus.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "pckbd", version = 3)]
pub struct I8042Image {
    /// The controller.
    pub kbd: KbdImage,
}

/// The controller's own state.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "pckbd", version = 3)]
pub struct KbdImage {
    /// Command whose data is awaited; 0 for none.
    pub write_cmd: u8,
    /// Status register.
    pub status: u8,
    /// Command byte.
    pub mode: u8,
    /// Which of keyboard and mouse have octets, in the form that old releases know.
    #[vmstate(name = "pending_tmp")]
    pub pending: u8,
    /// The output port.
    #[vmstate(subsection)]
    pub outport: Option<OutportImage>,
    /// What is in the output buffer.
    #[vmstate(subsection)]
    pub extended_state: Option<ExtendedStateImage>,
}

/// The output port.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "pckbd_outport", version = 1)]
pub struct OutportImage {
    /// Its bits: reset, gate of address line 20, interrupts.
    pub outport: u8,
}

/// What is in the output buffer.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "pckbd/extended_state", version = 0)]
pub struct ExtendedStateImage {
    /// What else is to be restored.
    pub migration_flags: u32,
    /// Where the octet in the buffer came from.
    pub obsrc: u32,
    /// The octet.
    pub obdata: u8,
    /// The octet that the controller itself answers with.
    pub cbdata: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> I8042Image {
        I8042Image {
            kbd: KbdImage {
                write_cmd: 0xd1,
                outport: Some(OutportImage { outport: 0x23 }),
                extended_state: Some(ExtendedStateImage { obsrc: 1, obdata: 0xfa, ..Default::default() }),
                ..KbdImage::default()
            },
        }
    }

    vmstate::vmstate_tests! {
        mod i8042_image: I8042Image {
            props: (),
            template: I8042Image::default(),
            samples: [sample()],
        }
    }
}
