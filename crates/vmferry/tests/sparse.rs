//! What was never written is neither read nor populated, at either end; and what the kernel's own tracking misses, if
//! anything.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation, reason = "tests")]

mod machine;

use std::sync::Arc;

use machine::TestMachine;
use vmferry::control::{Parameters, RunState, Status};
use vmferry::dirty::wp_async::WpAsync;
use vmferry::memory::MappedBlock;
use vmferry::memory::populated::populated;
use vmferry::{Incoming, Machine as _, Migration};

const BYTES: usize = 512 << 20;

/// Moves a stopped or running guest; the source's migration, for its account.
fn moved(source: &Arc<TestMachine>, destination: &Arc<TestMachine>) -> Migration {
    let dir = tempfile::tempdir().unwrap();
    let uri = format!("unix:{}/socket", dir.path().display()).parse().unwrap();
    let (outgoing, incoming) = (Migration::new(source.clone()), Migration::new(destination.clone()));
    outgoing.set_parameters(Parameters { max_bandwidth: 0, ..Parameters::default() }).unwrap();
    incoming.incoming(&uri, Incoming::default()).unwrap();
    outgoing.migrate(&uri).unwrap();
    outgoing.wait().unwrap();
    incoming.wait().unwrap();
    outgoing
}

fn tells_populated() -> bool {
    let block = MappedBlock::new("probe", 4096).unwrap();
    match populated(&block) {
        Ok(pages) => pages.count() == 0,
        Err(error) => {
            println!("skipped: the kernel does not tell which pages are populated: {error}");
            false
        }
    }
}

#[test]
fn a_sparse_guest_stays_sparse_at_both_ends() {
    if !tells_populated() {
        return;
    }
    let source = TestMachine::new("test-1.0", BYTES, RunState::Paused);
    let destination = TestMachine::new("test-1.0", BYTES, RunState::InMigrate);
    let pages = [0, 1, 77, 65_535, 65_536, 131_071];
    for page in pages {
        source.fill(page * 4096, &[7; 4096]);
    }
    // Populated and zero.
    source.fill(3000 * 4096, &[0; 4096]);
    let outgoing = moved(&source, &destination);
    let ram = outgoing.info().ram;
    assert_eq!((ram.normal_pages, ram.zero_pages), (6, (BYTES / 4096) as u64 - 6));
    for machine in [&source, &destination] {
        let held = populated(&*machine.ram()[0]).unwrap();
        assert!(pages.iter().all(|page| held.contains(*page as usize)));
        assert!(held.count() <= 7, "{} pages are populated", held.count());
    }
    assert!(destination.memory() == source.memory());
}

#[test]
fn memory_that_the_destination_holds_is_cleared_where_the_guest_has_zeros() {
    let source = TestMachine::new("test-1.0", 1 << 20, RunState::Paused);
    let destination = TestMachine::new("test-1.0", 1 << 20, RunState::InMigrate);
    source.fill(5 * 4096, &[7; 4096]);
    destination.fill(3 * 4096, &[9; 4 * 4096]);
    destination.fill((1 << 20) - 1, &[9]);
    moved(&source, &destination);
    assert!(destination.memory() == source.memory());
}

/// Blocks of both kinds that the kernel can track.
fn blocks() -> Vec<MappedBlock> {
    let file = rustix::fs::memfd_create("ram", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&file, 8 << 20).unwrap();
    vec![
        MappedBlock::new("anonymous", 8 << 20).unwrap(),
        MappedBlock::shared("shared", file.into(), 0, 8 << 20, false).unwrap(),
    ]
}

#[test]
fn a_guest_whose_writes_the_kernel_notes_finds_all_its_memory() {
    if let Err(error) = WpAsync::new() {
        println!("skipped: no asynchronous write protection: {error}");
        return;
    }
    let source = TestMachine::with_write_protect_log("test-1.0", blocks(), RunState::Running);
    let destination = TestMachine::with_write_protect_log("test-1.0", blocks(), RunState::InMigrate);
    source.wait_for_passes(1);
    let outgoing = moved(&source, &destination);
    destination.wait_for_passes(2);
    assert_eq!(destination.state().bad_pages, 0);
    let info = outgoing.info();
    assert_eq!((info.status, destination.run_state()), (Status::Completed, RunState::Running));
    assert!(info.rounds.len() > 1);
}

/// As QEMU 10.0 does with two pages in use of 1 MiB (`docs/spec/ram.md` section B4).
#[test]
fn without_detection_every_page_goes_with_its_content() {
    use vmferry::channel::Uri;
    use vmferry::control::ZeroPageDetection;

    for (detection, pages) in [(ZeroPageDetection::None, (256, 0)), (ZeroPageDetection::Legacy, (2, 254))] {
        let source = TestMachine::new("test-1.0", 1 << 20, RunState::Paused);
        source.fill(0x3000, &[1; 0x2000]);
        let destination = TestMachine::new("test-1.0", 1 << 20, RunState::InMigrate);
        let dir = tempfile::tempdir().unwrap();
        let uri = Uri::Unix(dir.path().join("socket"));
        let (outgoing, incoming) = (Migration::new(source.clone()), Migration::new(destination.clone()));
        outgoing.set_parameters(Parameters { zero_page_detection: detection, ..Parameters::default() }).unwrap();
        incoming.incoming(&uri, Incoming::default()).unwrap();
        outgoing.migrate(&uri).unwrap();
        outgoing.wait().unwrap();
        incoming.wait().unwrap();
        let ram = outgoing.info().ram;
        assert_eq!((ram.normal_pages, ram.zero_pages), pages, "{detection}");
        assert!(source.memory() == destination.memory(), "{detection}");
    }
}
