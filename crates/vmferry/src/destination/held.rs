//! Which pages may hold something: what was populated when the load began, and what arrived since. The rest is zero.
//!
//! Memory that was never populated stays so when it is to be zero: even reading it would give it page tables. Pages
//! arrive on several threads; two versions of one page never arrive at once, since a meeting of all channels, with its
//! lock, stands between them.

use std::ops::Range;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::regions::Regions;
use crate::dirty::PageSet;
use crate::error::{Attribute as _, Error, Side};
use crate::memory::populated::perhaps_populated;
use crate::memory::zero::is_zero;
use crate::memory::{RamBlock, TARGET_PAGE, TARGET_PAGE_BYTES};

const ZERO_PAGE: [u8; TARGET_PAGE] = [0; TARGET_PAGE];

/// Pages of each block, in the machine's order; every page until it is learnt.
#[derive(Debug, Default)]
pub(super) struct Held {
    pages: OnceLock<Vec<Box<[AtomicU64]>>>,
    /// How memory gets its pages, which depends on what is held.
    regions: OnceLock<Regions>,
    /// Pages that may be on their way while others behind them arrive.
    in_hand_pages: u64,
    /// Blocks whose pages are not sent (`x-ignore-shared`), and whether a page of the others came.
    shared: Option<Vec<Arrived>>,
}

#[derive(Debug)]
struct Arrived {
    is_ignored: bool,
    any: AtomicBool,
}

impl Held {
    /// One for pages that come in order, but for this many.
    pub(super) fn new(in_hand_pages: u64) -> Self {
        Self { in_hand_pages, ..Self::default() }
    }

    /// The same for a load with `x-ignore-shared`, in which some blocks are ignored.
    pub(super) fn ignoring(self, ignored: Vec<bool>) -> Self {
        let arrived = |is_ignored| Arrived { is_ignored, any: AtomicBool::new(false) };
        Self { shared: Some(ignored.into_iter().map(arrived).collect()), ..self }
    }

    /// Whether the load is one with `x-ignore-shared`.
    pub(super) fn ignores_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Whether no pages of the block may come.
    pub(super) fn is_ignored(&self, block: usize) -> bool {
        self.shared.as_ref().and_then(|shared| shared.get(block)).is_some_and(|arrived| arrived.is_ignored)
    }

    /// A block that is not ignored here and of which no page came: it was ignored at the source.
    pub(super) fn missing(&self) -> Option<usize> {
        let shared = self.shared.as_ref()?;
        shared.iter().position(|arrived| !arrived.is_ignored && !arrived.any.load(Ordering::Relaxed))
    }

    fn note(&self, block: usize) {
        if let Some(arrived) = self.shared.as_ref().and_then(|shared| shared.get(block)) {
            arrived.any.store(true, Ordering::Relaxed);
        }
    }

    /// Asks the kernel what is populated now. What was learnt before counts.
    pub(super) fn learn(&self, blocks: &[Arc<dyn RamBlock>]) {
        self.regions.get_or_init(|| Regions::new(blocks, self.in_hand_pages));
        let of_block = |block: &Arc<dyn RamBlock>| {
            let populated = perhaps_populated(&**block, 0, page_number(block.used_len()));
            populated.words().iter().map(|word| AtomicU64::new(*word)).collect()
        };
        self.pages.get_or_init(|| blocks.iter().map(of_block).collect());
    }

    /// The pages in `len` bytes from `offset` on arrive with content.
    pub(super) fn arrive(&self, block: usize, offset: u64, len: usize) {
        self.note(block);
        let Some(words) = self.pages.get().and_then(|blocks| blocks.get(block)) else { return };
        let mut page = page_number(offset);
        let end = page.saturating_add(len / TARGET_PAGE);
        while page < end {
            let Some(word) = words.get(page / 64) else { return };
            let count = (64 - page % 64).min(end - page);
            let mask = (u64::MAX >> (64 - count)) << (page % 64);
            // Most pages come once, most words are full at last; a look is cheaper than a locked write.
            if word.load(Ordering::Relaxed) & mask != mask {
                word.fetch_or(mask, Ordering::Relaxed);
            }
            page += count;
        }
    }

    /// Gives the memory at `run` its pages, all of which are about to arrive.
    pub(super) fn populate(&self, index: usize, block: &dyn RamBlock, run: Range<u64>) {
        if let Some(regions) = self.regions.get() {
            regions.populate(index, block, run, self);
        }
    }

    /// How many of `most` pages from `offset` on are zero for certain, up to the first that is not.
    pub(super) fn empty_pages(&self, block: usize, offset: u64, most: usize) -> usize {
        let first = page_number(offset);
        (0..most).take_while(|page| !self.contains(block, first.saturating_add(*page))).count()
    }

