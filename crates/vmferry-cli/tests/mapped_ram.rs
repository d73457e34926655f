//! A guest that checks its own memory goes into a file with pages at fixed places, and comes out of it, by the commands
//! that an operator types.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod kit;

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kit::{run, vmferry};
use serde_json::json;
use vmferry_vmm::guest::{GuestReport, parse_line};

const PATIENCE: Duration = Duration::from_secs(30);

/// A machine of its own process.
struct Machine {
    child: Child,
    qmp: String,
    serial: PathBuf,
}

impl Machine {
    fn start(folder: &Path, name: &str, arguments: &[&str]) -> Self {
        let (socket, serial) = (folder.join(format!("{name}.qmp")), folder.join(format!("{name}.serial")));
        let qmp = format!("unix:{}", socket.display());
        let common = ["run", "--memory", "16M", "--qmp", &qmp, "--serial", serial.to_str().unwrap()];
        let mut child = vmferry(&[&common, arguments].concat()).stderr(Stdio::inherit()).spawn().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !socket.exists() {
            assert!(child.try_wait().unwrap().is_none() && Instant::now() < deadline, "{name} does not start");
            thread::sleep(Duration::from_millis(2));
        }
        Self { child, qmp, serial }
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
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_guest_is_saved_to_a_file_and_started_from_it() {
    let plain: &[&str] = &["--cap", "mapped-ram=on"];
    let parallel = &["--cap", "mapped-ram=on", "--cap", "multifd=on", "--param", "multifd-channels=3"];
    for settings in [plain, parallel, &[&parallel[..], &["--param", "direct-io=on"]].concat()] {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let file = format!("file:{}", folder.path().join("guest").display());
        let source = Machine::start(folder.path(), "source", &["--dirty-rate", "100"]);
        source.walks(2);
        let migrate = ["migrate", "--qmp", &source.qmp, &file, "--follow", "--json", "--param", "max-bandwidth=0"];
        let ran = run(&[&migrate, settings].concat());
        assert_eq!(ran.code, Some(0), "{settings:?}: {}", ran.stderr);
        assert_eq!(ran.document()["status"], "completed");

        let analysis = run(&["analyze", "--json", folder.path().join("guest").to_str().unwrap()]).document();
        assert_eq!(analysis["warnings"], json!([]), "{settings:?}");
        assert_eq!(analysis["format"]["dialect"], json!(["precopy", "mapped-ram"]), "{settings:?}");

        let destination = Machine::start(folder.path(), "destination", &[&["--incoming", &file], settings].concat());
        destination.walks(3);
        let (left, arrived) = (source.reports(), destination.reports());
        assert!(arrived.last().unwrap().pass > left.last().unwrap().pass, "{settings:?}");
    }
}

#[test]
fn what_does_not_fit_the_file_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("file:{}", folder.path().join("guest").display());
    let source = Machine::start(folder.path(), "source", &["--cap", "mapped-ram=on"]);
    let ran = run(&["migrate", "--qmp", &source.qmp, &file, "--follow"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let ran = run(&["run", "--memory", "16M", "--incoming", &file]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("'mapped-ram', accepted is none: turn it on here"), "{}", ran.stderr);
    for (settings, text) in [
        (["--cap", "mapped-rom=on"], "there is no capability 'mapped-rom'; accepted: xbzrle"),
        (["--param", "multifd-channels=256"], "1 to 255, found 256"),
        (["--param", "direct=on"], "'direct'"),
    ] {
        let ran = run(&[&["run", "--incoming", &file], &settings[..]].concat());
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains(text), "{}", ran.stderr);
    }
    let both = ["--cap", "mapped-ram=on", "--param", "multifd-compression=zstd"];
    let ran = run(&[&["run", "--incoming", &file], &both[..]].concat());
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("it needs multifd-compression 'none'"), "{}", ran.stderr);
}
