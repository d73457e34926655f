//! `vmferry analyze` as scripts see it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod kit;

use std::fs::File;
use std::io::Write as _;
use std::process::Stdio;

use kit::{Ran, run, vmferry};

/// A stream of QEMU 10.0 without a machine: `timer` and `globalstate`.
const STREAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../vmferry-inspect/tests/data/none-10.0.bin");

fn through_a_pipe(octets: &[u8], more: &[&str]) -> Ran {
    let mut child = vmferry(&[&["analyze", "-"], more].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(octets).unwrap();
    child.wait_with_output().unwrap().into()
}

#[test]
fn a_file_and_a_pipe_and_a_redirection_give_the_same_document() {
    let file = run(&["analyze", STREAM, "--json"]);
    assert_eq!((file.code, file.stderr.as_str()), (Some(0), ""));
    let document = file.document();
    assert_eq!(document["configuration"]["machine"], "none");
    let names: Vec<_> = document["sections"].as_array().unwrap().iter().map(|section| &section["name"]).collect();
    assert_eq!(names, ["timer", "globalstate"]);
    assert_eq!(document["end"], serde_json::json!({"eof": true, "vmdesc": true}));

    assert_eq!(through_a_pipe(&std::fs::read(STREAM).unwrap(), &["--json"]).document(), document);
    let redirected = vmferry(&["analyze", "-", "--json"]).stdin(File::open(STREAM).unwrap()).output().unwrap();
    assert_eq!(Ran::from(redirected).document(), document);
}

#[test]
fn text_is_for_people_and_quiet_has_none() {
    let ran = run(&["analyze", STREAM]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stdout.contains("machine none") && ran.stdout.contains("globalstate"), "{}", ran.stdout);
    let ran = run(&["analyze", STREAM, "--quiet"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""));
}

#[test]
fn one_device_is_kept_and_one_that_is_absent_is_a_no() {
    for device in ["timer", "timer/0"] {
        let document = run(&["analyze", STREAM, "--json", "--device", device]).document();
        assert_eq!(document["sections"].as_array().unwrap().len(), 1);
        assert_eq!(document["sections"][0]["name"], "timer");
    }
    for device in ["serial", "timer/1"] {
        let ran = run(&["analyze", STREAM, "--json", "--device", device]);
        assert_eq!(ran.code, Some(1));
        assert_eq!(ran.document()["sections"], serde_json::json!([]));
        let expected = format!("error: device '{device}' is not in the stream, which has: globalstate/0, timer/0\n");
        assert_eq!(ran.stderr, expected);
    }
}

#[test]
fn a_stream_cut_anywhere_before_its_end_is_three_with_what_was_read() {
    let octets = std::fs::read(STREAM).unwrap();
    // The end mark is behind the last section; cuts inside the description that follows it lose nothing.
    let end = run(&["analyze", STREAM, "--json"]).document()["sections"][1]["offset"].as_u64().unwrap();
    let end = usize::try_from(end).unwrap();
    for cut in [0, 3, 4, 8, 20, 70, end, end + 1, end + 100] {
        let ran = through_a_pipe(&octets[..cut], &["--json"]);
        assert_eq!(ran.code, Some(3), "cut at {cut}");
        assert!(
            ran.stderr.starts_with("error: standard input is cut short\n  caused by: at offset 0x"),
            "{}",
            ran.stderr
        );
        assert_eq!(ran.document()["end"]["eof"], false, "cut at {cut}");
    }
}

#[test]
fn what_is_no_stream_is_three() {
    let ran = through_a_pipe(b"GIF89a and so on", &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""));
    assert!(ran.stderr.contains("standard input is no sound migration stream"), "{}", ran.stderr);
    assert!(ran.stderr.contains("offset 0x0"), "{}", ran.stderr);
    assert!(through_a_pipe(b"GIF89a and so on", &["--json"]).document()["warnings"].is_array());
}

#[test]
fn a_file_that_cannot_be_read_is_four() {
    for path in ["/nonexistent/stream", "/"] {
        let ran = run(&["analyze", path, "--json"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(4), ""));
        assert!(ran.stderr.starts_with("error: cannot "), "{}", ran.stderr);
    }
}
