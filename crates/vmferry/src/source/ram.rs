//! Sending RAM: runs of dirty pages become records and leave in one vectored write.
//!
//! Cost of a page with content: 8 octets of header in an arena, two entries of the vector, no copy. Of a zero page: one
//! scan and 9 octets. Of one that was never populated: 9 octets. `docs/spec/ram.md` A2 to A6 has the records.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vm_memory::VolatileSlice;
use vmferry_wire::Name;
use vmferry_wire::ram::Record;

use super::runs::{Run, Runs};
use super::xbzrle::{Cache, Sending};
use crate::channel::Channel;
use crate::control::XbzrleStats;
use crate::dirty::DirtyLog;
use crate::memory::vectored::{PARTS_MAX, Parts};
use crate::memory::zero::is_zero;
use crate::memory::{OutOfBlock, RamBlock, TARGET_PAGE, TARGET_PAGE_BYTES};

/// Pages of one write: as many as `writev` takes, with a header before each and the frame around them.
const PAGES_PER_WRITE: usize = PARTS_MAX / 2 - 2;

/// Octets of one write, so that a cancellation is heard between two.
const OCTETS_PER_WRITE: usize = PAGES_PER_WRITE * TARGET_PAGE;

/// Pages that are looked at for one write: where most are unchanged a cancellation must be heard all the same.
const PAGES_PER_CALL: u64 = 1 << 16;

/// Shortest time over which rates of the cache of pages are told.
const PERIOD: Duration = Duration::from_secs(1);

/// Octets of the record of a zero page that names no block.
const ZERO_RECORD_OCTETS: usize = 9;

/// What one call sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Pages with content.
    pub normal_pages: u64,
    /// Pages of zeros.
    pub zero_pages: u64,
    /// Pages as differences.
    pub xbzrle_pages: u64,
    /// Pages that the destination has already.
    pub unchanged_pages: u64,
    /// Bytes on the wire.
    pub bytes: u64,
}

impl Sent {
    /// Pages that need not be sent any more, however they went.
    pub(crate) fn pages(&self) -> u64 {
        self.normal_pages + self.zero_pages + self.xbzrle_pages + self.unchanged_pages
    }
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
    /// Whether pages of zeros go as such (`zero-page-detection`).
    detects_zero: bool,
    xbzrle: Option<Xbzrle>,
}

/// Capability `xbzrle`.
#[derive(Debug)]
struct Xbzrle {
    cache: Cache,
    /// Number in the machine of each block's first page, and of one behind the last.
    bases: Vec<u64>,
    pages: u64,
    /// Dirty synchronisations so far.
    age: u64,
    is_last_stage: bool,
    period_started: Instant,
    period_pages: u64,
}

impl RamSender {
    /// A sender of `blocks` with every page dirty, but for those that are not sent (`ignored`); with a cache of that
    /// many bytes if pages may go as differences.
    #[must_use]
    pub(crate) fn new(
        blocks: Vec<NamedBlock>,
        ignored: &[bool],
        detects_zero: bool,
        xbzrle_cache_bytes: Option<u64>,
    ) -> Self {
        let mut pages = 0;
        let bases = blocks.iter().map(|(_, block)| {
            let base = pages;
            pages += block.used_len() / TARGET_PAGE_BYTES;
            base
        });
        let bases = bases.collect();
        let xbzrle = xbzrle_cache_bytes.map(|bytes| Xbzrle {
            cache: Cache::new(bytes, pages),
            bases,
            pages,
            age: 1,
            is_last_stage: false,
            period_started: Instant::now(),
            period_pages: 0,
        });
        Self { runs: Runs::new(&blocks, ignored), blocks, named: None, arena: Vec::new(), detects_zero, xbzrle }
    }

    /// Takes new dirty pages out of `log`; how many there were.
    ///
    /// # Errors
    ///
    /// The log failed.
    pub(crate) fn synchronise(&mut self, log: &dyn DirtyLog) -> io::Result<u64> {
        if let Some(xbzrle) = &mut self.xbzrle {
            xbzrle.age += 1;
            if xbzrle.period_started.elapsed() > PERIOD {
                xbzrle.cache.end_period(std::mem::take(&mut xbzrle.period_pages));
                xbzrle.period_started = Instant::now();
            }
        }
        self.runs.synchronise(log)
    }

    /// The guest stands still from here on: every page goes at most once.
    pub(crate) fn begin_last_stage(&mut self) {
        if let Some(xbzrle) = &mut self.xbzrle {
            xbzrle.is_last_stage = true;
        }
    }

    /// Gives the cache of pages another size; what it has is dropped.
    pub(crate) fn set_xbzrle_cache_bytes(&mut self, bytes: u64) {
        if let Some(xbzrle) = self.xbzrle.as_mut().filter(|xbzrle| xbzrle.cache.stats().cache_bytes != bytes) {
            xbzrle.cache.resize(bytes, xbzrle.pages);
        }
    }

