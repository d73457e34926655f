//! `vmferry analyze` as scripts see it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod kit;

use std::fs::File;
use std::io::Write as _;
use std::process::Stdio;

use kit::{Ran, recorded, run, vmferry};

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

#[test]
fn each_ram_block_becomes_a_file_and_files_are_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let stream = recorded(folder.path(), "pc-11.1.bin");
    let ram = folder.path().join("ram");
    let ran = run(&["analyze", &stream, "--json", "--extract-ram", ram.to_str().unwrap()]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let document = ran.document();
    for block in document["ram"]["blocks"].as_array().unwrap() {
        let name = block["id"].as_str().unwrap().replace('/', "_");
        assert_eq!(ram.join(&name).metadata().unwrap().len(), block["used_length"], "{name}");
    }
    assert!(ram.join("_rom@etc_acpi_tables").is_file() && ram.join("pc.ram").is_file());
    let again = run(&["analyze", &stream, "--extract-ram", ram.to_str().unwrap()]);
    assert_eq!(again.code, Some(4));
    assert!(again.stderr.starts_with("error: extracting RAM failed: "), "{}", again.stderr);
}

#[test]
fn state_inside_an_image_is_found_and_picked() {
    let folder = tempfile::tempdir().unwrap();
    let image = recorded(folder.path(), "savevm-10.0.qcow2");
    let ran = run(&["analyze", &image]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains(r#"those with state: ["first", "second"]"#), "{}", ran.stderr);
    let document = run(&["analyze", &image, "--json", "--snapshot", "second"]).document();
    assert_eq!(document["configuration"]["machine"], "none");
    assert_eq!(document["end"]["vmdesc"], true);
    let only = recorded(folder.path(), "savevm-11.1.qcow2");
    assert_eq!(run(&["analyze", &only]).code, Some(0));
    std::fs::write(folder.path().join("cut"), &std::fs::read(&image).unwrap()[..600]).unwrap();
    let ran = run(&["analyze", folder.path().join("cut").to_str().unwrap(), "--snapshot", "first"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert_eq!(run(&["analyze", STREAM, "--snapshot", "first"]).code, Some(2), "no image");
}

#[test]
fn a_stream_may_begin_anywhere_in_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shifted");
    std::fs::write(&path, [vec![0xee; 4096], std::fs::read(STREAM).unwrap()].concat()).unwrap();
    let ran = run(&["analyze", path.to_str().unwrap(), "--json", "--offset", "4K"]);
    assert_eq!(ran.code, Some(0));
    assert_eq!(ran.document(), run(&["analyze", STREAM, "--json"]).document());
    assert_eq!(run(&["analyze", path.to_str().unwrap()]).code, Some(3));
}

#[test]
fn a_page_is_written_beside_the_output_and_replaces_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vm.html");
    let html = path.to_str().unwrap();
    std::fs::write(&path, "before").unwrap();
    let ran = run(&["analyze", STREAM, "--json", "--html", html]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(ran.document(), run(&["analyze", STREAM, "--json"]).document());
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"), "{page}");
    assert!(
        page.contains("<h1>none-10.0.bin</h1>")
            && page.contains("<h4>globalstate/0</h4>")
            && page.contains("<b>prelaunch</b>"),
        "{page}"
    );
    assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("https://"), "{page}");
    // Through a link, which stays; nothing else is left in the folder.
    let link = folder.path().join("link.html");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert_eq!(run(&["analyze", STREAM, "--device", "timer", "--html", link.to_str().unwrap()]).code, Some(0));
    assert!(link.is_symlink());
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.contains("<h4>timer/0</h4>") && !page.contains("<h4>globalstate/0</h4>"), "{page}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_page_is_written_of_what_is_cut_or_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vm.html");
    let octets = std::fs::read(STREAM).unwrap();
    let ran = through_a_pipe(&octets[..200], &["--html", path.to_str().unwrap()]);
    assert_eq!(ran.code, Some(3));
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.contains("<h1>standard input</h1>") && page.contains(">cut short</span>"), "{page}");
    let ran = through_a_pipe(b"GIF89a and so on", &["--html", path.to_str().unwrap()]);
    assert_eq!(ran.code, Some(3));
    assert!(std::fs::read_to_string(&path).unwrap().contains(">damaged</span> Reading ended: at offset 0x0"));
}

#[test]
fn a_page_that_cannot_be_written_is_four_and_the_output_is_there() {
    let folder = tempfile::tempdir().unwrap();
    for path in ["/nonexistent/vm.html", "/", "/dev/full"] {
        let ran = run(&["analyze", STREAM, "--json", "--html", path]);
        assert_eq!(ran.code, Some(4), "{path}");
        assert!(ran.stderr.starts_with(&format!("error: cannot write {path}")), "{}", ran.stderr);
        assert_eq!(ran.document()["configuration"]["machine"], "none");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn channels_and_shared_ram_that_do_not_belong_are_said() {
    let ran = run(&["analyze", STREAM, "--channel", STREAM]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.stderr.contains("is the main channel of a stream"), "{}", ran.stderr);
    assert_eq!(run(&["analyze", STREAM, "--channel", "/nonexistent"]).code, Some(4));
    let ran = run(&["analyze", STREAM, "--shared-ram", "m0=/dev/null"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("no RAM block 'm0'"), "{}", ran.stderr);
}
