//! Making the data: a bit for each octet says whether it changes, and changes are what lies between the edges of the
//! bits.
//!
//! ```text
//! octets       a a a x a x x a a a a x      x: changes
//! differing    0 0 0 1 0 1 1 0 0 0 0 1      a bit an octet, 64 at a time
//! filled       0 0 0 1 1 1 1 0 0 0 0 1      gaps that are too short to end a change
//! edges              ^       ^       ^      a change starts, ends, starts
//! ```
//!
//! No octet is looked at by itself, so that the cost depends little on where the changes are: 64 octets that stay are
//! one comparison, 64 others some eighty instructions, and a change is a copy.

/// Octets that are compared at once: one for each bit of a word.
const BLOCK: usize = 64;

/// Octets that are copied at once where there is room, however few are wanted.
const COPY: usize = 16;

/// Largest count.
const COUNT_MAX: usize = 0x3fff;

/// How [`encode`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoded {
    /// The pages are equal: there is no data.
    Equal,
    /// The data is in `out`, this many octets.
    Changed(usize),
    /// The data would be longer than `out`: the page itself is sent instead.
    Overflow,
}

/// Writes to `out` the data that makes `new` of `old`, two pages of one length.
///
/// Encoders may cut runs as they like; this one ends a change at three equal octets. Behind the data, `out` is left
/// with what it had or with octets of `new`.
///
/// # Panics
///
/// Never: of pages of different lengths, the shorter length counts.
pub fn encode(old: &[u8], new: &[u8], out: &mut [u8]) -> Encoded {
    let page = old.len().min(new.len());
    let (old, new) = (old.get(..page).unwrap_or_default(), new.get(..page).unwrap_or_default());
    match changes(old, new, Data { new, out, used: 0, end: 0 }) {
        None => Encoded::Overflow,
        Some(0) => Encoded::Equal,
        Some(used) => Encoded::Changed(used),
    }
}

/// Adds all changes to `data`; how long it is then, `None` if it has no room.
fn changes(old: &[u8], new: &[u8], mut data: Data<'_>) -> Option<usize> {
    let (old_blocks, old_tail) = old.as_chunks::<BLOCK>();
    let (new_blocks, new_tail) = new.as_chunks::<BLOCK>();
    let whole = old_blocks.iter().zip(new_blocks).map(|(old, new)| differing(old, new));
    // The tail has room for an octet that stays, which ends the last change.
    let mut blocks = whole.chain([differing_tail(old_tail, new_tail), 0]);
    let (mut before, mut block) = (0, blocks.next().unwrap_or_default());
    let mut at = 0_usize;
    // Where the change starts that the octet before the block belongs to.
    let mut change = None;
    for next in blocks {
        let filled = filled(before, block, next);
        let mut edges = filled ^ (filled << 1 | u64::from(change.is_some()));
        while edges != 0 {
            let place = at.saturating_add(edges.trailing_zeros() as usize);
            edges &= edges.wrapping_sub(1);
            change = match change {
                None => Some(place),
                Some(start) => {
                    data.add(start, place)?;
                    None
                }
            };
        }
        (before, block) = (block, next);
        at = at.saturating_add(BLOCK);
    }
    Some(data.used)
}

/// A bit for each octet that differs, the first one lowest.
fn differing(old: &[u8; BLOCK], new: &[u8; BLOCK]) -> u64 {
    if old == new {
        return 0;
    }
    let words = old.as_chunks().0.iter().zip(new.as_chunks().0).rev();
    words.fold(0, |bits, (old, new)| bits << 8 | octets_set(u64::from_le_bytes(*old) ^ u64::from_le_bytes(*new)))
}

/// The same of fewer octets.
fn differing_tail(old: &[u8], new: &[u8]) -> u64 {
    old.iter().zip(new).rev().fold(0, |bits, (old, new)| bits << 1 | u64::from(old != new))
}

