//! The annotated stream of `docs/spec/stream.md` section 12, read and written element by element.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failed test may panic")]

use vmferry_wire::command::Command;
use vmferry_wire::configuration::Configuration;
use vmferry_wire::description::{self, Description, Device, DeviceBody, Field, Vmsd};
use vmferry_wire::end::Trailer;
use vmferry_wire::globalstate::{GLOBALSTATE_IDSTR, GLOBALSTATE_VERSION, GlobalState};
use vmferry_wire::header::Header;
use vmferry_wire::ram::block_list::BlockList;
use vmferry_wire::ram::{RAM_IDSTR, RAM_VERSION, Record, TargetPage};
use vmferry_wire::section::{EOF, Element, Footer, SectionHeader, SectionIdent};
use vmferry_wire::{DecodeResult, Name};

const RECORDED: &[u8] = include_bytes!("data/none-10.0.bin");
const WITH_CONFIGURATION: &[u8] = include_bytes!("data/none-10.0-configuration.bin");

/// Where the description's frame starts.
const END: usize = 0x105;

fn name(text: &str) -> Name {
    Name::new(text, "test").unwrap()
}

fn ident(idstr: &str, version_id: u32) -> SectionIdent {
    SectionIdent { idstr: name(idstr), instance_id: 0, version_id }
}

fn timer() -> Vmsd {
    Vmsd {
        name: "timer".into(),
        version: 2,
        fields: vec![
            Field::scalar("cpu_ticks_offset", "int64", 8),
            Field::scalar("unused", "unused_buffer", 8),
            Field::scalar("cpu_clock_offset", "int64", 8),
        ],
        subsections: Vec::new(),
    }
}

fn device(vmsd: Vmsd) -> Device {
    Device { idstr: vmsd.name.clone(), instance_id: 0, body: DeviceBody::Vmsd(vmsd) }
}

fn footer(section_id: u32, out: &mut Vec<u8>) {
    Footer { section_id }.encode(out);
}

#[test]
fn the_whole_stream_is_written_octet_for_octet() {
    let mut out = Vec::new();
    let configuration = Configuration::of_machine(name("none"));
    Header.encode(&mut out);
    configuration.encode(&mut out);
    SectionHeader::Start { section_id: 1, ident: ident(RAM_IDSTR, RAM_VERSION) }.encode(&mut out);
    BlockList::encode(&[], &mut out);
    Record::encode_eos(&mut out);
    footer(1, &mut out);
    Command::SwitchoverStart.encode(&mut out);
    SectionHeader::End { section_id: 1 }.encode(&mut out);
    Record::encode_eos(&mut out);
    footer(1, &mut out);
    SectionHeader::Full { section_id: 0, ident: ident("timer", 2) }.encode(&mut out);
    out.extend_from_slice(&[0; 24]);
    footer(0, &mut out);
    SectionHeader::Full { section_id: 3, ident: ident(GLOBALSTATE_IDSTR, GLOBALSTATE_VERSION) }.encode(&mut out);
    GlobalState::new("prelaunch", Some(false)).unwrap().encode(&mut out);
    footer(3, &mut out);
    out.push(EOF);
    assert_eq!(out.len(), END);
    let description = Description {
        configuration: Some(configuration.description()),
        page_bytes: Some(4096),
        devices: vec![device(timer()), device(GlobalState::description())],
    };
    Trailer::encode_description(&description.to_text(), &mut out);
    assert_eq!(out, RECORDED);
}

/// The next value of the stream; its octets are taken off.
fn next<'a, T>(stream: &mut &'a [u8], decode: impl FnOnce(&'a [u8]) -> DecodeResult<T>) -> T {
    let (value, used) = decode(stream).unwrap().complete().unwrap();
    *stream = &stream[used..];
    value
}

#[test]
fn the_whole_stream_is_read() {
    let mut stream = RECORDED;
    assert_eq!(next(&mut stream, Header::decode), Header);
    assert_eq!(next(&mut stream, Configuration::decode), Configuration::of_machine(name("none")));
    let start = SectionHeader::Start { section_id: 1, ident: ident("ram", 4) };
    assert_eq!(next(&mut stream, Element::decode), Element::Section(start));
    let record = |octets| Record::decode(octets, TargetPage::KIB_4);
    assert_eq!(next(&mut stream, record), Record::MemSize { total: 0 });
    assert_eq!(next(&mut stream, record), Record::Eos);
    next(&mut stream, |octets| Footer::decode(octets, 1));
    assert_eq!(next(&mut stream, Element::decode), Element::Command(Command::SwitchoverStart));
    assert_eq!(next(&mut stream, Element::decode), Element::Section(SectionHeader::End { section_id: 1 }));
    assert_eq!(next(&mut stream, record), Record::Eos);
    next(&mut stream, |octets| Footer::decode(octets, 1));
    let full = SectionHeader::Full { section_id: 0, ident: ident("timer", 2) };
    assert_eq!(next(&mut stream, Element::decode), Element::Section(full));
    stream = &stream[24..];
    next(&mut stream, |octets| Footer::decode(octets, 0));
    let full = SectionHeader::Full { section_id: 3, ident: ident("globalstate", 1) };
    assert_eq!(next(&mut stream, Element::decode), Element::Section(full));
    assert_eq!(next(&mut stream, GlobalState::decode).runstate(), "prelaunch");
    next(&mut stream, |octets| Footer::decode(octets, 3));
    assert_eq!(next(&mut stream, Element::decode), Element::Eof);
    assert_eq!(next(&mut stream, Trailer::decode), Trailer::Description { length: 823 });
    let description = description::read(stream).unwrap();
    let sizes: Vec<_> = description.devices.iter().map(Device::encoded_bytes).collect();
    assert_eq!(sizes, [Some(24), Some(104)]);
    assert_eq!(description.to_text().as_bytes(), stream);
}

#[test]
fn the_description_of_a_configuration_with_subsections_is_qemus() {
    let (configuration, _) = Configuration::decode(&WITH_CONFIGURATION[8..]).unwrap().complete().unwrap();
    let start = WITH_CONFIGURATION.windows(2).position(|octets| octets == b"{\"").unwrap();
    let text = &WITH_CONFIGURATION[start..];
    let description = description::read(text).unwrap();
    assert_eq!(description.to_text().as_bytes(), text);
    assert_eq!(description.configuration, Some(configuration.description()));
}
