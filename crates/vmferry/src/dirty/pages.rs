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

    /// Takes the first run of at most `longest` consecutive pages from `from` on out of the set; `None` if there is no
    /// page from there to the end.
    pub fn take_run(&mut self, from: usize, longest: usize) -> Option<(usize, usize)> {
        let start = self.next_from(from)?;
        let mut len = 0;
        while len < longest && self.contains(start + len) {
            self.remove(start + len);
            len += 1;
        }
        Some((start, len))
    }

    fn remove(&mut self, page: usize) {
        if let Some(word) = self.words.get_mut(page / 64) {
            *word &= !(1 << (page % 64));
            self.count -= 1;
        }
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
    fn bits_behind_the_last_page_do_not_count() {
        let mut set = PageSet::new(66);
        assert_eq!(set.merge_word(1, u64::MAX), 2);
        assert_eq!(set.merge_word(1, 1), 1, "an old page is dirty again");
        assert_eq!(set.count(), 2);
        assert!(set.contains(65) && !set.contains(66));
    }
}
