//! Two machines that the engine moves, commanded by QMP alone.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod kit;
#[path = "../../vmferry/tests/machine/mod.rs"]
mod machine;

use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use machine::TestMachine;
use serde_json::{Value, json};
use vmferry::control::{Event, RunState};
use vmferry::dirty::DirtyLog;
use vmferry::memory::RamBlock;
use vmferry::{Error, Incoming, Machine, Migration};
use vmferry_qmp::{Client, ClientError, CommandError, EngineMonitor, EventBus, Guest, MachineInfo, Server};
use vmstate::machine::DeviceType;
use vmstate::{Refused, Registry};

const PATIENCE: Duration = Duration::from_secs(20);

/// The engine's test machine, whose events reach clients.
struct Told {
    machine: Arc<TestMachine>,
    events: EventBus,
    failed: Sender<String>,
}

impl Machine for Told {
    fn machine_type(&self) -> &str {
        self.machine.machine_type()
    }

    fn registry(&self) -> &Registry {
        self.machine.registry()
    }

    fn ram(&self) -> &[Arc<dyn RamBlock>] {
        self.machine.ram()
    }

    fn dirty_log(&self) -> &dyn DirtyLog {
        self.machine.dirty_log()
    }

    fn run_state(&self) -> RunState {
        self.machine.run_state()
    }

    fn stop(&self, state: RunState) -> Result<RunState, Refused> {
        let left = self.machine.stop(state)?;
        if left.is_running() {
            self.events.emit(Event::Stop);
        }
        Ok(left)
    }

    fn start(&self) -> Result<(), Refused> {
        self.machine.start()?;
        self.events.emit(Event::Resume);
        Ok(())
    }

    fn emit(&self, event: Event) {
        self.events.emit(event);
    }
}

impl Guest for Told {
    fn run_state(&self) -> RunState {
        self.machine.run_state()
    }

    fn stop(&self) -> Result<(), CommandError> {
        Machine::stop(self, RunState::Paused).map(drop).map_err(|refused| CommandError::generic(refused.to_string()))
    }

    fn cont(&self) -> Result<(), CommandError> {
        match self.machine.run_state() {
            RunState::InMigrate | RunState::FinishMigrate => Err(CommandError::generic("a migration has the guest")),
            _ => self.start().map_err(|refused| CommandError::generic(refused.to_string())),
        }
    }

    fn quit(&self) {}

    fn machines(&self) -> Vec<MachineInfo> {
        Vec::new()
    }

    fn device_types(&self) -> Vec<DeviceType> {
        Vec::new()
    }

    fn incoming_failed(&self, error: &Error) {
        self.failed.send(error.to_string()).unwrap();
    }
}

struct Side {
    machine: Arc<TestMachine>,
    client: Client,
    failed: Receiver<String>,
    _server: Server,
}

fn side(folder: &std::path::Path, name: &str, machine_type: &str, run_state: RunState, incoming: Incoming) -> Side {
    let machine = TestMachine::new(machine_type, 4 << 20, run_state);
    let (failed_sender, failed) = channel();
    let told = Arc::new(Told { machine: Arc::clone(&machine), events: EventBus::new(), failed: failed_sender });
    let migration = Arc::new(Migration::new(told.clone()));
    let monitor = Arc::new(EngineMonitor::new(told.clone(), migration, incoming));
    let server = Server::bind(&folder.join(name), monitor, told.events.clone()).unwrap();
    let mut client = Client::connect(server.path()).unwrap();
    let events = json!({"capabilities": [{"capability": "events", "state": true}]});
    client.execute("migrate-set-capabilities", events).unwrap();
    Side { machine, client, failed, _server: server }
}

struct Pair {
    source: Side,
    destination: Side,
    uri: String,
    folder: tempfile::TempDir,
}

fn pair(incoming: Incoming, destination_type: &str) -> Pair {
    let folder = tempfile::tempdir().unwrap();
    let source = side(folder.path(), "source", "test-1.0", RunState::Running, Incoming::default());
    let destination = side(folder.path(), "destination", destination_type, RunState::InMigrate, incoming);
    let uri = format!("unix:{}", folder.path().join("migration").display());
    Pair { source, destination, uri, folder }
}

