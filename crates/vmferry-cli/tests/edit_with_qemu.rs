//! Streams of real QEMUs that a real QEMU refuses, and loads once they are mended.
//!
//! | machine saved | refused by | mended with |
//! |---|---|---|
//! | 10.0 with a compatibility entry forgotten (`docs/spec/compat.md` section 7) | 5.2, for an unknown subsection | `--drop-subsection` |
//! | RAM in a backend of another name | the same QEMU without it | `--rename` of the block |
//! | a device in another slot | the same QEMU | `--rename` of its section |
//! | another machine type | the same QEMU | `--machine` |
//!
//! Without the binaries the tests say so and pass.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod kit;
#[path = "kit/real_qemu.rs"]
mod real_qemu;

use std::path::Path;

use kit::{Ran, run};
use real_qemu::Qemu;
use serde_json::json;

/// Saves a machine; `None` if there is no such QEMU.
fn save(version: &str, arguments: &[&str], stream: &Path) -> Option<()> {
    Qemu::start(version, arguments)?.save(stream);
    Some(())
}

/// Loads a stream into a QEMU that goes on paused, or says why it does not.
fn load(version: &str, arguments: &[&str], stream: &Path) -> Option<Result<Qemu, String>> {
    let mut qemu = Qemu::start(version, &[arguments, &["-incoming", "defer"]].concat())?;
    let uri = format!("exec:cat {}", stream.display());
    qemu.client.execute("migrate-incoming", json!({ "uri": uri })).unwrap();
    Some(qemu.wait().map(|()| qemu))
}

fn edit(stream: &Path, result: &Path, edits: &[&str]) -> Ran {
    let ran = run(&[&["edit", stream.to_str().unwrap(), result.to_str().unwrap(), "--json"], edits].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran
}

/// A stream of `saved` that `loading` refuses with `refusal`, and loads once it is edited.
fn mended(from: &str, saved: &[&str], to: &str, loading: &[&str], refusal: &str, edits: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let (stream, result) = (folder.path().join("stream"), folder.path().join("mended"));
    let Some(()) = save(from, saved, &stream) else { return };
    let Some(refused) = load(to, loading, &stream) else { return };
    let text = refused.err().unwrap_or_else(|| panic!("{edits:?} are not needed"));
    assert!(text.contains(refusal), "{text}");
    edit(&stream, &result, edits);
    if let Err(text) = load(to, loading, &result).unwrap() {
        panic!("{edits:?}: {text}");
    }
}

const MACHINE: [&str; 2] = ["-M", "pc-i440fx-5.2"];

#[test]
fn a_subsection_that_an_older_qemu_does_not_know_is_dropped() {
    let saved = [&MACHINE[..], &["-global", "i8042.extended-state=on"]].concat();
    let edits = ["--drop-subsection", "pckbd/0.kbd.pckbd/extended_state"];
    mended("10.0", &saved, "5.2", &MACHINE, "pckbd", &edits);
}

#[test]
fn a_ram_block_gets_the_name_that_the_destination_has() {
    let saved = ["-M", "pc-i440fx-5.2,memory-backend=mem0", "-object", "memory-backend-ram,id=mem0,size=1M"];
    for to in ["5.2", "10.0"] {
        mended("10.0", &saved, to, &MACHINE, "mem0", &["--rename", "mem0=pc.ram"]);
    }
}

#[test]
fn a_section_gets_the_name_that_the_destination_has() {
    let at = |slot: &'static str| [&MACHINE[..], &["-device", slot]].concat();
    let (saved, loading) = (at("virtio-rng-pci,addr=3"), at("virtio-rng-pci,addr=4"));
    let edits = ["--rename", "0000:00:03.0/virtio-rng=0000:00:04.0/virtio-rng"];
    mended("10.0", &saved, "10.0", &loading, "0000:00:03.0/virtio-rng", &edits);
}

#[test]
fn the_machine_type_is_changed() {
    let (saved, loading) = (["-M", "pc-i440fx-9.1"], ["-M", "pc-i440fx-9.2"]);
    mended("10.0", &saved, "10.0", &loading, "pc-i440fx-9.1", &["--machine", "pc-i440fx-9.2"]);
}

#[test]
fn a_field_that_is_set_arrives_and_is_saved_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let Some(()) = save("10.0", &MACHINE, &path("stream")) else { return };
    let edits = ["--set", "pckbd/0.kbd.mode=0x43", "--set", "vmmouse.queue[5]=0x1234"];
    edit(&path("stream"), &path("set"), &edits);
    for version in ["5.2", "10.0", "11.1"] {
        let Some(loaded) = load(version, &MACHINE, &path("set")) else { continue };
        let again = path(&format!("again-{version}"));
        loaded.unwrap().save(&again);
        let ran = run(&["diff", path("stream").to_str().unwrap(), again.to_str().unwrap(), "--json"]);
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        let document = ran.document();
        let arrived: Vec<_> = document["sections"].as_array().unwrap().iter().collect();
        for (path, value) in [("pckbd/0.kbd.mode", 0x43), ("vmmouse/0.queue[5]", 0x1234)] {
            let found = arrived.iter().find(|difference| difference["path"] == path);
            assert_eq!(found.map(|difference| &difference["b"]), Some(&json!(value)), "{version}: {document:#}");
        }
    }
}

#[test]
fn streams_load_without_their_description_and_with_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for version in ["5.2", "10.0", "11.1"] {
        let stream = path(version);
        let Some(()) = save(version, &MACHINE, &stream) else { continue };
        for option in ["--strip-description", "--rebuild-description"] {
            let result = path(&format!("{version}{option}"));
            edit(&stream, &result, &[option]);
            if let Err(text) = load(version, &MACHINE, &result).unwrap() {
                panic!("{version}: {text}");
            }
        }
    }
}
