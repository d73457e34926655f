//! An image of each kind, beside `memcpy` of the same octets and `postcard` doing the same struct:
//! `cargo bench -p vmstate --bench kinds`.
//!
//! All encode into a buffer that is there already; `memcpy` is the limit that no codec passes. `postcard` writes
//! integers in a variable number of octets, so the octets per second of each are of its own form.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark may stop by panicking and documents nothing")]

#[path = "kinds/mod.rs"]
mod kinds;

use std::hint::black_box;

use divan::Bencher;
use divan::counter::BytesCount;
use kinds::{
    Array, Bitmap, Buffer, Counted, Kind, List, Pointers, Registers, Structs, Subsections, Tree, decode_over, encoded,
};

/// First octet of a footer, which a loader looks at.
const FOOTER: u8 = 0x7e;

macro_rules! bench_kinds {
    ($($(#[$doc:meta])* fn $name:ident<$kind:ident>($bencher:ident) $body:block)*) => {$(
        $(#[$doc])*
        #[divan::bench(
            types = [Registers, Array, Structs, Counted, Buffer, Bitmap, List, Tree, Pointers, Subsections],
            sample_size = 200
        )]
        fn $name<$kind: Kind>($bencher: Bencher<'_, '_>) $body
    )*};
}

bench_kinds! {
    fn encode_vmstate<K>(bencher) {
        let (image, mut octets) = (K::full(), encoded::<K>());
        bencher.counter(BytesCount::new(octets.len())).bench_local(|| {
            octets.clear();
            black_box(&image).encode(&(), &mut octets).unwrap();
            black_box(octets.len())
        });
    }

    fn encode_memcpy<K>(bencher) {
        let source = encoded::<K>();
        let mut octets = Vec::with_capacity(source.len());
        bencher.counter(BytesCount::new(source.len())).bench_local(|| {
            octets.clear();
            octets.extend_from_slice(black_box(&source));
            black_box(octets.len())
        });
    }

    fn encode_postcard<K>(bencher) {
        let (image, mut octets) = (K::full(), vec![0; 1 << 16]);
        let length = postcard::to_slice(&image, &mut octets).unwrap().len();
        bencher
            .counter(BytesCount::new(length))
            .bench_local(|| black_box(postcard::to_slice(black_box(&image), &mut octets).unwrap().len()));
    }

    fn decode_vmstate<K>(bencher) {
        let (mut octets, template) = (encoded::<K>(), K::template());
        let length = octets.len();
        octets.push(FOOTER);
        let mut decoded = template.clone();
        bencher.counter(BytesCount::new(length)).bench_local(|| decode_over(black_box(&mut decoded), black_box(&octets)));
        assert_eq!(decoded, K::full());
    }

    fn decode_postcard<K>(bencher) {
        let mut octets = vec![0; 1 << 16];
        let octets = &*postcard::to_slice(&K::full(), &mut octets).unwrap();
        let mut decoded = K::default();
        bencher
            .counter(BytesCount::new(octets.len()))
            .bench_local(|| *black_box(&mut decoded) = postcard::from_bytes(black_box(octets)).unwrap());
        assert_eq!(decoded, K::full());
    }
}

fn main() {
    divan::main();
}
