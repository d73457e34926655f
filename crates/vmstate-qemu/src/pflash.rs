//! Flash memory with Intel's command set (CFI).
//!
//! | field | |
//! |---|---|
//! | `wcycle` u8 | cycle of the command |
//! | `cmd` u8 | the command |
//! | `status` u8 | |
//! | `counter` u64 | |
//!
//! | subsection | fields | sent |
//! |---|---|---|
//! | `pflash_cfi01_blk_write` 1 | `blk_bytes`, the block, `blk_offset` u32 | a block is being written (in the dumps from 7.2 on) |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`virt` of riscv64), and their schema dumps.

use vmstate::VmState;

/// The memory's state machine; what is in it is a RAM block.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "pflash_cfi01", version = 1)]
pub struct PflashCfi01Image {
    /// Cycle of the command.
    pub wcycle: u8,
    /// The command.
    pub cmd: u8,
    /// Status register.
    pub status: u8,
    /// Words that are still to be written.
    pub counter: u64,
    /// A block that is being written.
    #[vmstate(subsection)]
    pub blk_write: Option<BlkWriteImage>,
}

/// Largest block, in octets: a device has blocks of some KiB at most.
pub const WRITEBLOCK_MAX: usize = 1 << 24;

/// A block that is being written.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "pflash_cfi01_blk_write", version = 1)]
pub struct BlkWriteImage {
    /// Octets of a block: configuration.
    #[vmstate(local)]
    pub writeblock_size: u32,
    /// What was written to it so far.
    #[vmstate(buffer, len = writeblock_size, max = WRITEBLOCK_MAX)]
    pub blk_bytes: Vec<u8>,
    /// Where it begins, in octets; all ones if there is none.
    pub blk_offset: u32,
}

impl BlkWriteImage {
    /// The template of a device with blocks of so many octets, at most [`WRITEBLOCK_MAX`].
    #[must_use]
    pub fn with_octets(writeblock_size: u32) -> Self {
        let blk_bytes = vec![0; (writeblock_size as usize).min(WRITEBLOCK_MAX)];
        Self { writeblock_size, blk_bytes, blk_offset: u32::MAX }
    }
}
