//! Recorded streams of real QEMUs, edited.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failed test may panic")]

use std::io::Cursor;
use std::path::Path;

use proptest::prelude::*;
use vmferry_inspect::diff::{Diff, diff};
use vmferry_inspect::edit::{DescriptionEdit, DescriptionFate, EditError, Edited, Edits, edit};
use vmferry_inspect::{Analysis, Options, Source, Value, analyze};

const RECORDED: [&str; 9] = [
    "none-10.0.bin",
    "pc-5.2.bin.zst",
    "pc-7.2.bin.zst",
    "pc-10.0.bin.zst",
    "pc-11.1.bin.zst",
    "virt-aarch64-7.2.bin.zst",
    "virt-riscv64-10.0.bin.zst",
    "virt-riscv64-11.1.bin.zst",
    "lm3s811evb-7.2.bin.zst",
];

fn recorded(name: &str) -> Vec<u8> {
    let octets = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)).unwrap();
    if name.ends_with(".zst") { zstd::decode_all(&octets[..]).unwrap() } else { octets }
}

fn edited(octets: &[u8], edits: &Edits) -> Result<(Vec<u8>, Edited), EditError> {
    let mut output = Cursor::new(Vec::new());
    let done = edit(Source::from_octets(octets), &Options::default(), edits, &mut output, &mut ())?;
    assert_eq!(done.octets, output.get_ref().len() as u64);
    Ok((output.into_inner(), done))
}

fn refusal(octets: &[u8], edits: &Edits) -> String {
    edited(octets, edits).map(|_| ()).unwrap_err().to_string()
}

fn set(path: &str, value: &str) -> Edits {
    Edits { set: vec![(path.to_owned(), value.to_owned())], ..Edits::default() }
}

fn drop_subsection(path: &str) -> Edits {
    Edits { drop_subsections: vec![path.to_owned()], ..Edits::default() }
}

fn rename(old: &str, new: &str) -> Edits {
    Edits { rename: vec![(old.to_owned(), new.to_owned())], ..Edits::default() }
}

fn description(description: DescriptionEdit) -> Edits {
    Edits { description, ..Edits::default() }
}

fn analysis(octets: &[u8]) -> Analysis {
    analyze(Source::from_octets(octets), &Options::default(), &mut ()).unwrap()
}

fn compared(a: &[u8], b: &[u8]) -> Diff {
    let options = Options::default();
    diff(Source::from_octets(a), Source::from_octets(b), [&options, &options], &mut ()).unwrap()
}

fn lines(done: &Edited) -> Vec<String> {
    done.changes.iter().map(ToString::to_string).collect()
}

#[test]
fn without_edits_a_stream_is_copied_octet_for_octet() {
    for name in RECORDED {
        let octets = recorded(name);
        let (copy, done) = edited(&octets, &Edits::default()).unwrap();
        assert!(copy == octets, "{name}");
        assert_eq!((done.changes, done.description), (Vec::new(), DescriptionFate::Kept), "{name}");
        assert!(compared(&octets, &copy).is_equal(), "{name}");
    }
}

#[test]
fn every_scalar_of_a_stream_can_be_set_and_only_it_changes() {
    let octets = recorded("pc-10.0.bin.zst");
    let mut count = 0;
    for section in &analysis(&octets).sections {
        for (field, value) in &section.state.fields {
            let Value::Scalar(_) = value else { continue };
            let path = format!("{}/{}.{field}", section.name, section.instance_id);
            let new = if format!("{value:?}").contains("(1)") { "0" } else { "1" };
            match edited(&octets, &set(&path, new)) {
                Ok((result, done)) => {
                    assert_eq!(result.len(), octets.len(), "{path}");
                    let changed = octets.iter().zip(&result).filter(|(a, b)| a != b).count();
                    assert!(changed <= 8, "{path}: {changed}");
                    assert!(done.changes.iter().all(|change| change.path == path), "{path}: {:?}", lines(&done));
                    count += 1;
                }
                Err(error) => assert!(error.to_string().contains("may be any of"), "{path}: {error}"),
            }
        }
    }
    assert!(count > 50, "{count}");
}

