//! One of two real processes is killed at some moment of a live migration: the guest survives at the other, or was
//! never given away, and what survives is whole.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vmferry_qmp::Client;
use vmferry_vmm::guest::{GuestReport, parse_line};

const PATIENCE: Duration = Duration::from_secs(30);

struct Machine {
    child: Child,
    client: Client,
    serial: PathBuf,
}

impl Machine {
    fn start(dir: &Path, name: &str, arguments: &[&str]) -> Self {
        let (socket, serial) = (dir.join(format!("{name}.qmp")), dir.join(format!("{name}.serial")));
        let mut child = Command::new(env!("CARGO_BIN_EXE_vmferry"))
            .args(["run", "--memory", "32M", "--qmp", &format!("unix:{}", socket.display())])
            .arg("--serial")
            .arg(&serial)
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        let client = loop {
            match Client::connect(&socket) {
                Ok(client) => break client,
                Err(error) => assert!(child.try_wait().unwrap().is_none() && Instant::now() < deadline, "{error}"),
            }
            thread::sleep(Duration::from_millis(2));
        };
        Self { child, client, serial }
    }

    fn reports(&self) -> Vec<GuestReport> {
        std::fs::read_to_string(&self.serial).unwrap_or_default().lines().filter_map(parse_line).collect()
    }

    /// Waits for `more` further lines; none of them tells of a bad page.
    fn walks(&self, more: usize) {
        let goal = self.reports().len() + more;
        let deadline = Instant::now() + PATIENCE;
        while self.reports().len() < goal {
            assert!(Instant::now() < deadline, "the guest stands still: {:?}", self.reports());
            thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(self.reports().last().unwrap().bad, 0);
    }

    fn ask(&mut self, command: &str, arguments: Value) -> Value {
        self.client.execute(command, arguments).unwrap()
    }

    fn run_state(&mut self) -> String {
        self.ask("query-status", json!({}))["status"].as_str().unwrap().to_owned()
    }

    /// Waits until the migration is over here; its status and owner.
    fn settled(&mut self) -> (String, String) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let info = self.ask("query-migrate", json!({}));
            let status = info["status"].as_str().unwrap_or("none").to_owned();
            if matches!(status.as_str(), "completed" | "failed" | "cancelled") {
                return (status, info["x-ferry-owner"].as_str().unwrap().to_owned());
            }
            assert!(Instant::now() < deadline, "{info}");
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A source whose guest has walked, and a destination towards which it migrates; a pause from the start of it.
fn under_way(dir: &Path, after: Duration) -> (Machine, Machine) {
    let uri = format!("unix:{}", dir.join("migration").display());
    let mut source = Machine::start(dir, "source", &["--dirty-rate", "400"]);
    let destination = Machine::start(dir, "destination", &["--incoming", &uri]);
    source.walks(2);
    source.ask("migrate-set-parameters", json!({ "max-bandwidth": 0, "downtime-limit": 5 }));
    source.ask("migrate", json!({ "uri": uri }));
    thread::sleep(after);
    (source, destination)
}

#[test]
fn a_source_whose_destination_is_killed_runs_on_and_moves_later() {
    let mut kept = 0;
    for step in 0..8 {
        let dir = tempfile::tempdir().unwrap();
        let (mut source, mut destination) = under_way(dir.path(), Duration::from_millis(step * 7));
        destination.kill();
        let (status, owner) = source.settled();
        if owner == "destination" {
            // It had the guest already, and took it with it.
            assert_eq!((status.as_str(), source.run_state().as_str()), ("completed", "postmigrate"));
            continue;
        }
        kept += 1;
        assert_eq!((status.as_str(), owner.as_str()), ("failed", "source"));
        assert_eq!(source.run_state(), "running");
        source.walks(2);
        let uri = format!("unix:{}", dir.path().join("again").display());
        let second = Machine::start(dir.path(), "second", &["--incoming", &uri]);
        source.ask("migrate", json!({ "uri": uri }));
        assert_eq!(source.settled(), ("completed".to_owned(), "destination".to_owned()));
        second.walks(3);
    }
    assert!(kept > 0, "some were killed in time");
}

#[test]
fn a_destination_whose_source_is_killed_has_all_of_the_guest_or_none() {
    for step in 0..8 {
        let dir = tempfile::tempdir().unwrap();
        let (mut source, mut destination) = under_way(dir.path(), Duration::from_millis(step * 7));
        source.kill();
        let deadline = Instant::now() + PATIENCE;
        // A load that failed ends the process; one that succeeded leaves it, running or waiting for `cont`.
        loop {
            if let Some(status) = destination.child.try_wait().unwrap() {
                assert_eq!(status.code(), Some(1), "the guest did not arrive, and that is said");
                assert!(destination.reports().is_empty(), "it never ran here");
                break;
            }
            let state = destination.client.execute("query-status", json!({}));
            match state.as_ref().ok().and_then(|state| state["status"].as_str()) {
                Some("running") => {
                    destination.walks(3);
                    break;
                }
                Some("paused") => {
                    destination.ask("cont", json!({}));
                    destination.walks(3);
                    break;
                }
                // Killed before it had connected: the destination goes on waiting for a source.
                Some("inmigrate")
                    if destination
                        .client
                        .execute("query-migrate", json!({}))
                        .is_ok_and(|info| info["status"] == "setup") =>
                {
                    assert!(destination.reports().is_empty(), "it never ran here");
                    break;
                }
                _ => assert!(Instant::now() < deadline, "{state:?}"),
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}
