//! Lining up two lists of fields by what they are called.
//!
//! ```text
//! old  a b c d e        a–a  b–b  [c d | x]  e–e
//! new  a b x e    →     pairs, and between them gaps with what has no partner
//! ```
//!
//! The longest common subsequence, of what is left between the common head and tail. Beyond
//! [`PAIR_COUNT_LIMIT`](super::limits::PAIR_COUNT_LIMIT) pairs, each element takes the next one that fits.

use std::ops::Range;

/// A piece of two lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Positions of two elements that belong together.
    Pair(usize, usize),
    /// Neighbours without a partner.
    Gap(Range<usize>, Range<usize>),
}

/// Lines up lists of the given lengths; `budget` is what may still be compared, and is lowered.
pub(super) fn align(left: usize, right: usize, budget: &mut usize, same: impl Fn(usize, usize) -> bool) -> Vec<Piece> {
    let shorter = left.min(right);
    let head = (0..shorter).take_while(|at| same(*at, *at)).count();
    let tail = (0..shorter.saturating_sub(head))
        .take_while(|back| same(left.saturating_sub(back + 1), right.saturating_sub(back + 1)))
        .count();
    let (middle_left, middle_right) = (head..left.saturating_sub(tail), head..right.saturating_sub(tail));
    let mut pairs: Vec<(usize, usize)> = (0..head).map(|at| (at, at)).collect();
    let work = middle_left.len().saturating_mul(middle_right.len());
    match budget.checked_sub(work) {
        Some(rest) => {
            *budget = rest;
            longest(middle_left, middle_right, &same, &mut pairs);
        }
        None => next_fit(middle_left, middle_right, &same, &mut pairs),
    }
    pairs.extend((0..tail).rev().map(|back| (left.saturating_sub(back + 1), right.saturating_sub(back + 1))));
    pieces(&pairs, left, right)
}

/// Longest common subsequence.
fn longest(
    left: Range<usize>,
    right: Range<usize>,
    same: &impl Fn(usize, usize) -> bool,
    pairs: &mut Vec<(usize, usize)>,
) {
    let width = right.len().saturating_add(1);
    // Length of the best from here on, row by row from the end; the last row and column are zero.
    let mut best = vec![0_u32; width.saturating_mul(left.len().saturating_add(1))];
    let at = |i: usize, j: usize| i.saturating_mul(width).saturating_add(j);
    let value = |best: &[u32], i: usize, j: usize| best.get(at(i, j)).copied().unwrap_or(0);
    for i in (0..left.len()).rev() {
        for j in (0..right.len()).rev() {
            let longest = if same(left.start + i, right.start + j) {
                value(&best, i + 1, j + 1).saturating_add(1)
            } else {
                value(&best, i + 1, j).max(value(&best, i, j + 1))
            };
            if let Some(cell) = best.get_mut(at(i, j)) {
                *cell = longest;
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < left.len() && j < right.len() {
        if same(left.start + i, right.start + j) {
            pairs.push((left.start + i, right.start + j));
            (i, j) = (i + 1, j + 1);
        } else if value(&best, i + 1, j) >= value(&best, i, j + 1) {
            i += 1;
        } else {
            j += 1;
        }
    }
}

/// The next element that fits, looked for within a short distance only: the lists are too long for more.
fn next_fit(
    left: Range<usize>,
    right: Range<usize>,
    same: &impl Fn(usize, usize) -> bool,
    pairs: &mut Vec<(usize, usize)>,
) {
    const DISTANCE: usize = 64;
    let mut next = right.start;
    for i in left {
        let near = next..right.end.min(next.saturating_add(DISTANCE));
        if let Some(j) = near.into_iter().find(|j| same(i, *j)) {
            pairs.push((i, j));
            next = j.saturating_add(1);
        }
    }
}

fn pieces(pairs: &[(usize, usize)], left: usize, right: usize) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(pairs.len());
    let (mut next_left, mut next_right) = (0, 0);
    for (i, j) in pairs.iter().copied().chain([(left, right)]) {
        if next_left < i || next_right < j {
            pieces.push(Piece::Gap(next_left..i, next_right..j));
        }
        if i < left && j < right {
            pieces.push(Piece::Pair(i, j));
        }
        (next_left, next_right) = (i.saturating_add(1), j.saturating_add(1));
    }
    pieces
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn shown(left: &str, right: &str, mut budget: usize) -> String {
        let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
        let mut shown = String::new();
        for piece in align(left.len(), right.len(), &mut budget, |i, j| left[i] == right[j]) {
            match piece {
                Piece::Pair(i, j) => {
                    assert_eq!(left[i], right[j]);
                    shown.push(left[i]);
                }
                Piece::Gap(i, j) => {
                    let (gone, come): (String, String) = (left[i].iter().collect(), right[j].iter().collect());
                    shown.push_str(&format!("[{gone}|{come}]"));
                }
            }
        }
        shown
    }

    #[test]
    fn what_has_no_partner_is_in_gaps() {
        assert_eq!(shown("abcde", "abxe", usize::MAX), "ab[cd|x]e");
        assert_eq!(shown("abc", "abc", usize::MAX), "abc");
        assert_eq!(shown("abc", "abcd", usize::MAX), "abc[|d]");
        assert_eq!(shown("", "ab", usize::MAX), "[|ab]");
        assert_eq!(shown("ab", "", usize::MAX), "[ab|]");
        assert_eq!(shown("abcabba", "cbabac", usize::MAX).replace(['[', ']', '|'], "").len(), 9);
        assert_eq!(shown("aa", "aaa", usize::MAX), "aa[|a]");
    }

    #[test]
    fn without_a_budget_the_next_that_fits_is_taken() {
        assert_eq!(shown("axbyc", "abzc", 0), "a[x|]b[y|z]c");
        let mut budget = 12;
        align(3, 4, &mut budget, |i, j| i + 10 == j);
        assert_eq!(budget, 0);
    }
}