impl Side {
    fn execute(&mut self, command: &str, arguments: Value) -> Value {
        self.client.execute(command, arguments).unwrap()
    }

    /// Events up to a final status, as words: names, and of MIGRATION the status.
    fn events_to_the_end(&mut self) -> Vec<String> {
        let mut words = Vec::new();
        loop {
            let event = match self.client.next_event(PATIENCE) {
                Ok(Some(event)) => event,
                other => panic!("{other:?} after {words:?}"),
            };
            let word = event.data["status"].as_str().map_or(event.name, ToOwned::to_owned);
            words.push(word.clone());
            if ["completed", "failed", "cancelled"].contains(&word.as_str()) {
                return words;
            }
        }
    }
}

#[test]
fn a_guest_moves_by_qmp_and_the_events_come_in_qemus_order() {
    let mut pair = pair(Incoming::default(), "test-1.0");
    pair.source.machine.wait_for_passes(1);
    pair.destination.execute("migrate-incoming", json!({"uri": pair.uri}));
    pair.source.execute("migrate-set-parameters", json!({"max-bandwidth": 0, "downtime-limit": 1000}));
    pair.source.execute("migrate", json!({"uri": pair.uri}));

    let mut words = pair.source.events_to_the_end();
    words.dedup();
    let mut without_passes = words.clone();
    without_passes.retain(|word| word != "MIGRATION_PASS");
    assert_eq!(without_passes, ["setup", "active", "STOP", "device", "completed"]);
    assert!(words.contains(&"MIGRATION_PASS".to_owned()));
    assert_eq!(pair.destination.events_to_the_end(), ["setup", "active", "RESUME", "completed"]);

    let status = pair.source.execute("query-status", Value::Null);
    assert_eq!(status, json!({"status": "postmigrate", "running": false}));
    assert_eq!(pair.destination.execute("query-status", Value::Null)["running"], true);
    let report = pair.source.execute("query-migrate", Value::Null);
    assert_eq!((&report["status"], &report["x-ferry-owner"]), (&json!("completed"), &json!("destination")));
    assert_eq!((&report["ram"]["remaining"], &report["ram"]["total"]), (&json!(0), &json!(4 << 20)));
    assert!(report["x-ferry-rounds"].as_array().is_some_and(|rounds| !rounds.is_empty()), "{report}");
    let phases: Vec<_> =
        report["x-ferry-downtime-phases"].as_array().unwrap().iter().map(|phase| &phase["name"]).collect();
    assert_eq!(phases, ["stop", "final-sync", "last-pages", "devices", "load", "handover"]);
    assert_eq!(pair.destination.execute("query-migrate", Value::Null)["status"], "completed");

    pair.destination.machine.wait_for_passes(2);
    assert_eq!(pair.destination.machine.state().bad_pages, 0);
    // What was moved away starts again only by an explicit `cont`.
    let again = pair.source.client.execute("migrate", json!({"uri": pair.uri}));
    assert!(matches!(again, Err(ClientError::Refused { .. })), "{again:?}");
}

#[test]
fn a_guest_that_is_not_to_start_waits_for_cont() {
    let mut pair = pair(Incoming { autostart: false }, "test-1.0");
    pair.destination.execute("migrate-incoming", json!({"uri": pair.uri}));
    pair.source.execute("migrate", json!({"uri": pair.uri}));
    pair.source.events_to_the_end();
    assert_eq!(pair.destination.events_to_the_end(), ["setup", "active", "completed"]);
    assert_eq!(pair.destination.execute("query-status", Value::Null)["status"], "paused");
    pair.destination.execute("cont", Value::Null);
    assert_eq!(pair.destination.execute("query-status", Value::Null)["status"], "running");
}

