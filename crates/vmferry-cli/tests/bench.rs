//! `vmferry bench` as scripts see it, on guests so small that its figures mean nothing.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod kit;

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use kit::{Ran, qemu, run, vmferry};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A program that says that it is QEMU, and does `body` when it is to be one.
fn pretender(folder: &Path, body: &str) -> PathBuf {
    let path = folder.join("qemu-system-x86_64");
    let version = "if [ \"$1\" = --version ]; then echo 'QEMU emulator version 10.0.99'; exit; fi";
    std::fs::write(&path, format!("#!/bin/sh\n{version}\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn measurement<'a>(document: &'a Value, name: &str) -> &'a Value {
    let list = document["measurements"].as_array().unwrap();
    list.iter().find(|measurement| measurement["name"] == name).unwrap_or_else(|| panic!("no {name} in {document:#}"))
}

fn kind<'a>(measurement: &'a Value, role: &str) -> &'a Value {
    let kinds = measurement["kinds"].as_array().unwrap();
    kinds.iter().find(|kind| kind["role"] == role).unwrap_or_else(|| panic!("no {role} in {measurement:#}"))
}

#[test]
fn every_part_of_the_document_is_there() {
    let Some(qemu) = qemu("qemu-10.0-x86_64") else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let page = folder.path().join("page.md");
    std::fs::write(&page, "# Page\n<!-- bench:begin -->\n<!-- bench:end -->\nthe end\n").unwrap();
    let [against, out_text, page_text] = [&qemu, &out, &page].map(|path| path.to_str().unwrap());
    let ran = run(&[
        "bench",
        "--json",
        "--quiet",
        "--pairs",
        "1",
        "--memory",
        "16M",
        "--against",
        against,
        "--out",
        out_text,
        "--update",
        page_text,
    ]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{}", ran.stdout);
    let document = ran.document();
    assert!(document["peer"]["program"].as_str().unwrap().ends_with("/bin/qemu-10.0-x86_64"), "{document:#}");
    assert!(document["peer"]["version"].as_str().unwrap().starts_with("10.0."), "{document:#}");
    assert_eq!((&document["pairs"], &document["no_peer"]), (&1.into(), &Value::Null));
    assert!(document["command"].as_str().unwrap().starts_with("vmferry bench --json --quiet --pairs 1"));
    assert!(document["machine"]["cores"].as_u64().unwrap() > 0);
    let roles = ["vmferry", "peer", "limit"];
    for (name, roles) in [
        ("precopy", &roles[..]),
        ("multifd", &roles),
        ("sparse", &roles),
        ("downtime", &roles[..2]),
        ("mapped-ram", &roles),
        ("restore", &roles),
    ] {
        let measured = measurement(&document, name);
        assert_eq!(measured["outcome"], "measured", "{measured:#}");
        for role in roles {
            let kind = kind(measured, role);
            let figures = &kind["figures"];
            assert_eq!(figures["rounds"].as_array().unwrap().len(), 1, "{name} {role}");
            assert!(figures["median"].as_f64().unwrap() > 0.0, "{name} {role}");
            assert_eq!(kind["failed"], Value::Null);
            assert!(kind["vmferry_times_as_good"]["median"].as_f64().unwrap() > 0.0, "{name} {role}");
        }
        for target in measured["targets"].as_array().unwrap() {
            assert!(["met", "missed"].iter().any(|verdict| target["verdict"] == *verdict), "{target}");
        }
    }
    assert!(kind(measurement(&document, "precopy"), "peer")["also"]["downtime_ms"]["median"].is_number());
    assert!(
        kind(measurement(&document, "sparse"), "vmferry")["also"]["destination_resident_mib"]["median"].is_number()
    );
    for name in ["zero-scan", "xbzrle"] {
        let target = &measurement(&document, name)["targets"][0];
        assert!(target["times"]["median"].as_f64().unwrap() > 0.0, "{target}");
    }
    let limits = measurement(&document, "limits");
    assert!(limits["kinds"].as_array().unwrap().len() >= 7, "{limits:#}");

    let written: Value = serde_json::from_str(&std::fs::read_to_string(out.join("bench.json")).unwrap()).unwrap();
    assert_eq!(written, document);
    let tables = std::fs::read_to_string(out.join("bench.md")).unwrap();
    let updated = std::fs::read_to_string(&page).unwrap();
    assert!(
        updated.starts_with("# Page\n<!-- bench:begin -->\n\n") && updated.ends_with("<!-- bench:end -->\nthe end\n")
    );
    assert!(updated.contains(tables.trim_end()), "{updated}");
    assert!(std::fs::read_to_string(out.join("bench.svg")).unwrap().ends_with("</svg>\n"));
}

#[test]
fn a_peer_that_is_no_qemu_is_refused_before_anything_is_measured() {
    let ran = run(&["bench", "--against", "/bin/echo", "--only", "precopy", "--memory", "16M"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(4), ""));
    assert!(ran.stderr.starts_with("error: /bin/echo is no QEMU: expected 'QEMU emulator version "), "{}", ran.stderr);
    let ran = run(&["bench", "--against", "/nonexistent/qemu"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(4), "error: there is no program '/nonexistent/qemu'\n"));
}

fn against(peer: &Path) -> Ran {
    let arguments = ["bench", "--json", "--only", "precopy", "--pairs", "1", "--memory", "16M", "--against"];
    vmferry(&arguments).arg(peer).output().unwrap().into()
}

#[test]
fn a_peer_that_does_not_start_is_reported_and_the_rest_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let ran = against(&pretender(folder.path(), "echo 'no accelerator, no luck' >&2; exit 7"));
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    let document = ran.document();
    let precopy = measurement(&document, "precopy");
    let failed = kind(precopy, "peer")["failed"].as_str().unwrap();
    assert!(failed.contains("exit status: 7") && failed.contains("no accelerator, no luck"), "{failed}");
    assert_eq!(kind(precopy, "peer")["figures"]["median"], Value::Null);
    assert_eq!(kind(precopy, "vmferry")["figures"]["rounds"].as_array().unwrap().len(), 1);
    assert_eq!(precopy["targets"][0]["verdict"], "open");
}

