//! Two machines with their memory in one file: a guest moves between them and its memory stays.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vmferry_qmp::Client;
use vmferry_vmm::guest::{GuestReport, parse_line};

const PATIENCE: Duration = Duration::from_secs(60);

struct Machine {
    child: Child,
    client: Client,
}

fn command(dir: &Path, name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vmferry"));
    command.args(["run", "--memory-file"]).arg(dir.join("memory"));
    command.arg("--qmp").arg(format!("unix:{}", dir.join(name).display()));
    command.arg("--serial").arg(dir.join("serial")).args(arguments).stdin(Stdio::null());
    if !arguments.contains(&"--memory") {
        command.args(["--memory", "8M"]);
    }
    command
}

impl Machine {
    fn start(dir: &Path, name: &str, arguments: &[&str]) -> Self {
        let mut child = command(dir, name, arguments).stderr(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + PATIENCE;
        let client = loop {
            match Client::connect(&dir.join(name)) {
                Ok(client) => break client,
                Err(error) => assert!(child.try_wait().unwrap().is_none() && Instant::now() < deadline, "{error}"),
            }
            thread::sleep(Duration::from_millis(2));
        };
        Self { child, client }
    }

    fn ask(&mut self, command: &str, arguments: Value) -> Value {
        self.client.execute(command, arguments).unwrap()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the guest has printed, wherever it was.
fn reports(dir: &Path) -> Vec<GuestReport> {
    let text = std::fs::read_to_string(dir.join("serial")).unwrap_or_default();
    text.split_inclusive('\n').filter(|line| line.ends_with('\n')).filter_map(parse_line).collect()
}

fn walks(dir: &Path, more: usize) {
    let goal = reports(dir).len() + more;
    let deadline = Instant::now() + PATIENCE;
    while reports(dir).len() < goal {
        assert!(Instant::now() < deadline, "the guest stands still");
        thread::sleep(Duration::from_millis(2));
    }
    assert!(reports(dir).iter().all(|report| report.bad == 0));
}

fn refused(dir: &Path, arguments: &[&str], part: &str) {
    let output = command(dir, "refused", arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && text.contains(part), "{text}");
}

#[test]
fn memory_in_a_file_stays_there_when_the_guest_moves() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    refused(dir, &["--incoming", "defer"], "does not exist");
    let mut source = Machine::start(dir, "source", &["--dirty-rate", "20"]);
    walks(dir, 1);
    refused(dir, &[], "may be the memory of another guest");
    refused(dir, &["--incoming", "defer", "--memory", "16M"], "it has 8388608 bytes, and the memory has 16777216");
    let mut destination = Machine::start(dir, "destination", &["--incoming", "defer"]);
    let on = json!({"capabilities": [{"capability": "x-ignore-shared", "state": true}]});
    for machine in [&mut source, &mut destination] {
        machine.ask("migrate-set-capabilities", on.clone());
    }
    let uri = format!("unix:{}", dir.join("migration").display());
    destination.ask("migrate-incoming", json!({ "uri": uri }));
    source.ask("migrate", json!({ "uri": uri }));
    let deadline = Instant::now() + PATIENCE;
    let info = loop {
        let info = source.ask("query-migrate", Value::Null);
        if info["status"] == "completed" {
            break info;
        }
        assert!(info["status"] != "failed" && Instant::now() < deadline, "{info}");
    };
    assert_eq!((&info["ram"]["total"], &info["ram"]["normal"]), (&json!(0), &json!(0)), "{info}");
    drop(source);
    walks(dir, 2);
    assert_eq!(destination.ask("query-status", Value::Null)["status"], "running");
}
