//! What must hold for every value and every cut: round trips, and truncation that asks for more instead of failing.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failed test may panic")]

use std::fmt::Debug;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use vmferry_wire::command::{Advise, Command, DiscardRange};
use vmferry_wire::configuration::Configuration;
use vmferry_wire::description::{self, Contents, Description, Device, DeviceBody, Field, Vmsd};
use vmferry_wire::end::Trailer;
use vmferry_wire::globalstate::GlobalState;
use vmferry_wire::header::Header;
use vmferry_wire::ram::block_list::{BlockEntry, EntryLayout, MappedRamHeader, PageSizeWord};
use vmferry_wire::ram::{BlockRef, PageKind, PageRecord, Record, TargetPage};
use vmferry_wire::return_path::ReturnPathMessage;
use vmferry_wire::section::{Element, Footer, SectionHeader, SectionIdent};
use vmferry_wire::{DecodeResult, Decoded, Name};

/// Every proper prefix of `octets` asks for more, and for no more than there is; the whole is `value`, whatever follows
/// it.
fn assert_round_trip<T: PartialEq + Debug>(octets: &[u8], value: &T, decode: impl Fn(&[u8]) -> DecodeResult<T>) {
    for cut in 0..octets.len() {
        match decode(&octets[..cut]).unwrap() {
            Decoded::NeedMore { total } => assert!(total > cut && total <= octets.len(), "{total} at {cut}"),
            Decoded::Complete { .. } => panic!("complete at {cut} of {}", octets.len()),
        }
    }
    let mut longer = octets.to_vec();
    longer.extend_from_slice(&[0xaa; 3]);
    let (read, used) = decode(&longer).unwrap().complete().unwrap();
    assert_eq!((&read, used), (value, octets.len()));
}

