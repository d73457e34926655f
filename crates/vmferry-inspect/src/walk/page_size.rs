//! The target page size of a pipe whose configuration does not tell it.
//!
//! Absent target-page bits mean the smallest page of the target's CPU family (`docs/spec/stream.md` section 3.2): 4 KiB
//! for most, 1 KiB for older ARM boards, 8 KiB for others. The description tells it, but comes last. So it is told from
//! the records: flags never reach above 0x200, whatever the page, and the first page that has contents is followed by
//! another record.

use vmferry_wire::Decoded;
use vmferry_wire::ram::{BlockRef, PageKind, PageRecord, Record, TargetPage};
use vmferry_wire::section::SECTION_FOOTER;

use crate::error::Step;
use crate::reader::StreamReader;
use crate::walk::ram::RamWalk;

/// log2 of the page sizes that are tried, the likeliest first.
const TRIED_BITS: [u32; 7] = [12, 10, 11, 13, 14, 15, 16];

/// Octets behind the start of a record that decide: its header and name, the largest page, the next record.
const LOOKAHEAD_BYTES: usize = 300 + (1 << 16) + 300;

impl RamWalk {
    /// Looks at the record ahead while the page size is an assumption.
    pub(super) fn settle_page(&mut self, reader: &mut StreamReader<'_>) -> Step<()> {
        reader.fill(8)?;
        let Some(smallest) = TRIED_BITS.iter().filter_map(|bits| TargetPage::from_bits(*bits).ok()).min() else {
            return Ok(());
        };
        // With the smallest page every flag is seen, and no address bit is taken for one.
        let Ok(Decoded::Complete { value: Record::Page(page), .. }) = Record::decode(reader.buffered(), smallest)
        else {
            return Ok(());
        };
        let settled = match page.kind {
            PageKind::Zero if page.offset.trailing_zeros() >= self.page.bits() => None,
            // Only the very next page tells; another address would be damage.
            PageKind::Zero if page.block != BlockRef::Same => None,
            PageKind::Zero => TargetPage::from_bytes(page.offset.saturating_sub(self.last_offset)).ok(),
            PageKind::Xbzrle | PageKind::Compressed => Some(self.page),
            PageKind::Normal => {
                reader.fill(LOOKAHEAD_BYTES)?;
                Some(self.fitting_page(reader.buffered(), smallest).unwrap_or(self.page))
            }
        };
        if let Some(page) = settled {
            self.is_page_assumed = false;
            if page != self.page {
                self.change_page(page);
            }
        }
        Ok(())
    }

    /// The first page size with which a sensible record follows the page at the start of `octets`.
    fn fitting_page(&self, octets: &[u8], smallest: TargetPage) -> Option<TargetPage> {
        let Ok(Decoded::Complete { value: Record::Page(first), used }) = Record::decode(octets, smallest) else {
            return None;
        };
        let index = match first.block {
            BlockRef::Same => self.current,
            BlockRef::Named(name) => self.block_index(name),
        };
        TRIED_BITS.iter().filter_map(|bits| TargetPage::from_bits(*bits).ok()).find(|page| {
            let behind = octets.get(used.saturating_add(page.usize_bytes())..).unwrap_or_default();
            match Record::decode(behind, *page) {
                Ok(Decoded::Complete { value: Record::Page(next), .. }) => self.is_sensible(index, first, next, *page),
                Ok(Decoded::Complete { value: Record::Eos, used }) => behind.get(used) == Some(&SECTION_FOOTER),
                _ => false,
            }
        })
    }

    /// Whether `next` may follow `first` in the first pass over RAM.
    fn is_sensible(&self, index: Option<usize>, first: PageRecord<'_>, next: PageRecord<'_>, page: TargetPage) -> bool {
        let is_aligned = first.offset & page.flag_mask() == 0;
        match next.block {
            BlockRef::Same => {
                let end = index.and_then(|index| self.used_bytes(index)).unwrap_or_default();
                is_aligned && next.offset > first.offset && next.offset < end
            }
            BlockRef::Named(name) => is_aligned && self.block_index(name).is_some(),
        }
    }
}
