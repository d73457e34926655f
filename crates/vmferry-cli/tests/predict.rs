//! `vmferry predict`: from traces, and from a running machine of each kind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod kit;

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Runs the command; its exit code and document.
fn predict(arguments: &[&str]) -> (i32, Value) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_vmferry")).args(["predict", "--json"]).args(arguments).output().unwrap();
    let document = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap(), document)
}

fn trace(folder: &Path, text: &str) -> String {
    let path = folder.join("trace");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// 1 GiB, of which 100 MB a second are dirtied, up to 400 MB.
const TRACE: &str =
    "vmferry-dirty-trace 1\nmemory 1073741824\ndirty 1000 100000000\ndirty 4000 400000000\ndirty 9000 400000000\n";

#[test]
fn a_fast_link_converges_and_a_slow_one_is_told_what_helps() {
    let folder = tempfile::tempdir().unwrap();
    let path = trace(folder.path(), TRACE);
    let (code, document) = predict(&[&path, "--bandwidth", "1G"]);
    assert_eq!((code, &document["verdict"]), (0, &Value::from("converges")));
    let prediction = &document["prediction"];
    assert!(prediction["downtime_ms"].as_f64().unwrap() <= 300.0, "{prediction}");
    assert_eq!(document["remedies"], Value::Array(Vec::new()));

    let (code, document) = predict(&[&path, "--bandwidth", "50M"]);
    assert_eq!((code, &document["verdict"]), (1, &Value::from("does-not-converge")));
    let settings: Vec<&str> =
        document["remedies"].as_array().unwrap().iter().map(|remedy| remedy["setting"].as_str().unwrap()).collect();
    assert_eq!(settings, ["auto-converge", "downtime-limit", "bandwidth"]);
    // Each keeps its promise.
    let (code, _) = predict(&[&path, "--bandwidth", "50M", "--auto-converge"]);
    assert_eq!(code, 0);
    let limit = document["remedies"][1]["value"].to_string();
    assert_eq!(predict(&[&path, "--bandwidth", "50M", "--downtime-limit", &limit]).0, 0);
    let less = (limit.parse::<u64>().unwrap() - 1).to_string();
    assert_eq!(predict(&[&path, "--bandwidth", "50M", "--downtime-limit", &less]).0, 1);
    let bandwidth = document["remedies"][2]["value"].to_string();
    assert_eq!(predict(&[&path, "--bandwidth", &bandwidth]).0, 0);
}

#[test]
fn what_is_no_trace_or_says_no_bandwidth_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = trace(folder.path(), "vmferry-dirty-trace 1\nmemory 4096\ndirty 0 1\n");
    assert_eq!(predict(&[&path, "--bandwidth", "1G"]).0, 3);
    let path = trace(folder.path(), TRACE);
    assert_eq!(predict(&[&path]).0, 2);
    assert_eq!(predict(&[]).0, 2);
    assert_eq!(predict(&["--qmp", "unix:/nonexistent", "--bandwidth", "1G"]).0, 4);
}

struct Ours(std::process::Child);

impl Drop for Ours {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_running_machine_is_sampled_and_what_was_sampled_can_be_kept() {
    let folder = tempfile::tempdir().unwrap();
    let qmp = format!("unix:{}", folder.path().join("qmp").display());
    let run = ["run", "--memory", "64M", "--dirty-rate", "50", "--serial", "/dev/null", "--qmp", &qmp];
    let child = Command::new(env!("CARGO_BIN_EXE_vmferry")).args(run).stdout(std::process::Stdio::null()).spawn();
    let _machine = Ours(child.unwrap());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !folder.path().join("qmp").exists() {
        assert!(std::time::Instant::now() < deadline);
        std::thread::yield_now();
    }
    // The guest boots, then rewrites its memory.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let saved = folder.path().join("saved");
    let save = saved.to_str().unwrap();
    let (code, document) = predict(&["--qmp", &qmp, "--seconds", "2", "--bandwidth", "1G", "--save", save]);
    assert_eq!((code, &document["verdict"]), (0, &Value::from("converges")), "{document}");
    assert_eq!(document["memory_bytes"], 64 << 20);
    let text = std::fs::read_to_string(&saved).unwrap();
    let dirtied: u64 = text.lines().last().unwrap().split(' ').nth(2).unwrap().parse().unwrap();
    assert!(dirtied > 4096 && dirtied <= 64 << 20, "{text}");
    let (again, kept) = predict(&[save, "--bandwidth", "1G"]);
    assert_eq!((again, &kept["prediction"]), (0, &document["prediction"]));
    let (code, document) = predict(&["--qmp", &qmp, "--seconds", "1", "--bandwidth", "1M", "--downtime-limit", "1"]);
    assert_eq!((code, &document["verdict"]), (1, &Value::from("does-not-converge")), "{document}");
}

#[test]
fn a_real_qemu_is_sampled_the_same_way() {
    let Some(binary) = kit::qemu("qemu-10.0-x86_64") else { return };
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("qmp");
    let options = ["-accel", "tcg", "-machine", "none", "-m", "256M", "-nodefaults", "-display", "none", "-qmp"];
    let child = Command::new(binary).args(options).arg(format!("unix:{},server=on,wait=off", socket.display())).spawn();
    let _machine = Ours(child.unwrap());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !socket.exists() {
        assert!(std::time::Instant::now() < deadline);
        std::thread::yield_now();
    }
    // A machine without a CPU dirties nothing.
    let (code, document) = predict(&["--qmp", &format!("unix:{}", socket.display()), "--seconds", "1"]);
    assert_eq!((code, &document["verdict"]), (0, &Value::from("converges")), "{document}");
    assert_eq!(document["memory_bytes"], 256 << 20);
    assert_eq!(document["bandwidth_bytes_s"], 134_217_728);
    assert_eq!(document["prediction"]["downtime_ms"], 0.0);
}
