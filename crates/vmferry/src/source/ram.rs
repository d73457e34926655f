//! Sending RAM: runs of dirty pages become records and leave in one vectored write.
//!
//! Cost of a page with content: 8 octets of header in an arena, two entries of the vector, no copy. Of a zero page: one
//! scan and 9 octets. `docs/spec/ram.md` A2 to A6 has the records.

use std::io;
use std::sync::Arc;

use vm_memory::VolatileSlice;
use vmferry_wire::Name;
use vmferry_wire::ram::{PageKind, Record, page_header};

use crate::channel::Channel;
use crate::dirty::{DirtyLog, PageSet};
use crate::memory::vectored::{PARTS_MAX, Parts};
use crate::memory::zero::is_zero;
use crate::memory::{OutOfBlock, RamBlock, TARGET_PAGE, TARGET_PAGE_BYTES};

/// Pages of one write: as many as `writev` takes, with a header before each and the frame around them.
const PAGES_PER_WRITE: usize = PARTS_MAX / 2 - 2;

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

/// Consecutive dirty pages of one block, which were taken out of the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// Number of the block, in the machine's order.
    pub(crate) block: usize,
    /// First page.
    pub(crate) first: usize,
    /// How many, at least one.
    pub(crate) count: usize,
}

/// Walks the blocks and sends what is dirty.
///
/// [`RamSender::next_run`] says which pages go next; [`RamSender::send`] makes records of them for the main channel.
/// Whoever sends pages another way takes the runs and leaves the records.
#[derive(Debug)]
pub(crate) struct RamSender {
    blocks: Vec<NamedBlock>,
    /// What is still to be sent, one set a block.
    pub dirty: Vec<PageSet>,
    /// Block and page at which the scan goes on.
    position: (usize, usize),
    /// Block of the last page record, which the next one need not name.
    named: Option<usize>,
    arena: Vec<u8>,
}

impl RamSender {
    /// A sender of `blocks` with every page dirty.
    #[must_use]
    pub(crate) fn new(blocks: Vec<NamedBlock>) -> Self {
        let dirty = blocks
            .iter()
            .map(|(_, block)| {
                let mut pages = PageSet::new(usize::try_from(block.used_len() / TARGET_PAGE_BYTES).unwrap_or(0));
                pages.fill();
                pages
            })
            .collect();
        Self { blocks, dirty, position: (0, 0), named: None, arena: Vec::new() }
    }

    /// Pages still to be sent.
    #[must_use]
    pub(crate) fn remaining_pages(&self) -> u64 {
        self.dirty.iter().map(PageSet::count).sum()
    }

    /// Sends the next dirty pages, at most `longest` of them, as one section part between `head` and `tail`; sends
    /// nothing if nothing is dirty. Pages are cleared in `log` before they are read.
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
        let mut pieces = Vec::with_capacity(PARTS_MAX);
        let mut sent = Sent::default();
        self.arena.clear();
        self.arena.extend_from_slice(head);
        let mut arena_from = 0;
        let mut pages = longest.clamp(1, PAGES_PER_WRITE);
        while pages > 0 {
            let Some(Run { block: index, first, count }) = self.next_run(pages) else { break };
            pages -= count;
            let Some((name, block)) = blocks.get(index) else { break };
            log.clear(index, first, count)?;
            for page in first..first + count {
                let offset = page as u64 * TARGET_PAGE_BYTES;
                let memory = block.run(offset, TARGET_PAGE).map_err(short_block)?;
                let named = (self.named.replace(index) != Some(index)).then_some(name);
                if is_zero(&memory) {
                    Record::encode_zero_page(&mut self.arena, offset, named);
                    sent.zero_pages += 1;
                } else {
                    let header = page_header(PageKind::Normal, offset, named.is_none());
                    self.arena.extend_from_slice(&header.to_be_bytes());
                    if let Some(name) = named {
                        name.encode(&mut self.arena);
                    }
                    pieces.push(Piece::Arena(arena_from, self.arena.len()));
                    arena_from = self.arena.len();
                    pieces.push(Piece::Guest(memory));
                    sent.normal_pages += 1;
                }
            }
        }
        if sent.normal_pages + sent.zero_pages == 0 {
            return Ok(sent);
        }
        Record::encode_eos(&mut self.arena);
        self.arena.extend_from_slice(tail);
        pieces.push(Piece::Arena(arena_from, self.arena.len()));

        let mut parts = Parts::new();
        for piece in &pieces {
            match piece {
                Piece::Arena(from, to) => parts.push_bytes(self.arena.get(*from..*to).unwrap_or_default()),
                Piece::Guest(memory) => parts.push_guest(memory),
            }
        }
        sent.bytes = parts.bytes() as u64;
        channel.write_parts(&mut parts)?;
        Ok(sent)
    }

    /// Takes the next run of at most `longest` dirty pages; the scan goes round the blocks.
    pub(crate) fn next_run(&mut self, longest: usize) -> Option<Run> {
        let blocks = self.dirty.len();
        // One block more than there are: the scan may have begun in the middle of one.
        for _ in 0..=blocks {
            let (index, page) = self.position;
            if let Some((first, count)) = self.dirty.get_mut(index).and_then(|set| set.take_run(page, longest)) {
                self.position = (index, first + count);
                return Some(Run { block: index, first, count });
            }
            self.position = (if index + 1 < blocks { index + 1 } else { 0 }, 0);
        }
        None
    }
}

fn short_block(outside: OutOfBlock) -> io::Error {
    io::Error::other(outside)
}
