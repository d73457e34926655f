//! A guest whose memory is a shared file goes to real QEMUs and comes back; its memory stays where it is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod kit;
#[path = "../../vmferry/tests/machine/mod.rs"]
mod machine;
mod timer;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use kit::{PATIENCE, Qemu};
use machine::TestMachine;
use serde_json::{Value, json};
use timer::with_timer;
use vmferry::control::{Capabilities, RunState};
use vmferry::memory::MappedBlock;
use vmferry::{Incoming, Migration};
use vmferry_qmp::Client;

const BYTES: usize = 1 << 20;

fn machine(version: &str, path: &Path, run_state: RunState) -> Arc<TestMachine> {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let block = MappedBlock::shared("ram", file, 0, BYTES, true).unwrap();
    let machine = TestMachine::without_devices("none", vec![block], run_state);
    with_timer(&machine);
    machine.announces_switchover.store(version.starts_with('1'), Ordering::Relaxed);
    machine
}

fn migration(machine: &Arc<TestMachine>) -> Migration {
    let migration = Migration::new(machine.clone());
    migration.set_capabilities(Capabilities { ignore_shared: true, ..Capabilities::default() }).unwrap();
    migration
}

fn completes(client: &mut Client) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reply = client.execute("query-migrate", Value::Null).unwrap();
        if reply["status"] == "completed" {
            return;
        }
        assert!(Instant::now() < deadline && reply["status"] != "failed", "{reply}");
        std::thread::yield_now();
    }
}

#[test]
fn memory_in_a_shared_file_stays_where_it_is() {
    for version in ["7.2", "10.0", "11.1"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("memory");
        File::create(&path).unwrap().set_len(BYTES as u64).unwrap();
        let (there, back) = (folder.path().join("there"), folder.path().join("back"));
        let [there, back] = [there, back].map(|path| format!("unix:{}", path.display()));
        let backend = format!("memory-backend-file,id=ram,size=1M,share=on,mem-path={}", path.display());
        let arguments = ["-M", "none,memory-backend=ram", "-m", "1M", "-object", &backend, "-incoming", "defer"];
        let Some(qemu) = Qemu::start_with(version, &arguments) else { continue };
        let mut client = Client::connect(&qemu.path).unwrap();
        let on = |name| json!({ "capability": name, "state": true });
        let capabilities = json!({ "capabilities": [on("x-ignore-shared"), on("return-path")] });
        client.execute("migrate-set-capabilities", capabilities).unwrap();
        client.execute("migrate-incoming", json!({ "uri": there })).unwrap();

        let source = machine(version, &path, RunState::Running);
        source.wait_for_passes(2);
        let outgoing = migration(&source);
        outgoing.migrate(&there.parse().unwrap()).unwrap();
        outgoing.wait().unwrap();
        completes(&mut client);
        let ram = outgoing.info().ram;
        assert_eq!((ram.total, ram.normal_pages, ram.zero_pages), (0, 0, 0), "{version}");
        let seen = folder.path().join("seen");
        client.execute("pmemsave", json!({"val": 0, "size": BYTES, "filename": seen})).unwrap();
        assert!(std::fs::read(&seen).unwrap() == source.memory(), "{version}");

        let destination = machine(version, &path, RunState::InMigrate);
        let incoming = migration(&destination);
        incoming.incoming(&back.parse().unwrap(), Incoming::default()).unwrap();
        client.execute("migrate", json!({ "uri": back })).unwrap();
        incoming.wait().unwrap();
        completes(&mut client);
        let info = incoming.info();
        assert_eq!((info.ram.normal_pages, info.ram.zero_pages), (0, 0), "{version}");
        assert!(destination.memory() == source.memory(), "{version}");
    }
}
