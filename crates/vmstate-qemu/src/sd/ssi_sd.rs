//! An SD card on a serial bus.
//!
//! | field | |
//! |---|---|
//! | `mode` u32 | what is expected next |
//! | `cmd` i32, `cmdarg` u8 × 4, `response` u8 × 5 | command and answer |
//! | `crc16` u16, `read_bytes`, `write_bytes` i32 | data |
//! | `arglen`, `response_pos`, `stopping` i32 | |
//! | `ssidev` | a [`SsiPeripheralImage`] |
//!
//! Source: streams of QEMU 7.2, 10.0 and 11.1 (`sifive_u`).

use vmstate::VmState;

use crate::ssi::SsiPeripheralImage;

/// The adapter.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ssi_sd", version = 7)]
#[expect(missing_docs, reason = "by their names in QEMU")]
pub struct SsiSdImage {
    pub mode: u32,
    pub cmd: i32,
    pub cmdarg: [u8; 4],
    pub response: [u8; 5],
    pub crc16: u16,
    pub read_bytes: i32,
    pub write_bytes: i32,
    pub arglen: i32,
    pub response_pos: i32,
    pub stopping: i32,
    pub ssidev: SsiPeripheralImage,
}
