//! A recorded stream, and edits of it, against the machine that saved it: each rule with a stream that has it.

use std::io::Cursor;
use std::sync::LazyLock;

use serde_json::{Value, json};
use vmferry_inspect::check::stream::{Destination, ReadError, Recorded, StreamReport, check_stream};
use vmferry_inspect::check::{Renames, Schema, Verdict};
use vmferry_inspect::edit::{DescriptionEdit, Edits, edit};
use vmferry_inspect::{Options, Source};

/// A paused machine of QEMU 10.0 (`tests/data/README.md`).
static FRESH: LazyLock<Vec<u8>> =
    LazyLock::new(|| zstd::decode_all(&include_bytes!("../data/pc-10.0.bin.zst")[..]).unwrap());

fn read(octets: &[u8]) -> Recorded {
    Recorded::read(Source::from_octets(octets), &Options::default(), &mut ()).unwrap()
}

fn edited(change: impl FnOnce(&mut Edits)) -> Vec<u8> {
    let mut edits = Edits { force: true, ..Edits::default() };
    change(&mut edits);
    let mut output = Cursor::new(Vec::new());
    edit(Source::from_octets(&FRESH), &Options::default(), &edits, &mut output, &mut ()).unwrap();
    output.into_inner()
}

/// The edited stream, loaded by the machine that saved the other.
fn against_reference(change: impl FnOnce(&mut Edits)) -> StreamReport {
    report(&edited(change), &FRESH)
}

fn report(stream: &[u8], reference: &[u8]) -> StreamReport {
    let (stream, reference) = (read(stream), read(reference));
    let mut destination = Destination::default();
    destination.reference = Some(&reference);
    check_stream(&stream, &destination, &Renames::default()).unwrap()
}

fn findings(report: &StreamReport) -> Vec<String> {
    report.findings.iter().map(|finding| format!("{} {} {}", finding.severity, finding.rule, finding.path)).collect()
}

/// Sets one octet of a body that the description shows as a buffer of octets.
fn with_octet(name: &str, at_config: usize, value: u8) -> Vec<u8> {
    let mut octets = FRESH.clone();
    let header = [&[u8::try_from(name.len()).unwrap()], name.as_bytes()].concat();
    // The id string is in the section's header, before its body; RAM blocks of the device have longer names.
    let mut places = octets.windows(header.len()).enumerate().filter(|(_, window)| *window == header);
    let at = places.next().unwrap().0 + header.len() + 8;
    assert_eq!(octets[at..at + 4], [0, 0, 0, 2], "the version of a PCI device");
    octets[at + 4 + at_config] = value;
    octets
}

#[test]
fn the_machine_that_saved_a_stream_loads_it() {
    let report = against_reference(|_| {});
    assert_eq!((report.verdict(), findings(&report)), (Verdict::Compatible, vec![]));
    let document: Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
    assert_eq!(
        document,
        json!({"verdict": "compatible", "findings": [], "level": "reference", "machine": "pc-i440fx-10.0", "dropped": 0})
    );
}

#[test]
fn another_machine_type_is_refused_by_name() {
    let report = against_reference(|edits| edits.machine = Some("pc-i440fx-9.2".to_owned()));
    assert_eq!(findings(&report), ["break stream-machine-type machine"]);
    let finding = &report.findings[0];
    assert_eq!((finding.found.as_str(), finding.expected.as_str()), ("pc-i440fx-9.2", "pc-i440fx-10.0"));
}

#[test]
fn ram_must_be_there_in_its_size() {
    let rename = |edits: &mut Edits| edits.rename.push(("pc.ram".to_owned(), "m0".to_owned()));
    let report = against_reference(rename);
    assert_eq!(findings(&report), ["break stream-ram-block ram.m0", "info stream-ram-block ram.pc.ram"]);
    // Of the destination it may have more.
    let other_way = self::report(&FRESH, &edited(rename));
    assert_eq!(other_way.verdict(), Verdict::Incompatible);
}

#[test]
fn a_section_must_have_its_device() {
    let rename = |edits: &mut Edits| {
        edits.rename.push(("0000:00:03.0/uhci".to_owned(), "0000:00:04.0/uhci".to_owned()));
    };
    let report = against_reference(rename);
    assert_eq!(
        findings(&report),
        ["break stream-section 0000:00:04.0/uhci/0", "info stream-section-lacking 0000:00:03.0/uhci/0",]
    );
    assert!(report.findings[0].offset.is_some_and(|offset| offset > 0));
}

#[test]
fn values_that_a_codec_compares_are_compared() {
    let report = against_reference(|edits| edits.set.push(("PCIBUS/0.nirq".to_owned(), "5".to_owned())));
    assert_eq!(findings(&report), ["break stream-compared-value PCIBUS/0.nirq"]);
    let report = against_reference(|edits| edits.set.push(("timer/0.cpu_clock_offset".to_owned(), "5".to_owned())));
    assert_eq!(report.verdict(), Verdict::Compatible, "a value that the guest changes");
}

#[test]
fn configuration_space_is_compared_where_the_guest_cannot_write() {
    let report = self::report(&with_octet("0000:00:03.0/uhci", 0x02, 0x13), &FRESH);
    assert_eq!(findings(&report), ["break stream-pci-configuration 0000:00:03.0/uhci/0.dev.config[0].config[0x2]"]);
    let command = self::report(&with_octet("0000:00:03.0/uhci", 0x04, 0x07), &FRESH);
    assert_eq!(command.verdict(), Verdict::Compatible, "the command register");
    let vectors = self::report(&with_octet("0000:00:02.0/virtio-rng", 0x34, 0x40), &FRESH);
    assert_eq!(
        findings(&vectors),
        ["break stream-pci-configuration 0000:00:02.0/virtio-rng/0.virtio.config[0x34]"],
        "what follows cannot be read then, and is not guessed at"
    );
}

