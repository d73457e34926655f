//! A set of pages of one RAM block, with its count and its runs.

/// Pages of one block that are still to be sent.
///
/// One bit a page; page `n` is bit `n % 64` of word `n / 64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageSet {
    words: Vec<u64>,
    pages: usize,
    count: u64,
}

impl PageSet {
    /// An empty set over a block of `pages` pages.
    #[must_use]
    pub fn new(pages: usize) -> Self {
        Self { words: vec![0; pages.div_ceil(64)], pages, count: 0 }
    }

    /// Adds every page.
    pub fn fill(&mut self) {
        for index in 0..self.words.len() {
            self.merge_word(index, u64::MAX);
        }
    }

    /// Adds the pages `first .. first + count`; what lies behind the last page is dropped. Returns how many pages of
    /// the range the block has.
    pub fn add_range(&mut self, first: usize, count: usize) -> u64 {
        let end = first.saturating_add(count).min(self.pages);
        let mut at = first;
        let mut added = 0;
        while at < end {
            let inside = (64 - at % 64).min(end - at);
            added += self.merge_word(at / 64, low_bits(inside) << (at % 64));
            at += inside;
        }
        added
    }

    /// Takes the pages `first .. first + count` out of the set.
    pub fn remove_range(&mut self, first: usize, count: usize) {
        let end = first.saturating_add(count).min(self.pages);
        let mut at = first;
        while at < end {
            let inside = (64 - at % 64).min(end - at);
            if let Some(word) = self.words.get_mut(at / 64) {
                let bits = *word & (low_bits(inside) << (at % 64));
                *word &= !bits;
                self.count -= u64::from(bits.count_ones());
            }
            at += inside;
        }
    }

    /// Pages from `first` on, at most `longest`, that are all in the set, or all not.
    #[must_use]
    pub fn run_of_one_kind(&self, first: usize, longest: usize) -> usize {
        let end = first.saturating_add(longest).min(self.pages);
        let flip = if self.contains(first) { u64::MAX } else { 0 };
        let mut at = first;
        while at < end {
            let word = self.words.get(at / 64).copied().unwrap_or_default() ^ flip;
            let differs = word >> (at % 64);
            if differs != 0 {
                return (at + differs.trailing_zeros() as usize).min(end) - first;
            }
            at = (at / 64 + 1) * 64;
        }
        end.saturating_sub(first)
    }

    /// Pages of the block.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.pages
    }

    /// Pages in the set.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The words of the bitmap.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// Words of the bitmap.
    #[must_use]
    pub fn word_count(&self) -> usize {
        self.words.len()
    }

    /// Adds the pages `64 * index ..` whose bits are set in `bits`; bits behind the last page are dropped. Returns how
    /// many bits counted.
    pub fn merge_word(&mut self, index: usize, bits: u64) -> u64 {
        let behind = self.pages.saturating_sub(index.saturating_mul(64)).min(64);
        let mask = if behind == 64 { u64::MAX } else { (1_u64 << behind) - 1 };
        let bits = bits & mask;
        if let Some(word) = self.words.get_mut(index) {
            self.count += u64::from((bits & !*word).count_ones());
            *word |= bits;
        }
        u64::from(bits.count_ones())
    }

    /// Whether `page` is in the set.
    #[must_use]
    pub fn contains(&self, page: usize) -> bool {
        self.words.get(page / 64).is_some_and(|word| word >> (page % 64) & 1 == 1)
    }

    /// Whether a page from `page` on is in the set.
    #[must_use]
    pub fn has_from(&self, page: usize) -> bool {
        self.next_from(page).is_some()
    }

    /// Takes the first run of at most `longest` consecutive pages from `from` on out of the set; `None` if there is no
    /// page from there to the end.
    pub fn take_run(&mut self, from: usize, longest: usize) -> Option<(usize, usize)> {
        let start = self.next_from(from)?;
        let len = self.run_of_one_kind(start, longest);
        self.remove_range(start, len);
        Some((start, len))
    }

    /// Takes the first run of consecutive pages of `from .. end` out of the set; `None` if none of them is in it.
    pub fn take_run_below(&mut self, from: usize, end: usize) -> Option<(usize, usize)> {
        let start = self.next_from(from).filter(|start| *start < end)?;
        self.take_run(start, end - start)
    }

    fn next_from(&self, from: usize) -> Option<usize> {
        let mut index = from / 64;
        let mut word = self.words.get(index)? & (u64::MAX << (from % 64));
        while word == 0 {
            index += 1;
            word = *self.words.get(index)?;
        }
        Some(index * 64 + word.trailing_zeros() as usize)
    }
}

/// The lowest `count` bits, 1 to 64.
fn low_bits(count: usize) -> u64 {
    u64::MAX >> (64 - count.clamp(1, 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_come_in_order_and_leave_the_set() {
        let mut set = PageSet::new(200);
        set.fill();
        assert_eq!(set.count(), 200);
        assert_eq!(set.take_run(0, 64), Some((0, 64)));
        assert_eq!(set.take_run(100, 500), Some((100, 100)));
        assert_eq!(set.take_run(0, 500), Some((64, 36)));
        assert_eq!((set.take_run(0, 1), set.count()), (None, 0));
    }

    #[test]
    fn a_run_ends_where_it_is_told_to() {
        let mut set = PageSet::new(200);
        set.add_range(60, 100);
        assert_eq!(set.take_run_below(0, 60), None);
        assert_eq!(set.take_run_below(0, 64), Some((60, 4)));
        assert_eq!(set.take_run_below(150, 200), Some((150, 10)));
        assert_eq!(set.take_run_below(0, 150), Some((64, 86)));
        assert_eq!((set.take_run_below(0, 200), set.count()), (None, 0));
    }

    #[test]
    fn bits_behind_the_last_page_do_not_count() {
        let mut set = PageSet::new(66);
        assert_eq!(set.merge_word(1, u64::MAX), 2);
        assert_eq!(set.merge_word(1, 1), 1, "an old page is dirty again");
        assert_eq!(set.count(), 2);
        assert!(set.contains(65) && !set.contains(66));
    }
    #[test]
    fn ranges_are_what_their_pages_are_one_by_one() {
        let seen = [(0, 1), (63, 2), (60, 200), (5, 0), (190, 100), (130, 6), (64, 64), (250, 3)];
        let (mut set, mut plain) = (PageSet::new(200), [false; 200]);
        for (index, (first, count)) in seen.into_iter().chain(seen).enumerate() {
            let inside = first.min(200)..(first + count).min(200);
            let add = index % 3 != 2;
            if add {
                assert_eq!(set.add_range(first, count), inside.len() as u64);
            } else {
                set.remove_range(first, count);
            }
            plain[inside].fill(add);
            assert!((0..200).all(|page| set.contains(page) == plain[page]), "{first} {count}");
            assert_eq!(set.count(), plain.iter().filter(|page| **page).count() as u64);
            for from in 0..200 {
                let kind = plain[from..].iter().take_while(|page| **page == plain[from]).count();
                assert_eq!(set.run_of_one_kind(from, 1000), kind, "from {from}");
                assert_eq!(set.run_of_one_kind(from, 7), kind.min(7), "from {from}");
            }
        }
    }
}
