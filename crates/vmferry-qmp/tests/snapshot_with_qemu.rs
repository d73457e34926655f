//! Background snapshots of ours in real QEMUs, and theirs here, and files of theirs that are mapped: machine `none`
//! with 1 MiB of RAM, which both have.
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
use serde_json::{Value, json};
use timer::with_timer;
use vmferry::channel::Uri;
use vmferry::control::{Capabilities, Parameters, RestoreMode, RunState};
use vmferry::{FIRST_DEVICE_SECTION_ID, Incoming, Machine as _, Migration};
use vmferry_qmp::Client;
use vmstate::Registry;

const VERSIONS: [&str; 4] = ["5.2", "7.2", "10.0", "11.1"];
const BYTES: usize = 1 << 20;

fn machine(run_state: RunState) -> Arc<TestMachine> {
    let registry = Registry::new(FIRST_DEVICE_SECTION_ID);
    let walker = Arc::new(Mutex::new(Walker::default()));
    let machine = TestMachine::with_registry("none", &[("ram", BYTES)], run_state, walker, registry);
    with_timer(&machine);
    machine
}

/// Every QEMU loads what a running guest of ours left on a file, the same as one of ours does; and makes an image of
/// it, which loads here.
#[test]
fn images_go_to_a_real_qemu_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let source = machine(RunState::Running);
    let outgoing = Migration::new(source.clone());
    let capabilities = Capabilities { background_snapshot: true, ..Capabilities::default() };
    if let Err(error) = outgoing.set_capabilities(capabilities) {
        println!("skipped: {error}");
        return;
    }
    source.wait_for_passes(2);
    source.pause_us.store(0, Ordering::Relaxed);
    let image = folder.path().join("image");
    outgoing.migrate(&Uri::File { path: image.clone(), offset: 0 }).unwrap();
    outgoing.wait().unwrap();
    assert_eq!(source.run_state(), RunState::Running);
    let expected = loaded(&image);
    assert!(expected.iter().any(|octet| *octet != 0));
    for version in VERSIONS {
        let uri = format!("exec:cat {}", image.display());
        let Some(qemu) = Qemu::start_with(version, &["-m", "1M", "-incoming", &uri]) else { continue };
        let mut client = Client::connect(&qemu.path).unwrap();
        wait_for(&mut client, "completed", version);
        assert!(memory_of(&mut client, folder.path(), BYTES) == expected, "{version}");
        if version == "5.2" {
            // It cannot make one.
            continue;
        }
        let capabilities = json!({"capabilities": [{"capability": "background-snapshot", "state": true}]});
        if let Err(error) = client.execute("migrate-set-capabilities", capabilities) {
            println!("skipped: {version}: {error}");
            continue;
        }
        // A guest that never ran makes it abort.
        client.execute("cont", Value::Null).unwrap();
        let theirs = folder.path().join(version);
        client.execute("migrate", json!({"uri": format!("exec:cat > {}", theirs.display())})).unwrap();
        wait_for(&mut client, "completed", version);
        assert!(loaded(&theirs) == expected, "{version}");
    }
}

/// QEMU itself makes no background snapshot at fixed places, but loads ours.
#[test]
fn an_image_at_fixed_places_loads_in_a_real_qemu() {
    let folder = tempfile::tempdir().unwrap();
    let source = machine(RunState::Running);
    let outgoing = Migration::new(source.clone());
    let capabilities = Capabilities { background_snapshot: true, mapped_ram: true, ..Capabilities::default() };
    if let Err(error) = outgoing.set_capabilities(capabilities) {
        println!("skipped: {error}");
        return;
    }
    source.wait_for_passes(1);
    let path = folder.path().join("image");
    outgoing.migrate(&Uri::File { path: path.clone(), offset: 0 }).unwrap();
    outgoing.wait().unwrap();
    let here = machine(RunState::InMigrate);
    let incoming = Migration::new(here.clone());
    incoming.set_capabilities(Capabilities { mapped_ram: true, ..Capabilities::default() }).unwrap();
    incoming.incoming(&Uri::File { path: path.clone(), offset: 0 }, Incoming { autostart: false }).unwrap();
    incoming.wait().unwrap();
    for version in ["10.0", "11.1"] {
        let Some(qemu) = Qemu::start_with(version, &["-m", "1M", "-incoming", "defer"]) else { continue };
        let mut client = Client::connect(&qemu.path).unwrap();
        let capabilities = json!({"capabilities": [{"capability": "mapped-ram", "state": true}]});
        client.execute("migrate-set-capabilities", capabilities).unwrap();
        client.execute("migrate-incoming", json!({"uri": format!("file:{}", path.display())})).unwrap();
        wait_for(&mut client, "completed", version);
        assert!(memory_of(&mut client, folder.path(), BYTES) == here.memory(), "{version}");
    }
}

/// A file that a real QEMU wrote is mapped, and the guest's memory is what it is after reading it.
#[test]
fn a_file_of_a_real_qemu_is_mapped() {
    let folder = tempfile::tempdir().unwrap();
    let source = machine(RunState::Running);
    source.wait_for_passes(2);
    let plain = folder.path().join("plain");
    let outgoing = Migration::new(source.clone());
    outgoing.migrate(&Uri::File { path: plain.clone(), offset: 0 }).unwrap();
    outgoing.wait().unwrap();
    for version in ["10.0", "11.1"] {
        let uri = format!("exec:cat {}", plain.display());
        let Some(qemu) = Qemu::start_with(version, &["-m", "1M", "-incoming", &uri]) else { continue };
        let mut client = Client::connect(&qemu.path).unwrap();
        wait_for(&mut client, "completed", version);
        let capabilities = json!({"capabilities": [{"capability": "mapped-ram", "state": true}]});
        client.execute("migrate-set-capabilities", capabilities).unwrap();
        let path = folder.path().join(version);
        client.execute("migrate", json!({"uri": format!("file:{}", path.display())})).unwrap();
        wait_for(&mut client, "completed", version);
        for restore in RestoreMode::ALL {
            let here = machine(RunState::InMigrate);
            let incoming = Migration::new(here.clone());
            incoming.set_capabilities(Capabilities { mapped_ram: true, ..Capabilities::default() }).unwrap();
            incoming.set_parameters(Parameters { restore, ..Parameters::default() }).unwrap();
            incoming.incoming(&Uri::File { path: path.clone(), offset: 0 }, Incoming { autostart: false }).unwrap();
            incoming.wait().unwrap();
            assert!(here.memory() == source.memory(), "{version}, {restore}");
            let mapped_bytes = incoming.info().restore.map(|restore| (restore.mapped_bytes, restore.fault));
            let is_mapped = restore != RestoreMode::Read;
            assert_eq!(mapped_bytes, is_mapped.then_some((BYTES as u64, None)), "{version}, {restore}");
        }
    }
}

/// What is in the memory of one of ours that loaded an image.
fn loaded(image: &Path) -> Vec<u8> {
    let here = machine(RunState::InMigrate);
    let incoming = Migration::new(here.clone());
    let uri = Uri::File { path: image.to_owned(), offset: 0 };
    incoming.incoming(&uri, Incoming { autostart: false }).unwrap();
    incoming.wait().unwrap();
    here.memory()
}
