//! A guest comes out of a file by mapping it: it finds all its memory, goes on to elsewhere, and never sees what a file
//! has at the place of a page that is zero.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::cast_possible_truncation, reason = "small numbers")]

mod machine;

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use machine::TestMachine;
use vmferry::channel::Uri;
use vmferry::control::{Capabilities, Parameters, Restore, RestoreMode, RunState};
use vmferry::memory::populated::populated;
use vmferry::memory::{MappedBlock, RamBlock as _};
use vmferry::{Incoming, Machine as _, Migration};

const BYTES: usize = 16 << 20;

fn anonymous() -> Vec<MappedBlock> {
    vec![MappedBlock::new("test.ram", BYTES).unwrap(), MappedBlock::new("other", 5 << 12).unwrap()]
}

fn shared() -> Vec<MappedBlock> {
    vec![MappedBlock::memfd("test.ram", BYTES).unwrap(), MappedBlock::memfd("other", 5 << 12).unwrap()]
}

fn machine(blocks: &[MappedBlock], run_state: RunState) -> Arc<TestMachine> {
    TestMachine::with_write_protect_log("test-1.0", blocks.to_vec(), run_state)
}

fn migration(machine: &Arc<TestMachine>, restore: RestoreMode) -> Migration {
    let migration = Migration::new(machine.clone());
    migration.set_capabilities(Capabilities { mapped_ram: true, ..Capabilities::default() }).unwrap();
    migration.set_parameters(Parameters { max_bandwidth: 0, restore, ..Parameters::default() }).unwrap();
    migration
}

fn file(path: &Path) -> Uri {
    Uri::File { path: path.to_owned(), offset: 0 }
}

/// A folder on a disk, where there is one: what tmpfs does is not what most files meet.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Puts a stopped guest on a file; its memory.
fn save(source: &Arc<TestMachine>, path: &Path) -> Vec<u8> {
    let outgoing = migration(source, RestoreMode::Read);
    outgoing.migrate(&file(path)).unwrap();
    outgoing.wait().unwrap();
    source.memory()
}

fn load(machine: &Arc<TestMachine>, path: &Path, mode: RestoreMode, autostart: bool) -> (Migration, Restore) {
    let incoming = migration(machine, mode);
    incoming.incoming(&file(path), Incoming { autostart }).unwrap();
    incoming.wait().unwrap();
    let restore = incoming.info().restore.unwrap();
    assert_eq!(restore.fault, None);
    (incoming, restore)
}

