//! The memory of a guest that was moved is given back to the host, if that is asked for and the guest is surely
//! elsewhere.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod machine;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use machine::TestMachine;
use vmferry::channel::Uri;
use vmferry::control::{Capabilities, Owner, Parameters, RunState};
use vmferry::memory::populated::populated;
use vmferry::{Incoming, Machine as _, Migration};

const BYTES: usize = 4 << 20;

/// Pages of the first block that are there, where the kernel can tell.
fn populated_pages(machine: &TestMachine) -> Option<u64> {
    populated(&*machine.ram()[0]).map(|pages| pages.count()).ok()
}

fn running() -> (Arc<TestMachine>, Migration) {
    let machine = TestMachine::new("test-1.0", BYTES, RunState::Running);
    machine.wait_for_passes(1);
    let migration = Migration::new(machine.clone());
    migration.set_parameters(Parameters { max_bandwidth: 0, ..Parameters::default() }).unwrap();
    (machine, migration)
}

fn release_ram() -> Capabilities {
    Capabilities { release_ram: true, ..Capabilities::default() }
}

#[test]
fn the_memory_at_the_source_falls_when_the_destination_has_the_guest() {
    for capabilities in [Capabilities::default(), release_ram(), Capabilities { multifd: true, ..release_ram() }] {
        let is_on = capabilities.release_ram;
        let (source, outgoing) = running();
        let destination = TestMachine::new("test-1.0", BYTES, RunState::InMigrate);
        let incoming = Migration::new(destination.clone());
        let dir = tempfile::tempdir().unwrap();
        let uri = Uri::Unix(dir.path().join("socket"));
        outgoing.set_capabilities(capabilities).unwrap();
        incoming.set_capabilities(Capabilities { release_ram: false, ..capabilities }).unwrap();
        incoming.incoming(&uri, Incoming::default()).unwrap();
        outgoing.migrate(&uri).unwrap();
        outgoing.wait().unwrap();
        incoming.wait().unwrap();
        assert_eq!((outgoing.info().owner, source.run_state()), (Owner::Destination, RunState::PostMigrate));
        assert_eq!(source.memory().iter().all(|octet| *octet == 0), is_on);
        if let Some(pages) = populated_pages(&source) {
            assert_eq!(pages, if is_on { 0 } else { (BYTES / 4096) as u64 });
        }
        assert_eq!(source.start().is_err(), is_on, "what is gone cannot run");
        destination.wait_for_passes(2);
        assert_eq!(destination.state().bad_pages, 0);
    }
}

#[test]
fn memory_stays_where_the_guest_may_still_be_needed() {
    // On a file nobody knows who will start it.
    let (source, outgoing) = running();
    let dir = tempfile::tempdir().unwrap();
    outgoing.set_capabilities(release_ram()).unwrap();
    outgoing.migrate(&Uri::File { path: dir.path().join("file"), offset: 0 }).unwrap();
    outgoing.wait().unwrap();
    assert_eq!(outgoing.info().owner, Owner::Unknown);
    assert!(!source.forsaken.load(Ordering::Relaxed) && source.memory().iter().any(|octet| *octet != 0));

    // Nobody took it.
    let (source, outgoing) = running();
    let destination = TestMachine::new("test-2.0", BYTES, RunState::InMigrate);
    let incoming = Migration::new(destination);
    let uri = Uri::Unix(dir.path().join("socket"));
    outgoing.set_capabilities(release_ram()).unwrap();
    incoming.incoming(&uri, Incoming::default()).unwrap();
    outgoing.migrate(&uri).unwrap();
    outgoing.wait().unwrap_err();
    assert!(!source.forsaken.load(Ordering::Relaxed) && source.run_state() == RunState::Running);
    source.wait_for_passes(2);
    assert_eq!(source.state().bad_pages, 0);
}
