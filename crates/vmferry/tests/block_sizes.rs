//! Blocks that are not as long at both ends: the length at the source wins, up to what the destination has room for.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod machine;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use machine::TestMachine;
use vmferry::channel::Uri;
use vmferry::control::{Capabilities, Parameters, RunState};
use vmferry::memory::{MappedBlock, RamBlock};
use vmferry::{Incoming, Machine as _, Migration};

const MAX: u64 = 0x4_0000;

/// What the owner of a block was told.
type Told = Arc<Mutex<Vec<u64>>>;

fn tables(used: u64, max: u64) -> (MappedBlock, Told) {
    let told = Told::default();
    let tell = Arc::clone(&told);
    let block = MappedBlock::new("test.tables", usize::try_from(max).unwrap()).unwrap();
    (block.resizeable(used, move |bytes| tell.lock().unwrap().push(bytes)), told)
}

fn machine(tables: &MappedBlock, run_state: RunState) -> Arc<TestMachine> {
    let ram = MappedBlock::new("test.ram", 1 << 20).unwrap();
    TestMachine::with_mapped("test-1.0", vec![ram, tables.clone()], run_state)
}

/// Moves the guest; what the two ends say.
fn moves(source: &Arc<TestMachine>, destination: &Arc<TestMachine>, multifd: bool) -> [Result<(), String>; 2] {
    let folder = tempfile::tempdir().unwrap();
    let uri = Uri::Unix(folder.path().join("socket"));
    let migrations = [Migration::new(source.clone()), Migration::new(destination.clone())];
    for migration in &migrations {
        migration.set_parameters(Parameters { max_bandwidth: 0, ..Parameters::default() }).unwrap();
        migration.set_capabilities(Capabilities { multifd, ..Capabilities::default() }).unwrap();
    }
    let [outgoing, incoming] = migrations;
    incoming.incoming(&uri, Incoming { autostart: false }).unwrap();
    outgoing.migrate(&uri).unwrap();
    [outgoing.wait(), incoming.wait()].map(|result| result.map_err(|error| error.to_string()))
}

#[test]
fn the_length_at_the_source_wins_whether_it_is_more_or_less() {
    for multifd in [false, true] {
        for (there, here) in [(0x2_0000, 0x1_0000), (0x1_0000, 0x2_0000), (MAX, 0x1000), (0x2_0000, 0x2_0000)] {
            let ((from, _), (to, told)) = (tables(there, MAX), tables(here, MAX));
            let (source, destination) = (machine(&from, RunState::Running), machine(&to, RunState::InMigrate));
            source.wait_for_passes(2);
            assert_eq!(moves(&source, &destination, multifd), [Ok(()), Ok(())], "{there:#x} to {here:#x}");
            assert_eq!((to.used_len(), &told.lock().unwrap()[..]), (there, &[there][..]));
            assert!(source.memory() == destination.memory(), "{there:#x} to {here:#x}");
            destination.start().unwrap();
            destination.wait_for_passes(1);
            assert_eq!(destination.state().bad_pages, 0);
        }
    }
}

#[test]
fn a_length_without_room_is_refused_with_both_numbers() {
    let ((from, _), (to, told)) = (tables(MAX, MAX), tables(0x1000, 0x2_0000));
    let (source, destination) = (machine(&from, RunState::Running), machine(&to, RunState::InMigrate));
    let [source_says, said] = moves(&source, &destination, false);
    let text = said.unwrap_err();
    assert!(text.contains("0x40000 for 'test.tables', accepted is up to 0x20000"), "{text}");
    source_says.unwrap_err();
    assert_eq!((to.used_len(), told.lock().unwrap().len()), (0x1000, 0));
    assert_eq!(source.run_state(), RunState::Running);
    // One that has one length only.
    let fixed = MappedBlock::new("test.tables", 0x2_0000).unwrap();
    let destination = machine(&fixed, RunState::InMigrate);
    let text = moves(&source, &destination, false)[1].clone().unwrap_err();
    assert!(text.contains("0x40000 for 'test.tables', accepted is 0x20000"), "{text}");
}

#[test]
fn a_block_that_is_resized_on_the_way_ends_the_migration_and_not_the_guest() {
    let (tables, told) = tables(0x1_0000, MAX);
    let source = machine(&tables, RunState::Running);
    source.keeps_dirty.store(true, Ordering::Relaxed);
    let outgoing = Migration::new(source.clone());
    let parameters = Parameters { downtime_limit_ms: 0, max_bandwidth: 8 << 20, ..Parameters::default() };
    outgoing.set_parameters(parameters).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| Uri::File { path: folder.path().join(name), offset: 0 };
    outgoing.migrate(&file("first")).unwrap();
    while outgoing.info().rounds.is_empty() {
        std::thread::yield_now();
    }
    tables.resize(0x2_0000).unwrap();
    let text = outgoing.wait().unwrap_err().to_string();
    assert!(text.contains("'test.tables' was resized from 0x10000 to 0x20000 bytes"), "{text}");
    assert_eq!((source.run_state(), &told.lock().unwrap()[..]), (RunState::Running, &[0x2_0000][..]));
    source.keeps_dirty.store(false, Ordering::Relaxed);
    outgoing.set_parameters(Parameters { max_bandwidth: 0, ..Parameters::default() }).unwrap();
    outgoing.migrate(&file("second")).unwrap();
    outgoing.wait().unwrap();
}

#[test]
fn lengths_are_of_whole_pages_and_the_owner_learns_the_exact_one() {
    let (block, told) = tables(1, MAX);
    assert_eq!((block.used_len(), block.max_len()), (0x1000, MAX));
    for (bytes, used) in [(0x1001, 0x2000), (0x1fff, 0x2000), (MAX - 1, MAX), (0, 0), (0x1000, 0x1000)] {
        block.resize(bytes).unwrap();
        assert_eq!(block.used_len(), used);
    }
    for bytes in [MAX + 1, u64::MAX] {
        let text = block.resize(bytes).unwrap_err().to_string();
        assert!(text.contains("up to 0x40000 bytes"), "{text}");
    }
    assert_eq!(*told.lock().unwrap(), [0x1001, 0x1fff, MAX - 1, 0, 0x1000]);
    let fixed = MappedBlock::new("ram", 0x2000).unwrap();
    fixed.resize(0x2000).unwrap();
    fixed.resize(0x1001).unwrap();
    let text = fixed.resize(0x1000).unwrap_err().to_string();
    assert!(text.contains("0x2000 bytes and cannot be resized"), "{text}");
}