#[test]
fn a_peer_that_dies_in_the_middle_is_reported_with_its_last_words() {
    let Some(qemu) = qemu("qemu-10.0-x86_64") else { return };
    let folder = tempfile::tempdir().unwrap();
    // A destination of another machine type ends when it reads what the source's is.
    let body =
        format!("case \"$*\" in *-incoming*) exec {0} \"$@\" -machine q35;; *) exec {0} \"$@\";; esac", qemu.display());
    let ran = against(&pretender(folder.path(), &body));
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    let document = ran.document();
    let precopy = measurement(&document, "precopy");
    let failed = kind(precopy, "peer")["failed"].as_str().unwrap();
    assert!(failed.starts_with("the destination: "), "{failed}");
    assert_eq!(kind(precopy, "peer")["figures"]["rounds"], Value::Array(Vec::new()));
    assert_eq!(kind(precopy, "vmferry")["figures"]["rounds"].as_array().unwrap().len(), 1);
}

#[test]
fn wrong_usage_is_told_before_anything_is_measured() {
    for arguments in [&["--only", "speed"][..], &["--pairs", "0"], &["--memory", "1M"], &["--memory", "x"]] {
        assert_eq!(run(&[&["bench"], arguments].concat()).code, Some(2), "{arguments:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.md");
    std::fs::write(&page, "no marks\n").unwrap();
    let ran = run(&["bench", "--update", page.to_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
}

/// Whether a process has this among its arguments.
fn runs_with(argument: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let arguments = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    arguments.into_iter().any(|text| text.split(|byte| *byte == 0).any(|word| word == argument.as_bytes()))
}

#[test]
fn ctrl_c_ends_the_processes_and_removes_the_files() {
    for signal in [Signal::INT, Signal::TERM] {
        interrupted_by(signal);
    }
}

fn interrupted_by(signal: Signal) {
    // No other test has a guest of this size.
    let mut child = vmferry(&["bench", "--only", "precopy", "--pairs", "1000", "--memory", "19M"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    // It is at work.
    assert!(said.by_ref().map_while(Result::ok).any(|line| line.contains("precopy 1/1000")));
    kill_process(Pid::from_child(&child), signal).unwrap();
    // It goes on to write while it ends.
    for _ in said {}
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    assert!(!runs_with(&(19 << 20).to_string()), "a machine is left");
    let left: Vec<_> = ["/dev/shm".into(), std::env::temp_dir()]
        .iter()
        .filter_map(|folder: &PathBuf| std::fs::read_dir(folder).ok())
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&format!("vmferry-bench-{pid}-")))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
