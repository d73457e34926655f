//! The scan for zero pages beside what memory gives: `cargo bench -p vmferry --bench scan`.
//!
//! Each round does everything once, in turn, over memory far larger than the caches: the scan over guest memory, page
//! by page as a migration does it; a sum over ordinary memory of the same size, the cheapest thing that reads all of
//! it, which the compiler makes of the widest loads the processor has; a copy of it; and a plain scan for a byte that
//! is not zero. Ratios are taken round by round; figures are the median with the least and the most. `-- --mib N
//! --rounds N` change the size of memory and the number of rounds.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a benchmark may stop by panicking and documents nothing"
)]

use std::hint::black_box;
use std::time::Instant;

use multiversion::multiversion;
use vmferry::memory::zero::is_zero;
use vmferry::memory::{MappedBlock, RamBlock as _, TARGET_PAGE};

/// A kind of work, the bytes per nanosecond of each round, and what the next kinds are compared with.
struct Kind<'a> {
    name: &'static str,
    work: Box<dyn FnMut() + 'a>,
    rates: Vec<f64>,
}

impl<'a> Kind<'a> {
    fn new(name: &'static str, work: impl FnMut() + 'a) -> Self {
        Self { name, work: Box::new(work), rates: Vec::new() }
    }
}

/// Adds up all words, with the widest instructions there are.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2", "x86_64+sse4.2", "aarch64+neon"))]
fn sum(words: &[u64]) -> u64 {
    words.iter().fold(0, |sum: u64, word| sum.wrapping_add(*word))
}

/// The plain way: octet by octet.
fn is_zero_plainly(octets: &[u8]) -> bool {
    for octet in octets {
        if black_box(*octet) != 0 {
            return false;
        }
    }
    true
}

fn option(name: &str, default: usize) -> usize {
    let mut args = std::env::args().skip_while(|arg| arg != name);
    args.nth(1).map_or(default, |value| value.parse().unwrap())
}

fn main() {
    let (bytes, rounds) = (option("--mib", 512) << 20, option("--rounds", 9));
    let block = MappedBlock::new("ram", bytes).unwrap();
    // Memory that was never written is one page of zeros, which the caches hold.
    (0..bytes).step_by(TARGET_PAGE).for_each(|offset| block.write(offset as u64, &[0]).unwrap());
    let (words, mut copy) = (vec![1_u64; bytes / 8], vec![1_u64; bytes / 8]);
    let mut octets = vec![1_u8; bytes / 16];
    octets.fill(0);
    let mut kinds = [
        Kind::new("zero scan", || {
            for offset in (0..bytes).step_by(TARGET_PAGE) {
                assert!(is_zero(&block.run(offset as u64, TARGET_PAGE).unwrap()));
            }
        }),
        Kind::new("sum of words", || {
            black_box(sum(black_box(&words)));
        }),
        Kind::new("copy", || {
            copy.copy_from_slice(black_box(&words));
            black_box(&copy);
        }),
        Kind::new("octet by octet (1/16 of it)", || assert!(is_zero_plainly(&octets))),
    ];
    for round in 0..=rounds {
        for (index, kind) in kinds.iter_mut().enumerate() {
            let start = Instant::now();
            (kind.work)();
            let done = if index == 3 { bytes / 16 } else { bytes };
            // The first round is not counted.
            if round > 0 {
                kind.rates.push(done as f64 / (1_u64 << 30) as f64 / start.elapsed().as_secs_f64());
            }
        }
    }
    println!("{} MiB, {rounds} rounds: median (least to most)\n", bytes >> 20);
    println!("| | GiB/s | the zero scan is times as fast |\n| --- | --- | --- |");
    let scan = kinds[0].rates.clone();
    for kind in &kinds {
        let ratios = scan.iter().zip(&kind.rates).map(|(scan, other)| scan / other).collect();
        println!("| {} | {} | {} |", kind.name, text(kind.rates.clone()), text(ratios));
    }
}

fn text(mut figures: Vec<f64>) -> String {
    figures.sort_by(f64::total_cmp);
    let median = figures[figures.len() / 2];
    format!("{median:.2} ({:.2} to {:.2})", figures[0], figures[figures.len() - 1])
}