fn encoded<T>(value: &T, encode: impl Fn(&T, &mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(value, &mut out);
    out
}

fn name() -> impl Strategy<Value = Name> {
    "[a-z0-9:./@é-]{1,60}".prop_map(|text| Name::new(&text, "test").unwrap())
}

fn command() -> impl Strategy<Value = Command> {
    let range = any::<(u64, u64)>().prop_map(|(start, length)| DiscardRange { start, length });
    prop_oneof![
        Just(Command::OpenReturnPath),
        any::<u32>().prop_map(Command::Ping),
        Just(Command::PostcopyAdvise(None)),
        any::<(u64, u64)>().prop_map(|(page_size_summary, target_page_bytes)| {
            Command::PostcopyAdvise(Some(Advise { page_size_summary, target_page_bytes }))
        }),
        Just(Command::PostcopyListen),
        Just(Command::PostcopyRun),
        (name(), prop::collection::vec(range, 1..=12))
            .prop_map(|(block, ranges)| Command::PostcopyRamDiscard { block, ranges }),
        any::<u32>().prop_map(|length| Command::Packaged { length }),
        Just(Command::EnableColo),
        Just(Command::PostcopyResume),
        name().prop_map(|block| Command::RecvBitmap { block }),
        Just(Command::SwitchoverStart),
    ]
}

fn header() -> impl Strategy<Value = SectionHeader> {
    let ident = (name(), any::<u32>(), any::<u32>()).prop_map(|(idstr, instance_id, version_id)| SectionIdent {
        idstr,
        instance_id,
        version_id,
    });
    (any::<u32>(), ident, 0..4).prop_map(|(section_id, ident, kind)| match kind {
        0 => SectionHeader::Start { section_id, ident },
        1 => SectionHeader::Part { section_id },
        2 => SectionHeader::End { section_id },
        _ => SectionHeader::Full { section_id, ident },
    })
}

fn message() -> impl Strategy<Value = ReturnPathMessage> {
    prop_oneof![
        any::<u32>().prop_map(ReturnPathMessage::Shut),
        any::<u32>().prop_map(ReturnPathMessage::Pong),
        (any::<(u64, u32)>(), prop::option::of(name()))
            .prop_map(|((start, length), block)| ReturnPathMessage::ReqPages { start, length, block }),
        name().prop_map(|block| ReturnPathMessage::RecvBitmap { block }),
        Just(ReturnPathMessage::ResumeAck),
        Just(ReturnPathMessage::SwitchoverAck),
    ]
}

fn configuration() -> impl Strategy<Value = Configuration> {
    let page = (10..=20_u32).prop_map(|bits| TargetPage::from_bits(bits).unwrap());
    let capabilities = prop::collection::vec(name(), 0..4);
    (name(), prop::option::of(page), prop::option::of(capabilities), any::<Option<[u8; 16]>>()).prop_map(
        |(machine, target_page, capabilities, uuid)| Configuration { machine, target_page, capabilities, uuid },
    )
}

fn vmsd() -> impl Strategy<Value = Vmsd> {
    let field = (r#"[ -~é\n𝄞]{1,12}"#, prop::option::of(0..9_u64), any::<bool>(), 0..1000_u64).prop_map(
        |(name, number, is_array, size)| Field {
            array_len: number.filter(|_| is_array),
            index: number.filter(|_| !is_array),
            ..Field::scalar(&name, "uint8", size)
        },
    );
    let leaf = ("[a-z/]{1,9}", any::<u32>(), prop::collection::vec(field, 0..4))
        .prop_map(|(name, version, fields)| Vmsd { name, version, fields, subsections: Vec::new() });
    leaf.prop_recursive(3, 12, 3, |inner| {
        (inner.clone(), prop::collection::vec(inner, 0..3), 0..3).prop_map(|(mut vmsd, others, kind)| {
            let (name, size) = (vmsd.name.clone(), 7);
            match kind {
                0 => vmsd.subsections = others,
                1 if !others.is_empty() => {
                    let contents = Contents::Flat(others);
                    vmsd.fields.push(Field { contents, ..Field::scalar(&name, "qtailq", size) });
                }
                _ => vmsd.fields.extend(others.into_iter().map(|other| Field {
                    contents: Contents::Struct(Box::new(other)),
                    ..Field::scalar(&name, "struct", size)
                })),
            }
            vmsd
        })
    })
}

proptest! {
    // The same cases each time; the fuzz targets look for others.
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(0x5145_564d),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn commands(command in command()) {
        let octets = encoded(&command, Command::encode);
        assert_round_trip(&octets, &command, Command::decode);
        assert_round_trip(&octets, &Element::Command(command), Element::decode);
    }

    #[test]
    fn section_headers_and_footers(header in header()) {
        let octets = encoded(&header, SectionHeader::encode);
        let section_id = header.section_id();
        assert_round_trip(&octets, &Element::Section(header), Element::decode);
        let footer = Footer { section_id };
        assert_round_trip(&encoded(&footer, Footer::encode), &footer, |octets| Footer::decode(octets, section_id));
    }

    #[test]
    fn return_path_messages(message in message()) {
        assert_round_trip(&encoded(&message, ReturnPathMessage::encode), &message, ReturnPathMessage::decode);
    }

    #[test]
    fn configurations(configuration in configuration()) {
        let mut octets = encoded(&configuration, Configuration::encode);
        let length = octets.len();
        // One octet of look-ahead tells that no subsection follows.
        octets.push(0x01);
        for cut in 0..octets.len() {
            let decoded = Configuration::decode(&octets[..cut]).unwrap();
            let wants = cut + 1..=octets.len();
            let is_short = matches!(decoded, Decoded::NeedMore { total } if wants.contains(&total));
            prop_assert!(is_short, "at {}: {:?}", cut, decoded);
        }
        let decoded = Configuration::decode(&octets).unwrap().complete().unwrap();
        prop_assert_eq!(decoded, (configuration.clone(), length));
        // The type octet is outside the description.
        prop_assert_eq!(configuration.description().encoded_bytes(), Some(length as u64 - 1));
    }

    #[test]
    fn global_states(runstate in "[a-z-]{1,31}", suspended in any::<Option<bool>>()) {
        let state = GlobalState::new(&runstate, suspended).unwrap();
        assert_round_trip(&encoded(&state, GlobalState::encode), &state, GlobalState::decode);
    }

    #[test]
    fn block_entries(
        name in name(), pages in 1..1_u64 << 40, page_bits in prop::option::of(12..40_u32),
        guest_address in any::<Option<u64>>(), mapped in any::<Option<(u64, u64)>>(),
    ) {
        let page = TargetPage::KIB_4;
        let mapped_ram = mapped.map(|(bitmap_offset, pages_offset)| {
            MappedRamHeader { page_bytes: page.bytes(), bitmap_offset, pages_offset }
        });
        let page_bytes = page_bits.map(|bits| 1 << bits);
        let entry = BlockEntry { name, used_bytes: pages * page.bytes(), page_bytes, guest_address, mapped_ram };
        let page_size = if page_bytes.is_some() { PageSizeWord::Present } else { PageSizeWord::Absent };
        let (guest_address, mapped_ram) = (guest_address.is_some(), mapped_ram.is_some());
        let layout = EntryLayout { page_size, guest_address, mapped_ram };
        let decode = |octets: &[u8]| BlockEntry::decode(octets, layout, page);
        assert_round_trip(&encoded(&entry, BlockEntry::encode), &entry, decode);
    }

    #[test]
    fn page_records(name in prop::option::of(name()), page_number in 0..1_u64 << 44, length in 0..=4096_u16) {
        let (offset, page) = (page_number * 4096, TargetPage::KIB_4);
        let block = name.as_ref().map_or(BlockRef::Same, |name| BlockRef::Named(name));
        let record = |kind, contents_bytes| Record::Page(PageRecord { offset, block, kind, contents_bytes });
        let mut octets = Vec::new();
        Record::encode_normal_page(&mut octets, offset, name.as_ref());
        check_record(&octets, record(PageKind::Normal, 4096), page);
        octets.clear();
        Record::encode_zero_page(&mut octets, offset, name.as_ref());
        check_record(&octets, record(PageKind::Zero, 0), page);
        octets.clear();
        Record::encode_xbzrle_page(&mut octets, offset, name.as_ref(), length);
        check_record(&octets, record(PageKind::Xbzrle, u32::from(length)), page);
    }

    #[test]
    fn descriptions(
        configuration in prop::option::of(vmsd()), page_bytes in any::<Option<u64>>(),
        vmsds in prop::collection::vec((vmsd(), any::<u32>(), any::<Option<u64>>()), 0..4),
    ) {
        let device = |(vmsd, instance_id, opaque): (Vmsd, u32, Option<u64>)| Device {
            idstr: vmsd.name.clone(),
            instance_id,
            body: opaque.map_or(DeviceBody::Vmsd(vmsd), DeviceBody::Opaque),
        };
        let devices = vmsds.into_iter().map(device).collect();
        let description = Description { configuration, page_bytes, devices };
        let text = description.to_text();
        prop_assert!(text.is_ascii());
        prop_assert_eq!(description::read(text.as_bytes()).unwrap(), description);
    }

    #[test]
    fn no_octets_make_a_decoder_panic_or_ask_for_what_it_has(octets in prop::collection::vec(any::<u8>(), 0..80)) {
        fn check<T>(octets: &[u8], decoded: DecodeResult<T>) {
            match decoded {
                Ok(Decoded::Complete { used, .. }) => assert!(used <= octets.len()),
                Ok(Decoded::NeedMore { total }) => assert!(total > octets.len()),
                Err(error) => assert!(error.offset() <= octets.len() as u64),
            }
        }
        check(&octets, Header::decode(&octets));
        check(&octets, Element::decode(&octets));
        check(&octets, Command::decode(&octets));
        check(&octets, Footer::decode(&octets, 0));
        check(&octets, Configuration::decode(&octets));
        check(&octets, Trailer::decode(&octets));
        check(&octets, ReturnPathMessage::decode(&octets));
        check(&octets, Record::decode(&octets, TargetPage::KIB_4));
        let layout = EntryLayout { page_size: PageSizeWord::Detect, guest_address: false, mapped_ram: false };
        check(&octets, BlockEntry::decode(&octets, layout, TargetPage::KIB_4));
        let _ = description::read(&octets);
    }
}

fn check_record(octets: &[u8], record: Record<'_>, page: TargetPage) {
    for cut in 0..octets.len() {
        assert!(matches!(Record::decode(&octets[..cut], page).unwrap(), Decoded::NeedMore { .. }));
    }
    assert_eq!(Record::decode(octets, page).unwrap().complete().unwrap(), (record, octets.len()));
}

/// `docs/spec/vmdesc.md` section A5: arrays of pointers as QEMU 10.0 describes them.
#[test]
fn descriptions_of_pointer_arrays_are_read_and_written() {
    let element =
        r#""struct": {"vmsd_name": "i", "version": 0, "fields": [{"name": "v", "type": "int32", "size": 4}]}"#;
    let device = |fields: &str| {
        let head = r#"{"devices": [{"name": "d", "instance_id": 0, "vmsd_name": "d", "version": 1, "fields": ["#;
        format!("{head}{fields}]}}]}}")
    };
    let runs = [
        r#"{"name": "ar", "array_len": 2, "type": "nullptr", "size": 1}"#.to_owned(),
        format!(r#"{{"name": "ar", "array_len": 2, "type": "struct", {element}, "size": 4}}"#),
        r#"{"name": "ar", "type": "nullptr", "size": 1}"#.to_owned(),
        format!(r#"{{"name": "ar", "type": "struct", {element}, "size": 4}}"#),
    ]
    .join(", ");
    for (fields, octets) in [
        (runs.as_str(), 2 + 8 + 1 + 4),
        (r#"{"name": "ar", "array_len": 6, "type": "nullptr", "size": 1}"#, 6),
        (r#"{"name": "ar", "index": 0, "type": "uint8", "size": 1}, {"name": "ar", "type": "uint8", "size": 1}"#, 2),
    ] {
        let text = device(fields);
        let description = description::read(text.as_bytes()).unwrap();
        assert_eq!(description.devices[0].encoded_bytes(), Some(octets));
        assert_eq!(description.to_text(), text);
    }
}
