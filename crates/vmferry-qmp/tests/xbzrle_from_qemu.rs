//! Pages that real QEMUs send as differences arrive whole.
//!
//! The QEMU has no CPU. Its memory is a file that the test writes as well, unseen by QEMU; what makes QEMU send a page
//! again is a reset, at which generic loaders write a few octets into each of some pages.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod kit;
#[path = "../../vmferry/tests/machine/mod.rs"]
mod machine;
mod timer;

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use kit::{PATIENCE, Qemu, wait_for};
use machine::TestMachine;
use serde_json::{Value, json};
use timer::with_timer;
use vmferry::control::RunState;
use vmferry::memory::MappedBlock;
use vmferry::{Incoming, Migration};
use vmferry_qmp::Client;

const BYTES: u64 = 1 << 20;
const PAGE: u64 = 4096;
/// Pages that a reset makes dirty: each eighth.
const LOADERS: u64 = 32;

/// Writes some octets into each page that is about to be dirty, and makes it so.
fn touch(client: &mut Client, memory: &File, octet: u8) {
    for index in 0..LOADERS {
        memory.write_all_at(&[octet; 3], index * 8 * PAGE + 100 + u64::from(octet) * index).unwrap();
    }
    client.execute("system_reset", Value::Null).unwrap();
    loop {
        match client.next_event(PATIENCE).unwrap() {
            Some(event) if event.name == "RESET" => return,
            Some(_) => {}
            None => panic!("no reset"),
        }
    }
}

#[test]
fn differences_of_a_real_qemu_arrive() {
    for version in ["5.2", "7.2", "10.0", "11.1"] {
        let folder = tempfile::tempdir().unwrap();
        let (path, blob) = (folder.path().join("memory"), folder.path().join("blob"));
        std::fs::write(&blob, b"reset").unwrap();
        let memory = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        // Pages with content: what is zero is no difference.
        let content: Vec<u8> = (0..BYTES).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect();
        memory.write_all_at(&content, 0).unwrap();
        let backend = format!("memory-backend-file,id=ram,size=1M,share=on,mem-path={}", path.display());
        let mut arguments =
            ["-M", "none,memory-backend=ram", "-m", "1M", "-object", &backend].map(String::from).to_vec();
        for index in 0..LOADERS {
            let loader = format!("loader,file={},addr={},force-raw=on", blob.display(), index * 8 * PAGE);
            arguments.extend(["-device".to_owned(), loader]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let Some(qemu) = Qemu::start_with(version, &arguments) else { continue };
        let mut client = Client::connect(&qemu.path).unwrap();

        let block = MappedBlock::new("ram", 1 << 20).unwrap();
        let destination = TestMachine::without_devices("none", vec![block], RunState::InMigrate);
        with_timer(&destination);
        let incoming = Migration::new(destination.clone());
        let uri = format!("unix:{}", folder.path().join("socket").display());
        incoming.incoming(&uri.parse().unwrap(), Incoming::default()).unwrap();

        let on = |name| json!({ "capability": name, "state": true });
        let capabilities = json!({ "capabilities": [on("xbzrle"), on("pause-before-switchover")] });
        client.execute("migrate-set-capabilities", capabilities).unwrap();
        // So slow that the first pass lasts until it is let go; so short a pause that one dirty page is too many.
        let slow = json!({"max-bandwidth": 4096, "downtime-limit": 1});
        client.execute("migrate-set-parameters", slow).unwrap();
        client.execute("migrate", json!({ "uri": uri })).unwrap();
        wait_for(&mut client, "active", version);
        touch(&mut client, &memory, 1);
        // The second pass puts these pages into QEMU's cache.
        client.execute("migrate-set-parameters", json!({"max-bandwidth": 8 << 20})).unwrap();
        wait_for(&mut client, "pre-switchover", version);
        touch(&mut client, &memory, 2);
        client.execute("migrate-continue", json!({"state": "pre-switchover"})).unwrap();
        let reply = wait_for(&mut client, "completed", version);
        incoming.wait().unwrap();
        let differences = &reply["xbzrle-cache"];
        assert!(differences["pages"].as_u64() >= Some(LOADERS), "{version}: {reply}");
        assert!(differences["bytes"].as_u64() > Some(0), "{version}: {reply}");
        let mut expected = vec![0; 1 << 20];
        memory.read_exact_at(&mut expected, 0).unwrap();
        assert!(expected != content && destination.memory() == expected, "{version}");
    }
}
