//! `vmferry migrate` as scripts see it: exit codes, documents, and what goes where.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod kit;

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kit::{Ran, Served, run, serve, vmferry};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use vmferry::control::{DowntimePhase, MigrationInfo, Owner, RamStats, Round, Status};
use vmferry_qmp::{Client, SocketPath};

fn active(round: u64) -> MigrationInfo {
    let ram = RamStats {
        total: 1 << 30,
        remaining: 1 << 20,
        dirty_sync_count: round,
        page_size: 4096,
        ..RamStats::default()
    };
    MigrationInfo { status: Status::Active, expected_downtime_ms: 40, ram, ..MigrationInfo::default() }
}

fn completed() -> MigrationInfo {
    MigrationInfo {
        status: Status::Completed,
        owner: Owner::Destination,
        total_time_ms: 1500,
        setup_time_ms: 3,
        downtime_ms: Some(12.5),
        rounds: vec![Round { pages_sent: 7, ..Round::default() }],
        downtime_phases: vec![DowntimePhase { name: "devices", ms: 1.5 }],
        ..active(2)
    }
}

fn migrate(served: &Served, more: &[&str]) -> Ran {
    run(&[&["migrate", "--qmp", &served.address, "unix:/run/m.sock"], more].concat())
}

#[test]
fn without_follow_it_returns_once_started() {
    let served = serve(vec![active(1)]);
    let ran = migrate(&served, &[]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(ran.stdout, "the migration to unix:/run/m.sock has started\n");
    assert_eq!(served.machine.started_with.lock().unwrap().take().unwrap().to_string(), "unix:/run/m.sock");
    assert_eq!(migrate(&served, &["--json"]).document()["status"], "active");
    let ran = migrate(&served, &["--quiet"]);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", ""));
}

#[test]
fn followed_to_completion_it_reports() {
    let script =
        || vec![MigrationInfo { status: Status::Setup, ..Default::default() }, active(1), active(2), completed()];
    let ran = migrate(&serve(script()), &["--follow"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert!(ran.stdout.starts_with("migrated in 1.500 s, downtime 12.5 ms\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("devices 1.50 ms"), "{}", ran.stdout);

    let ran = migrate(&serve(script()), &["--follow", "--json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let document = ran.document();
    assert_eq!(document["status"], "completed");
    assert_eq!((&document["total_ms"], &document["downtime_ms"]), (&json!(1500), &json!(12.5)));
    assert_eq!((&document["owner"], &document["rounds"][0]["pages_sent"]), (&json!("destination"), &json!(7)));
    assert_eq!(document["ram"]["total_bytes"], 1 << 30);
}

#[test]
fn with_v_each_status_and_round_is_a_line_on_standard_error() {
    let script = vec![
        MigrationInfo { status: Status::Setup, ..Default::default() },
        active(1),
        active(1),
        active(2),
        completed(),
    ];
    let ran = migrate(&serve(script), &["--follow", "-v", "--json"]);
    assert_eq!(ran.document()["status"], "completed");
    let lines: Vec<_> = ran.stderr.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(lines, ["setup", "round 1", "round 2", "round 2"], "{}", ran.stderr);
    assert!(ran.stderr.contains("downtime about 40 ms"), "{}", ran.stderr);
}

#[test]
fn a_failure_is_a_no_with_its_cause() {
    let failed = MigrationInfo {
        status: Status::Failed,
        owner: Owner::Unknown,
        error: Some("the connection broke".to_owned()),
        ..MigrationInfo::default()
    };
    let ran = migrate(&serve(vec![active(1), failed]), &["--follow", "--json"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.stderr, "error: the migration failed\n  caused by: the connection broke\n");
    assert_eq!(ran.document(), json!({"status": "failed", "error": "the connection broke", "owner": "unknown"}));
}

#[test]
fn a_cancellation_is_a_no() {
    let cancelled = MigrationInfo { status: Status::Cancelled, ..MigrationInfo::default() };
    let ran = migrate(&serve(vec![active(1), cancelled]), &["--follow"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert_eq!(ran.stderr, "error: the migration was cancelled\n");
}

#[test]
fn settings_reach_the_machine_before_the_start() {
    let served = serve(vec![active(1)]);
    let ran = migrate(
        &served,
        &[
            "--cap",
            "events=on",
            "--cap",
            "return-path=off",
            "--param",
            "max-bandwidth=1G",
            "--param",
            "downtime-limit=100",
        ],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let capabilities = *served.machine.capabilities.lock().unwrap();
    assert!(capabilities.events && !capabilities.return_path);
    let parameters = *served.machine.parameters.lock().unwrap();
    assert_eq!((parameters.max_bandwidth, parameters.downtime_limit_ms), (1 << 30, 100));
}

#[test]
fn what_the_machine_refuses_is_not_started() {
    let served = serve(vec![active(1)]);
    for (option, value, words) in [
        ("--cap", "x-colo=on", "migrate-set-capabilities: "),
        ("--param", "tls-authz=x", "migrate-set-parameters: "),
        ("--param", "multifd-channels=0", "multifd-channels"),
        ("--param", "downtime-limit=2000001", "downtime-limit"),
    ] {
        let ran = migrate(&served, &[option, value]);
        assert_eq!(ran.code, Some(4), "{value}");
        assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains(words), "{}", ran.stderr);
    }
    let ran = run(&["migrate", "--qmp", &served.address, "smtp:host"]);
    assert_eq!(ran.code, Some(4));
    assert!(ran.stderr.contains("smtp:host"), "{}", ran.stderr);
    assert!(served.machine.started_with.lock().unwrap().is_none());
}

#[test]
fn wrong_usage_is_two() {
    let served = serve(vec![active(1)]);
    for args in [
        &["migrate", "unix:/run/m.sock"][..],
        &["migrate", "--qmp", &served.address],
        &["migrate", "--qmp", "tcp:localhost:4444", "unix:/run/m.sock"],
        &["migrate", "--qmp", &served.address, "unix:/run/m.sock", "--cap", "events=maybe"],
        &["migrate", "--qmp", &served.address, "unix:/run/m.sock", "--param", "max-bandwidth"],
        &["migrate", "--qmp", &served.address, "unix:/run/m.sock", "--param", "max-bandwidth=fast"],
        &["migrate", "--qmp", &served.address, "unix:/run/m.sock", "--quiet", "-v"],
        &["no-such-command"],
        &[],
    ] {
        let ran = run(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{args:?}");
    }
    assert!(served.machine.started_with.lock().unwrap().is_none());
}

#[test]
fn nobody_at_the_socket_is_four() {
    let ran = run(&["migrate", "--qmp", "unix:/nonexistent/qmp", "unix:/run/m.sock"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(4), ""));
    assert!(ran.stderr.starts_with("error: cannot connect to the QMP socket '/nonexistent/qmp'\n  caused by: "));
}

/// Starts the command with `-v --follow` on a migration that never ends, and waits for its first round.
fn following(served: &Served) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut child = vmferry(&["migrate", "--qmp", &served.address, "unix:/run/m.sock", "--follow", "-v"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("round 1") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0);
    }
    (child, stderr)
}

#[test]
fn ctrl_c_ends_the_following_and_says_that_the_migration_goes_on() {
    let served = serve(vec![active(1)]);
    let (mut child, mut stderr) = following(&served);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("the migration goes on") && rest.contains("migrate_cancel"), "{rest}");
}

#[test]
fn a_machine_that_goes_away_is_four() {
    let served = serve(vec![active(1)]);
    let (mut child, mut stderr) = following(&served);
    drop(served.server);
    assert_eq!(child.wait().unwrap().code(), Some(4));
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert!(rest.starts_with("error: lost the machine after the migration had started\n  caused by: "), "{rest}");
}

/// A real QEMU with a small machine.
struct Qemu(Child);

impl Qemu {
    fn start(binary: &Path, folder: &Path, name: &str, more: &[&str]) -> (Self, String) {
        let socket = folder.join(name);
        let child = Command::new(binary)
            .args(["-M", "virt", "-m", "64M", "-bios", "none", "-nodefaults", "-display", "none", "-S", "-qmp"])
            .arg(format!("unix:{},server=on,wait=off", socket.display()))
            .args(more)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let qemu = Self(child);
        let deadline = Instant::now() + Duration::from_secs(20);
        while UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < deadline, "{} does not listen", binary.display());
            std::thread::yield_now();
        }
        (qemu, format!("unix:{}", socket.display()))
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn it_migrates_a_real_qemu() {
    for version in ["7.2", "10.0", "11.1"] {
        let Some(binary) = kit::qemu(&format!("qemu-{version}-riscv64")) else { continue };
        let folder = tempfile::tempdir().unwrap();
        let uri = format!("unix:{}", folder.path().join("m").display());
        let (_source, address) = Qemu::start(&binary, folder.path(), "source", &[]);

        let ran = run(&["migrate", "--qmp", &address, &uri, "--follow", "--json"]);
        assert_eq!(ran.code, Some(1), "{version}: {}", ran.stderr);
        assert_eq!(ran.document()["status"], "failed");
        assert!(ran.stderr.starts_with("error: the migration failed"), "{version}: {}", ran.stderr);

        let (_destination, to) = Qemu::start(&binary, folder.path(), "destination", &["-incoming", "defer"]);
        let mut client = Client::connect(to.parse::<SocketPath>().unwrap().path()).unwrap();
        // Returns once it listens.
        client.execute("migrate-incoming", json!({ "uri": uri })).unwrap();
        let options = ["--cap", "return-path=on", "--param", "max-bandwidth=0", "--param", "tls-hostname=x"];
        let ran = run(&[&["migrate", "--qmp", &address, &uri, "--follow", "--json"], &options[..]].concat());
        assert_eq!(ran.code, Some(0), "{version}: {}", ran.stderr);
        let document = ran.document();
        assert_eq!(document["status"], "completed");
        assert!(document["total_ms"].is_u64() && document["downtime_ms"].is_u64(), "{document}");
        assert!(document["ram"]["total_bytes"].as_u64().unwrap() >= 64 << 20, "{document}");
    }
}