#[test]
fn the_port_that_the_kernel_chose_is_told_and_works() {
    let mut pair = pair(Incoming::default(), "test-1.0");
    pair.destination.execute("migrate-incoming", json!({"uri": "tcp:127.0.0.1:0"}));
    let report = pair.destination.execute("query-migrate", Value::Null);
    assert_eq!(report["status"], "setup");
    let address = &report["socket-address"][0];
    let uri = format!("tcp:{}:{}", address["host"].as_str().unwrap(), address["port"].as_str().unwrap());
    pair.source.execute("migrate", json!({ "uri": uri }));
    assert_eq!(pair.source.events_to_the_end().last().map(String::as_str), Some("completed"));
    pair.destination.events_to_the_end();
    assert!(pair.destination.execute("query-migrate", Value::Null).get("socket-address").is_none());
}

#[test]
fn a_refused_connection_fails_later_and_the_guest_runs_on() {
    let mut pair = pair(Incoming::default(), "test-1.0");
    pair.source.execute("migrate", json!({"uri": pair.uri}));
    assert_eq!(pair.source.events_to_the_end(), ["setup", "failed"]);
    let report = pair.source.execute("query-migrate", Value::Null);
    assert_eq!((&report["status"], &report["x-ferry-owner"]), (&json!("failed"), &json!("source")));
    assert!(report["error-desc"].as_str().is_some_and(|text| !text.is_empty()), "{report}");
    assert_eq!(pair.source.execute("query-status", Value::Null)["running"], true);
}

#[test]
fn a_cancelled_migration_leaves_the_guest_and_another_one_works() {
    let mut pair = pair(Incoming::default(), "test-1.0");
    // So slow that it does not end by itself.
    pair.source.execute("migrate-set-parameters", json!({"max-bandwidth": 65536, "downtime-limit": 0}));
    let file = format!("file:{}", pair.folder.path().join("first").display());
    pair.source.execute("migrate", json!({ "uri": file }));
    let refused = pair.source.client.execute("migrate", json!({ "uri": file }));
    assert!(matches!(refused, Err(ClientError::Refused { .. })), "{refused:?}");
    pair.source.execute("migrate_cancel", Value::Null);
    let words = pair.source.events_to_the_end();
    assert_eq!(words.first().map(String::as_str), Some("setup"));
    assert_eq!(words.last().map(String::as_str), Some("cancelled"));
    assert_eq!(pair.source.execute("query-migrate", Value::Null)["status"], "cancelled");
    assert_eq!(pair.source.execute("query-status", Value::Null)["running"], true);

    pair.destination.execute("migrate-incoming", json!({"uri": pair.uri}));
    pair.source.execute("migrate-set-parameters", json!({"max-bandwidth": 0, "downtime-limit": 1000}));
    pair.source.execute("migrate", json!({"uri": pair.uri}));
    assert_eq!(pair.source.events_to_the_end().last().map(String::as_str), Some("completed"));
}

#[test]
fn a_refused_guest_ends_the_destination_unless_it_is_not_to() {
    for exit_on_error in [true, false] {
        let mut pair = pair(Incoming::default(), "test-2.0");
        let arguments = json!({"uri": pair.uri, "exit-on-error": exit_on_error});
        pair.destination.execute("migrate-incoming", arguments);
        pair.source.execute("migrate", json!({"uri": pair.uri}));
        assert_eq!(pair.source.events_to_the_end().last().map(String::as_str), Some("failed"));
        assert_eq!(pair.destination.events_to_the_end().last().map(String::as_str), Some("failed"));
        if exit_on_error {
            let error = pair.destination.failed.recv_timeout(PATIENCE).unwrap();
            assert!(error.contains("test-1.0"), "{error}");
        } else {
            let report = pair.destination.execute("query-migrate", Value::Null);
            assert!(report["error-desc"].as_str().is_some_and(|text| text.contains("test-1.0")), "{report}");
            assert_eq!(pair.destination.execute("query-status", Value::Null)["status"], "inmigrate");
            assert!(pair.destination.failed.try_recv().is_err());
        }
        assert_eq!(pair.source.execute("query-status", Value::Null)["running"], true);
    }
}

