//! Saved pages as records of one section part: headers in an arena, pages from their copies, one vectored write.

use std::io;

use vmferry_wire::ram::Record;
use vmferry_wire::section::{Footer, SectionHeader};

use super::guard::SavedRun;
use crate::channel::Channel;
use crate::memory::vectored::Parts;
use crate::memory::{TARGET_PAGE, TARGET_PAGE_BYTES};
use crate::source::devices::RAM_SECTION_ID;
use crate::source::ram::{NamedBlock, Sent};

const ZERO_PAGE: [u8; TARGET_PAGE] = [0; TARGET_PAGE];

/// Writes saved pages.
#[derive(Debug)]
pub(super) struct Records {
    blocks: Vec<NamedBlock>,
    /// Block of the last page record, which the next one need not name.
    named: Option<usize>,
    arena: Vec<u8>,
}

/// What the arena is followed by.
enum Piece<'a> {
    /// Octets of the arena.
    Arena(usize, usize),
    Page(&'a [u8]),
}

impl Records {
    pub(super) fn new(blocks: Vec<NamedBlock>) -> Self {
        Self { blocks, named: None, arena: Vec::new() }
    }

    /// Writes one part with all pages of `run`.
    ///
    /// # Errors
    ///
    /// The channel's.
    pub(super) fn write(&mut self, channel: &Channel, run: &SavedRun) -> io::Result<Sent> {
        let mut sent = Sent::default();
        let name = self.blocks.get(run.block).map(|(name, _)| name);
        let mut name = name.filter(|_| self.named.replace(run.block) != Some(run.block));
        let (arena, mut pieces, mut from) = (&mut self.arena, Vec::new(), 0);
        arena.clear();
        SectionHeader::Part { section_id: RAM_SECTION_ID }.encode(arena);
        let mut pages = run.bytes.chunks_exact(TARGET_PAGE);
        for page in run.first..run.first + run.count {
            let offset = page as u64 * TARGET_PAGE_BYTES;
            match pages.next().filter(|page| **page != ZERO_PAGE) {
                None => {
                    Record::encode_zero_page(arena, offset, name.take());
                    sent.zero_pages += 1;
                }
                Some(page) => {
                    Record::encode_normal_page(arena, offset, name.take());
                    pieces.extend([Piece::Arena(from, arena.len()), Piece::Page(page)]);
                    from = arena.len();
                    sent.normal_pages += 1;
                }
            }
        }
        Record::encode_eos(arena);
        Footer { section_id: RAM_SECTION_ID }.encode(arena);
        pieces.push(Piece::Arena(from, arena.len()));
        let mut parts = Parts::new();
        for piece in pieces {
            match piece {
                Piece::Arena(from, to) => parts.push_bytes(arena.get(from..to).unwrap_or_default()),
                Piece::Page(page) => parts.push_bytes(page),
            }
        }
        sent.bytes = parts.bytes() as u64;
        channel.write_parts(&mut parts)?;
        Ok(sent)
    }
}
