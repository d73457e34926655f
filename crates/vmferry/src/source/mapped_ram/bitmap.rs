//! Which pages of a block are in the file, while several threads write them.

use std::sync::atomic::{AtomicU64, Ordering};

/// One bit a page, as in the file: page `n` is bit `n % 64` of word `n / 64`.
#[derive(Debug)]
pub(super) struct Bitmap(Box<[AtomicU64]>);

impl Bitmap {
    /// No page is there.
    pub(super) fn new(pages: usize) -> Self {
        Self((0..pages.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    /// The pages `first .. first + count` are there.
    pub(super) fn set(&self, first: usize, count: usize) {
        for (word, mask) in self.words(first, count) {
            word.fetch_or(mask, Ordering::Relaxed);
        }
    }

    /// The pages `first .. first + count` are not there. Returns runs of those that were: first page and count.
    pub(super) fn clear(&self, first: usize, count: usize) -> Vec<(usize, usize)> {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        let mut base = first - first % 64;
        for (word, mask) in self.words(first, count) {
            // Most were never there; a look is cheaper than a locked write.
            let mut there = if word.load(Ordering::Relaxed) & mask == 0 {
                0
            } else {
                word.fetch_and(!mask, Ordering::Relaxed) & mask
            };
            while there != 0 {
                let from = there.trailing_zeros();
                let len = (there >> from).trailing_ones();
                let (from, len) = (from as usize, len as usize);
                there &= !((u64::MAX >> (64 - len)) << from);
                match runs.last_mut() {
                    Some((start, count)) if *start + *count == base + from => *count += len,
                    _ => runs.push((base + from, len)),
                }
            }
            base += 64;
        }
        runs
    }

    /// The bitmap as it is in the file: little-endian words.
    pub(super) fn octets(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect()
    }

    /// Words of the pages `first .. first + count`, each with the bits that are of these.
    fn words(&self, first: usize, count: usize) -> impl Iterator<Item = (&AtomicU64, u64)> {
        let end = first.saturating_add(count);
        let words = self.0.get(first / 64..end.div_ceil(64).min(self.0.len())).unwrap_or_default();
        (first / 64..).zip(words).map(move |(index, word)| {
            let base = index * 64;
            let (from, to) = (first.max(base) - base, (end - base).min(64));
            (word, (u64::MAX >> (64 - (to - from))) << from)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_what_their_pages_are_one_by_one() {
        let (bitmap, mut plain) = (Bitmap::new(200), [false; 200]);
        let ranges = [(0, 1), (63, 2), (60, 140), (5, 1), (0, 200), (130, 6), (64, 64), (199, 1), (10, 100)];
        for (index, (first, count)) in ranges.into_iter().chain(ranges).enumerate() {
            let range = first..first + count;
            if index % 3 == 2 {
                let was: Vec<usize> = range.clone().filter(|page| plain[*page]).collect();
                let runs = bitmap.clear(first, count);
                assert_eq!(runs.iter().flat_map(|(first, count)| *first..first + count).collect::<Vec<_>>(), was);
                assert!(runs.windows(2).all(|two| two[0].0 + two[0].1 < two[1].0), "{runs:?} are whole runs");
                plain[range].fill(false);
            } else {
                bitmap.set(first, count);
                plain[range].fill(true);
            }
            let octets = bitmap.octets();
            assert_eq!(octets.len(), 32);
            assert!((0..200).all(|page| (octets[page / 8] >> (page % 8) & 1 == 1) == plain[page]), "{first} {count}");
            assert!(octets[25..].iter().all(|octet| *octet == 0), "bits behind the last page");
        }
    }
}
