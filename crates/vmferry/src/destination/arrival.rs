//! Where pages with content arrive, and what that says about the memory that they go to.
//!
//! ```text
//! records:    N N N N N ... N | N N ...        N: a page with content, one behind the other
//! memory:    [ one huge page  ][ the next ]
//!              populated run     all of the one before arrived: this one may be a huge page
//!              by run
//! ```
//!
//! A run of pages whose headers are in the window is known exactly; it is populated at once, and nothing beside it.
//! Huge pages are faster still, but populate what may never be written; so one is allowed only behind memory of its
//! size that arrived without a gap, and while they cost no more ([`HugeCost`]). Sparse guests stay sparse, and a dense
//! one takes at most twice what it needs, and one huge page.

use std::ops::Range;
use std::time::Instant;

use vmferry_wire::ram::{PageKind, page_header};

use super::huge_cost::HugeCost;
use crate::memory::populate::{HUGE_PAGE_BYTES, populate, prefer_huge};
use crate::memory::{RamBlock, TARGET_PAGE, TARGET_PAGE_BYTES};

/// Octets of a page record that names no block.
const HEADER_OCTETS: usize = 8;

/// Separate ranges of huge pages: each is a mapping of its own in the kernel, which gives a process 65530 by default.
const HUGE_RANGES_LIMIT: usize = 4096;

/// What arrived last.
#[derive(Debug, Default)]
pub(super) struct Arrival {
    block: usize,
    /// Offsets of the run that was populated last.
    populated: Range<u64>,
    /// Offsets that arrived without a gap, up to the last page.
    dense: Range<u64>,
    /// Offsets of the last range that may have huge pages.
    huge: Range<u64>,
    huge_ranges: usize,
    cost: HugeCost,
}

impl Arrival {
    /// Prepares the memory of the page at `offset`, whose content `ahead` starts with.
    pub(super) fn page(&mut self, index: usize, block: &dyn RamBlock, offset: u64, ahead: &[u8]) {
        if self.block != index {
            let cost = std::mem::take(&mut self.cost);
            *self = Self { block: index, huge_ranges: self.huge_ranges, cost, ..Self::default() };
        }
        if self.dense.end == offset {
            self.dense.end += TARGET_PAGE_BYTES;
        } else {
            self.dense = offset..offset.saturating_add(TARGET_PAGE_BYTES);
        }
        if self.populated.contains(&offset) {
            return;
        }
        let len = run_ahead(ahead, offset);
        // A run that leaves its block is refused page by page, with its place in the stream.
        let Ok(run) = block.run(offset, len) else { return };
        let end = offset.saturating_add(len as u64);
        self.allow_huge(block, run.ptr_guard().as_ptr().addr(), offset, end);
        let begun = Instant::now();
        populate(&run);
        if offset >= self.huge.end || end <= self.huge.start {
            self.cost.small(len, begun.elapsed());
        }
        self.populated = offset..end;
    }

    /// Allows the huge pages that the run `offset .. end`, at `address`, comes into, if the one before arrived whole.
    fn allow_huge(&mut self, block: &dyn RamBlock, address: usize, offset: u64, end: u64) {
        const HUGE: u64 = HUGE_PAGE_BYTES as u64;
        // Offset of the first huge page that begins in the run: behind it everything is still to be populated.
        let start = offset.saturating_add((address.next_multiple_of(HUGE_PAGE_BYTES) - address) as u64);
        let arrived = self.dense.start.saturating_add(HUGE) <= start;
        if start >= end || self.huge.contains(&start) || !arrived || !self.cost.allows() {
            return;
        }
        let separate = self.huge.is_empty() || self.huge.end != start;
        if separate && self.huge_ranges >= HUGE_RANGES_LIMIT {
            return;
        }
        if let Ok(memory) = block.run(start, HUGE_PAGE_BYTES) {
            prefer_huge(&memory);
            self.huge_ranges += usize::from(separate);
            self.huge = start..start.saturating_add(HUGE);
            // Its first page, which is about to be written, brings all of it.
            if let Ok(first) = block.run(start, TARGET_PAGE) {
                let begun = Instant::now();
                populate(&first);
                self.cost.huge(begun.elapsed());
            }
        }
    }
}

