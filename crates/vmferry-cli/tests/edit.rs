//! `vmferry edit` as scripts see it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod kit;

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use kit::{Ran, recorded, run, vmferry};
use serde_json::json;

/// A stream of QEMU 10.0 without a machine: `timer` and `globalstate`.
const STREAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../vmferry-inspect/tests/data/none-10.0.bin");

fn edit(result: &Path, more: &[&str]) -> Ran {
    run(&[&["edit", STREAM, result.to_str().unwrap()], more].concat())
}

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn what_was_asked_for_changes_and_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let result = folder.path().join("mended");
    let ran = edit(&result, &["--set", "timer/0.cpu_clock_offset=0x10", "--machine", "none-2", "--json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let expected = json!([
        {"path": "configuration.machine", "kind": "configuration", "a": "none", "b": "none-2"},
        {"path": "timer/0.cpu_clock_offset", "kind": "field", "a": 0, "b": 16},
    ]);
    let document = ran.document();
    assert_eq!((&document["changes"], &document["description"]), (&expected, &json!("edited")));
    assert_eq!(document["octets"], std::fs::metadata(&result).unwrap().len());
    let ran = run(&["diff", STREAM, result.to_str().unwrap(), "--json"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!((&ran.document()["configuration"][0], &ran.document()["sections"][0]), (&expected[0], &expected[1]));
    assert_eq!(entries(folder.path()), 1);
}

#[test]
fn standard_input_is_copied_and_the_text_says_what_was_done() {
    let folder = tempfile::tempdir().unwrap();
    let result = folder.path().join("copy");
    let octets = std::fs::read(STREAM).unwrap();
    let mut child =
        vmferry(&["edit", "-", result.to_str().unwrap()]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&octets).unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap());
    let expected = format!("{}: {} octets, 0 changes, description kept\n", result.display(), octets.len());
    assert_eq!((ran.code, ran.stdout), (Some(0), expected));
    assert!(std::fs::read(&result).unwrap() == octets);
}

#[test]
fn a_file_that_is_there_is_never_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let result = folder.path().join("there");
    std::fs::write(&result, b"mine").unwrap();
    for more in [&[][..], &["--force"]] {
        let ran = edit(&result, more);
        assert_eq!(ran.code, Some(2));
        assert!(ran.stderr.contains("is there already"), "{}", ran.stderr);
    }
    assert_eq!(edit(Path::new(STREAM), &["--force"]).code, Some(2));
    assert_eq!(std::fs::read(&result).unwrap(), b"mine");
    assert_eq!(entries(folder.path()), 1);
}

#[test]
fn refusals_have_their_codes_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let result = folder.path().join("none");
    let name = result.to_str().unwrap();
    let cases: [(&[&str], i32, &str); 6] = [
        (&["--set", "timer/0.clock=1"], 2, "no \"clock\" in \"timer\""),
        (&["--set", "timer/0.cpu_clock_offset"], 2, "expected two words"),
        (&["--drop-subsection", "timer/0.timer/x"], 2, "no \"timer/x\""),
        (&["--drop-subsection", "configuration.configuration/capabilities"], 1, "how the stream itself is read"),
        (&["--strip-description", "--rebuild-description"], 2, "cannot be used with"),
        (&["--rename", "timer=globalstate"], 2, "is there already"),
    ];
    for (more, code, expected) in cases {
        let ran = edit(&result, more);
        assert_eq!(ran.code, Some(code), "{more:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
    let cut = folder.path().join("cut");
    std::fs::write(&cut, &std::fs::read(STREAM).unwrap()[..100]).unwrap();
    assert_eq!(run(&["edit", cut.to_str().unwrap(), name]).code, Some(3));
    assert_eq!(run(&["edit", "/nonexistent", name]).code, Some(4));
    assert_eq!(run(&["edit", STREAM, "/nonexistent/result"]).code, Some(4));
    assert_eq!(entries(folder.path()), 1, "the cut stream alone");
}

#[test]
fn the_stream_is_taken_out_of_a_file_or_an_image() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("shifted"), [vec![0xee; 4096], std::fs::read(STREAM).unwrap()].concat()).unwrap();
    let ran = run(&["edit", &path("shifted"), &path("out"), "--offset", "4K"]);
    assert_eq!((ran.code, std::fs::read(path("out")).unwrap() == std::fs::read(STREAM).unwrap()), (Some(0), true));

    let image = recorded(folder.path(), "savevm-10.0.qcow2");
    assert_eq!(run(&["edit", &image, &path("none")]).code, Some(2), "which of the two?");
    assert!(!Path::new(&path("none")).exists());
    let ran = run(&["edit", &image, &path("second"), "--snapshot", "second", "--machine", "none-2"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let ran = run(&["diff", &image, &path("second"), "--snapshot-a", "second", "--json"]);
    let expected = json!([{"path": "configuration.machine", "kind": "configuration", "a": "none", "b": "none-2"}]);
    assert_eq!((&ran.document()["configuration"], &ran.document()["sections"]), (&expected, &json!([])));
}
