//! The streams in `tests/data`: what is reported of them, and of what becomes of them when they are cut, damaged or
//! lied about.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failed test may panic")]

use std::io::Read;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use vmferry_inspect::{Analysis, AnalyzeError, Dialect, Object, Options, Source, StreamFault, Value, analyze, render};

const NONE: &[u8] = include_bytes!("data/none-10.0.bin");

/// Position of the end of the stream in [`NONE`]; its description follows.
const NONE_EOF: usize = 0x104;

const STREAMS: [&str; 8] = [
    "pc-5.2",
    "pc-7.2",
    "pc-10.0",
    "pc-11.1",
    "virt-riscv64-10.0",
    "virt-riscv64-11.1",
    "virt-aarch64-7.2",
    "lm3s811evb-7.2",
];

fn recorded(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(format!("{name}.bin.zst"));
    zstd::decode_all(&std::fs::read(path).unwrap()[..]).unwrap()
}

fn file(octets: &[u8]) -> Result<Analysis, AnalyzeError> {
    analyze(Source::from_octets(octets), &Options::default(), &mut ())
}

fn pipe(octets: &[u8]) -> Result<Analysis, AnalyzeError> {
    analyze(Source::pipe(octets), &Options::default(), &mut ())
}

fn text_of(outcome: &Result<Analysis, AnalyzeError>) -> String {
    match outcome {
        Ok(analysis) => analysis.to_json().unwrap(),
        Err(AnalyzeError::Malformed(fault)) => format!("{fault}\n{}", fault.partial.to_json().unwrap()),
        Err(error) => panic!("{error}"),
    }
}

/// The state of a device, by its name.
fn state<'a>(analysis: &'a Analysis, name: &str) -> &'a Object {
    let section = analysis.sections.iter().find(|section| section.name == name);
    &section.unwrap_or_else(|| panic!("no section {name}")).state
}

fn field<'a>(object: &'a Object, name: &str) -> &'a Value {
    &object.fields.iter().find(|(field, _)| field == name).unwrap_or_else(|| panic!("no field {name}")).1
}

fn json(value: &Value) -> String {
    serde_json::to_string(value).unwrap()
}

#[test]
fn the_document_has_the_form_of_the_contract() {
    let expected = r#"{
  "format": {
    "version": 3,
    "dialect": [
      "precopy"
    ]
  },
  "configuration": {
    "machine": "none"
  },
  "ram": {
    "page_size": 4096,
    "blocks": []
  },
  "sections": [
    {
      "name": "timer",
      "instance_id": 0,
      "section_id": 0,
      "version": 2,
      "offset": 78,
      "size": 24,
      "fields": {
        "cpu_ticks_offset": 0,
        "unused": "0000000000000000",
        "cpu_clock_offset": 0
      },
      "subsections": {}
    },
    {
      "name": "globalstate",
      "instance_id": 0,
      "section_id": 3,
      "version": 1,
      "offset": 126,
      "size": 104,
      "fields": {
        "size": 10,
        "runstate": "RUNSTATE",
        "has_vm_was_suspended": 1,
        "vm_was_suspended": 0,
        "unused": "UNUSED"
      },
      "subsections": {}
    }
  ],
  "commands": [
    {
      "name": "switchover-start",
      "offset": 55,
      "length": 0
    }
  ],
  "warnings": [],
  "end": {
    "eof": true,
    "vmdesc": true
  }
}"#;
    let expected = expected
        .replace("RUNSTATE", &format!("7072656c61756e6368{}", "00".repeat(23)))
        .replace("UNUSED", &"00".repeat(66));
    assert_eq!(file(NONE).unwrap().to_json().unwrap(), expected);
}

#[test]
fn every_recorded_stream_is_read_without_a_warning() {
    for name in STREAMS {
        let octets = recorded(name);
        let analysis = file(&octets).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(analysis.warnings, [], "{name}");
        assert!(analysis.end.eof && analysis.end.vmdesc, "{name}");
        assert_eq!(analysis.dialects, [Dialect::Precopy], "{name}");
        let target_pages = |bytes: u64| bytes / analysis.ram.page_bytes;
        assert_eq!(analysis.ram.page_bytes, if name.starts_with("lm3s") { 1024 } else { 4096 }, "{name}");
        for block in &analysis.ram.blocks {
            assert_eq!(block.distinct_pages, target_pages(block.used_bytes), "{name}: {}", block.id);
        }
        assert_eq!(text_of(&Ok(analysis)), text_of(&pipe(&octets)), "{name}");
    }
}