/// Bytes of the run of pages with content that starts with the page at `offset`, as far as the headers of those behind
/// it are in `ahead`, which starts with the first page's content. No page is in it that is not about to be written.
fn run_ahead(ahead: &[u8], offset: u64) -> usize {
    let mut len = TARGET_PAGE;
    let mut next = offset;
    for record in ahead.get(TARGET_PAGE..).unwrap_or_default().chunks(HEADER_OCTETS + TARGET_PAGE) {
        next = next.wrapping_add(TARGET_PAGE_BYTES);
        if record.first_chunk() != Some(&page_header(PageKind::Normal, next, true).to_be_bytes()) {
            break;
        }
        len += TARGET_PAGE;
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MappedBlock;

    /// A page's content, then records of the pages at `offsets`.
    fn stream(offsets: &[u64]) -> Vec<u8> {
        let mut octets = vec![1; TARGET_PAGE];
        for offset in offsets {
            octets.extend_from_slice(&page_header(PageKind::Normal, *offset, true).to_be_bytes());
            octets.extend_from_slice(&[2; TARGET_PAGE]);
        }
        octets
    }

    #[test]
    fn a_run_ends_where_the_next_page_is_not_the_next_one() {
        assert_eq!(run_ahead(&stream(&[0x6000, 0x7000, 0x9000]), 0x5000), 3 * TARGET_PAGE);
        let mut zero = stream(&[0x6000]);
        zero.extend_from_slice(&page_header(PageKind::Zero, 0x7000, true).to_be_bytes());
        assert_eq!(run_ahead(&zero, 0x5000), 2 * TARGET_PAGE);
    }

    #[test]
    fn a_run_is_told_from_what_is_there() {
        let octets = stream(&[0x6000, 0x7000]);
        for cut in 0..octets.len() {
            let headers = [2 * HEADER_OCTETS + 2 * TARGET_PAGE, HEADER_OCTETS + TARGET_PAGE];
            let whole = headers.iter().filter(|end| cut >= **end).count();
            assert_eq!(run_ahead(&octets[..cut], 0x5000), (1 + whole) * TARGET_PAGE, "{cut}");
        }
        assert_eq!(run_ahead(&[], u64::MAX - 4095), TARGET_PAGE);
    }

    /// Lets the pages at `offsets` arrive, each alone in the window; what may have huge pages afterwards.
    fn huge_behind(block: &MappedBlock, pages: impl IntoIterator<Item = u64>) -> Vec<Range<u64>> {
        let mut arrival = Arrival { cost: HugeCost::blind(), ..Arrival::default() };
        let mut huge = Vec::new();
        for page in pages {
            arrival.page(0, block, page * TARGET_PAGE_BYTES, &[0; TARGET_PAGE]);
            if !arrival.huge.is_empty() && huge.last() != Some(&arrival.huge) {
                huge.push(arrival.huge.clone());
            }
        }
        huge
    }

    #[test]
    fn a_huge_page_is_allowed_behind_memory_that_arrived_without_a_gap() {
        const HUGE: u64 = HUGE_PAGE_BYTES as u64;
        let block = MappedBlock::new("ram", 5 * HUGE_PAGE_BYTES).unwrap();
        // Pages up to the first huge page of the host.
        let address = block.run(0, TARGET_PAGE).unwrap().ptr_guard().as_ptr().addr();
        let before = (address.next_multiple_of(HUGE_PAGE_BYTES) - address) as u64;
        let first = before / TARGET_PAGE_BYTES;
        let allowed = huge_behind(&block, 0..first + 3 * 512);
        let at = |index: u64| before + index * HUGE..before + (index + 1) * HUGE;
        assert_eq!(allowed, [at(1), at(2)]);
        let gap = (0..first + 3 * 512).filter(|page| *page != first + 100);
        assert_eq!(huge_behind(&block, gap), [at(2)], "a page of the first one is missing");
        assert_eq!(huge_behind(&block, (0..first + 3 * 512).step_by(2)), [], "every other page");
    }
}