fn wait_filled(migration: &Migration) -> Restore {
    loop {
        let restore = migration.info().restore.unwrap();
        if restore.fill_ms.is_some() {
            return restore;
        }
        assert_eq!(restore.fault, None);
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_guest_that_runs_from_a_file_finds_its_memory_and_goes_on_to_elsewhere() {
    let folder = folder();
    let path = folder.path().join("guest");
    let source = machine(&anonymous(), RunState::Running);
    source.wait_for_passes(2);
    let memory = save(&source, &path);
    for blocks in [anonymous, shared] {
        for mode in [RestoreMode::Mapped, RestoreMode::Fill] {
            let mine = blocks();
            let here = machine(&mine, RunState::InMigrate);
            let (incoming, restore) = load(&here, &path, mode, false);
            assert_eq!(restore.mapped_bytes, (BYTES + (5 << 12)) as u64);
            assert_eq!((restore.mappings, restore.cleared_pages), (2, 0));
            assert!(here.memory() == memory, "{mode}");
            if mode == RestoreMode::Fill {
                assert_eq!(wait_filled(&incoming).filled_bytes, restore.mapped_bytes);
            }
            // Nothing was written here since, and all of it holds something.
            let held: u64 = mine.iter().map(|block| populated(block).unwrap().count()).sum();
            assert_eq!(held, (BYTES / 4096 + 5) as u64);
            here.start().unwrap();
            here.wait_for_passes(1);

            let there = machine(&anonymous(), RunState::InMigrate);
            let uri = Uri::Unix(folder.path().join("socket"));
            let arriving = Migration::new(there.clone());
            arriving.incoming(&uri, Incoming::default()).unwrap();
            incoming.set_capabilities(Capabilities::default()).unwrap();
            incoming.migrate(&uri).unwrap();
            incoming.wait().unwrap();
            arriving.wait().unwrap();
            there.wait_for_passes(2);
            assert_eq!(there.state().bad_pages, 0, "{mode}");
        }
    }
}

/// What no machine wrote here and only the file has is sent on.
#[test]
fn pages_that_were_never_touched_are_sent_on() {
    let folder = folder();
    let path = folder.path().join("guest");
    let source = machine(&anonymous(), RunState::Running);
    source.wait_for_passes(1);
    let memory = save(&source, &path);
    for blocks in [anonymous, shared] {
        let here = machine(&blocks(), RunState::InMigrate);
        let (incoming, _) = load(&here, &path, RestoreMode::Mapped, false);
        let there = machine(&anonymous(), RunState::InMigrate);
        let uri = Uri::Unix(folder.path().join("socket"));
        let arriving = Migration::new(there.clone());
        arriving.incoming(&uri, Incoming::default()).unwrap();
        incoming.set_capabilities(Capabilities::default()).unwrap();
        incoming.migrate(&uri).unwrap();
        incoming.wait().unwrap();
        arriving.wait().unwrap();
        assert!(there.memory() == memory);
        assert!(incoming.info().ram.normal_pages >= (BYTES / 4096) as u64);
    }
}

/// Bits are taken out of a file whose pages all hold something, as if they had become zero at the source.
#[test]
fn what_a_file_has_at_the_place_of_a_zero_page_is_not_seen() {
    let folder = folder();
    let path = folder.path().join("guest");
    let source = TestMachine::with_write_protect_log(
        "test-1.0",
        vec![MappedBlock::new("test.ram", BYTES).unwrap()],
        RunState::Prelaunch,
    );
    source.fill(0, &vec![0xee; BYTES]);
    let mut expected = save(&source, &path);
    let out = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut head = [0; 4096];
    out.read_exact_at(&mut head, 0).unwrap();
    // The bitmap is the first thing of all ones.
    let bitmap = head.windows(16).position(|octets| octets == [0xff; 16]).unwrap() as u64;
    // Single pages, a short run, and two octets of a long one: 4 MiB.
    let stale: Vec<usize> = [3, 64, 65, 70].into_iter().chain(200..230).chain(1024..2048).collect();
    let mut bits = vec![0xff_u8; BYTES / 4096 / 8];
    for page in &stale {
        bits[page / 8] &= !(1 << (page % 8));
        expected[page * 4096..][..4096].fill(0);
    }
    out.write_all_at(&bits, bitmap).unwrap();
    for mode in RestoreMode::ALL {
        let block = MappedBlock::memfd("test.ram", BYTES).unwrap();
        let here = TestMachine::with_write_protect_log("test-1.0", vec![block.clone()], RunState::InMigrate);
        let incoming = migration(&here, mode);
        incoming.incoming(&file(&path), Incoming::default()).unwrap();
        incoming.wait().unwrap();
        assert!(here.memory() == expected, "{mode}");
        let Some(restore) = incoming.info().restore else { continue };
        assert_eq!((restore.mappings, restore.cleared_pages), (2, 34), "{mode}: the long run is not mapped");
        assert_eq!(restore.mapped_bytes, (BYTES - (1024 << 12)) as u64);
        if mode == RestoreMode::Fill {
            wait_filled(&incoming);
            assert!(here.memory() == expected, "{mode}");
            // No page comes from the file any more. (Cutting it would take them away all the same.)
            out.write_all_at(&vec![0x11; BYTES], 1 << 20).unwrap();
            std::fs::remove_file(&path).unwrap();
            assert!(here.memory() == expected, "{mode}");
        }
        assert_eq!(block.used_len(), BYTES as u64);
    }
}

#[test]
fn a_file_that_a_guest_runs_from_is_not_written() {
    let folder = folder();
    let path = folder.path().join("guest");
    let source = machine(&anonymous(), RunState::Running);
    source.wait_for_passes(1);
    save(&source, &path);
    let before = std::fs::metadata(&path).unwrap().len();
    let here = machine(&anonymous(), RunState::InMigrate);
    let (incoming, _) = load(&here, &path, RestoreMode::Mapped, true);
    here.wait_for_passes(1);
    // Neither by the guest itself, which would cut off its own memory, nor by another one.
    let other = machine(&anonymous(), RunState::Running);
    for writer in [&incoming, &migration(&other, RestoreMode::Read)] {
        let error = writer.migrate(&file(&path)).unwrap_err().to_string();
        assert!(error.contains("a guest that was restored by mapping it runs from it"), "{error}");
    }
    assert_eq!(std::fs::metadata(&path).unwrap().len(), before);
    here.wait_for_passes(1);
    assert_eq!(here.state().bad_pages, 0);
    // A new file of the same name is another one.
    let new = folder.path().join("new");
    incoming.migrate(&file(&new)).unwrap();
    incoming.wait().unwrap();
    std::fs::rename(&new, &path).unwrap();
    let there = machine(&anonymous(), RunState::InMigrate);
    load(&there, &path, RestoreMode::Mapped, false);
    assert!(there.memory() == here.memory());
}

#[test]
fn a_file_that_was_cut_is_refused_and_kills_nobody() {
    let folder = folder();
    let path = folder.path().join("guest");
    let source = machine(&anonymous(), RunState::Running);
    source.wait_for_passes(1);
    save(&source, &path);
    let out = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    for len in [(1 << 20) + BYTES as u64 - 4096, 1 << 20, 4096, 200] {
        out.set_len(len).unwrap();
        let here = machine(&anonymous(), RunState::InMigrate);
        let incoming = migration(&here, RestoreMode::Mapped);
        incoming.incoming(&file(&path), Incoming::default()).unwrap();
        let error = incoming.wait().unwrap_err().to_string();
        assert!(error.contains("cut") || error.contains("ends at byte"), "{len}: {error}");
        assert_eq!(here.run_state(), RunState::InMigrate);
    }
}
