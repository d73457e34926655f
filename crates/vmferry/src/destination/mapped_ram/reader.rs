//! Reads pieces of the file into guest memory.
//!
//! Cost of a piece: one call that populates its memory, and one positional read, without a copy in this process.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::pieces::Piece;
use crate::destination::huge_cost::HugeCost;
use crate::mapped_ram::file::PageFile;
use crate::mapped_ram::workers::Work;
use crate::memory::populate::{HUGE_PAGE_BYTES, populate, prefer_huge};
use crate::memory::{RamBlock, TARGET_PAGE};

/// Separate ranges of huge pages of one thread: each is a mapping of its own in the kernel, which gives a process 65530
/// by default, and there are at most 255 threads.
const HUGE_RANGES_LIMIT: usize = 128;

/// One thread's end of the file.
#[derive(Debug)]
pub(super) struct Reader {
    file: PageFile,
    blocks: Arc<[Arc<dyn RamBlock>]>,
    cost: HugeCost,
    huge_ranges: usize,
    /// Block and offset behind the last huge page.
    huge_end: Option<(usize, u64)>,
}

impl Reader {
    pub(super) fn new(file: PageFile, blocks: &[Arc<dyn RamBlock>]) -> Self {
        Self { file, blocks: blocks.into(), cost: HugeCost::default(), huge_ranges: 0, huge_end: None }
    }
}

impl Work for Reader {
    type Job = Piece;

    fn perform(&mut self, piece: Piece) -> io::Result<()> {
        let Piece { block, offset, len, at, is_huge } = piece;
        let Some(memory) = self.blocks.get(block) else { return Ok(()) };
        let memory = memory.run(offset, len).map_err(io::Error::other)?;
        let is_separate = self.huge_end != Some((block, offset));
        let has_range = !is_separate || self.huge_ranges < HUGE_RANGES_LIMIT;
        let begun = Instant::now();
        if is_huge && has_range && self.cost.allows() {
            prefer_huge(&memory);
            // Its first page brings all of it.
            populate(&memory.subslice(0, TARGET_PAGE).map_err(io::Error::other)?);
            self.cost.huge(begun.elapsed());
            self.huge_ranges += usize::from(is_separate);
            self.huge_end = Some((block, offset.saturating_add(HUGE_PAGE_BYTES as u64)));
        } else {
            populate(&memory);
            self.cost.small(len, begun.elapsed());
        }
        if self.file.read_memory(&memory, at)? < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}
