//! The engine and real QEMUs as each other's peers: machine `none` with 1 MiB of RAM, which both have.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod kit;
#[path = "../../vmferry/tests/machine/mod.rs"]
mod machine;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kit::{PATIENCE, Qemu, memory_of, wait_for};
use machine::{TestMachine, Walker};
use serde_json::{Value, json};
use vmferry::channel::Uri;
use vmferry::control::{Capabilities, Owner, Parameters, RunState, Status};
use vmferry::{FIRST_DEVICE_SECTION_ID, Incoming, Machine as _, Migration};
use vmferry_qmp::Client;
use vmstate::{Migrate, Place, Refused, Registry, Versions, VmState};

const VERSIONS: [&str; 4] = ["5.2", "7.2", "10.0", "11.1"];
const BYTES: usize = 1 << 20;

/// QEMU's `timer` section, as `docs/spec/stream.md` section 12 has it.
#[derive(VmState, Debug, Clone, Copy, Default, PartialEq, Eq)]
#[vmstate(name = "timer", version = 2)]
struct TimerImage {
    cpu_ticks_offset: i64,
    #[vmstate(unused = 8)]
    _reserved: (),
    cpu_clock_offset: i64,
}

/// One that QEMU refuses.
#[derive(VmState, Debug, Clone, Copy, Default, PartialEq, Eq)]
#[vmstate(name = "timer", version = 3)]
struct NewerTimerImage {
    cpu_ticks_offset: i64,
}

#[derive(Debug, Default)]
struct Holds<T>(T);

macro_rules! holds {
    ($image:ty) => {
        impl Migrate for Holds<$image> {
            type Image = $image;
            type Props = ();

            fn props(&self) {}

            fn snapshot(&self) -> Result<$image, Refused> {
                Ok(self.0)
            }

            fn template(&self) -> Result<$image, Refused> {
                Ok(self.0)
            }

            fn restore(&mut self, image: $image, _: &Versions) -> Result<(), Refused> {
                self.0 = image;
                Ok(())
            }
        }
    };
}

holds!(TimerImage);
holds!(NewerTimerImage);

fn machine<T>(version: &str, run_state: RunState, timer: T) -> (Arc<TestMachine>, Arc<Mutex<Holds<T>>>)
where
    Holds<T>: Migrate + Send + 'static,
    Arc<Mutex<Holds<T>>>: Migrate,
{
    let timer = Arc::new(Mutex::new(Holds(timer)));
    let registry = Registry::new(FIRST_DEVICE_SECTION_ID);
    registry.register(Place::default(), Arc::clone(&timer)).unwrap();
    let walker = Arc::new(Mutex::new(Walker::default()));
    let machine = TestMachine::with_registry("none", &[("ram", BYTES)], run_state, walker, registry);
    machine.announces_switchover.store(version.starts_with("1"), std::sync::atomic::Ordering::Relaxed);
    (machine, timer)
}

/// A QEMU that waits for a guest.
fn waiting(version: &str, uri: &str) -> Option<(Qemu, Client)> {
    let qemu = Qemu::start_with(version, &["-m", "1M", "-incoming", uri])?;
    let client = Client::connect(&qemu.path).unwrap();
    Some((qemu, client))
}

#[test]
fn a_guest_goes_through_a_real_qemu_and_comes_back_whole() {
    for version in VERSIONS {
        let folder = tempfile::tempdir().unwrap();
        let there = format!("unix:{}", folder.path().join("there").display());
        let back = format!("unix:{}", folder.path().join("back").display());
        let Some((_qemu, mut client)) = waiting(version, &there) else { continue };
        let timer = TimerImage { cpu_ticks_offset: -7, _reserved: (), cpu_clock_offset: 0x0102_0304_0506_0708 };
        let (source, _) = machine(version, RunState::Running, timer);
        source.wait_for_passes(2);
        let outgoing = Migration::new(source.clone());
        outgoing.migrate(&there.parse().unwrap()).unwrap();
        outgoing.wait().unwrap();
        assert_eq!((outgoing.info().status, outgoing.info().owner), (Status::Completed, Owner::Destination));
        assert_eq!(source.run_state(), RunState::PostMigrate);
        wait_for(&mut client, "completed", version);
        assert_eq!(client.execute("query-status", Value::Null).unwrap()["status"], "paused", "{version}: -S");
        assert!(memory_of(&mut client, folder.path(), BYTES) == source.memory(), "{version}");

        let (destination, timer_there) = machine(version, RunState::InMigrate, TimerImage::default());
        let incoming = Migration::new(destination.clone());
        incoming.incoming(&back.parse().unwrap(), Incoming::default()).unwrap();
        let return_path = json!({"capabilities": [{"capability": "return-path", "state": true}]});
        client.execute("migrate-set-capabilities", return_path).unwrap();
        client.execute("migrate", json!({ "uri": back })).unwrap();
        incoming.wait().unwrap();
        wait_for(&mut client, "completed", version);
        assert_eq!((incoming.info().owner, destination.run_state()), (Owner::Destination, RunState::Paused));
        assert!(destination.memory() == source.memory(), "{version}");
        assert_eq!(timer_there.lock().unwrap().0.cpu_ticks_offset, timer.cpu_ticks_offset, "{version}");
    }
}

