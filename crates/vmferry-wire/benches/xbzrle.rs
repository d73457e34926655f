//! XBZRLE encoding beside a plain loop over octets: `cargo bench -p vmferry-wire --bench xbzrle`.
//!
//! Pages of random octets, a part of which changes: each octet by itself with this probability (`scattered`), or in
//! words of 8 octets as a program writes them (`words`). `memcmp` and `memcpy` of the same pages stand beside them: no
//! encoder reads its two pages, or copies one, faster.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs,
    reason = "a benchmark may stop by panicking and documents nothing"
)]

#[path = "../tests/plain/mod.rs"]
mod plain;

use divan::Bencher;
use divan::counter::BytesCount;
use vmferry_wire::ram::xbzrle::{Encoded, encode};

const PAGE: usize = 4096;
/// Pages of one round: so many that no branch predictor learns them.
const PAGES: usize = 256;
/// Octets that change, in thousandths.
const CHANGED: [u64; 5] = [0, 1, 10, 100, 500];

type Pages = Vec<([u8; PAGE], [u8; PAGE])>;

/// Pages of which `thousandths` changed, `unit` octets at a time.
fn pages(thousandths: u64, unit: usize) -> Pages {
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut page = || {
        let old: [u8; PAGE] = std::array::from_fn(|_| random() as u8);
        let mut new = old;
        for octets in new.chunks_mut(unit) {
            if random() % 1000 < thousandths {
                octets.iter_mut().for_each(|octet| *octet ^= (random() % 255 + 1) as u8);
            }
        }
        (old, new)
    };
    (0..PAGES).map(|_| page()).collect()
}

fn each(bencher: Bencher<'_, '_>, pages: &Pages, encode: impl Fn(&[u8], &[u8], &mut [u8]) -> Encoded + Sync) {
    let mut out = [0; PAGE];
    bencher.counter(BytesCount::new(PAGES * PAGE)).bench_local(|| {
        for (old, new) in pages {
            divan::black_box(encode(old, new, &mut out));
        }
    });
}

#[divan::bench(args = CHANGED)]
fn scattered(bencher: Bencher<'_, '_>, thousandths: u64) {
    each(bencher, &pages(thousandths, 1), encode);
}

#[divan::bench(args = CHANGED)]
fn scattered_plain(bencher: Bencher<'_, '_>, thousandths: u64) {
    each(bencher, &pages(thousandths, 1), plain::encode);
}

#[divan::bench(args = CHANGED)]
fn words(bencher: Bencher<'_, '_>, thousandths: u64) {
    each(bencher, &pages(thousandths, 8), encode);
}

#[divan::bench(args = CHANGED)]
fn words_plain(bencher: Bencher<'_, '_>, thousandths: u64) {
    each(bencher, &pages(thousandths, 8), plain::encode);
}

#[divan::bench]
fn memcmp(bencher: Bencher<'_, '_>) {
    each(bencher, &pages(0, 1), |old, new, _| if old == new { Encoded::Equal } else { Encoded::Overflow });
}

#[divan::bench]
fn memcpy(bencher: Bencher<'_, '_>) {
    each(bencher, &pages(0, 1), |_, new, out| {
        out.copy_from_slice(new);
        Encoded::Changed(new.len())
    });
}

fn main() {
    divan::main();
}