#[test]
fn fields_of_real_devices_have_their_values() {
    let analysis = file(&recorded("pc-7.2")).unwrap();
    // Two CPUs, told apart by their instance ids.
    let cpus: Vec<_> = analysis.sections.iter().filter(|section| section.name == "cpu").collect();
    assert_eq!(cpus.iter().map(|cpu| cpu.instance_id).collect::<Vec<_>>(), [0, 1]);
    // An x86 CPU at reset.
    assert_eq!(json(field(&cpus[0].state, "env.eip")), "65520");
    assert_eq!(json(field(&cpus[0].state, "env.a20_mask")), "-1");
    let (name, subsection) = &state(&analysis, "0000:00:02.0/e1000").subsections[0];
    assert_eq!(name, "e1000/mit_state");
    assert_eq!(json(field(subsection, "mit_irq_level")), "false");
    let riscv = file(&recorded("virt-riscv64-10.0")).unwrap();
    assert_eq!(json(field(state(&riscv, "cpu"), "env.pc")), "4096");
    let aarch64 = file(&recorded("virt-aarch64-7.2")).unwrap();
    assert_eq!(aarch64.configuration.unwrap().target_page.unwrap().bits(), 12);
}

#[test]
fn the_tree_names_every_section() {
    for name in STREAMS {
        let analysis = file(&recorded(name)).unwrap();
        let tree = render::tree(&analysis);
        for section in &analysis.sections {
            assert!(tree.contains(&format!("{} instance {}", section.name, section.instance_id)), "{name}");
        }
        assert!(tree.ends_with("end: complete, with description\n"));
    }
}

#[test]
fn a_device_can_be_picked() {
    let mut analysis = file(&recorded("pc-7.2")).unwrap();
    analysis.retain_device("e1000", None);
    assert_eq!(
        analysis.sections.iter().map(|section| section.name.as_str()).collect::<Vec<_>>(),
        ["0000:00:02.0/e1000"]
    );
    let mut analysis = file(&recorded("pc-7.2")).unwrap();
    analysis.retain_device("cpu", Some(1));
    assert_eq!(analysis.sections.len(), 1);
}

/// What must hold of any octets: an end, a place for every complaint, and the same answer from a file and from a pipe.
fn check_any(octets: &[u8]) -> Result<Analysis, AnalyzeError> {
    let outcome = file(octets);
    let end = octets.len() as u64;
    match &outcome {
        Ok(analysis) => {
            assert!(analysis.warnings.iter().all(|warning| warning.offset <= end));
            assert_eq!(analysis.is_truncated(), analysis.dialects.contains(&Dialect::Truncated));
            assert!(!analysis.is_truncated() || !analysis.warnings.is_empty());
        }
        Err(AnalyzeError::Malformed(fault)) => assert!(fault.offset <= end, "{fault}"),
        Err(error) => panic!("{error}"),
    }
    // A file's page size comes from the description, a pipe's from the records: damage to either may make them differ.
    let from_pipe = text_of(&pipe(octets));
    let page_size = |text: &str| text.lines().find(|line| line.contains("\"page_size\"")).map(str::to_owned);
    let from_file = text_of(&outcome);
    if page_size(&from_file) == page_size(&from_pipe) && !from_file.contains("in the description") {
        assert_eq!(from_file, from_pipe);
    }
    render::tree(match &outcome {
        Ok(analysis) => analysis,
        Err(AnalyzeError::Malformed(fault)) => &fault.partial,
        Err(error) => panic!("{error}"),
    });
    outcome
}

#[test]
fn every_prefix_of_a_stream_gives_what_was_read() {
    for cut in 0..NONE.len() {
        let analysis = check_any(&NONE[..cut]).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        assert_eq!(analysis.end.eof, cut > NONE_EOF, "cut at {cut}");
        assert!(!analysis.end.vmdesc);
        let at = analysis.warnings.last().map(|warning| warning.offset);
        if cut <= NONE_EOF {
            assert_eq!(at, Some(cut as u64), "the warning tells where the stream ends");
        }
    }
}