#[test]
fn a_qemu_that_refuses_a_device_leaves_the_guest_at_the_source() {
    for version in VERSIONS {
        let folder = tempfile::tempdir().unwrap();
        let there = format!("unix:{}", folder.path().join("there").display());
        let Some((_qemu, _client)) = waiting(version, &there) else { continue };
        let (source, _) = machine(version, RunState::Running, NewerTimerImage::default());
        let outgoing = Migration::new(source.clone());
        outgoing.migrate(&there.parse::<Uri>().unwrap()).unwrap();
        let error = outgoing.wait().unwrap_err();
        println!("{version}: {error}");
        assert_eq!((outgoing.info().owner, source.run_state()), (Owner::Source, RunState::Running), "{version}");
    }
}

/// Differences that our encoder makes, decoded by QEMU.
#[test]
fn pages_that_go_as_differences_arrive_whole_at_a_real_qemu() {
    for version in VERSIONS {
        let folder = tempfile::tempdir().unwrap();
        let there = format!("unix:{}", folder.path().join("there").display());
        let Some((_qemu, mut client)) = waiting(version, &there) else { continue };
        let (source, _) = machine(version, RunState::Running, TimerImage::default());
        source.wait_for_passes(2);
        let outgoing = Migration::new(source.clone());
        let parameters = Parameters { downtime_limit_ms: 0, ..Parameters::default() };
        outgoing.set_parameters(parameters).unwrap();
        source.keeps_dirty.store(true, Ordering::Relaxed);
        outgoing.set_capabilities(Capabilities { xbzrle: true, ..Capabilities::default() }).unwrap();
        outgoing.migrate(&there.parse().unwrap()).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while outgoing.info().xbzrle.is_none_or(|stats| stats.pages < 2000) {
            assert!(Instant::now() < deadline, "{version}: {:?}", outgoing.info());
            std::thread::sleep(Duration::from_millis(1));
        }
        outgoing.set_parameters(Parameters { downtime_limit_ms: 10_000, ..parameters }).unwrap();
        source.keeps_dirty.store(false, Ordering::Relaxed);
        outgoing.wait().unwrap();
        wait_for(&mut client, "completed", version);
        assert!(memory_of(&mut client, folder.path(), BYTES) == source.memory(), "{version}");
        let stats = outgoing.info().xbzrle.unwrap();
        assert!(stats.bytes < stats.pages * 200, "{version}: {stats:?}");
    }
}

/// Capability `compress` of QEMU up to 9.0, which we only read.
#[test]
fn pages_that_an_old_qemu_compressed_arrive_whole() {
    for version in ["5.2", "7.2"] {
        let folder = tempfile::tempdir().unwrap();
        let there = format!("unix:{}", folder.path().join("there").display());
        let file = folder.path().join("ram");
        let memory: Vec<u8> = (0..BYTES).map(|at| (at / 64 * (at / 4096)).to_le_bytes()[0]).collect();
        std::fs::write(&file, &memory).unwrap();
        let backend = format!("memory-backend-file,id=ram,size=1M,share=on,mem-path={}", file.display());
        let options = ["-m", "1M", "-object", &backend, "-machine", "memory-backend=ram"];
        let Some(qemu) = Qemu::start_with(version, &options) else { continue };
        let mut client = Client::connect(&qemu.path).unwrap();
        let (destination, _) = machine(version, RunState::InMigrate, TimerImage::default());
        let incoming = Migration::new(destination.clone());
        incoming.incoming(&there.parse().unwrap(), Incoming::default()).unwrap();
        let capabilities = json!({"capabilities": [{"capability": "compress", "state": true}]});
        client.execute("migrate-set-capabilities", capabilities).unwrap();
        client.execute("migrate", json!({ "uri": there })).unwrap();
        incoming.wait().unwrap();
        wait_for(&mut client, "completed", version);
        let reply = client.execute("query-migrate", Value::Null).unwrap();
        assert!(reply["compression"]["pages"].as_u64().unwrap() > 100, "{version}: {reply}");
        assert!(destination.memory() == memory, "{version}");
    }
}
