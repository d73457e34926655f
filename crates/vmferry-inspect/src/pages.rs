//! Which pages were sent: one bit a page, in memory that follows what was sent and not what was announced.

use std::cell::Cell;
use std::rc::Rc;

use crate::limits::PAGE_RECORD_BYTES_LIMIT;

/// Words of a chunk: 4096 pages.
const CHUNK_WORDS: usize = 64;

const CHUNK_PAGES: u64 = 64 * 64;

/// What is left of [`PAGE_RECORD_BYTES_LIMIT`], for the blocks of one stream together.
#[derive(Clone, Debug)]
pub(crate) struct PageBudget(Rc<Cell<usize>>);

impl PageBudget {
    pub(crate) fn new() -> PageBudget {
        PageBudget(Rc::new(Cell::new(PAGE_RECORD_BYTES_LIMIT)))
    }

    fn charge(&self, bytes: usize) -> bool {
        match self.0.get().checked_sub(bytes) {
            Some(left) => {
                self.0.set(left);
                true
            }
            None => false,
        }
    }
}

/// The pages of one block that were sent.
#[derive(Debug)]
pub(crate) struct SentPages {
    budget: PageBudget,
    chunks: Vec<Option<Box<[u64; CHUNK_WORDS]>>>,
    distinct: u64,
    is_complete: bool,
}

impl SentPages {
    pub(crate) fn new(budget: PageBudget) -> SentPages {
        SentPages { budget, chunks: Vec::new(), distinct: 0, is_complete: true }
    }

    /// Takes note of a page, by its number in the block.
    #[inline]
    pub(crate) fn insert(&mut self, page: u64) {
        let chunk = usize::try_from(page / CHUNK_PAGES).unwrap_or(usize::MAX);
        let word = usize::try_from(page % CHUNK_PAGES / 64).unwrap_or(usize::MAX);
        let bit = 1_u64 << (page % 64);
        if let Some(Some(words)) = self.chunks.get_mut(chunk) {
            if let Some(word) = words.get_mut(word) {
                self.distinct = self.distinct.saturating_add(u64::from(*word & bit == 0));
                *word |= bit;
            }
        } else if self.allocate(chunk) {
            self.insert(page);
        } else {
            self.is_complete = false;
        }
    }

    #[cold]
    fn allocate(&mut self, chunk: usize) -> bool {
        let entry_bytes = size_of::<Option<Box<[u64; CHUNK_WORDS]>>>();
        let new_entries = chunk.saturating_add(1).saturating_sub(self.chunks.len());
        let bytes = new_entries.saturating_mul(entry_bytes).saturating_add(CHUNK_WORDS.saturating_mul(8));
        if !self.budget.charge(bytes) {
            return false;
        }
        if new_entries > 0 {
            self.chunks.reserve_exact(new_entries);
            self.chunks.resize_with(chunk.saturating_add(1), || None);
        }
        if let Some(place) = self.chunks.get_mut(chunk) {
            *place = Some(Box::new([0; CHUNK_WORDS]));
        }
        true
    }

    /// Counts in pages of 2^`new_bits` octets what was counted in pages of 2^`old_bits`.
    pub(crate) fn change_unit(&mut self, old_bits: u32, new_bits: u32) {
        let mut changed = SentPages::new(self.budget.clone());
        changed.is_complete = self.is_complete;
        for (chunk, words) in (0_u64..).zip(&self.chunks) {
            for (at, word) in (0_u64..).zip(words.iter().flat_map(|words| words.iter())) {
                for bit in (0..64).filter(|bit| word >> bit & 1 != 0) {
                    let page =
                        chunk.saturating_mul(CHUNK_PAGES).saturating_add(at.saturating_mul(64)).saturating_add(bit);
                    changed.insert((page << old_bits) >> new_bits);
                }
            }
        }
        *self = changed;
    }

    /// Number of different pages; a lower bound unless [`is_complete`](SentPages::is_complete).
    pub(crate) fn distinct(&self) -> u64 {
        self.distinct
    }

    /// Whether the budget sufficed for every page.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn pages_are_counted_once() {
        let mut pages = SentPages::new(PageBudget::new());
        let mut oracle = HashSet::new();
        let mut page = 7_u64;
        for _ in 0..20_000 {
            page = (page * 25_214_903_917 + 11) % 100_003;
            pages.insert(page);
            oracle.insert(page);
        }
        assert_eq!(pages.distinct(), oracle.len() as u64);
        assert!(pages.is_complete());
    }

    #[test]
    fn pages_are_kept_in_another_unit() {
        let mut pages = SentPages::new(PageBudget::new());
        [0, 2, 5000].into_iter().for_each(|page| pages.insert(page));
        pages.change_unit(12, 10);
        assert_eq!(pages.distinct(), 3);
        [0, 8, 20_000, 1].into_iter().for_each(|page| pages.insert(page));
        assert_eq!(pages.distinct(), 4);
        pages.change_unit(10, 13);
        assert_eq!(pages.distinct(), 3);
    }

    #[test]
    fn the_budget_bounds_memory_whatever_the_addresses() {
        let budget = PageBudget::new();
        let mut pages = SentPages::new(budget.clone());
        pages.insert(1 << 45);
        assert!(!pages.is_complete(), "the table alone would take a gigabyte");
        assert_eq!(budget.0.get(), PAGE_RECORD_BYTES_LIMIT);
        let mut pages = SentPages::new(budget.clone());
        for chunk in 0..PAGE_RECORD_BYTES_LIMIT as u64 / 512 {
            pages.insert(chunk * CHUNK_PAGES);
        }
        assert!(!pages.is_complete());
        assert!(pages.distinct() > 500_000);
    }
}
