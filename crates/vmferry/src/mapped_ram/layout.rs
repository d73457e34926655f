//! Where a block's bitmap and pages are in the file: made by a writer, checked by a reader.
//!
//! A [`Layout`] is made by these two functions alone, so one that a reader holds lies inside its file, and its parts
//! follow each other.

use vmferry_wire::ram::block_list::MappedRamHeader;

use crate::memory::TARGET_PAGE_BYTES;

/// Alignment of the pages in the file, in bytes, for direct output and for mappings by huge pages.
pub(crate) const PAGES_ALIGNMENT: u64 = 1 << 20;

/// Octets of a word of the bitmap, which is padded to whole ones.
const WORD_BYTES: u64 = 8;

/// Pages that a word of the bitmap has.
const WORD_PAGES: u64 = 64;

/// The places of one block. Positions are absolute in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Number of the block, in the machine's order.
    block: usize,
    used_bytes: u64,
    bitmap_offset: u64,
    pages_offset: u64,
}

/// Why an entry's places are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misplaced {
    pub(crate) what: &'static str,
    pub(crate) found: String,
    pub(crate) accepted: String,
}

impl Layout {
    /// Places of a block of `used_bytes`, whole pages, whose entry ends at `entry_end`; `None` if there is no such
    /// position.
    #[must_use]
    pub(crate) fn behind(entry_end: u64, block: usize, used_bytes: u64) -> Option<Self> {
        let bitmap_end = entry_end.checked_add(bitmap_bytes(used_bytes))?;
        let pages_offset = bitmap_end.checked_next_multiple_of(PAGES_ALIGNMENT)?;
        pages_offset.checked_add(used_bytes)?;
        Some(Self { block, used_bytes, bitmap_offset: entry_end, pages_offset })
    }

    /// The places that `header` names, of a block whose entry ends at `entry_end` in a file of `file_bytes`.
    ///
    /// Each part must lie behind the one before. As the next entry stands behind the pages, no two blocks overlap.
    ///
    /// # Errors
    ///
    /// Differs from QEMU, which checks none of these: the bitmap overlaps the entry, the pages overlap the bitmap or do
    /// not begin at a page, something lies behind the end of the file.
    pub(crate) fn checked(
        block: usize,
        used_bytes: u64,
        header: &MappedRamHeader,
        entry_end: u64,
        file_bytes: u64,
    ) -> Result<Self, Misplaced> {
        // The page size was compared by the decoder of the entry.
        let MappedRamHeader { page_bytes: _, bitmap_offset, pages_offset } = *header;
        let misplaced =
            |what, found: u64, accepted: String| Err(Misplaced { what, found: format!("{found:#x}"), accepted });
        if bitmap_offset < entry_end {
            let accepted = format!("{entry_end:#x}, where the entry ends, or behind");
            return misplaced("the place of the bitmap", bitmap_offset, accepted);
        }
        let bitmap_end = bitmap_offset.saturating_add(bitmap_bytes(used_bytes));
        if pages_offset < bitmap_end {
            let accepted = format!("{bitmap_end:#x}, where the bitmap ends, or behind");
            return misplaced("the place of the pages", pages_offset, accepted);
        }
        if !pages_offset.is_multiple_of(TARGET_PAGE_BYTES) {
            let accepted = format!("multiples of the target page, {TARGET_PAGE_BYTES:#x}");
            return misplaced("the place of the pages", pages_offset, accepted);
        }
        let end = pages_offset.saturating_add(used_bytes);
        if end > file_bytes || end == u64::MAX {
            let accepted = format!("up to {file_bytes:#x}, the length of the file: it may have been cut");
            return misplaced("the end of the pages", end, accepted);
        }
        if !pages_offset.is_multiple_of(PAGES_ALIGNMENT) {
            tracing::warn!(pages_offset, "pages are not aligned to 1 MiB in the file, as QEMU's are");
        }
        Ok(Self { block, used_bytes, bitmap_offset, pages_offset })
    }

    /// The header that says so.
    #[must_use]
    pub(crate) fn header(&self) -> MappedRamHeader {
        let Self { block: _, used_bytes: _, bitmap_offset, pages_offset } = *self;
        MappedRamHeader { page_bytes: TARGET_PAGE_BYTES, bitmap_offset, pages_offset }
    }

