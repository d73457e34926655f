//! Files with pages at fixed places, written by the engine and read by real QEMUs, and the other way round: machine
//! `none`, whose RAM both have.
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
use vmferry::control::{Capabilities, MultifdParameters, Parameters, RunState, Status, ZeroPageDetection};
use vmferry::{FIRST_DEVICE_SECTION_ID, Incoming, Machine as _, Migration};
use vmferry_qmp::Client;
use vmstate::Registry;

const MIB: usize = 12;
const BYTES: usize = MIB << 20;

/// What both ends are told.
#[derive(Debug, Clone, Copy)]
struct Way {
    version: &'static str,
    /// None without multifd.
    channels: u8,
    is_direct: bool,
    offset: u64,
    detection: ZeroPageDetection,
}

impl Way {
    /// The ways of one release.
    fn all(version: &'static str) -> [Self; 5] {
        let plain = Self { version, channels: 0, is_direct: false, offset: 0, detection: ZeroPageDetection::Multifd };
        [
            plain,
            Self { offset: 0x1000, ..plain },
            Self { channels: 3, ..plain },
            Self { channels: 2, is_direct: true, offset: 777, ..plain },
            Self { channels: 1, detection: ZeroPageDetection::None, ..plain },
        ]
    }

    fn machine(self, run_state: RunState) -> Arc<TestMachine> {
        let walker = Arc::new(Mutex::new(Walker::default()));
        let machine = TestMachine::with_registry(
            "none",
            &[("ram", BYTES)],
            run_state,
            walker,
            Registry::new(FIRST_DEVICE_SECTION_ID),
        );
        timer::with_timer(&machine);
        machine.announces_switchover.store(true, Ordering::Relaxed);
        machine
    }

    fn migration(self, machine: &Arc<TestMachine>) -> Migration {
        let migration = Migration::new(machine.clone());
        let capabilities = Capabilities { mapped_ram: true, multifd: self.channels > 0, ..Capabilities::default() };
        migration.set_capabilities(capabilities).unwrap();
        let multifd = MultifdParameters { channels: self.channels.max(1), ..Default::default() };
        let parameters = Parameters {
            max_bandwidth: 0,
            multifd,
            direct_io: self.is_direct,
            zero_page_detection: self.detection,
            ..Default::default()
        };
        migration.set_parameters(parameters).unwrap();
        migration
    }

    fn qemu(self) -> Option<(Qemu, Client)> {
        let qemu = Qemu::start_with(self.version, &["-m", &format!("{MIB}M"), "-incoming", "defer"])?;
        let mut client = Client::connect(&qemu.path).unwrap();
        let switch = |name: &str, state: bool| json!({"capability": name, "state": state});
        let capabilities = json!({"capabilities": [switch("mapped-ram", true), switch("multifd", self.channels > 0)]});
        client.execute("migrate-set-capabilities", capabilities).unwrap();
        let parameters = json!({
            "multifd-channels": self.channels.max(1),
            "max-bandwidth": 1_u64 << 40,
            "direct-io": self.is_direct,
            "zero-page-detection": self.detection.name(),
        });
        client.execute("migrate-set-parameters", parameters).unwrap();
        Some((qemu, client))
    }

    fn uri(self, path: &Path) -> String {
        match self.offset {
            0 => format!("file:{}", path.display()),
            offset => format!("file:{},offset={offset}", path.display()),
        }
    }
}

/// A running guest of ours goes into a file, from there into a QEMU, from there into a second file, and from there into
/// a fresh machine of ours.
fn go_and_come_back(way: Way) {
    // On a disk, where there is one: tmpfs knows no alignment.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (there, back) = (folder.path().join("there"), folder.path().join("back"));
    let Some((_qemu, mut client)) = way.qemu() else { return };
    let source = way.machine(RunState::Running);
    source.wait_for_passes(1);
    source.stop(RunState::Paused).unwrap();
    // Part of the memory becomes zero, and a part is left as it never was used.
    source.fill(3 << 20, &vec![0; 2 << 20]);
    source.start().unwrap();
    let outgoing = way.migration(&source);
    outgoing.migrate(&way.uri(&there).parse().unwrap()).unwrap();
    outgoing.wait().unwrap_or_else(|error| panic!("{way:?}: {error}"));
    assert_eq!(outgoing.info().status, Status::Completed, "{way:?}");
    client.execute("migrate-incoming", json!({ "uri": way.uri(&there) })).unwrap();
    wait_for(&mut client, "completed", way);
    assert!(memory_of(&mut client, folder.path(), BYTES) == source.memory(), "{way:?}");

    client.execute("migrate", json!({ "uri": way.uri(&back) })).unwrap();
    wait_for(&mut client, "completed", way);
    let destination = way.machine(RunState::InMigrate);
    destination.fill(0, &vec![0xaa; BYTES]);
    let incoming = way.migration(&destination);
    incoming.incoming(&way.uri(&back).parse().unwrap(), Incoming { autostart: false }).unwrap();
    incoming.wait().unwrap_or_else(|error| panic!("{way:?}, back: {error}"));
    assert!(destination.memory() == source.memory(), "{way:?}, back");

    // Both files have the same blocks at the same places, and the same bitmaps.
    let head = |path: &Path| {
        let octets = std::fs::read(path).unwrap();
        let at = octets.windows(4).position(|window| window == b"\x03ram".as_slice()).map(|at| at + 8).unwrap();
        let list = octets.windows(4).skip(at).position(|window| window == b"\x03ram".as_slice()).unwrap() + at;
        octets[list..list + 4 + 8 + 28 + BYTES / 4096 / 8].to_vec()
    };
    assert_eq!(head(&there), head(&back), "{way:?}");
}

#[test]
fn files_of_ours_load_in_qemu_and_its_files_load_here() {
    for version in ["10.0", "11.1"] {
        Way::all(version).into_iter().for_each(go_and_come_back);
    }
}
