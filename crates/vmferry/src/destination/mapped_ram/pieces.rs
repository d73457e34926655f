//! Runs of pages, cut into pieces that a thread reads at once.

use crate::dirty::PageSet;
use crate::mapped_ram::layout::Layout;
use crate::memory::populate::HUGE_PAGE_BYTES;
use crate::memory::{RamBlock, TARGET_PAGE, TARGET_PAGE_BYTES};

/// Pages that are read at once: they stand next to each other, in the file and in the block, and lie in one huge page
/// of the host's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// Number of the block, in the machine's order.
    pub(super) block: usize,
    /// Offset of the first page in the block, in bytes.
    pub(super) offset: u64,
    /// Bytes.
    pub(super) len: usize,
    /// Position of the first page in the file.
    pub(super) at: u64,
    /// It is the whole of a huge page.
    pub(super) is_huge: bool,
}

/// The pieces of the pages of one block, in ascending order.
pub(super) fn pieces<'a>(
    block: &dyn RamBlock,
    layout: &'a Layout,
    pages: &'a PageSet,
) -> impl Iterator<Item = Piece> + use<'a> {
    // Pages of the block before its first huge page.
    let address = block.run(0, TARGET_PAGE).map_or(0, |first| first.ptr_guard().as_ptr().addr());
    let before = (address.next_multiple_of(HUGE_PAGE_BYTES) - address) / TARGET_PAGE;
    let huge_pages = HUGE_PAGE_BYTES / TARGET_PAGE;
    let mut page = 0;
    std::iter::from_fn(move || {
        while !pages.contains(page) {
            let count = pages.run_of_one_kind(page, usize::MAX);
            if count == 0 {
                return None;
            }
            page += count;
        }
        let to_border = if page < before { before - page } else { huge_pages - (page - before) % huge_pages };
        let count = pages.run_of_one_kind(page, to_border);
        let piece = Piece {
            block: layout.block(),
            offset: page as u64 * TARGET_PAGE_BYTES,
            len: count * TARGET_PAGE,
            at: layout.place(page),
            is_huge: count == huge_pages,
        };
        page += count;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MappedBlock;

    #[test]
    fn pieces_are_the_pages_and_stay_within_huge_ones() {
        let block = MappedBlock::new("ram", 5 * HUGE_PAGE_BYTES).unwrap();
        let layout = Layout::behind(0x81, 7, block.used_len()).unwrap();
        let address = block.run(0, TARGET_PAGE).unwrap().ptr_guard().as_ptr().addr();
        let mut pages = PageSet::new(layout.pages());
        for (first, count) in [(0, 1), (3, 2), (63, 2), (600, 1200), (2000, 560)] {
            pages.add_range(first, count);
        }
        let mut found = PageSet::new(layout.pages());
        let mut huge = 0;
        for piece in pieces(&block, &layout, &pages) {
            let first = usize::try_from(piece.offset / 4096).unwrap();
            assert_eq!(piece.at, layout.place(first));
            assert_eq!(piece.block, 7);
            let (from, to) = (address + first * 4096, address + first * 4096 + piece.len - 1);
            assert_eq!(from / HUGE_PAGE_BYTES, to / HUGE_PAGE_BYTES, "{piece:?}");
            assert_eq!(piece.is_huge, piece.len == HUGE_PAGE_BYTES);
            huge += usize::from(piece.is_huge);
            let before = found.count();
            found.add_range(first, piece.len / 4096);
            assert_eq!(found.count() - before, (piece.len / 4096) as u64, "once");
        }
        assert!(found == pages);
        assert!((1..=2).contains(&huge), "{huge} of 1200 pages");
        assert_eq!(pieces(&block, &layout, &PageSet::new(layout.pages())).count(), 0);
    }
}
