//! Compressed pages (`compress` of QEMU up to 9.0), as a destination loads them.
//!
//! Oracles: no panic; memory within libFuzzer's limit; exactly what the model accepts is loaded, with the model's
//! memory; an error says where.

#![no_main]

mod bare;
mod pages;

use std::io::Read as _;

use flate2::bufread::ZlibDecoder;
use libfuzzer_sys::fuzz_target;
use pages::Form;

const PAGE: usize = 4096;

/// Longest data that a page can be compressed to, `docs/spec/ram.md` section A8: zlib's bound.
const BOUND: usize = PAGE + (PAGE >> 12) + (PAGE >> 14) + (PAGE >> 25) + 13;

/// One whole zlib stream of one page and nothing behind it.
fn model(_: &[u8; PAGE], mut data: &[u8]) -> Option<[u8; PAGE]> {
    if data.len() > BOUND {
        return None;
    }
    let mut page = Vec::new();
    // One octet more tells a stream that goes on.
    ZlibDecoder::new(&mut data).take(PAGE as u64 + 1).read_to_end(&mut page).ok()?;
    (data.is_empty()).then(|| page.try_into().ok())?
}

const FORM: Form = Form {
    encode: |out, offset, name, data| {
        const COMPRESSED: u64 = 0x100;
        out.extend_from_slice(&(offset | COMPRESSED).to_be_bytes());
        out.push(u8::try_from(name.as_str().len()).expect("it is short"));
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(&u32::try_from(data.len()).expect("its length came as two octets").to_be_bytes());
        out.extend_from_slice(data);
    },
    model,
};

fuzz_target!(|octets: &[u8]| pages::check(&FORM, octets));
