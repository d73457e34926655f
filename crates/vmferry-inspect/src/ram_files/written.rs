//! Which pages of a file may not be holes.
//!
//! Memory follows what was written: 4096 pages share an entry, which costs less than the smallest of them on the disk.

use std::collections::BTreeMap;
use std::ops::Range;

/// Pages of an entry.
const CHUNK_PAGES: u64 = 64 * 64;

/// Page numbers, one bit each.
#[derive(Default)]
pub(super) struct WrittenPages {
    chunks: BTreeMap<u64, Box<[u64; 64]>>,
}

impl WrittenPages {
    pub(super) fn insert(&mut self, page: u64) {
        let chunk = self.chunks.entry(page / CHUNK_PAGES).or_insert_with(|| Box::new([0; 64]));
        if let Some(word) = chunk.get_mut(word_of(page)) {
            *word |= 1 << (page % 64);
        }
    }

    /// Forgets the pages of a range; the time follows the entries that are there.
    pub(super) fn remove(&mut self, pages: Range<u64>) {
        if pages.is_empty() {
            return;
        }
        let mut emptied = Vec::new();
        for (number, chunk) in self.chunks.range_mut(pages.start / CHUNK_PAGES..=(pages.end - 1) / CHUNK_PAGES) {
            for (i, word) in (0_u64..).zip(chunk.iter_mut()) {
                *word &= !mask(&pages, number * CHUNK_PAGES + i * 64);
            }
            if chunk.iter().all(|word| *word == 0) {
                emptied.push(*number);
            }
        }
        for number in emptied {
            self.chunks.remove(&number);
        }
    }

    pub(super) fn any_in(&self, pages: Range<u64>) -> bool {
        self.in_range(pages).next().is_some()
    }

    /// The pages of a range, in order.
    pub(super) fn in_range(&self, pages: Range<u64>) -> impl Iterator<Item = u64> {
        let last = pages.end.saturating_sub(1).max(pages.start);
        self.chunks.range(pages.start / CHUNK_PAGES..=last / CHUNK_PAGES).flat_map(move |(number, chunk)| {
            let pages = pages.clone();
            (0_u64..).zip(chunk.iter()).flat_map(move |(i, word)| {
                let first = number * CHUNK_PAGES + i * 64;
                let word = word & mask(&pages, first);
                (0..64).filter(move |bit| word >> bit & 1 != 0).map(move |bit| first + bit)
            })
        })
    }
}

fn word_of(page: u64) -> usize {
    usize::try_from(page % CHUNK_PAGES / 64).unwrap_or(0)
}

/// The bits of the pages of a range in the word that begins with page `first`.
fn mask(pages: &Range<u64>, first: u64) -> u64 {
    let below = |end: u64| match end.saturating_sub(first) {
        64.. => u64::MAX,
        bits => (1 << bits) - 1,
    };
    below(pages.end) & !below(pages.start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ranges_are_removed_and_listed_as_from_a_set() {
        let mut pages = WrittenPages::default();
        let mut oracle = BTreeSet::new();
        let mut random = 7_u64;
        for round in 0..400 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let page = random >> 40 & 0x7fff;
            if round % 5 == 4 {
                let end = page + (random >> 20 & 0xfff);
                pages.remove(page..end);
                oracle.retain(|kept| !(page..end).contains(kept));
                assert!(!pages.any_in(page..end));
            }
            pages.insert(page);
            oracle.insert(page);
            assert!(pages.in_range(page..page + 5000).eq(oracle.range(page..page + 5000).copied()));
        }
        pages.remove(0..u64::MAX);
        assert!(pages.chunks.is_empty());
        pages.remove(5..5);
        assert!(!pages.any_in(5..5));
    }
}
