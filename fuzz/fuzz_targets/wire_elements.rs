//! Every decoder of `vmferry-wire` on any octets.
//!
//! Oracles: no panic; `NeedMore` asks for more than there is; a decoded value encodes to the octets that it came from,
//! or, where the wire has several forms of one value, to octets that decode to the same value.

#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use vmferry_wire::command::{Command, DISCARD_RANGES_PER_COMMAND};
use vmferry_wire::configuration::Configuration;
use vmferry_wire::end::Trailer;
use vmferry_wire::globalstate::GlobalState;
use vmferry_wire::header::Header;
use vmferry_wire::ram::block_list::{BlockEntry, EntryLayout, PageSizeWord};
use vmferry_wire::ram::{BlockRef, PageKind, Record, RecordHeader, RecordKind, TargetPage, page_header};
use vmferry_wire::return_path::ReturnPathMessage;
use vmferry_wire::section::{Element, Footer};
use vmferry_wire::{DecodeResult, Decoded};

/// The value and the octets that it was decoded from.
fn decoded<T>(octets: &[u8], outcome: DecodeResult<T>) -> Option<(T, &[u8])> {
    match outcome {
        Ok(Decoded::Complete { value, used }) => Some((value, &octets[..used])),
        Ok(Decoded::NeedMore { total }) => {
            assert!(total > octets.len());
            None
        }
        Err(error) => {
            assert!(error.offset() <= octets.len() as u64);
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

fn encoded<T>(value: &T, encode: impl Fn(&T, &mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(value, &mut out);
    out
}

/// One form on the wire: the octets come back.
fn canonical<T>(octets: &[u8], decode: impl Fn(&[u8]) -> DecodeResult<T>, encode: impl Fn(&T, &mut Vec<u8>)) {
    if let Some((value, from)) = decoded(octets, decode(octets)) {
        assert_eq!(encoded(&value, encode), from);
    }
}

/// Several forms on the wire: the value comes back. `behind` follows what is encoded, as look-ahead.
fn stable<T: PartialEq + Debug>(
    octets: &[u8],
    behind: &[u8],
    decode: impl Fn(&[u8]) -> DecodeResult<T>,
    encode: impl Fn(&T, &mut Vec<u8>),
) {
    if let Some((value, _)) = decoded(octets, decode(octets)) {
        let mut again = encoded(&value, encode);
        again.extend_from_slice(behind);
        let (read, _) = decoded(&again, decode(&again)).expect("what was encoded decodes");
        assert_eq!(read, value);
    }
}

/// A reader accepts more ranges than a writer puts into one command.
fn is_encodable(element: &Element) -> bool {
    !matches!(element, Element::Command(Command::PostcopyRamDiscard { ranges, .. })
        if ranges.len() > DISCARD_RANGES_PER_COMMAND)
}

fn record(octets: &[u8]) {
    let Some((record, from)) = decoded(octets, Record::decode(octets, TargetPage::KIB_4)) else { return };
    let word = u64::from_be_bytes(*from.first_chunk().expect("a record has a header"));
    let header = RecordHeader::decode(word, TargetPage::KIB_4).expect("the record was accepted");
    match record {
        Record::Page(page) => {
            let is_same = page.block == BlockRef::Same;
            assert_eq!(page_header(page.kind, page.offset, is_same), word);
            assert_eq!(header.kind, RecordKind::Page(page.kind));
            assert!(page.contents_bytes <= 4096 || page.kind == PageKind::Compressed);
        }
        Record::MemSize { total } => assert_eq!(total, header.address),
        Record::Eos | Record::Hook | Record::MultifdFlush => assert_eq!(from.len(), 8),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, octets)) = data.split_first() else { return };
    match choice % 10 {
        0 => canonical(octets, Header::decode, Header::encode),
        1 => {
            if let Some((element, from)) = decoded(octets, Element::decode(octets))
                && is_encodable(&element)
            {
                assert_eq!(encoded(&element, Element::encode), from);
            }
        }
        2 => canonical(octets, |octets| Footer::decode(octets, 7), Footer::encode),
        3 => canonical(octets, ReturnPathMessage::decode, ReturnPathMessage::encode),
        4 => stable(octets, &[0], Configuration::decode, Configuration::encode),
        5 => stable(octets, &[], GlobalState::decode, GlobalState::encode),
        6 => record(octets),
        7 => {
            let layout = EntryLayout { page_size: PageSizeWord::Present, guest_address: true, mapped_ram: true };
            let decode = |octets: &[u8]| BlockEntry::decode(octets, layout, TargetPage::KIB_4);
            canonical(octets, decode, BlockEntry::encode);
        }
        8 => {
            let layout = EntryLayout { page_size: PageSizeWord::Detect, guest_address: false, mapped_ram: false };
            let decode = |octets: &[u8]| BlockEntry::decode(octets, layout, TargetPage::KIB_4);
            canonical(octets, decode, BlockEntry::encode);
        }
        _ => {
            decoded(octets, Trailer::decode(octets));
        }
    }
});