    /// How many pages of `range`, which starts and ends with a page, may hold something.
    pub(super) fn count(&self, block: usize, range: Range<u64>) -> u64 {
        let Some(words) = self.pages.get().and_then(|blocks| blocks.get(block)) else { return 0 };
        let (mut page, end) = (page_number(range.start), page_number(range.end));
        let mut held = 0;
        while page < end {
            let Some(word) = words.get(page / 64) else { break };
            let count = (64 - page % 64).min(end - page);
            let mask = (u64::MAX >> (64 - count)) << (page % 64);
            held += u64::from((word.load(Ordering::Relaxed) & mask).count_ones());
            page += count;
        }
        held
    }

    /// Makes the page at `offset` zero, which lies inside the block.
    ///
    /// # Errors
    ///
    /// The block is shorter than it said.
    pub(super) fn clear(&self, index: usize, block: &dyn RamBlock, offset: u64) -> Result<(), Error> {
        self.note(index);
        if !self.contains(index, page_number(offset)) {
            return Ok(());
        }
        let memory = block.run(offset, TARGET_PAGE).at(Side::Destination)?;
        if !is_zero(&memory) {
            memory.copy_from(&ZERO_PAGE);
        }
        Ok(())
    }

    /// Makes all pages of the block zero that are not in `pages`. What is zero already costs a look at 64 pages.
    ///
    /// # Errors
    ///
    /// As [`Held::clear`].
    pub(super) fn clear_others(&self, index: usize, block: &dyn RamBlock, pages: &PageSet) -> Result<(), Error> {
        let held = self.pages.get().and_then(|blocks| blocks.get(index));
        for (number, arriving) in pages.words().iter().enumerate() {
            let there =
                held.map_or(u64::MAX, |words| words.get(number).map_or(u64::MAX, |word| word.load(Ordering::Relaxed)));
            let mut stale = there & !arriving;
            while stale != 0 {
                let page = number * 64 + stale.trailing_zeros() as usize;
                stale &= stale - 1;
                if page < pages.pages() {
                    self.clear(index, block, page as u64 * TARGET_PAGE_BYTES)?;
                }
            }
        }
        Ok(())
    }

    fn contains(&self, block: usize, page: usize) -> bool {
        let Some(words) = self.pages.get().and_then(|blocks| blocks.get(block)) else { return true };
        words.get(page / 64).is_none_or(|word| word.load(Ordering::Relaxed) >> (page % 64) & 1 == 1)
    }
}

/// Number of the page at `offset`, or of pages in that many bytes.
fn page_number(offset: u64) -> usize {
    usize::try_from(offset / TARGET_PAGE_BYTES).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MappedBlock;

    #[test]
    fn what_arrived_is_cleared_and_what_never_did_is_left_alone() {
        let block: Arc<dyn RamBlock> = Arc::new(MappedBlock::new("ram", 300 * TARGET_PAGE).unwrap());
        let held = Held::default();
        held.learn(&[Arc::clone(&block)]);
        for (first, count) in [(0, 1), (62, 4), (128, 64), (199, 101)] {
            let (offset, len) = (first * TARGET_PAGE_BYTES, count * TARGET_PAGE);
            held.arrive(0, offset, len);
            block.write(offset, &vec![7; len]).unwrap();
            let last = page_number(offset) + count - 1;
            assert!(held.contains(0, page_number(offset)) && held.contains(0, last));
        }
        for page in [1, 61, 66, 127, 192, 198] {
            // Where the kernel cannot tell, every page may hold something.
            assert!(!held.contains(0, page) || !is_told(&*block), "{page}");
        }
        if is_told(&*block) {
            let count =
                |pages: Range<u64>| held.count(0, pages.start * TARGET_PAGE_BYTES..pages.end * TARGET_PAGE_BYTES);
            assert_eq!(
                [count(0..300), count(1..62), count(0..64), count(63..129), count(250..900)],
                [170, 0, 3, 4, 50]
            );
        }
        if is_told(&*block) {
            let empty = |page: u64, most| held.empty_pages(0, page * TARGET_PAGE_BYTES, most);
            assert_eq!([empty(1, 40), empty(1, 100), empty(62, 9), empty(299, 9), empty(192, 900)], [40, 61, 0, 0, 7]);
        }
        for page in 0..300 {
            held.clear(0, &*block, page * TARGET_PAGE_BYTES).unwrap();
        }
        let mut all = vec![1; 300 * TARGET_PAGE];
        block.read(0, &mut all).unwrap();
        assert!(all.iter().all(|octet| *octet == 0));
    }

    fn is_told(block: &dyn RamBlock) -> bool {
        crate::memory::populated::populated(block).is_ok()
    }

    #[test]
    fn before_anything_is_learnt_every_page_is_looked_at() {
        let block = MappedBlock::new("ram", TARGET_PAGE).unwrap();
        block.write(0, &[1; 8]).unwrap();
        Held::default().clear(0, &block, 0).unwrap();
        let mut octets = [1; 8];
        block.read(0, &mut octets).unwrap();
        assert_eq!(octets, [0; 8]);
    }
}
