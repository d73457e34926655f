//! The image of a guest that runs on is that of one instant, and the guest stays whatever happens to the image.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod machine;

use std::io::Read as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use machine::{TestMachine, WalkerImage};
use vmferry::channel::Uri;
use vmferry::control::{Capabilities, Event, Owner, Parameters, RestoreMode, RunState, Status};
use vmferry::memory::MappedBlock;
use vmferry::{Incoming, Machine as _, Migration};

const BYTES: usize = 8 << 20;

fn snapshot() -> Capabilities {
    Capabilities { background_snapshot: true, events: true, ..Capabilities::default() }
}

/// A machine whose guest runs, and its migrations; `None`, with a line that says why, where nothing can be protected.
fn running(blocks: Vec<MappedBlock>) -> Option<(Arc<TestMachine>, Migration)> {
    let machine = TestMachine::with_write_protect_log("test-1.0", blocks, RunState::Prelaunch);
    let migration = Migration::new(machine.clone());
    if let Err(error) = migration.set_capabilities(snapshot()) {
        println!("skipped: {error}");
        return None;
    }
    machine.start().unwrap();
    Some((machine, migration))
}

fn anonymous() -> Vec<MappedBlock> {
    vec![MappedBlock::new("test.ram", BYTES).unwrap(), MappedBlock::new("other", 5 << 12).unwrap()]
}

fn shared() -> Vec<MappedBlock> {
    vec![MappedBlock::memfd("test.ram", BYTES).unwrap(), MappedBlock::memfd("other", 5 << 12).unwrap()]
}

fn file(path: &Path) -> Uri {
    Uri::File { path: path.to_owned(), offset: 0 }
}

/// Loads the image into a fresh machine, stopped.
fn loaded(uri: &Uri, blocks: Vec<MappedBlock>) -> (Arc<TestMachine>, Migration) {
    let machine = TestMachine::with_write_protect_log("test-1.0", blocks, RunState::InMigrate);
    let migration = Migration::new(machine.clone());
    migration.incoming(uri, Incoming { autostart: false }).unwrap();
    migration.wait().unwrap();
    (machine, migration)
}

#[test]
fn the_image_is_that_of_one_instant_while_the_guest_writes_at_full_speed() {
    let dir = tempfile::tempdir().unwrap();
    for (kind, blocks) in [("anonymous", anonymous as fn() -> Vec<MappedBlock>), ("shared", shared)] {
        // In its first pass most memory was never populated; later all is.
        for passes in [0, 2] {
            let Some((machine, migration)) = running(blocks()) else { return };
            machine.pause_us.store(0, Ordering::Relaxed);
            machine.wait_for_passes(passes);
            let uri = file(&dir.path().join(format!("{kind}-{passes}")));
            let before = machine.state();
            migration.migrate(&uri).unwrap();
            migration.wait().unwrap();
            assert_eq!(machine.run_state(), RunState::Running);
            let info = migration.info();
            assert_eq!((info.status, info.owner), (Status::Completed, Owner::Source));
            assert_eq!(info.ram.normal_pages + info.ram.zero_pages, (BYTES / 4096) as u64 + 5, "each page once");
            let phases: Vec<_> = info.downtime_phases.iter().map(|phase| phase.name).collect();
            assert_eq!(phases, ["stop", "devices", "protect", "resume"]);
            machine.wait_for_passes(1);
            assert_eq!(machine.state().bad_pages, 0, "the guest at the source");

            let (copy, _migration) = loaded(&uri, blocks());
            let WalkerImage { page, pass, bad_pages } = copy.state();
            assert!((before.pass, before.page) <= (pass, page), "not before the request");
            assert_eq!((copy.run_state(), bad_pages), (RunState::Paused, 0));
            copy.start().unwrap();
            copy.wait_for_passes(2);
            assert_eq!(copy.state().bad_pages, 0, "{kind}: the guest finds its memory as it was at one instant");
        }
    }
}

#[test]
fn the_events_are_qemus() {
    let dir = tempfile::tempdir().unwrap();
    let Some((machine, migration)) = running(anonymous()) else { return };
    machine.events.lock().unwrap().clear();
    migration.migrate(&file(&dir.path().join("image"))).unwrap();
    migration.wait().unwrap();
    // docs/spec/control.md section 6; where RESUME comes is a matter of scheduling there.
    let expected = [
        Event::Migration(Status::Setup),
        Event::Migration(Status::Active),
        Event::Stop,
        Event::Resume,
        Event::Migration(Status::Completed),
    ];
    assert_eq!(*machine.events.lock().unwrap(), expected);
}

#[test]
fn a_guest_that_stands_still_stays_so_and_its_image_says_it() {
    let dir = tempfile::tempdir().unwrap();
    let Some((machine, migration)) = running(anonymous()) else { return };
    machine.wait_for_passes(1);
    machine.stop(RunState::Paused).unwrap();
    let uri = file(&dir.path().join("image"));
    migration.migrate(&uri).unwrap();
    migration.wait().unwrap();
    assert_eq!(machine.run_state(), RunState::Paused);
    let copy = TestMachine::with_write_protect_log("test-1.0", anonymous(), RunState::InMigrate);
    let incoming = Migration::new(copy.clone());
    incoming.incoming(&uri, Incoming::default()).unwrap();
    incoming.wait().unwrap();
    assert_eq!(copy.run_state(), RunState::Paused, "also where it might start");
    assert!(copy.memory() == machine.memory());
    assert_eq!(copy.state(), machine.state());
}