#[test]
fn prefixes_of_a_stream_with_devices_give_the_sections_before_the_cut() {
    let octets = recorded("pc-10.0");
    let whole = file(&octets).unwrap();
    // Every octet of the first devices, then a coarse step.
    let first = usize::try_from(whole.sections[0].offset).unwrap();
    for cut in (first..first + 900).chain((0..octets.len()).step_by(997)) {
        let analysis = check_any(&octets[..cut]).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        for (section, before) in analysis.sections.iter().zip(&whole.sections) {
            assert_eq!((&section.name, section.offset), (&before.name, before.offset), "cut at {cut}");
            let header = 14 + before.name.len() as u64;
            let end = before.offset + header + before.body_bytes + 5;
            assert!(section.body_bytes == before.body_bytes || end > cut as u64, "cut at {cut}");
        }
    }
}

#[test]
fn every_flipped_octet_of_a_stream_is_survived() {
    for at in 0..NONE.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut octets = NONE.to_vec();
            octets[at] ^= flip;
            let outcome = check_any(&octets);
            if at < 8 {
                assert!(outcome.is_err(), "a header with octet {at} flipped was accepted");
            }
        }
    }
}

#[test]
fn a_large_description_in_front_of_little_state_costs_little() {
    // A structure of no octets, repeated for ever, with a subsection that never comes.
    let inner = r#"{"vmsd_name": "i", "version": 1, "fields": [FIELDS]}"#
        .replace("FIELDS", &vec![r#"{"name": "x", "type": "buffer", "size": 0}"#; 20_000].join(", "));
    let field =
        format!(r#"{{"name": "s", "array_len": 4000000000000, "type": "struct", "struct": {inner}, "size": 0}}"#);
    let text = with_timer_fields(&field);
    let octets = [&NONE[..NONE_EOF + 1], &framed(&text)].concat();
    let analysis = file(&octets).unwrap();
    assert!(analysis.warnings.iter().any(|warning| warning.text.contains("values")), "{:?}", analysis.warnings);
    assert_eq!(json(field_of_timer(&analysis)), format!("\"{}\"", "00".repeat(24)));
}

fn field_of_timer(analysis: &Analysis) -> &Value {
    field(state(analysis, "timer"), "data")
}

fn framed(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap();
    [&[0x06][..], &length.to_be_bytes(), text.as_bytes()].concat()
}

/// The description of [`NONE`] with other fields for the device `timer`.
fn with_timer_fields(fields: &str) -> String {
    let text = std::str::from_utf8(&NONE[NONE_EOF + 6..]).unwrap();
    let start = text.find(r#"{"name": "cpu_ticks_offset"#).unwrap();
    let end = start + text[start..].find("]").unwrap();
    [&text[..start], fields, &text[end..]].concat()
}

#[test]
fn a_description_that_is_wrong_about_a_device_is_survived() {
    for (fields, what) in [
        (r#"{"name": "a", "type": "uint64", "size": 8}"#, "too short"),
        (r#"{"name": "a", "array_len": 4, "type": "uint64", "size": 8}"#, "too long"),
        (r#"{"name": "a", "array_len": 4000000000, "type": "uint64", "size": 8}"#, "far too long"),
        (r#"{"name": "a", "array_len": 18446744073709551615, "type": "uint64", "size": 8}"#, "beyond numbers"),
    ] {
        let octets = [&NONE[..NONE_EOF + 1], &framed(&with_timer_fields(fields))].concat();
        let analysis = check_any(&octets).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(json(field_of_timer(&analysis)), format!("\"{}\"", "00".repeat(24)), "{what}");
        let warning = &analysis.warnings[0];
        assert_eq!(warning.offset, 0x61, "{what}");
        assert!(warning.text.contains("\"timer\" instance 0") && warning.text.contains("another length"), "{what}");
        // The next device is read as if nothing were.
        assert_eq!(json(field(state(&analysis, "globalstate"), "size")), "10");
    }
}

#[test]
fn a_device_without_description_is_reported_as_octets() {
    let text = std::str::from_utf8(&NONE[NONE_EOF + 6..]).unwrap().replace(r#""name": "timer""#, r#""name": "other""#);
    let octets = [&NONE[..NONE_EOF + 1], &framed(&text)].concat();
    let analysis = check_any(&octets).unwrap();
    assert!(analysis.sections[0].is_end_guessed);
    let texts: Vec<_> = analysis.warnings.iter().map(|warning| warning.text.as_str()).collect();
    assert!(texts[0].contains("\"timer\" instance 0: it has no description"), "{texts:?}");
    assert!(texts[1].contains("the description has a device \"other\" instance 0"), "{texts:?}");
}

#[test]
fn a_stream_without_description_is_walked_by_its_footers() {
    let octets = recorded("pc-10.0");
    let whole = file(&octets).unwrap();
    let end = octets.windows(7).rposition(|head| head.starts_with(b"\0\x06") && head[6] == b'{').unwrap();
    let analysis = check_any(&octets[..=end]).unwrap();
    assert!(analysis.end.eof && !analysis.end.vmdesc);
    let places = |analysis: &Analysis| -> Vec<_> {
        analysis.sections.iter().map(|section| (section.name.clone(), section.offset, section.body_bytes)).collect()
    };
    assert_eq!(places(&analysis), places(&whole));
    assert!(analysis.warnings[0].text.contains("no description"), "{:?}", analysis.warnings);
    // The one section that is known without it.
    assert_eq!(state(&analysis, "globalstate"), state(&whole, "globalstate"));
}

/// Gives few octets at a time, as a pipe may.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.len().min(out.len()).min(333);
        out[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

#[test]
fn a_pipe_that_trickles_gives_the_same_report() {
    let octets = recorded("pc-10.0");
    let analysis = analyze(Source::pipe(Trickle(&octets)), &Options::default(), &mut ()).unwrap();
    assert_eq!(text_of(&Ok(analysis)), text_of(&file(&octets)));
}

#[test]
fn a_pipe_over_the_limit_is_decoded_when_the_description_arrives() {
    let octets = recorded("pc-10.0");
    let whole = file(&octets).unwrap();
    let mut options = Options::default();
    options.spool_bytes_limit = 1000;
    let analysis = analyze(Source::pipe(Trickle(&octets)), &options, &mut ()).unwrap();
    assert_eq!(analysis.sections, whole.sections);
    assert_eq!(analysis.warnings.len(), 1);
    assert!(analysis.warnings[0].text.contains("more than 1000 octets"), "{:?}", analysis.warnings);
}

#[test]
fn octets_behind_the_description_are_reported_and_ignored() {
    let octets = [NONE, &[0x55; 4096]].concat();
    let analysis = check_any(&octets).unwrap();
    assert!(analysis.end.vmdesc);
    assert_eq!(analysis.warnings[0].offset, NONE.len() as u64);
    assert!(analysis.warnings[0].text.contains("4096 octets behind the description"));
}

#[test]
fn a_stream_without_configuration_is_read() {
    let octets = [&NONE[..8], &NONE[0x11..]].concat();
    let analysis = check_any(&octets).unwrap();
    assert!(analysis.configuration.is_none());
    assert_eq!(analysis.sections.len(), 2);
    assert!(analysis.warnings[0].text.contains("no configuration section"));
}

#[test]
fn what_is_no_stream_is_refused() {
    for octets in [&b"\x7fELF\x02\x01\x01\0"[..], b"abc", b"QEVN", b"QEVM\0\0\0\x02", b"QEVM\0\0\0\x04"] {
        let Err(AnalyzeError::Malformed(fault)) = check_any(octets) else { panic!("{octets:?} was accepted") };
        assert!(matches!(fault.reason, StreamFault::Wire(_)), "{fault}");
    }
}

#[test]
fn faults_name_the_section_and_the_offset() {
    // A page of a block that is not in the list, in the END of RAM.
    let mut octets = NONE.to_vec();
    octets.splice(0x41..0x41, *b"\0\0\0\0\0\0\x10\x08\x04none");
    let Err(AnalyzeError::Malformed(fault)) = check_any(&octets) else { panic!("accepted") };
    assert_eq!((fault.offset, fault.section.as_ref()), (0x41, Some(&("ram".to_owned(), 0))));
    assert_eq!(fault.reason, StreamFault::UnknownBlock { name: "none".to_owned() });
    assert_eq!(
        fault.to_string(),
        "at offset 0x41, section \"ram\" instance 0: RAM block \"none\" is not in the list of blocks"
    );
    // What was read before is kept.
    assert_eq!(fault.partial.commands.len(), 1);
}

#[test]
fn a_damaged_footer_is_named() {
    let mut octets = NONE.to_vec();
    octets[0x7d] ^= 0x40;
    let Err(AnalyzeError::Malformed(fault)) = check_any(&octets) else { panic!("accepted") };
    let expected =
        "at offset 0x7a, section \"timer\" instance 0: mismatched section id in the footer: 64, but the section's is 0";
    assert_eq!(fault.to_string(), expected);
    octets[0x79] = 0;
    let Err(AnalyzeError::Malformed(fault)) = check_any(&octets) else { panic!("accepted") };
    assert!(fault.to_string().contains("missing section footer: found octet 0x00"), "{fault}");
}

#[test]
fn a_pipe_finds_the_page_size_in_the_records() {
    let text = std::str::from_utf8(&NONE[NONE_EOF + 6..]).unwrap();
    for bits in 10..=16 {
        let page = 1_u64 << bits;
        let list = [&((4 * page) | 4).to_be_bytes()[..], b"\x01b", &(4 * page).to_be_bytes()].concat();
        let header = |offset: u64, flags: u64| (offset | flags).to_be_bytes();
        let contents = vec![0xa5; usize::try_from(page).unwrap()];
        // The contents of the second page come after a zero one, so that one page was counted in another unit.
        let records = [
            &header(0, 0x02)[..],
            b"\x01b\0",
            &header(page, 0x28),
            &contents,
            &header(2 * page, 0x22),
            b"\0",
            &header(3 * page, 0x28),
            &contents,
        ];
        let mut octets = with_ram(&list, &records.concat());
        octets.truncate(octets.len() - text.len() - 5);
        octets.extend(framed(&text.replace("4096", &page.to_string())));
        let analysis = pipe(&octets).unwrap();
        assert_eq!(analysis.warnings, [], "pages of {page}");
        assert_eq!(analysis.ram.page_bytes, page);
        let block = &analysis.ram.blocks[0];
        assert_eq!((block.normal_pages, block.zero_pages, block.distinct_pages), (2, 2, 4), "pages of {page}");
        assert_eq!(text_of(&Ok(analysis)), text_of(&file(&octets)));
    }
}

/// A stream whose RAM body is `list` and the octets of `records`.
fn with_ram(list: &[u8], records: &[u8]) -> Vec<u8> {
    [&NONE[..0x22], list, &NONE[0x2a..0x41], records, &NONE[0x41..]].concat()
}

const ONE_BLOCK: &[u8] = b"\0\0\0\0\0\0\x20\x04\x01b\0\0\0\0\0\0\x20\0";

#[test]
fn hostile_ram_is_refused() {
    let cases: [(&[u8], &[u8], StreamFault); 4] = [
        (ONE_BLOCK, b"\0\0\0\0\0\0\0\x22\0", StreamFault::ContinueFirst),
        (
            ONE_BLOCK,
            b"\0\0\0\0\0\0\x20\x02\x01b\0",
            StreamFault::PageOutsideBlock { block: "b".into(), page_offset: 0x2000, used_bytes: 0x2000 },
        ),
        (
            ONE_BLOCK,
            b"\xff\xff\xff\xff\xff\xff\xf0\x02\x01b\0",
            StreamFault::PageOutsideBlock { block: "b".into(), page_offset: !0xfff, used_bytes: 0x2000 },
        ),
        (ONE_BLOCK, b"\0\0\0\0\0\0\x10\x04\x01b\0\0\0\0\0\0\x10\0", StreamFault::BlockListChanged),
    ];
    for (list, records, expected) in cases {
        let Err(AnalyzeError::Malformed(fault)) = check_any(&with_ram(list, records)) else { panic!("{expected}") };
        assert_eq!(fault.reason, expected);
    }
    // The same list again is what a reader may meet.
    let analysis = check_any(&with_ram(ONE_BLOCK, &[ONE_BLOCK, b"\0\0\0\0\0\0\x10\x02\x01b\0"].concat())).unwrap();
    assert_eq!((analysis.ram.blocks[0].zero_pages, analysis.ram.blocks[0].distinct_pages), (1, 1));
}

#[test]
fn a_block_of_announced_petabytes_costs_what_was_sent() {
    let list = b"\0\x80\0\0\0\0\0\x04\x01b\0\x80\0\0\0\0\0\0";
    let page = b"\0\x7f\xff\xff\xff\xff\xf0\x02\x01b\0";
    let analysis = check_any(&with_ram(list, page)).unwrap();
    assert_eq!(analysis.ram.blocks[0].zero_pages, 1);
    assert!(analysis.warnings.iter().any(|warning| warning.text.contains("lower bound")), "{:?}", analysis.warnings);
}

#[test]
fn sections_without_end_are_bounded() {
    let endless = |section: &dyn Fn(u32) -> Vec<u8>| {
        let sections = (1..20_000).flat_map(section);
        NONE[..0x11].iter().copied().chain(sections).chain([0]).collect::<Vec<u8>>()
    };
    let ram = |id: u32| {
        [&[1][..], &id.to_be_bytes(), &NONE[0x16..0x22], b"\0\0\0\0\0\0\0\x10\x7e", &id.to_be_bytes()].concat()
    };
    let device = |_| NONE[0x4e..0x7e].to_vec();
    for octets in [endless(&ram), endless(&device)] {
        let Err(AnalyzeError::Malformed(fault)) = check_any(&octets) else { panic!("accepted") };
        assert!(matches!(fault.reason, StreamFault::TooManySections { .. }), "{fault}");
    }
    // A part for every section costs nothing.
    let parts = endless(&|_| b"\x02\0\0\0\x01\0\0\0\0\0\0\0\x10\x7e\0\0\0\x01".to_vec());
    let octets = [&NONE[..0x37], &parts[0x11..]].concat();
    assert!(check_any(&octets).unwrap().sections.is_empty());
    // Commands and warnings beyond their limits are counted.
    let pings = endless(&|_| b"\x08\0\x02\0\x04\0\0\0\x01".repeat(5));
    let analysis = check_any(&pings).unwrap();
    assert!(analysis.warnings[0].text.contains("34459 further commands are left out"), "{:?}", analysis.warnings);
}

#[test]
fn packages_are_walked_in_place_and_bounded() {
    let package = |octets: &[u8], length: u32| {
        [&NONE[..0x37], b"\x08\0\x07\0\x04", &length.to_be_bytes(), octets, &NONE[0x37..]].concat()
    };
    let nested = b"\x08\0\x04\0\0\x04\0\0\0\x00\x05timer\0\0\0\0\0\0\0\x02abc\x7e\0\0\0\0\x08\0\x05\0\0";
    let analysis = check_any(&package(nested, u32::try_from(nested.len()).unwrap())).unwrap();
    assert!(analysis.dialects.contains(&Dialect::Postcopy));
    assert_eq!(analysis.sections[0].body_bytes, 3);
    let short = package(nested, 30);
    let Err(AnalyzeError::Malformed(fault)) = check_any(&short) else { panic!("accepted") };
    assert!(matches!(fault.reason, StreamFault::PackageOverrun { .. }), "{fault}");
    let inner = b"\x08\0\x07\0\x04\0\0\0\x05\x08\0\x05\0\0";
    let Err(AnalyzeError::Malformed(fault)) = check_any(&package(inner, 14)) else { panic!("accepted") };
    assert_eq!(fault.reason, StreamFault::NestedPackage);
}

proptest! {
    // The same cases each time; the fuzz targets look for others.
    #![proptest_config(ProptestConfig {
        cases: 64,
        rng_seed: RngSeed::Fixed(0x5145_564d),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn damaged_streams_are_survived(
        stream in 0..STREAMS.len(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        is_near_the_end in any::<bool>(),
    ) {
        let mut octets = recorded(STREAMS[stream]);
        let from = if is_near_the_end { octets.len().saturating_sub(60_000) } else { 0 };
        for (at, value) in flips {
            let at = from + at.index(octets.len() - from);
            octets[at] = value;
        }
        let _ = check_any(&octets);
    }

    #[test]
    fn spliced_streams_are_survived(
        stream in 0..STREAMS.len(),
        at in any::<prop::sample::Index>(),
        removed in 0..40_usize,
        inserted in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut octets = recorded(STREAMS[stream]);
        let at = at.index(octets.len());
        let end = (at + removed).min(octets.len());
        octets.splice(at..end, inserted);
        let _ = check_any(&octets);
    }
}
