//! The engine and real QEMUs as each other's peers over multifd channels: machine `none`, whose RAM both have.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod kit;
#[path = "../../vmferry/tests/machine/mod.rs"]
mod machine;
mod timer;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use kit::{Qemu, memory_of, wait_for};
use machine::{TestMachine, Walker};
use serde_json::json;
use timer::with_timer;
use vmferry::control::{
    Capabilities, MultifdCompression, MultifdParameters, Owner, Parameters, RunState, Status, ZeroPageDetection,
};
use vmferry::{FIRST_DEVICE_SECTION_ID, Incoming, Machine as _, Migration};
use vmferry_qmp::Client;
use vmstate::Registry;

const MIB: usize = 12;
const BYTES: usize = MIB << 20;

/// What both ends are told.
#[derive(Debug, Clone, Copy)]
struct Way {
    version: &'static str,
    /// Options that make the QEMU of an older machine type.
    options: &'static [&'static str],
    /// The rule of machine types up to 8.0.
    flushes_after_each_section: bool,
    detection: ZeroPageDetection,
    channels: u8,
    compression: MultifdCompression,
    transport: &'static str,
}

impl Way {
    const fn of(version: &'static str) -> Self {
        let is_old = matches!(version.as_bytes(), [b'5' | b'7', ..]);
        Self {
            version,
            options: &[],
            flushes_after_each_section: is_old,
            detection: if is_old { ZeroPageDetection::Legacy } else { ZeroPageDetection::Multifd },
            channels: 2,
            compression: MultifdCompression::None,
            transport: "unix",
        }
    }

    fn machine(self, run_state: RunState) -> Arc<TestMachine> {
        let registry = Registry::new(FIRST_DEVICE_SECTION_ID);
        let walker = Arc::new(Mutex::new(Walker::default()));
        let machine = TestMachine::with_registry("none", &[("ram", BYTES)], run_state, walker, registry);
        with_timer(&machine);
        machine.announces_switchover.store(self.version.starts_with('1'), Ordering::Relaxed);
        machine.flushes_after_each_section.store(self.flushes_after_each_section, Ordering::Relaxed);
        machine
    }

    fn migration(self, machine: &Arc<TestMachine>) -> Migration {
        let migration = Migration::new(machine.clone());
        migration.set_capabilities(Capabilities { multifd: true, ..Capabilities::default() }).unwrap();
        let multifd =
            MultifdParameters { channels: self.channels, compression: self.compression, ..Default::default() };
        let detection = self.detection;
        let parameters = Parameters { max_bandwidth: 0, zero_page_detection: detection, multifd, ..Default::default() };
        migration.set_parameters(parameters).unwrap();
        migration
    }

    fn qemu(self, more: &[&str]) -> Option<(Qemu, Client)> {
        let memory = format!("{MIB}M");
        let options = [&["-m", &memory], self.options, more].concat();
        let qemu = Qemu::start_with(self.version, &options)?;
        let mut client = Client::connect(&qemu.path).unwrap();
        let on = |name: &str| json!({"capability": name, "state": true});
        let capabilities = json!({"capabilities": [on("multifd"), on("return-path")]});
        client.execute("migrate-set-capabilities", capabilities).unwrap();
        let parameters = json!({
            "multifd-channels": self.channels,
            "multifd-compression": self.compression.name(),
            "max-bandwidth": 1_u64 << 40,
        });
        client.execute("migrate-set-parameters", parameters).unwrap();
        Some((qemu, client))
    }

    fn uri(self, folder: &Path, name: &str) -> String {
        match self.transport {
            "tcp" => {
                let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
                format!("tcp:127.0.0.1:{port}")
            }
            _ => format!("unix:{}", folder.join(name).display()),
        }
    }
}

/// A running guest of ours goes into a QEMU, and from there into a fresh machine of ours.
fn go_and_come_back(way: Way) {
    let folder = tempfile::tempdir().unwrap();
    let Some((_qemu, mut client)) = way.qemu(&["-incoming", "defer"]) else { return };
    let source = way.machine(RunState::Running);
    // Part of the memory stays zero.
    source.wait_for_passes(1);
    source.stop(RunState::Paused).unwrap();
    source.fill(3 << 20, &vec![0; 2 << 20]);
    let outgoing = way.migration(&source);
    let there = way.uri(folder.path(), "there");
    client.execute("migrate-incoming", json!({ "uri": there })).unwrap();
    outgoing.migrate(&there.parse().unwrap()).unwrap();
    outgoing.wait().unwrap_or_else(|error| panic!("{way:?}: {error}"));
    assert_eq!((outgoing.info().status, outgoing.info().owner), (Status::Completed, Owner::Destination), "{way:?}");
    wait_for(&mut client, "completed", way);
    assert!(memory_of(&mut client, folder.path(), BYTES) == source.memory(), "{way:?}");
    let ram = outgoing.info().ram;
    assert_eq!((ram.normal_pages, ram.zero_pages), (10 << 8, 2 << 8), "{way:?}");

    let destination = way.machine(RunState::InMigrate);
    let incoming = way.migration(&destination);
    let back = way.uri(folder.path(), "back");
    incoming.incoming(&back.parse().unwrap(), Incoming::default()).unwrap();
    client.execute("migrate", json!({ "uri": back })).unwrap();
    incoming.wait().unwrap_or_else(|error| panic!("{way:?}, back: {error}"));
    wait_for(&mut client, "completed", way);
    assert_eq!((incoming.info().owner, destination.run_state()), (Owner::Destination, RunState::Paused), "{way:?}");
    assert!(destination.memory() == source.memory(), "{way:?}, back");
}

#[test]
fn every_release_in_both_directions() {
    for version in ["5.2", "7.2", "10.0", "11.1"] {
        for channels in [1, 2, 5] {
            go_and_come_back(Way { channels, ..Way::of(version) });
        }
    }
}

#[test]
fn every_compression_in_both_directions() {
    for version in ["7.2", "10.0"] {
        for compression in MultifdCompression::ALL {
            for channels in [1, 2, 5] {
                go_and_come_back(Way { compression, channels, ..Way::of(version) });
            }
        }
    }
}

#[test]
fn over_tcp() {
    for version in ["7.2", "10.0"] {
        go_and_come_back(Way { transport: "tcp", ..Way::of(version) });
    }
}

#[test]
fn the_old_rule_of_a_new_release() {
    let way = Way {
        options: &["-global", "migration.multifd-flush-after-each-section=on"],
        flushes_after_each_section: true,
        ..Way::of("10.0")
    };
    go_and_come_back(way);
    go_and_come_back(Way { detection: ZeroPageDetection::Legacy, ..way });
}
