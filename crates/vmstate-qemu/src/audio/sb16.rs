//! The Sound Blaster 16.
//!
//! `sb16` 1 has, in this order: where the card is (`irq`, `dma`, `hdma`, `port`, `ver` u32; from QEMU 10.0 on 20 unused
//! octets), what the guest programs, the signal processor (`csp_…`), what comes and goes by the ports, the transfer,
//! and the mixer. All numbers are i32, but `fmt` u32 and those of one octet.
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`pc`), and their schema dumps.

use vmstate::VmState;

use crate::arrays::Octets;

/// The card. The template says which form of it is on the wire; the default is that of the newest release.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "sb16", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in QEMU")]
pub struct Sb16Image {
    /// Whether the release sends where the card is.
    #[vmstate(local)]
    pub has_place: bool,
    #[vmstate(when = has_place)]
    pub irq: u32,
    #[vmstate(when = has_place)]
    pub dma: u32,
    #[vmstate(when = has_place)]
    pub hdma: u32,
    #[vmstate(when = has_place)]
    pub port: u32,
    #[vmstate(when = has_place)]
    pub ver: u32,
    /// In place of them in newer releases.
    #[vmstate(when = has_no_place, unused = 20)]
    pub unused: (),
    pub in_index: i32,
    pub out_data_len: i32,
    pub fmt_stereo: i32,
    pub fmt_signed: i32,
    pub fmt_bits: i32,
    pub fmt: u32,
    pub dma_auto: i32,
    pub block_size: i32,
    pub fifo: i32,
    pub freq: i32,
    pub time_const: i32,
    pub speaker: i32,
    pub needed_bytes: i32,
    pub cmd: i32,
    pub use_hdma: i32,
    pub highspeed: i32,
    pub can_write: i32,
    pub v2x6: i32,
    #[vmstate(name = "csp_param")]
    pub csp_first_param: u8,
    pub csp_value: u8,
    pub csp_mode: u8,
    #[vmstate(name = "csp_param")]
    pub csp_second_param: u8,
    pub csp_regs: Octets<256>,
    pub csp_index: u8,
    #[vmstate(buffer)]
    pub csp_reg83: [u8; 4],
    pub csp_reg83r: i32,
    pub csp_reg83w: i32,
    #[vmstate(buffer)]
    pub in2_data: [u8; 10],
    pub out_data: Octets<50>,
    pub test_reg: u8,
    pub last_read_byte: u8,
    pub nzero: i32,
    pub left_till_irq: i32,
    pub dma_running: i32,
    pub bytes_per_second: i32,
    pub align: i32,
    pub mixer_nreg: i32,
    pub mixer_regs: Octets<256>,
}

fn has_place(image: &Sb16Image, _: u32) -> bool {
    image.has_place
}

fn has_no_place(image: &Sb16Image, _: u32) -> bool {
    !image.has_place
}