#[test]
fn a_descriptor_from_getfd_carries_a_migration() {
    let mut pair = pair(Incoming::default(), "test-1.0");
    let (mut reader, writer) = std::io::pipe().unwrap();
    let drained = std::thread::spawn(move || {
        let mut stream = Vec::new();
        reader.read_to_end(&mut stream).unwrap();
        stream
    });
    pair.source.client.execute_with_fd("getfd", json!({"fdname": "m"}), writer.as_fd()).unwrap();
    drop(writer);
    let off = json!({"capabilities": [{"capability": "return-path", "state": false}]});
    pair.source.execute("migrate-set-capabilities", off);
    pair.source.execute("migrate-set-parameters", json!({"max-bandwidth": 0, "downtime-limit": 1000}));
    pair.source.execute("migrate", json!({"uri": "fd:m"}));
    assert_eq!(pair.source.events_to_the_end().last().map(String::as_str), Some("completed"));
    assert_eq!(drained.join().unwrap()[..4], *b"QEVM");
}

/// What a machine without dirty rings answers: whether a command is accepted.
fn dirty_limit_answers(client: &mut Client) -> Vec<(String, bool)> {
    let capabilities = |names: &[&str]| {
        let on = |name: &&str| json!({ "capability": name, "state": true });
        json!({ "capabilities": names.iter().map(on).collect::<Vec<_>>() })
    };
    let mut answers = Vec::new();
    for (command, arguments) in [
        ("migrate-set-capabilities", capabilities(&["dirty-limit"])),
        ("migrate-set-capabilities", capabilities(&["dirty-limit", "auto-converge"])),
        ("set-vcpu-dirty-limit", json!({"dirty-rate": 10})),
        ("set-vcpu-dirty-limit", json!({"dirty-rate": 10, "cpu-index": 0})),
        ("set-vcpu-dirty-limit", json!({"cpu-index": 0})),
        ("set-vcpu-dirty-limit", json!({"dirty-rate": "10"})),
        ("cancel-vcpu-dirty-limit", json!({})),
        ("cancel-vcpu-dirty-limit", json!({"cpu-index": 7})),
        ("cancel-vcpu-dirty-limit", json!({"dirty-rate": 7})),
        ("query-vcpu-dirty-limit", json!({})),
        ("query-vcpu-dirty-limit", json!({"cpu-index": 0})),
        ("migrate-set-parameters", json!({"vcpu-dirty-limit": 0})),
        ("migrate-set-parameters", json!({"vcpu-dirty-limit": 1_u64 << 63})),
        ("migrate-set-parameters", json!({"x-vcpu-dirty-limit-period": 0})),
        ("migrate-set-parameters", json!({"x-vcpu-dirty-limit-period": 1001})),
        ("migrate-set-parameters", json!({"x-vcpu-dirty-limit-period": 5})),
    ] {
        let accepted = match client.execute(command, arguments.clone()) {
            Ok(_) => true,
            Err(ClientError::Refused { .. }) => false,
            Err(other) => panic!("{other}"),
        };
        answers.push((format!("{command} {arguments}"), accepted));
    }
    answers
}

#[test]
fn a_machine_without_dirty_rings_answers_as_qemu_does() {
    let mut pair = pair(Incoming::default(), "test-1.0");
    let defaults = pair.source.execute("query-migrate-parameters", Value::Null);
    let Some(qemu) = kit::Qemu::start("10.0") else { return };
    let mut client = Client::connect(&qemu.path).unwrap();
    let theirs = client.execute("query-migrate-parameters", Value::Null).unwrap();
    for name in ["vcpu-dirty-limit", "x-vcpu-dirty-limit-period"] {
        assert!(!defaults[name].is_null());
        assert_eq!(defaults[name], theirs[name], "{name}");
    }
    assert_eq!(dirty_limit_answers(&mut pair.source.client), dirty_limit_answers(&mut client));
    assert_eq!(pair.source.execute("query-vcpu-dirty-limit", Value::Null), json!([]));
}
