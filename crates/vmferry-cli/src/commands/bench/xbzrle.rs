//! Encoding differences of pages, beside an encoder that goes octet by octet.

use std::hint::black_box;

use anyhow::{Result, ensure};
use vmferry_wire::ram::xbzrle::{Encoded, encode};

use super::Bench;
use super::limits::rate;
use super::results::{Measured, Role, Target, Unit};
use super::rounds::{Contender, Took, alternate};
use super::scene::random_words;

/// Bytes of pages that are encoded.
pub(super) const BYTES: u64 = 64 << 20;
const PAGE: usize = 4096;
/// From one changed word of a page to the next.
const CHANGED_EVERY: usize = 512;

type Encoder = fn(&[u8], &[u8], &mut [u8]) -> Option<usize>;

/// The octets of a difference by vmferry, `None` if it is longer than a page.
fn ours(old: &[u8], new: &[u8], out: &mut [u8]) -> Option<usize> {
    match encode(old, new, out) {
        Encoded::Equal => Some(0),
        Encoded::Changed(octets) => Some(octets),
        Encoded::Overflow => None,
    }
}

/// The same format (`docs/spec/ram.md` section A7), octet by octet: what stays, what changes, until the end.
fn octet_by_octet(old: &[u8], new: &[u8], out: &mut [u8]) -> Option<usize> {
    let (mut at, mut used) = (0, 0);
    let run = |at: usize, stays: bool| {
        let octets = old.iter().zip(new).skip(at);
        octets.take_while(|(old, new)| (old == new) == stays).count()
    };
    loop {
        let stays = run(at, true);
        let start = at + stays;
        if start >= new.len() {
            return Some(used);
        }
        let changes = run(start, false);
        at = start + changes;
        for count in [stays, changes] {
            used = put_count(out, used, count)?;
        }
        out.get_mut(used..used + changes)?.copy_from_slice(new.get(start..at)?);
        used += changes;
    }
}

/// A count of at most 14 bits, low seven first.
fn put_count(out: &mut [u8], at: usize, count: usize) -> Option<usize> {
    let [low, high] = [count & 0x7f, count >> 7].map(|bits| u8::try_from(bits).unwrap_or(u8::MAX));
    if high == 0 {
        *out.get_mut(at)? = low;
        return Some(at + 1);
    }
    *out.get_mut(at)? = low | 0x80;
    *out.get_mut(at + 1)? = high;
    Some(at + 2)
}

fn run(encoder: Encoder, old: &[u8], new: &[u8]) -> Result<Took> {
    let mut out = [0; PAGE];
    rate(new.len(), || {
        for (old, new) in old.chunks(PAGE).zip(new.chunks(PAGE)) {
            let octets = encoder(old, new, &mut out);
            ensure!(octets.is_some_and(|octets| octets > 0), "a changed page has no difference");
            black_box(&out);
        }
        Ok(())
    })
}

/// Pages, and the same pages later.
fn pages(bytes: usize) -> (Vec<u8>, Vec<u8>) {
    let old: Vec<u8> = random_words(bytes as u64 / 8).flat_map(u64::to_le_bytes).collect();
    let mut new = old.clone();
    for word in new.chunks_mut(CHANGED_EVERY).filter_map(|part| part.get_mut(..8)) {
        word.iter_mut().for_each(|octet| *octet = octet.wrapping_add(1));
    }
    (old, new)
}

/// Measures it.
pub(super) fn measure(bench: &Bench<'_>) -> Result<Measured> {
    let bytes = usize::try_from(bench.memory.unwrap_or(BYTES))?;
    let (old, new) = pages(bytes);
    let (old, new) = (old.as_slice(), new.as_slice());
    let contenders = vec![
        Contender::new("vmferry", Role::Ours, move || run(ours, old, new)),
        Contender::new("octet by octet", Role::Limit, move || run(octet_by_octet, old, new)),
    ];
    Ok(Measured {
        name: "xbzrle",
        title: format!("Encoding {} MiB of pages as differences, one thread", bytes >> 20),
        unit: Unit::GIB_PER_S,
        also: Vec::new(),
        rows: alternate(bench, "xbzrle", &[], contenders)?,
        targets: vec![Target { what: "twice an encoder that goes octet by octet", role: Role::Limit, times: 2.0 }],
        notes: vec![format!("Of each page {} words of 8 octets changed.", PAGE / CHANGED_EVERY)],
    })
}

#[cfg(test)]
mod tests {
    use vmferry_wire::ram::xbzrle::apply;

    use super::*;

    #[test]
    fn both_encoders_make_the_new_page_of_the_old_one() {
        let (old, new) = pages(4 * PAGE);
        for encoder in [ours as Encoder, octet_by_octet] {
            for (old, new) in old.chunks(PAGE).zip(new.chunks(PAGE)) {
                let mut out = [0; PAGE];
                let octets = encoder(old, new, &mut out).unwrap();
                let mut page = old.to_vec();
                apply(&out[..octets], &mut page).unwrap();
                assert!(page == new && octets > 0);
            }
            let equal = [7; PAGE];
            assert_eq!(encoder(&equal, &equal, &mut [0; PAGE]), Some(0));
            assert_eq!(encoder(&[0; PAGE], &[1; PAGE], &mut [0; 100]), None, "longer than there is room");
        }
    }
}
