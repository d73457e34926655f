//! Pages as differences (`xbzrle`), as a destination loads them.
//!
//! Oracles: no panic; exactly what the model accepts is loaded, with the model's memory; an error says where.

#![no_main]

mod bare;
mod pages;

use libfuzzer_sys::fuzz_target;
use pages::Form;
use vmferry_wire::ram::Record;

const PAGE: usize = 4096;

/// A count of one or two octets, and what is behind it.
fn count(data: &[u8]) -> Option<(usize, &[u8])> {
    match data {
        [low, rest @ ..] if *low < 0x80 => Some((usize::from(*low), rest)),
        [low, high, rest @ ..] if *high < 0x80 => Some((usize::from(low & 0x7f) | usize::from(*high) << 7, rest)),
        _ => None,
    }
}

/// `docs/spec/ram.md` section A7, decoder checks.
fn model(before: &[u8; PAGE], data: &[u8]) -> Option<[u8; PAGE]> {
    // A record has a length of two octets, and no more than a page.
    let mut data = (data.len() <= PAGE).then_some(data)?;
    let (mut page, mut at, mut first) = (*before, 0, true);
    while !data.is_empty() {
        let (same, rest) = (data.len() >= 2).then(|| count(data))??;
        if same == 0 && !first || at + same > PAGE || rest.len() < 2 {
            return None;
        }
        first = false;
        at += same;
        let (changed, rest) = count(rest)?;
        if changed == 0 || at + changed > PAGE || rest.len() < changed {
            return None;
        }
        page[at..at + changed].copy_from_slice(&rest[..changed]);
        at += changed;
        data = &rest[changed..];
    }
    Some(page)
}

const FORM: Form = Form {
    encode: |out, offset, name, data| {
        let length = u16::try_from(data.len()).expect("its length came as two octets");
        Record::encode_xbzrle_page(out, offset, Some(name), length);
        out.extend_from_slice(data);
    },
    model,
};

fuzz_target!(|octets: &[u8]| pages::check(&FORM, octets));
