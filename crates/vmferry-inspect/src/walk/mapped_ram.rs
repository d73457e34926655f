//! Mapped-ram: pages at fixed places of the file.
//!
//! ```text
//! entry ─ gap ─ bitmap ─ gap ─ pages (those with a bit; the others may hold anything) ─ next entry
//! ```
//!
//! The places in the header are absolute in the file, and every one lies behind the one before, so that a file is read
//! from its begin to its end, and a pipe is as good. Source: `docs/spec/mapped-ram.md` sections 1 and 4.

use vmferry_wire::ram::block_list::{BlockEntry, MappedRamHeader};

use crate::error::{Halt, Step, StreamFault};
use crate::limits::{MAPPED_RAM_ALIGNMENT, MAPPED_RAM_BITMAP_BYTES_LIMIT};
use crate::ram_files::RamFiles;
use crate::reader::StreamReader;
use crate::walk::ram::RamWalk;

/// Octets of a word of the bitmap.
const WORD_BYTES: u64 = 8;

/// What the bitmap of a block tells.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PlacedPages {
    /// Pages that are in the file.
    pub(super) normal: u64,
}

impl RamWalk {
    /// Counts the pages of a block by its bitmap, stores them if they are wanted, and goes on behind them.
    pub(super) fn mapped_pages(
        &mut self,
        reader: &mut StreamReader<'_>,
        entry: &BlockEntry,
        header: MappedRamHeader,
    ) -> Step<PlacedPages> {
        let at = reader.position();
        let pages = entry.used_bytes.div_ceil(self.page.bytes());
        let bitmap_bytes = pages.div_ceil(64).saturating_mul(WORD_BYTES);
        let (gap, rest) = self.gaps(reader, entry, header, bitmap_bytes)?;
        let aligned = header.pages_offset.is_multiple_of(MAPPED_RAM_ALIGNMENT);
        if !aligned {
            let text = format!("pages of RAM block {:?} are not aligned to 1 MiB in the file", &*entry.name);
            self.oddities.push((at, text));
        }
        reader.skip(gap)?;
        // The second list of a stream, which must equal the first, stores nothing.
        let is_first = self.entries.is_none();
        let Some(mut files) = (if is_first { self.files.take() } else { None }) else {
            let normal = self.counted_bits(reader, pages, bitmap_bytes)?;
            reader.skip(rest.saturating_add(entry.used_bytes))?;
            return Ok(PlacedPages { normal });
        };
        let stored = self.stored_pages(reader, entry, &mut files, rest);
        self.files = Some(files);
        stored
    }

    /// Octets before the bitmap and between it and the pages.
    fn gaps(
        &self,
        reader: &StreamReader<'_>,
        entry: &BlockEntry,
        header: MappedRamHeader,
        bitmap_bytes: u64,
    ) -> Step<(u64, u64)> {
        let overlap = |what, found, least| {
            let block = entry.name.to_string();
            Halt::malformed(reader.position(), StreamFault::MappedRamOverlap { block, what, found, least })
        };
        let here = reader.position().saturating_add(self.stream_offset);
        let gap = header.bitmap_offset.checked_sub(here);
        let gap = gap.ok_or_else(|| overlap("bitmap", header.bitmap_offset, here))?;
        let bitmap_end = header.bitmap_offset.saturating_add(bitmap_bytes);
        let rest = header.pages_offset.checked_sub(bitmap_end);
        let rest = rest.ok_or_else(|| overlap("pages", header.pages_offset, bitmap_end))?;
        Ok((gap, rest))
    }

    /// A word of the bitmap, without the bits that are no page's. `left` pages begin with it.
    fn word(&self, reader: &mut StreamReader<'_>, left: u64) -> Step<(u64, bool)> {
        let octets = reader.array()?;
        let word = if self.has_big_endian_bitmaps { u64::from_be_bytes(octets) } else { u64::from_le_bytes(octets) };
        let pages = if left >= 64 { u64::MAX } else { (1 << left) - 1 };
        Ok((word & pages, word & !pages != 0))
    }

    fn warn_excess(&mut self, at: u64, has_excess: bool) {
        if has_excess {
            let text = "the bitmap has bits behind the last page of its block: it may come from a big-endian host";
            self.oddities.push((at, text.to_owned()));
        }
    }

    fn counted_bits(&mut self, reader: &mut StreamReader<'_>, pages: u64, bitmap_bytes: u64) -> Step<u64> {
        let at = reader.position();
        let (mut set, mut has_excess) = (0_u64, false);
        for i in 0..bitmap_bytes / WORD_BYTES {
            let (word, excess) = self.word(reader, pages.saturating_sub(i.saturating_mul(64)))?;
            set = set.saturating_add(u64::from(word.count_ones()));
            has_excess |= excess;
        }
        self.warn_excess(at, has_excess);
        Ok(set)
    }

    /// Keeps the bitmap, whose memory grows with its octets, and stores the pages that it has.
    fn stored_pages(
        &mut self,
        reader: &mut StreamReader<'_>,
        entry: &BlockEntry,
        files: &mut RamFiles,
        rest: u64,
    ) -> Step<PlacedPages> {
        let at = reader.position();
        let index = files.add(at, entry, self.page)?;
        let pages = entry.used_bytes.div_ceil(self.page.bytes());
        let words = pages.div_ceil(64);
        let max = MAPPED_RAM_BITMAP_BYTES_LIMIT;
        if words.saturating_mul(WORD_BYTES) > max {
            let found = words.saturating_mul(WORD_BYTES);
            return Err(Halt::malformed(at, StreamFault::TooLong { what: "a bitmap of pages to extract", found, max }));
        }
        let mut bitmap = Vec::new();
        let mut has_excess = false;
        for i in 0..words {
            let (word, excess) = self.word(reader, pages.saturating_sub(i.saturating_mul(64)))?;
            bitmap.push(word);
            has_excess |= excess;
        }
        self.warn_excess(at, has_excess);
        reader.skip(rest)?;
        let mut normal = 0_u64;
        let mut offset = 0_u64;
        for word in bitmap {
            normal = normal.saturating_add(u64::from(word.count_ones()));
            let mut bit = 0;
            while bit < 64 && offset < entry.used_bytes {
                let is_set = word >> bit & 1 != 0;
                let shifted = word >> bit;
                let run = (if is_set { shifted.trailing_ones() } else { shifted.trailing_zeros() }).min(64 - bit);
                let bytes = (u64::from(run) << self.page.bits()).min(entry.used_bytes.saturating_sub(offset));
                if is_set {
                    self.store_run(reader, files, index, offset, bytes)?;
                } else {
                    reader.skip(bytes)?;
                }
                offset = offset.saturating_add(bytes);
                bit += run;
            }
        }
        Ok(PlacedPages { normal })
    }

    fn store_run(
        &self,
        reader: &mut StreamReader<'_>,
        files: &mut RamFiles,
        block: usize,
        offset: u64,
        bytes: u64,
    ) -> Step<()> {
        let mut done = 0_u64;
        while done < bytes {
            let left = usize::try_from(bytes.saturating_sub(done)).unwrap_or(usize::MAX);
            // Whole pages, so that those that are zero stay holes.
            let piece = left.min(self.page.usize_bytes());
            if !reader.fill(piece)? {
                return Err(reader.truncated());
            }
            let octets = reader.buffered().get(..piece).unwrap_or_default();
            files.write(block, offset.saturating_add(done), octets)?;
            reader.consume(piece);
            done = done.saturating_add(u64::try_from(piece).unwrap_or(u64::MAX));
        }
        Ok(())
    }
}
