//! XBZRLE data is the same, octet for octet, as a plain loop makes, whatever changes and however much room there is.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "a test")]

mod plain;

use proptest::prelude::*;
use vmferry_wire::ram::xbzrle::{Encoded, apply, encode};

/// What an encoder made, in `room` octets.
fn made(encode: impl Fn(&[u8], &[u8], &mut [u8]) -> Encoded, pages: (&[u8], &[u8]), room: usize) -> (Encoded, Vec<u8>) {
    let mut out = vec![0; room];
    let encoded = encode(pages.0, pages.1, &mut out);
    let used = if let Encoded::Changed(used) = encoded { used } else { 0 };
    out.truncate(used);
    (encoded, out)
}

fn compare(old: &[u8], new: &[u8], room: usize) {
    let (ours, plain) = (made(encode, (old, new), room), made(plain::encode, (old, new), room));
    assert!(ours == plain, "{:?} and {:?} octets, in {room}", ours.0, plain.0);
    if let (Encoded::Changed(_), data) = ours {
        let mut page = old.to_vec();
        apply(&data, &mut page).unwrap();
        assert!(page == new[..page.len()], "the data makes the new page");
    }
}

/// Runs of octets that stay and that change, one behind the other: long, short, and around the edges of blocks.
fn runs() -> impl Strategy<Value = Vec<(usize, usize)>> {
    let length = || prop_oneof![4 => 0_usize..5, 2 => 5_usize..70, 1 => 120_usize..140, 1 => 0_usize..3000];
    prop::collection::vec((length(), length()), 0..200)
}

proptest! {
    #[test]
    fn any_changes(runs in runs(), page in prop_oneof![3 => Just(4096_usize), 1 => 0_usize..300], room in 0_usize..9000, octet in 1_u8..) {
        let old: Vec<u8> = (0..page).map(|at| (at * 31 % 256) as u8).collect();
        let mut new = old.clone();
        let mut at = 0;
        for (kept, changed) in runs {
            new.iter_mut().skip(at + kept).take(changed).for_each(|value| *value ^= octet);
            at += kept + changed;
        }
        // As the engine does: data must be shorter than the page.
        compare(&old, &new, page);
        compare(&old, &new, room);
    }

    #[test]
    fn any_density(seed in any::<u64>(), thousandths in 0_u64..1000) {
        let mut state = seed;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        let old: Vec<u8> = (0..4096).map(|_| random() as u8).collect();
        let new: Vec<u8> = old.iter().map(|octet| if random() % 1000 < thousandths { random() as u8 } else { *octet }).collect();
        compare(&old, &new, 4096);
        compare(&old, &new, 8192);
    }
}

#[test]
fn room_that_is_one_octet_short_is_too_little() {
    let old = [0; 4096];
    for (start, len) in [(0, 1), (100, 20), (1000, 15), (1000, 16), (1000, 17), (200, 300), (4090, 6), (4095, 1)] {
        let mut new = old;
        new[start..start + len].fill(5);
        new[10] = 9;
        let Encoded::Changed(used) = encode(&old, &new, &mut [0; 4096]) else { panic!("{start} {len}") };
        for room in used.saturating_sub(20)..used + 20 {
            compare(&old, &new, room);
            assert_eq!(
                encode(&old, &new, &mut vec![0; room]) == Encoded::Overflow,
                room < used,
                "{start} {len} {room}"
            );
        }
    }
}

#[test]
fn counts_end_at_what_two_octets_hold() {
    let old = vec![0; 0x4000 + 70];
    for (start, len) in [(0x3fff, 1), (0x4000, 1), (0, 0x3fff), (0, 0x4000), (1, 0x4001)] {
        let mut new = old.clone();
        new[start..start + len].fill(1);
        compare(&old, &new, 0x9000);
    }
}
