//! Sending RAM: runs of dirty pages become records and leave in one vectored write.
//!
//! Cost of a page with content: 8 octets of header in an arena, two entries of the vector, no copy. Of a zero page: one
//! scan and 9 octets. Of one that was never populated: 9 octets. `docs/spec/ram.md` A2 to A6 has the records.

use std::io;
use std::sync::Arc;

use vm_memory::VolatileSlice;
use vmferry_wire::Name;
use vmferry_wire::ram::Record;

use super::runs::Runs;
use crate::channel::Channel;
use crate::dirty::DirtyLog;
use crate::memory::vectored::{PARTS_MAX, Parts};
use crate::memory::zero::is_zero;
use crate::memory::{OutOfBlock, RamBlock, TARGET_PAGE, TARGET_PAGE_BYTES};

/// Pages of one write: as many as `writev` takes, with a header before each and the frame around them.
const PAGES_PER_WRITE: usize = PARTS_MAX / 2 - 2;

/// Octets of one write, so that a cancellation is heard between two.
const OCTETS_PER_WRITE: usize = PAGES_PER_WRITE * TARGET_PAGE;

/// Octets of the record of a zero page that names no block.
const ZERO_RECORD_OCTETS: usize = 9;

/// What one call sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Pages with content.
    pub normal_pages: u64,
    /// Pages of zeros.
    pub zero_pages: u64,
    /// Bytes on the wire.
    pub bytes: u64,
}

/// A piece of the output: octets of the arena, or guest memory.
enum Piece<'a> {
    Arena(usize, usize),
    Guest(VolatileSlice<'a, ()>),
}

/// A block and its name on the wire.
pub(crate) type NamedBlock = (Name, Arc<dyn RamBlock>);

/// Sends what is dirty.
///
/// [`Runs`] says which pages go next; [`RamSender::send`] makes records of them for the main channel. Whoever sends
/// pages another way takes the runs and leaves the records.
#[derive(Debug)]
pub(crate) struct RamSender {
    blocks: Vec<NamedBlock>,
    /// What is still to be sent.
    pub(crate) runs: Runs,
    /// Block of the last page record, which the next one need not name.
    named: Option<usize>,
    arena: Vec<u8>,
}

impl RamSender {
    /// A sender of `blocks` with every page dirty.
    #[must_use]
    pub(crate) fn new(blocks: Vec<NamedBlock>) -> Self {
        Self { runs: Runs::new(&blocks), blocks, named: None, arena: Vec::new() }
    }

    /// Sends the next dirty pages as one section part between `head` and `tail`: as many as `longest` pages with
    /// content have octets, and no more than one write takes. Sends nothing if nothing is dirty. Pages are cleared
    /// in `log` before they are read.
    ///
    /// # Errors
    ///
    /// The channel or the log failed, or a block is shorter than it said.
    pub(crate) fn send(
        &mut self,
        channel: &Channel,
        log: &dyn DirtyLog,
        longest: usize,
        head: &[u8],
        tail: &[u8],
    ) -> io::Result<Sent> {
        let blocks = self.blocks.clone();
        let mut part = Part { arena: std::mem::take(&mut self.arena), ..Part::default() };
        part.arena.clear();
        part.arena.extend_from_slice(head);
        let mut left = longest.saturating_mul(TARGET_PAGE).min(OCTETS_PER_WRITE);
        while left > 0 && part.sent.normal_pages < PAGES_PER_WRITE as u64 {
            let pages = left.div_ceil(TARGET_PAGE).min(PAGES_PER_WRITE - part.pieces.len() / 2);
            let Some(run) = self.runs.next_run(log, pages, left.div_ceil(ZERO_RECORD_OCTETS))? else { break };
            let Some((name, block)) = blocks.get(run.block) else { break };
            let name = (self.named.replace(run.block) != Some(run.block)).then_some(name);
            let before = part.octets();
            if run.never_populated {
                part.add_zero_pages(run.first, run.count, name);
            } else {
                part.add_pages(&**block, run.first, run.count, name)?;
            }
            left = left.saturating_sub(part.octets() - before);
        }
        let Part { pieces, mut arena, arena_from, mut sent, .. } = part;
        if sent.normal_pages + sent.zero_pages > 0 {
            Record::encode_eos(&mut arena);
            arena.extend_from_slice(tail);
            let mut parts = Parts::new();
            for piece in pieces.iter().chain([&Piece::Arena(arena_from, arena.len())]) {
                match piece {
                    Piece::Arena(from, to) => parts.push_bytes(arena.get(*from..*to).unwrap_or_default()),
                    Piece::Guest(memory) => parts.push_guest(memory),
                }
            }
            sent.bytes = parts.bytes() as u64;
            channel.write_parts(&mut parts)?;
        }
        self.arena = arena;
        Ok(sent)
    }
}

/// What one write is made of.
#[derive(Default)]
struct Part<'a> {
    pieces: Vec<Piece<'a>>,
    arena: Vec<u8>,
    /// Octets of the arena from here on are in no piece yet.
    arena_from: usize,
    /// Octets of guest memory in the pieces.
    guest_octets: usize,
    sent: Sent,
}

impl<'a> Part<'a> {
    fn octets(&self) -> usize {
        self.arena.len() + self.guest_octets
    }

    /// Zero pages that nobody looks at.
    fn add_zero_pages(&mut self, first: usize, count: usize, mut name: Option<&Name>) {
        self.arena.reserve(count.saturating_mul(ZERO_RECORD_OCTETS));
        for page in first..first + count {
            Record::encode_zero_page(&mut self.arena, page as u64 * TARGET_PAGE_BYTES, name.take());
        }
        self.sent.zero_pages += count as u64;
    }

    /// Pages that may hold something. The first is named by `name`, if it is to be.
    fn add_pages(
        &mut self,
        block: &'a dyn RamBlock,
        first: usize,
        count: usize,
        mut name: Option<&Name>,
    ) -> io::Result<()> {
        for page in first..first + count {
            let offset = page as u64 * TARGET_PAGE_BYTES;
            let memory = block.run(offset, TARGET_PAGE).map_err(short_block)?;
            if is_zero(&memory) {
                Record::encode_zero_page(&mut self.arena, offset, name.take());
                self.sent.zero_pages += 1;
            } else {
                Record::encode_normal_page(&mut self.arena, offset, name.take());
                self.pieces.push(Piece::Arena(self.arena_from, self.arena.len()));
                self.arena_from = self.arena.len();
                self.pieces.push(Piece::Guest(memory));
                self.guest_octets += TARGET_PAGE;
                self.sent.normal_pages += 1;
            }
        }
        Ok(())
    }
}

fn short_block(outside: OutOfBlock) -> io::Error {
    io::Error::other(outside)
}
