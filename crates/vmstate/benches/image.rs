//! An image of 60 fields and 196 octets, beside `postcard` doing the same struct: `cargo bench -p vmstate`.
//!
//! Both encode into a buffer that is there already and decode over a struct that is there already. `postcard` writes
//! integers in a variable number of octets and names no field in an error; it stands for what a VMM would otherwise
//! take.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark may stop by panicking and documents nothing")]

use std::error::Error;
use std::hint::black_box;

use divan::Bencher;
use vmstate::describe::DescribeSink;
use vmstate::input::Refill;
use vmstate::{Input, VmState};

macro_rules! image {
    ($($field:ident: $ty:ty,)*) => {
        #[derive(VmState, serde::Serialize, serde::Deserialize, Debug, Default, Clone, PartialEq)]
        #[vmstate(name = "bench", version = 3, min = 1)]
        struct BenchImage {
            $($field: $ty,)*
        }
    };
}

image! {
    a0: u32, a1: u32, a2: u32, a3: u32, a4: u32, a5: u32, a6: u32, a7: u32, a8: u32, a9: u32,
    b0: u8, b1: u8, b2: u8, b3: u8, b4: u8, b5: u8, b6: u8, b7: u8, b8: bool, b9: bool,
    c0: u64, c1: u64, c2: u64, c3: u64, c4: u16, c5: u16, c6: u16, c7: u16, c8: u32, c9: u32,
    d0: i32, d1: i32, d2: i32, d3: i32, d4: u32, d5: u32, d6: u32, d7: u32, d8: u32, d9: u32,
    e0: u8, e1: u8, e2: u8, e3: u8, e4: u8, e5: u8, e6: u8, e7: u8, e8: bool, e9: bool,
    f0: u64, f1: u64, f2: u64, f3: u64, f4: u16, f5: u16, f6: u16, f7: u16, f8: u32, f9: u32,
}

fn image() -> BenchImage {
    let octets: Vec<u8> = (0..196_u8).map(|at| if at.is_multiple_of(3) { at } else { 1 }).collect();
    let mut image = BenchImage { c1: 0x0123_4567_89ab_cdef, ..Default::default() };
    let flagged = |octet: &u8| u8::from(*octet > 1);
    let mut octets: Vec<u8> = octets;
    // The four bools: behind 10 u32 and 8 u8, and 100 octets on.
    for at in [48, 49, 146, 147] {
        if let Some(octet) = octets.get_mut(at) {
            *octet = flagged(octet);
        }
    }
    image.decode(&(), 3, &mut Input::from_slice(&octets, 0)).unwrap();
    image
}

/// The same octets for ever.
struct Endless {
    octets: Vec<u8>,
    at: usize,
}

impl Refill for Endless {
    fn refill(&mut self, buffer: &mut [u8]) -> Result<usize, Box<dyn Error + Send + Sync>> {
        let rest = self.octets.get(self.at..).unwrap_or_default();
        let part = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        self.at = (self.at + part) % self.octets.len();
        Ok(part)
    }
}

#[divan::bench(sample_size = 1000)]
fn encode_vmstate(bencher: Bencher<'_, '_>) {
    let image = image();
    let mut octets = Vec::with_capacity(256);
    bencher.bench_local(|| {
        octets.clear();
        black_box(&image).encode(&(), &mut octets).unwrap();
        black_box(octets.len())
    });
    assert_eq!(octets.len(), 196);
}

#[divan::bench(sample_size = 1000)]
fn encode_postcard(bencher: Bencher<'_, '_>) {
    let image = image();
    let mut octets = [0; 512];
    bencher.bench_local(|| black_box(postcard::to_slice(black_box(&image), &mut octets).unwrap().len()));
}

#[divan::bench(sample_size = 1000)]
fn encode_vmstate_with_description(bencher: Bencher<'_, '_>) {
    let image = image();
    let mut octets = Vec::with_capacity(256);
    bencher.bench_local(|| {
        octets.clear();
        let mut sink = DescribeSink::new(BenchImage::SCHEMA, &mut octets);
        black_box(&image).encode(&(), &mut sink).unwrap();
        sink.finish()
    });
}

#[divan::bench(sample_size = 1000)]
fn decode_vmstate(bencher: Bencher<'_, '_>) {
    let mut octets = Vec::new();
    image().encode(&(), &mut octets).unwrap();
    // Many images one behind the other, so that a refill of the window is shared by many, as in a stream; a trailing
    // octet belongs to each, since a loader looks at what follows.
    let octets = octets.repeat(300);
    let mut input = Input::new(Endless { octets, at: 0 }, 64 << 10);
    let mut decoded = BenchImage::default();
    bencher.bench_local(|| black_box(&mut decoded).decode(&(), 3, &mut input).unwrap());
    assert_eq!(decoded, image());
}

#[divan::bench(sample_size = 1000)]
fn decode_postcard(bencher: Bencher<'_, '_>) {
    let mut octets = [0; 512];
    let octets = &*postcard::to_slice(&image(), &mut octets).unwrap();
    let mut decoded = BenchImage::default();
    bencher.bench_local(|| *black_box(&mut decoded) = postcard::from_bytes(black_box(octets)).unwrap());
    assert_eq!(decoded, image());
}

fn main() {
    divan::main();
}