    /// Number of the block, in the machine's order.
    #[must_use]
    pub(crate) fn block(&self) -> usize {
        self.block
    }

    /// Pages of the block.
    #[must_use]
    pub(crate) fn pages(&self) -> usize {
        usize::try_from(self.used_bytes / TARGET_PAGE_BYTES).unwrap_or(usize::MAX)
    }

    /// Position of the bitmap.
    #[must_use]
    pub(crate) fn bitmap_offset(&self) -> u64 {
        self.bitmap_offset
    }

    /// Octets of the bitmap.
    #[must_use]
    pub(crate) fn bitmap_bytes(&self) -> u64 {
        bitmap_bytes(self.used_bytes)
    }

    /// Position of the page of that number.
    #[must_use]
    pub(crate) fn place(&self, page: usize) -> u64 {
        self.pages_offset.saturating_add((page as u64).saturating_mul(TARGET_PAGE_BYTES))
    }

    /// Position behind the pages, where the stream goes on.
    #[must_use]
    pub(crate) fn end(&self) -> u64 {
        self.pages_offset.saturating_add(self.used_bytes)
    }
}

/// Octets of the bitmap of a block.
fn bitmap_bytes(used_bytes: u64) -> u64 {
    used_bytes.div_ceil(TARGET_PAGE_BYTES).div_ceil(WORD_PAGES).saturating_mul(WORD_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verified_places_are_made_and_accepted() {
        // docs/spec/mapped-ram.md section 1: used length, end of the entry, pages, next entry.
        for (used, entry_end, pages, next) in [
            (0x10_0000, 0x81, 0x10_0000, 0x20_0000),
            (0x100_0000, 0x8e, 0x10_0000, 0x110_0000),
            (0x2_0000, 0x110_0039, 0x120_0000, 0x122_0000),
            (0x1000, 0x142_003a, 0x150_0000, 0x150_1000),
        ] {
            let layout = Layout::behind(entry_end, 3, used).unwrap();
            assert_eq!((layout.bitmap_offset(), layout.place(0), layout.end()), (entry_end, pages, next));
            assert_eq!(Layout::checked(3, used, &layout.header(), entry_end, next), Ok(layout));
            assert!(Layout::checked(3, used, &layout.header(), entry_end, next - 1).is_err());
        }
        assert_eq!(Layout::behind(0x81, 0, 0x10_0000).unwrap().bitmap_bytes(), 32);
        assert_eq!(Layout::behind(0x81, 0, 0x1000).unwrap().bitmap_bytes(), 8);
        assert_eq!(Layout::behind(u64::MAX - 8, 0, 0x1000), None);
        assert_eq!(Layout::behind(0, 0, u64::MAX - 0xfff), None);
    }

    #[test]
    fn each_misplaced_part_is_refused_by_name() {
        const FILE: u64 = 0x40_0000;
        let header = |bitmap_offset, pages_offset| MappedRamHeader { page_bytes: 4096, bitmap_offset, pages_offset };
        for (header, what, accepted) in [
            (header(0x80, 0x10_0000), "the place of the bitmap", "0x81, where the entry"),
            (header(0x81, 0xa0), "the place of the pages", "0xa1, where the bitmap"),
            (header(u64::MAX - 1, 0x10_0000), "the place of the pages", "0xffffffffffffffff, where the bitmap"),
            (header(0x81, 0x10_0800), "the place of the pages", "multiples of the target page"),
            (header(0x81, 0x31_0000), "the end of the pages", "up to 0x400000"),
            (header(0x81, u64::MAX - 0xfff), "the end of the pages", "up to 0x400000"),
        ] {
            let fault = Layout::checked(0, 0x10_0000, &header, 0x81, FILE).unwrap_err();
            assert_eq!(fault.what, what, "{header:?}");
            assert!(fault.accepted.starts_with(accepted), "{header:?}: {fault:?}");
        }
        let far = header(0x81, u64::MAX - 0xfff);
        assert!(Layout::checked(0, 0x10_0000, &far, 0x81, u64::MAX).is_err(), "an overflow");
        assert!(Layout::checked(0, 0x10_0000, &header(0x1000, 0x30_0000), 0x81, FILE).is_ok(), "gaps are allowed");
    }
}