    /// What the cache of pages did, if there is one.
    #[must_use]
    pub(crate) fn xbzrle_stats(&self) -> Option<XbzrleStats> {
        self.xbzrle.as_ref().map(|xbzrle| xbzrle.cache.stats())
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
        while left > 0 && part.pieces.len() / 2 < PAGES_PER_WRITE && part.sent.pages() < PAGES_PER_CALL {
            let pages = left.div_ceil(TARGET_PAGE).min(PAGES_PER_WRITE - part.pieces.len() / 2);
            let unread = if self.detects_zero { left.div_ceil(ZERO_RECORD_OCTETS) } else { pages };
            let Some(run) = self.runs.next_run(log, pages, unread)? else { break };
            let Some((name, block)) = blocks.get(run.block) else { break };
            part.name = (self.named.replace(run.block) != Some(run.block)).then_some(name);
            let before = part.octets();
            if run.never_populated && self.detects_zero {
                part.add_zero_pages(run.first, run.count);
            } else {
                let xbzrle = self.xbzrle.as_mut().filter(|_| self.runs.is_first_pass_over());
                part.add_pages(&**block, &run, self.detects_zero, xbzrle)?;
            }
            // Where all pages of the run are unchanged no record has the name.
            if part.name.take().is_some() {
                self.named = None;
            }
            left = left.saturating_sub(part.octets() - before);
        }
        if let Some(xbzrle) = &mut self.xbzrle {
            xbzrle.period_pages += part.sent.pages();
        }
        let Part { pieces, mut arena, arena_from, mut sent, .. } = part;
        if sent.pages() > sent.unchanged_pages {
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
    /// Name of the block, until a record has it.
    name: Option<&'a Name>,
    sent: Sent,
}

impl<'a> Part<'a> {
    fn octets(&self) -> usize {
        self.arena.len() + self.guest_octets
    }

    /// Zero pages that nobody looks at.
    fn add_zero_pages(&mut self, first: usize, count: usize) {
        self.arena.reserve(count.saturating_mul(ZERO_RECORD_OCTETS));
        for page in first..first + count {
            Record::encode_zero_page(&mut self.arena, page as u64 * TARGET_PAGE_BYTES, self.name.take());
        }
        self.sent.zero_pages += count as u64;
    }

    /// Pages that may hold something.
    fn add_pages(
        &mut self,
        block: &'a dyn RamBlock,
        run: &Run,
        detects_zero: bool,
        mut xbzrle: Option<&mut Xbzrle>,
    ) -> io::Result<()> {
        for page in run.first..run.first + run.count {
            let offset = page as u64 * TARGET_PAGE_BYTES;
            let memory = block.run(offset, TARGET_PAGE).map_err(short_block)?;
            let zero = detects_zero && is_zero(&memory);
            let sending = xbzrle.as_mut().map_or(Sending::Whole, |xbzrle| xbzrle.page(run.block, page, &memory, zero));
            if zero {
                Record::encode_zero_page(&mut self.arena, offset, self.name.take());
                self.sent.zero_pages += 1;
                continue;
            }
            match sending {
                Sending::Nothing => self.sent.unchanged_pages += 1,
                Sending::Difference(data) => {
                    let length = u16::try_from(data.len()).map_err(io::Error::other)?;
                    Record::encode_xbzrle_page(&mut self.arena, offset, self.name.take(), length);
                    self.arena.extend_from_slice(data);
                    self.sent.xbzrle_pages += 1;
                }
                Sending::Copy(copy) => {
                    Record::encode_normal_page(&mut self.arena, offset, self.name.take());
                    self.arena.extend_from_slice(copy);
                    self.sent.normal_pages += 1;
                }
                Sending::Whole => {
                    Record::encode_normal_page(&mut self.arena, offset, self.name.take());
                    self.pieces.push(Piece::Arena(self.arena_from, self.arena.len()));
                    self.arena_from = self.arena.len();
                    self.pieces.push(Piece::Guest(memory));
                    self.guest_octets += TARGET_PAGE;
                    self.sent.normal_pages += 1;
                }
            }
        }
        Ok(())
    }
}

impl Xbzrle {
    /// What to send of a page, if it is not zero.
    fn page(&mut self, block: usize, page: usize, memory: &VolatileSlice<'_, ()>, is_zero: bool) -> Sending<'_> {
        let number = self.bases.get(block).copied().unwrap_or_default() + page as u64;
        if is_zero {
            self.cache.zero(number, self.age, self.is_last_stage);
            return Sending::Nothing;
        }
        self.cache.page(number, memory, self.age, self.is_last_stage)
    }
}

fn short_block(outside: OutOfBlock) -> io::Error {
    io::Error::other(outside)
}