#[test]
fn every_subsection_can_be_dropped_and_the_sizes_still_add_up() {
    let mut count = 0;
    for name in RECORDED {
        let octets = recorded(name);
        let mut paths = Vec::new();
        for section in &analysis(&octets).sections {
            subsections(&format!("{}/{}", section.name, section.instance_id), &section.state, &mut paths);
        }
        for path in paths {
            let (result, done) =
                edited(&octets, &drop_subsection(&path)).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(result.len() < octets.len());
            assert_eq!(done.description, DescriptionFate::Edited);
            let [change] = &done.changes[..] else { panic!("{path}: {:?}", lines(&done)) };
            assert_eq!((change.path.as_str(), change.kind.word(), &change.b), (path.as_str(), "subsection", &None));
            assert_eq!(analysis(&result).warnings, analysis(&octets).warnings);
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
}

fn subsections(path: &str, object: &vmferry_inspect::Object, paths: &mut Vec<String>) {
    for (name, value) in &object.fields {
        nested(&format!("{path}.{name}"), value, paths);
    }
    for (name, inner) in &object.subsections {
        let path = format!("{path}.{name}");
        paths.push(path.clone());
        subsections(&path, inner, paths);
    }
}

fn nested(path: &str, value: &Value, paths: &mut Vec<String>) {
    match value {
        Value::Object(object) => subsections(path, object, paths),
        Value::List(values) => {
            for (index, value) in values.iter().enumerate() {
                nested(&format!("{path}[{index}]"), value, paths);
            }
        }
        _ => {}
    }
}

#[test]
fn sections_and_blocks_get_new_names_of_any_length() {
    let octets = recorded("pc-10.0.bin.zst");
    for new in ["x", "a-much-longer-name-than-before"] {
        let (result, done) = edited(&octets, &rename("i8254", new)).unwrap();
        let names: Vec<_> = analysis(&result).sections.into_iter().map(|section| section.name).collect();
        assert!(names.contains(&new.to_owned()) && !names.contains(&"i8254".to_owned()), "{names:?}");
        assert_eq!(done.changes.len(), 2, "gone here, new there: {:?}", lines(&done));
        let (back, _) = edited(&result, &rename(new, "i8254")).unwrap();
        assert!(compared(&octets, &back).is_equal());

        let (result, done) = edited(&octets, &rename("pc.ram", new)).unwrap();
        assert_eq!(done.renamed_blocks, [("pc.ram".to_owned(), new.to_owned())]);
        let blocks = analysis(&result).ram.blocks;
        assert_eq!(blocks.iter().filter(|block| block.id == new).count(), 1);
        let (back, _) = edited(&result, &rename(new, "pc.ram")).unwrap();
        assert!(back == octets);
    }
    assert!(refusal(&octets, &rename("i8254", "i8259")).contains("is there already"));
    assert!(refusal(&octets, &rename("pc.ram", "pc.bios")).contains("is there already"));
    assert!(refusal(&octets, &rename("i8254", "")).contains("name"));
    assert!(refusal(&octets, &rename("i8254", &"x".repeat(256))).contains("255"));
    assert!(refusal(&octets, &rename("nothing", "x")).contains("no section and no RAM block"));
}

#[test]
fn the_machine_type_changes_in_the_stream_and_in_its_description() {
    let octets = recorded("pc-10.0.bin.zst");
    let edits = Edits { machine: Some("pc-i440fx-5.2-and-more".to_owned()), ..Edits::default() };
    let (result, done) = edited(&octets, &edits).unwrap();
    assert_eq!(lines(&done), ["configuration.machine: pc-i440fx-10.0 -> pc-i440fx-5.2-and-more"]);
    let text = String::from_utf8_lossy(&result).into_owned();
    assert!(
        text.contains(
            r#"{"name": "len", "type": "uint32", "size": 4}, {"name": "name", "type": "buffer", "size": 22}"#
        )
    );
    let edits = Edits { machine: Some("pc-i440fx-10.0".to_owned()), ..Edits::default() };
    assert!(edited(&result, &edits).unwrap().0 == octets, "and back");
    let edits = Edits { machine: Some("x".repeat(256)), ..Edits::default() };
    assert!(matches!(edited(&octets, &edits), Err(EditError::Unfit { .. })));
}

#[test]
fn a_stripped_stream_has_the_same_state_and_a_rebuilt_one_the_same_fields() {
    for name in RECORDED {
        let octets = recorded(name);
        let before = analysis(&octets);
        let (stripped, done) = edited(&octets, &description(DescriptionEdit::Strip)).unwrap();
        assert_eq!(done.description, DescriptionFate::Stripped);
        assert!(!analysis(&stripped).end.vmdesc && stripped.len() < octets.len());
        assert!(octets.starts_with(&stripped));
        assert!(compared(&octets, &stripped).is_equal(), "{name}");

        let (rebuilt, done) = edited(&octets, &description(DescriptionEdit::Rebuild)).unwrap();
        assert_eq!((done.description, done.changes), (DescriptionFate::Rebuilt, Vec::new()));
        let after = analysis(&rebuilt);
        assert_eq!((&after.sections, &after.warnings), (&before.sections, &before.warnings), "{name}");
        let (again, _) = edited(&rebuilt, &description(DescriptionEdit::Rebuild)).unwrap();
        assert!(again == rebuilt, "{name}: the second time changes nothing");
    }
}

#[test]
fn a_stream_without_description_has_no_map() {
    let octets = recorded("pc-10.0.bin.zst");
    let (stripped, _) = edited(&octets, &description(DescriptionEdit::Strip)).unwrap();
    for edits in [set("i8254/0.channels[0].count", "1"), drop_subsection("i8254/0.x")] {
        assert!(refusal(&stripped, &edits).contains("has no description"));
        assert!(refusal(&stripped, &Edits { force: true, ..edits }).contains("has no description"));
    }
    assert!(refusal(&stripped, &rename("i8254", "x")).contains("--force"));
    let (renamed, _) = edited(&stripped, &Edits { force: true, ..rename("i8254", "x") }).unwrap();
    assert!(analysis(&renamed).sections.iter().any(|section| section.name == "x"));
    assert!(refusal(&stripped, &description(DescriptionEdit::Rebuild)).contains("is a guess"));
    let forced = Edits { force: true, ..description(DescriptionEdit::Rebuild) };
    let (rebuilt, _) = edited(&stripped, &forced).unwrap();
    assert!(analysis(&rebuilt).end.vmdesc && compared(&octets, &rebuilt).is_equal());
}

#[test]
fn what_does_not_fit_is_said() {
    let octets = recorded("none-10.0.bin");
    let cases = [
        (
            set("timer/0.cpu_clock", "1"),
            "no \"cpu_clock\" in \"timer\", which has cpu_ticks_offset, unused, cpu_clock_offset",
        ),
        (set("clock/0.x", "1"), "no such section in the stream, which has timer/0, globalstate/0"),
        (set("timer/0.cpu_clock_offset", "0x10000000000000000"), "expected an integer from -9223372036854775808"),
        (set("timer/0.unused", "00"), "found 1 octets, expected the 8"),
        (set("timer/0.cpu_clock_offset[0]", "1"), "is no array"),
        (set("timer/0.cpu_clock_offset.x", "1"), "has no fields"),
        (set("timer", "1"), "a whole section"),
        (drop_subsection("timer/0.unused"), "a field, not a subsection"),
        (drop_subsection("configuration.configuration/uuid"), "no such subsection"),
        (drop_subsection("configuration.configuration/capabilities"), "says how the stream itself is read"),
    ];
    for (edits, expected) in cases {
        let found = refusal(&octets, &edits);
        assert!(found.contains(expected), "{found}");
    }
    // The instance may be left out.
    let (result, done) = edited(&octets, &set("timer.cpu_clock_offset", "-2")).unwrap();
    assert_eq!(lines(&done), ["timer/0.cpu_clock_offset: 0 -> -2"]);
    assert_eq!(result.len(), octets.len());
}

#[test]
fn only_a_whole_sound_stream_is_edited() {
    let octets = recorded("none-10.0.bin");
    assert!(matches!(edited(&octets[..100], &Edits::default()), Err(EditError::Truncated { offset: 100 })));
    assert!(matches!(edited(b"GIF89a and so on", &Edits::default()), Err(EditError::Analyze(_))));
}

proptest! {
    #[test]
    fn any_accepted_stream_is_copied_octet_for_octet(at in 0_usize..0x105, octet: u8, cut in 0x105_usize..0x443) {
        let mut octets = recorded("none-10.0.bin");
        octets[at] = octet;
        octets.truncate(cut);
        match edited(&octets, &Edits::default()) {
            Ok((copy, _)) => prop_assert_eq!(copy, octets),
            Err(EditError::Analyze(_) | EditError::Truncated { .. }) => {}
            Err(error) => prop_assert!(false, "{}", error),
        }
    }
}

#[test]
fn every_flipped_octet_is_copied_or_refused_and_no_edit_panics() {
    // Each octet of a small stream, damaged in two ways, with edits that lead into structures and subsections.
    let octets = recorded("none-10.0.bin");
    let edits = Edits {
        set: vec![("timer/0.cpu_clock_offset".to_owned(), "1".to_owned())],
        rename: vec![("timer".to_owned(), "clock".to_owned())],
        machine: Some("other".to_owned()),
        description: DescriptionEdit::Rebuild,
        ..Edits::default()
    };
    let mut copied = 0;
    for at in 0..octets.len() {
        for flip in [0x01, 0x80] {
            let mut damaged = octets.clone();
            damaged[at] ^= flip;
            match edited(&damaged, &Edits::default()) {
                Ok((copy, _)) => assert!(copy == damaged, "octet {at}"),
                Err(EditError::Analyze(_) | EditError::Truncated { .. }) => continue,
                Err(error) => panic!("octet {at}: {error}"),
            }
            copied += 1;
            for force in [false, true] {
                if let Ok((result, _)) = edited(&damaged, &Edits { force, ..edits.clone() }) {
                    assert!(edited(&result, &Edits::default()).unwrap().0 == result, "octet {at}");
                }
            }
        }
    }
    assert!(copied > 1000, "{copied}");
}
