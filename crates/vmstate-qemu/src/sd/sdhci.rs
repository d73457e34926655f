//! The standard SD host controller; on PCI it has no part of the bus in its section.
//!
//! Fields: `sdmasysad` u32; `blksize`, `blkcnt` u16; `argument` u32; `trnmod`, `cmdreg` u16; `rspreg` u32 × 4;
//! `prnsts` u32; `hostctl1`, `pwrcon`, `blkgap`, `wakcon` u8; `clkcon` u16; `timeoutcon`, `admaerr` u8; `norintsts`,
//! `errintsts`, `norintstsen`, `errintstsen`, `norintsigen`, `errintsigen`, `acmd12errsts`, `data_count` u16;
//! `admasysaddr` u64; `stopped_state` u8; `fifo_buffer` 512 octets; `insert_timer`, `transfer_timer` timer.
//!
//! The schema dumps have a subsection `sdhci/pending-insert` of one octet, for a quirk of some boards, that no recorded
//! machine sent and whose type is not known. It is refused by name.
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`virt` of riscv64 with `sdhci-pci`).

use vmstate::VmState;
use vmstate::codecs::TimerExpiry;

/// The controller.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "sdhci", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in QEMU")]
pub struct SdhciImage {
    /// Octets of its buffer: configuration.
    #[vmstate(local)]
    pub buf_maxsz: u32,
    pub sdmasysad: u32,
    pub blksize: u16,
    pub blkcnt: u16,
    pub argument: u32,
    pub trnmod: u16,
    pub cmdreg: u16,
    pub rspreg: [u32; 4],
    pub prnsts: u32,
    pub hostctl1: u8,
    pub pwrcon: u8,
    pub blkgap: u8,
    pub wakcon: u8,
    pub clkcon: u16,
    pub timeoutcon: u8,
    pub admaerr: u8,
    pub norintsts: u16,
    pub errintsts: u16,
    pub norintstsen: u16,
    pub errintstsen: u16,
    pub norintsigen: u16,
    pub errintsigen: u16,
    pub acmd12errsts: u16,
    pub data_count: u16,
    pub admasysaddr: u64,
    pub stopped_state: u8,
    #[vmstate(buffer, len = buf_maxsz, max = BUFFER_MAX)]
    pub fifo_buffer: Vec<u8>,
    pub insert_timer: TimerExpiry,
    pub transfer_timer: TimerExpiry,
}

/// Largest buffer, in octets, that the specification allows.
pub const BUFFER_MAX: usize = 4096;

impl SdhciImage {
    /// The template of a controller with a buffer of so many octets, at most [`BUFFER_MAX`].
    #[must_use]
    pub fn with_buffer(buf_maxsz: u32) -> Self {
        let fifo_buffer = vec![0; (buf_maxsz as usize).min(BUFFER_MAX)];
        Self { buf_maxsz, fifo_buffer, ..Self::default() }
    }
}