#[test]
fn a_stream_without_a_description_is_asked_about() {
    let report = against_reference(|edits| edits.description = DescriptionEdit::Strip);
    assert_eq!(report.verdict(), Verdict::Depends);
    assert!(findings(&report).iter().all(|finding| finding.starts_with("risk stream-not-compared ")), "{report:#?}");
    assert!(report.findings.iter().all(|finding| finding.question.is_some()));
}

/// Where the last section begins.
fn read_to_last_section() -> u64 {
    let analysis = vmferry_inspect::analyze(Source::from_octets(&FRESH), &Options::default(), &mut ()).unwrap();
    analysis.sections.last().unwrap().offset
}

#[test]
fn two_streams_without_a_description_are_not_called_compatible() {
    let strip = |edits: &mut Edits| edits.description = DescriptionEdit::Strip;
    let report = self::report(&edited(strip), &edited(strip));
    assert_eq!(report.verdict(), Verdict::Depends, "{report:#?}");
    assert!(findings(&report).iter().any(|finding| finding == "risk stream-not-compared PCIBUS/0"), "{report:#?}");
}

#[test]
fn a_stream_that_is_cut_loads_nowhere() {
    let cut = |len| Recorded::read(Source::from_octets(&FRESH[..len]), &Options::default(), &mut ());
    assert!(matches!(cut(100), Err(ReadError::Truncated { offset: 100 })), "{:?}", cut(100));
    // The description behind its end is no part of what is loaded.
    let end = usize::try_from(read_to_last_section()).unwrap();
    for len in (0..end).step_by(4999) {
        assert!(cut(len).is_err(), "{len}");
    }
}

/// A dump of QEMU's form: one class with a section `uhci` of this version, and subsections.
fn dump(version: u32, subsections: &Value) -> Schema {
    let text = json!({
        "vmschkmachine": {"Name": "pc"},
        "piix3-usb-uhci": {"Name": "piix3-usb-uhci", "version_id": version, "minimum_version_id": version, "Description":
            {"name": "uhci", "version_id": version, "minimum_version_id": version, "Fields": []}},
        "PIIX4_PM": {"Name": "PIIX4_PM", "version_id": 3, "minimum_version_id": 3, "Description":
            {"name": "piix4_pm", "version_id": 3, "minimum_version_id": 3, "Fields": [], "Subsections": subsections}},
    });
    Schema::from_json(text.to_string().as_bytes()).unwrap()
}

fn against_schema(schema: &Schema, machine: Option<&str>) -> StreamReport {
    let stream = read(&FRESH);
    let mut destination = Destination::default();
    destination.schema = Some(schema);
    destination.machine = machine;
    check_stream(&stream, &destination, &Renames::default()).unwrap()
}

#[test]
fn a_schema_knows_versions_and_subsections_and_says_what_it_does_not_know() {
    let memhp = |version: u32| json!([{"name": "piix4_pm/memhp", "version_id": version, "minimum_version_id": version, "Fields": []}]);
    let breaks = |report: &StreamReport| {
        let all = findings(report);
        all.into_iter().filter(|finding| finding.starts_with("break")).collect::<Vec<_>>()
    };
    let fits = against_schema(&dump(3, &memhp(1)), None);
    assert_eq!(breaks(&fits), [""; 0]);
    assert_eq!(fits.verdict(), Verdict::Depends, "devices and RAM are not known");
    assert!(findings(&fits).contains(&"risk stream-configuration-unknown machine".to_owned()));

    assert_eq!(breaks(&against_schema(&dump(2, &memhp(1)), None)), ["break version-too-new 0000:00:03.0/uhci/0"]);
    assert_eq!(breaks(&against_schema(&dump(4, &memhp(1)), None)), ["break version-too-old 0000:00:03.0/uhci/0"]);
    let unknown = against_schema(&dump(3, &json!([])), None);
    assert_eq!(breaks(&unknown), ["break stream-subsection 0000:00:01.3/piix4_pm/0.piix4_pm/memhp"]);
    let other = against_schema(&dump(3, &memhp(2)), None);
    assert_eq!(breaks(&other), ["break stream-section-version 0000:00:01.3/piix4_pm/0.piix4_pm/memhp"]);
}

#[test]
fn levels_are_told() {
    let schema = dump(3, &json!([]));
    let level = |machine| against_schema(&schema, machine).level.to_string();
    assert_eq!((level(None), level(Some("pc-i440fx-10.0"))), ("schema".to_owned(), "machine".to_owned()));
    let other = against_schema(&schema, Some("pc-q35-10.0"));
    assert!(findings(&other).contains(&"break stream-machine-type machine".to_owned()));
}

#[test]
fn what_is_declared_harmless_is_shown_and_does_not_count() {
    let renames = Renames::from_toml(
        "[[harmless]]\nrule = 'stream-ram-block'\npath = 'ram.m*'\nreason = 'the memory object is added by hand'\n",
    )
    .unwrap();
    let stream = read(&edited(|edits| edits.rename.push(("pc.ram".to_owned(), "m0".to_owned()))));
    let reference = read(&FRESH);
    let mut destination = Destination::default();
    destination.reference = Some(&reference);
    let report = check_stream(&stream, &destination, &renames).unwrap();
    assert_eq!(report.verdict(), Verdict::Compatible);
    let excused = report.findings.iter().find(|finding| finding.path == "ram.m0").unwrap();
    assert_eq!(excused.harmless.as_deref(), Some("the memory object is added by hand"));
}
