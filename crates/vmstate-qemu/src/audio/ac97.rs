//! The AC'97 sound card.
//!
//! | field of `ac97` 3 | |
//! |---|---|
//! | `dev` | a conventional device |
//! | `glob_cnt`, `glob_sta`, `cas` u32 | |
//! | `bm_regs` × 3 | `ac97_bm_regs` 1: `bdbar` u32, `civ`, `lvi` u8, `sr`, `picb` u16, `piv`, `cr` u8, `bd_valid`, `bd.addr`, `bd.ctl_len` u32 |
//! | `mixer_data` 256 octets | |
//! | 3 unused | in version 2 only |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`pc`), and their schema dumps.

use vmstate::VmState;

use crate::arrays::Octets;
use crate::pci::PciDeviceImage;

/// The card.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ac97", version = 3, min = 2)]
#[expect(missing_docs, reason = "registers, by their names in QEMU")]
pub struct Ac97Image {
    /// The device.
    pub dev: PciDeviceImage,
    pub glob_cnt: u32,
    pub glob_sta: u32,
    pub cas: u32,
    /// Transfers: of input, output and microphone.
    #[vmstate(since = 1)]
    pub bm_regs: [BusMasterImage; 3],
    /// The mixer.
    pub mixer_data: Octets<256>,
    /// No longer used.
    #[vmstate(when = is_version_2, unused = 3)]
    pub unused: (),
}

fn is_version_2(_: &Ac97Image, version: u32) -> bool {
    version == 2
}

/// A transfer.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ac97_bm_regs", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in QEMU")]
pub struct BusMasterImage {
    pub bdbar: u32,
    pub civ: u8,
    pub lvi: u8,
    pub sr: u16,
    pub picb: u16,
    pub piv: u8,
    pub cr: u8,
    pub bd_valid: u32,
    #[vmstate(name = "bd.addr")]
    pub addr: u32,
    #[vmstate(name = "bd.ctl_len")]
    pub ctl_len: u32,
}