/// A bit for each of the eight octets of `word` that is not zero, the lowest one lowest.
const fn octets_set(word: u64) -> u64 {
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    // The high bit of an octet is set by itself, or by a carry from the seven below; none leaves its octet.
    let set = ((word & !HIGH).wrapping_add(!HIGH) | word) & HIGH;
    // The power 56 - 7i of two takes bit 8i to bit 56 + i. All other products are above bit 63, or below bit 56 and
    // apart from each other.
    (set >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// The bits of `block`, and those of gaps of one and two octets, between its neighbours.
///
/// Two equal octets are as long as the counts that they would save, and cost a run more; so three end a change.
const fn filled(before: u64, block: u64, next: u64) -> u64 {
    // At their place in each word: the octet one and two before, and one and two behind.
    let (before_1, before_2) = (block << 1 | before >> 63, block << 2 | before >> 62);
    let (behind_1, behind_2) = (block >> 1 | next << 63, block >> 2 | next << 62);
    block | before_1 & behind_1 | before_1 & behind_2 | before_2 & behind_1
}

/// What is written.
struct Data<'a> {
    new: &'a [u8],
    out: &'a mut [u8],
    used: usize,
    /// End of the last change.
    end: usize,
}

impl Data<'_> {
    /// Adds the change of the octets `start .. end`; `None` if there is no room for it, or no count reaches as far.
    fn add(&mut self, start: usize, end: usize) -> Option<()> {
        let kept = start.saturating_sub(self.end);
        let changed = self.new.get(start..end)?;
        let rest = self.out.get_mut(self.used..)?;
        let room = rest.len();
        let (head_octets, values) = match (u8::try_from(kept), u8::try_from(changed.len()), rest) {
            (Ok(kept @ ..0x80), Ok(count @ ..0x80), [zrun, nzrun, values @ ..]) => {
                (*zrun, *nzrun) = (kept, count);
                (2, values)
            }
            (_, _, rest) => put_counts(kept, changed.len(), rest)?,
        };
        let octets = changed.len().saturating_add(head_octets);
        if octets > room {
            return None;
        }
        let ahead = self.new.get(start..).and_then(<[u8]>::first_chunk::<COPY>);
        match (ahead, values.first_chunk_mut::<COPY>()) {
            // A copy of fixed length is a few instructions; what is too much of it is written over.
            (Some(ahead), Some(values)) if changed.len() <= COPY => *values = *ahead,
            _ => values.get_mut(..changed.len())?.copy_from_slice(changed),
        }
        self.used = self.used.saturating_add(octets);
        self.end = end;
        Some(())
    }
}

/// Writes two counts to the start of `out`; how long they are, and what is left of it.
fn put_counts(kept: usize, changed: usize, out: &mut [u8]) -> Option<(usize, &mut [u8])> {
    if kept > COUNT_MAX || changed > COUNT_MAX {
        return None;
    }
    let (kept_octets, changed_octets) = (count_octets(kept), count_octets(changed));
    let (zrun, rest) = out.split_at_mut_checked(kept_octets)?;
    let (nzrun, rest) = rest.split_at_mut_checked(changed_octets)?;
    put_count(kept, zrun);
    put_count(changed, nzrun);
    Some((kept_octets.saturating_add(changed_octets), rest))
}

/// Octets of a count.
const fn count_octets(count: usize) -> usize {
    if count < 0x80 { 1 } else { 2 }
}

fn put_count(count: usize, out: &mut [u8]) {
    let low = u8::try_from(count & 0x7f).unwrap_or_default();
    let high = u8::try_from(count >> 7).unwrap_or(u8::MAX);
    match out {
        [only] => *only = low,
        [first, second] => (*first, *second) = (low | 0x80, high),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_octet_that_is_set_is_a_bit() {
        // Every set of octets, each with the least and the most that it can hold.
        for bits in 0..1_u64 << 8 {
            for octet in [1_u8, 0x7f, 0x80, 0xff] {
                let word = u64::from_le_bytes(std::array::from_fn(|at| if bits >> at & 1 == 1 { octet } else { 0 }));
                assert_eq!(octets_set(word), bits, "{word:#018x}");
            }
        }
    }

    #[test]
    fn gaps_of_one_and_two_are_filled_across_blocks_and_longer_ones_are_not() {
        // Two changed octets at every place and distance, in three blocks.
        for first in 0..190_u32 {
            for gap in 0..6 {
                let second = first + gap + 1;
                let wide = |at: u32| if at < 192 { 1_u64 << (at % 64) } else { 0 };
                let block = |index: u32| {
                    [first, second].iter().filter(|at| **at / 64 == index).fold(0, |bits, at| bits | wide(*at))
                };
                let found = filled(block(0), block(1), block(2));
                let expected = (64..128)
                    .filter(|at| *at == first || *at == second || (gap <= 2 && first < *at && *at < second))
                    .fold(0, |bits, at| bits | wide(at));
                assert_eq!(found, expected, "{first} {gap}");
            }
        }
    }
}
