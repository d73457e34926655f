//! Displays.
//!
//! | image | section, version | fields |
//! |---|---|---|
//! | [`PciVgaImage`] | `vga` 2 | `dev`, a conventional device; `vga` |
//! | [`VgaImage`] | `vga` 2, within it | below |
//! | [`BochsDisplayImage`] | `bochs-display` 0 | `pci`, a PCI Express device, or a conventional one on a conventional bus; `vbe_regs` u16 × 10; `big_endian_fb` bool |
//!
//! | field of `vga` 2 | |
//! |---|---|
//! | `latch` u32 | octets of the four planes |
//! | `sr_index` u8, `sr` 8 octets | sequencer |
//! | `gr_index` u8, `gr` 16 octets | graphics controller |
//! | `ar_index` u8, `ar` 21 octets, `ar_flip_flop` i32 | attribute controller |
//! | `cr_index` u8, `cr` 256 octets | CRT controller |
//! | `msr`, `fcr`, `st00`, `st01` u8 | miscellaneous |
//! | `dac_state`, `dac_sub_index`, `dac_read_index`, `dac_write_index` u8, `dac_cache` 3 octets, `palette` 768 octets | colours |
//! | `bank_offset` i32 | |
//! | `is_vbe_vmstate` u8, must be equal: 1 | |
//! | `vbe_index` u16, `vbe_regs` u16 × 10, `vbe_start_addr`, `vbe_line_offset`, `vbe_bank_mask` u32 | Bochs' extension |
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `vga.endian` 1 | `big_endian_fb` bool | the guest changed the order of octets |
//!
//! What is on the screen is RAM and has no part in these. Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`pc`,
//! `q35`), and their schema dumps.

use vmstate::VmState;

use crate::arrays::Octets;
use crate::pci::PciDeviceImage;

/// The VGA card on PCI.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "vga", version = 2)]
pub struct PciVgaImage {
    /// The device.
    pub dev: PciDeviceImage,
    /// The card.
    pub vga: VgaImage,
}

/// The card's own state.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "vga", version = 2)]
#[expect(missing_docs, reason = "registers, by their names in QEMU; the page has what they are")]
pub struct VgaImage {
    pub latch: u32,
    pub sr_index: u8,
    #[vmstate(buffer)]
    pub sr: [u8; 8],
    pub gr_index: u8,
    #[vmstate(buffer)]
    pub gr: [u8; 16],
    pub ar_index: u8,
    #[vmstate(buffer)]
    pub ar: [u8; 21],
    pub ar_flip_flop: i32,
    pub cr_index: u8,
    pub cr: Octets<256>,
    pub msr: u8,
    pub fcr: u8,
    pub st00: u8,
    pub st01: u8,
    pub dac_state: u8,
    pub dac_sub_index: u8,
    pub dac_read_index: u8,
    pub dac_write_index: u8,
    #[vmstate(buffer)]
    pub dac_cache: [u8; 3],
    pub palette: Octets<768>,
    pub bank_offset: i32,
    #[vmstate(equal, name = "is_vbe_vmstate")]
    pub is_vbe: u8,
    pub vbe_index: u16,
    pub vbe_regs: [u16; 10],
    pub vbe_start_addr: u32,
    pub vbe_line_offset: u32,
    pub vbe_bank_mask: u32,
    /// The order of octets in the frame buffer.
    #[vmstate(subsection)]
    pub endian: Option<VgaEndianImage>,
}

impl Default for VgaImage {
    fn default() -> Self {
        Self {
            latch: 0,
            sr_index: 0,
            sr: [0; 8],
            gr_index: 0,
            gr: [0; 16],
            ar_index: 0,
            ar: [0; 21],
            ar_flip_flop: 0,
            cr_index: 0,
            cr: Octets::default(),
            msr: 0,
            fcr: 0,
            st00: 0,
            st01: 0,
            dac_state: 0,
            dac_sub_index: 0,
            dac_read_index: 0,
            dac_write_index: 0,
            dac_cache: [0; 3],
            palette: Octets::default(),
            bank_offset: 0,
            is_vbe: 1,
            vbe_index: 0,
            vbe_regs: [0; 10],
            vbe_start_addr: 0,
            vbe_line_offset: 0,
            vbe_bank_mask: 0,
            endian: None,
        }
    }
}

/// The order of octets in the frame buffer.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "vga.endian", version = 1)]
pub struct VgaEndianImage {
    /// Whether the first octet of a pixel is the highest.
    pub big_endian_fb: bool,
}

/// The display that has Bochs' extension and no VGA. The template says which bus it is on.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "bochs-display", version = 0)]
pub struct BochsDisplayImage {
    /// The device.
    pub pci: PciDeviceImage,
    /// Registers of the extension.
    pub vbe_regs: [u16; 10],
    /// Whether the first octet of a pixel is the highest.
    pub big_endian_fb: bool,
}

impl BochsDisplayImage {
    /// The template of a display that is so on its bus.
    #[must_use]
    pub fn on(pci: PciDeviceImage) -> Self {
        Self { pci, vbe_regs: [0; 10], big_endian_fb: false }
    }
}