/// The reader takes some of the image and then nothing: the channel is full, and the guest still runs.
#[test]
fn a_slow_reader_does_not_hold_the_guest_up_and_a_cancellation_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let Some((machine, migration)) = running(anonymous()) else { return };
    machine.pause_us.store(0, Ordering::Relaxed);
    machine.wait_for_passes(1);
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    for round in 0..3 {
        migration.migrate(&Uri::Unix(path.clone())).unwrap();
        let (mut reader, _) = listener.accept().unwrap();
        reader.read_exact(&mut vec![0; 4096 << round]).unwrap();
        // Every page is written, and every one is still to be sent but for what a socket holds.
        machine.wait_for_passes(2);
        assert_eq!(migration.info().status, Status::Active);
        migration.cancel();
        migration.wait().unwrap_err();
        assert_eq!(migration.info().status, Status::Cancelled);
        assert_eq!(machine.run_state(), RunState::Running);
        machine.wait_for_passes(1);
        assert_eq!(machine.state().bad_pages, 0);
    }
    let uri = file(&dir.path().join("image"));
    migration.migrate(&uri).unwrap();
    migration.wait().unwrap();
    loaded(&uri, anonymous());
}

#[test]
fn a_reader_that_goes_away_costs_the_image_and_not_the_guest() {
    let dir = tempfile::tempdir().unwrap();
    let Some((machine, migration)) = running(shared()) else { return };
    machine.pause_us.store(0, Ordering::Relaxed);
    machine.wait_for_passes(1);
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    migration.migrate(&Uri::Unix(path)).unwrap();
    let (mut reader, _) = listener.accept().unwrap();
    reader.read_exact(&mut [0; 100_000]).unwrap();
    drop(reader);
    migration.wait().unwrap_err();
    assert_eq!((migration.info().status, migration.info().owner), (Status::Failed, Owner::Source));
    assert_eq!(machine.run_state(), RunState::Running);
    machine.wait_for_passes(2);
    assert_eq!(machine.state().bad_pages, 0);
}

#[test]
fn a_device_that_refuses_leaves_the_guest_running() {
    let dir = tempfile::tempdir().unwrap();
    let Some((machine, migration)) = running(anonymous()) else { return };
    machine.walker.lock().unwrap().refuses_snapshot = true;
    migration.migrate(&file(&dir.path().join("image"))).unwrap();
    let error = migration.wait().unwrap_err().to_string();
    assert!(error.contains("the walker is not to be saved"), "{error}");
    assert_eq!(machine.run_state(), RunState::Running);
    machine.wait_for_passes(1);
}

#[test]
fn what_does_not_go_together_is_refused() {
    let Some((_machine, migration)) = running(anonymous()) else { return };
    for (name, other) in [
        ("xbzrle", Capabilities { xbzrle: true, ..snapshot() }),
        ("auto-converge", Capabilities { auto_converge: true, ..snapshot() }),
        ("multifd", Capabilities { multifd: true, ..snapshot() }),
        ("release-ram", Capabilities { release_ram: true, ..snapshot() }),
        ("x-ignore-shared", Capabilities { ignore_shared: true, ..snapshot() }),
    ] {
        let error = migration.set_capabilities(other).unwrap_err().to_string();
        assert!(error.contains(&format!("background-snapshot and {name} exclude each other")), "{error}");
    }
}

#[test]
fn an_image_at_fixed_places_is_restored_by_mapping() {
    let dir = tempfile::tempdir().unwrap();
    for (passes, blocks) in [(0, anonymous as fn() -> Vec<MappedBlock>), (1, anonymous), (1, shared)] {
        let Some((machine, migration)) = running(blocks()) else { return };
        migration.set_capabilities(Capabilities { mapped_ram: true, ..snapshot() }).unwrap();
        machine.pause_us.store(0, Ordering::Relaxed);
        machine.wait_for_passes(passes);
        // Over a file that has something everywhere.
        let path = dir.path().join("image");
        std::fs::write(&path, vec![0xee; BYTES + (8 << 20)]).unwrap();
        let uri = file(&path);
        for _ in 0..2 {
            migration.migrate(&uri).unwrap();
            migration.wait().unwrap();
            let ram = migration.info().ram;
            assert_eq!(ram.normal_pages + ram.zero_pages, (BYTES / 4096) as u64 + 5, "each page once");
            assert_eq!(machine.run_state(), RunState::Running);
            for restore in RestoreMode::ALL {
                let copy = TestMachine::with_write_protect_log("test-1.0", blocks(), RunState::InMigrate);
                let incoming = Migration::new(copy.clone());
                incoming.set_capabilities(Capabilities { mapped_ram: true, ..Capabilities::default() }).unwrap();
                incoming.set_parameters(Parameters { restore, ..Parameters::default() }).unwrap();
                incoming.incoming(&uri, Incoming::default()).unwrap();
                incoming.wait().unwrap();
                copy.wait_for_passes(2);
                assert_eq!(copy.state().bad_pages, 0, "{restore}");
            }
        }
        machine.wait_for_passes(1);
        assert_eq!(machine.state().bad_pages, 0, "the guest at the source");
    }
}
