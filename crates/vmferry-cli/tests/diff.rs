//! `vmferry diff` as scripts see it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod kit;

use std::io::Write as _;
use std::process::Stdio;

use kit::{Ran, recorded, run, vmferry};
use serde_json::json;

/// A stream of QEMU 10.0 without a machine: `timer` and `globalstate`, no RAM.
const STREAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../vmferry-inspect/tests/data/none-10.0.bin");

/// The stream with octets replaced, in a file.
fn changed(at: usize, octets: &[u8]) -> tempfile::NamedTempFile {
    let mut stream = std::fs::read(STREAM).unwrap();
    stream[at..at + octets.len()].copy_from_slice(octets);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&stream).unwrap();
    file
}

fn diff(b: &tempfile::NamedTempFile, more: &[&str]) -> Ran {
    run(&[&["diff", STREAM, b.path().to_str().unwrap()], more].concat())
}

#[test]
fn a_stream_equals_itself_from_a_file_and_from_standard_input() {
    let ran = run(&["diff", STREAM, STREAM, "--json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let expected =
        json!({"equal": true, "configuration": [], "ram": {"blocks": []}, "sections": [], "not_compared": []});
    assert_eq!(ran.document(), expected);
    assert_eq!(run(&["diff", STREAM, STREAM]).stdout, "equal\n");

    let mut child = vmferry(&["diff", "-", STREAM]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read(STREAM).unwrap()).unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
}

#[test]
fn fields_and_the_machine_that_differ_are_told_by_path() {
    // docs/spec/stream.md section 12: cpu_clock_offset of the timer, and the machine's name.
    let ran = diff(&changed(0x71, &[0, 0, 0, 0, 0, 0, 0, 7]), &["--json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""));
    let expected = json!([{"path": "timer/0.cpu_clock_offset", "kind": "field", "a": 0, "b": 7}]);
    assert_eq!((&ran.document()["equal"], &ran.document()["sections"]), (&json!(false), &expected));

    let ran = diff(&changed(0x0d, b"nine"), &["--json"]);
    let expected = json!([{"path": "configuration.machine", "kind": "configuration", "a": "none", "b": "nine"}]);
    assert_eq!((ran.code, &ran.document()["configuration"]), (Some(1), &expected));

    let ran = diff(&changed(0x71, &[0, 0, 0, 0, 0, 0, 0, 7]), &[]);
    assert_eq!(ran.stdout, "timer/0.cpu_clock_offset: 0 -> 7\nnot equal\n");
}

#[test]
fn a_stream_without_description_is_read_with_that_of_the_other() {
    // docs/spec/stream.md section 12: the description begins at 0x105.
    let whole = std::fs::read(STREAM).unwrap();
    let cut = |octets: &[u8]| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&octets[..0x105]).unwrap();
        file
    };
    assert_eq!(diff(&cut(&whole), &[]).stdout, "equal\n");
    let mut other = whole.clone();
    other[0x78] = 7;
    let ran = diff(&cut(&other), &["--json"]);
    let expected = json!([{"path": "timer/0.cpu_clock_offset", "kind": "field", "a": 0, "b": 7}]);
    assert_eq!((ran.code, &ran.document()["sections"]), (Some(1), &expected));

    let (a, b) = (cut(&whole), cut(&other));
    let ran = run(&["diff", a.path().to_str().unwrap(), b.path().to_str().unwrap(), "--json"]);
    let difference = &ran.document()["sections"][0];
    assert_eq!((&difference["path"], &difference["kind"]), (&json!("timer/0"), &json!("octets")));
    assert_eq!((&difference["offset"], &difference["octets_differ"]), (&json!(23), &json!(1)));
}

#[test]
fn bad_input_and_wrong_usage_have_their_codes() {
    let mut cut = tempfile::NamedTempFile::new().unwrap();
    cut.write_all(&std::fs::read(STREAM).unwrap()[..100]).unwrap();
    let ran = diff(&cut, &["--json"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""));
    assert!(ran.stderr.contains(" is cut short\n") && ran.stderr.contains("offset 0x64"), "{}", ran.stderr);

    let mut other = tempfile::NamedTempFile::new().unwrap();
    other.write_all(b"GIF89a and so on").unwrap();
    let ran = run(&["diff", other.path().to_str().unwrap(), STREAM]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.stderr.contains("is no sound migration stream"), "{}", ran.stderr);

    assert_eq!(run(&["diff", "-", "-"]).code, Some(2));
    assert_eq!(run(&["diff", STREAM]).code, Some(2));
    assert_eq!(run(&["diff", STREAM, "/nonexistent"]).code, Some(4));
}

#[test]
fn streams_are_found_inside_files_and_images() {
    let folder = tempfile::tempdir().unwrap();
    let shifted = folder.path().join("shifted");
    std::fs::write(&shifted, [vec![0xee; 4096], std::fs::read(STREAM).unwrap()].concat()).unwrap();
    let shifted = shifted.to_str().unwrap();
    assert_eq!(run(&["diff", shifted, STREAM, "--offset-a", "4K"]).code, Some(0));
    assert_eq!(run(&["diff", STREAM, shifted, "--offset-b", "4096"]).code, Some(0));
    assert_eq!(run(&["diff", STREAM, shifted]).code, Some(3));

    let image = recorded(folder.path(), "savevm-10.0.qcow2");
    let ran = run(&["diff", &image, &image, "--snapshot-a", "first", "--snapshot-b", "second", "--json"]);
    assert_eq!((ran.code, &ran.document()["not_compared"]), (Some(0), &json!([])), "of a guest that stood still");
    let ran = run(&["diff", &image, STREAM]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains(r#"those with state: ["first", "second"]"#), "{}", ran.stderr);
    assert_eq!(run(&["diff", STREAM, STREAM, "--snapshot-b", "first"]).code, Some(2), "no image");
}
