//! Blocks that both ends map from the same file are not sent.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod machine;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use machine::TestMachine;
use vmferry::channel::Uri;
use vmferry::control::{Capabilities, Parameters, RunState};
use vmferry::memory::MappedBlock;
use vmferry::{Incoming, Machine as _, Migration};

const BYTES: u64 = 1 << 20;
const ADDRESS: u64 = 0x8000_0000;

fn open(path: &Path) -> File {
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap();
    file.set_len(BYTES).unwrap();
    file
}

/// A block in the file with a name.
fn in_file(path: &Path, address: u64) -> MappedBlock {
    MappedBlock::shared("test.shared", open(path), 0, 1 << 20, true).unwrap().at(address)
}

fn own(name: &str) -> MappedBlock {
    MappedBlock::new(name, 1 << 20).unwrap()
}

struct Pair {
    source: Arc<TestMachine>,
    destination: Arc<TestMachine>,
    outgoing: Migration,
    incoming: Migration,
    folder: tempfile::TempDir,
}

fn capabilities(multifd: bool) -> Capabilities {
    Capabilities { ignore_shared: true, multifd, ..Capabilities::default() }
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory");
    (folder, path)
}

fn pair(folder: tempfile::TempDir, from: [MappedBlock; 2], to: [MappedBlock; 2]) -> Pair {
    let source = TestMachine::with_mapped("test-1.0", from.to_vec(), RunState::Running);
    let destination = TestMachine::with_mapped("test-1.0", to.to_vec(), RunState::InMigrate);
    let (outgoing, incoming) = (Migration::new(source.clone()), Migration::new(destination.clone()));
    Pair { source, destination, outgoing, incoming, folder }
}

impl Pair {
    /// Moves the guest; what the two ends say.
    fn moves(&self, source: Capabilities, destination: Capabilities) -> [Result<(), String>; 2] {
        for migration in [&self.outgoing, &self.incoming] {
            migration.set_parameters(Parameters { max_bandwidth: 0, ..Parameters::default() }).unwrap();
        }
        self.outgoing.set_capabilities(source).unwrap();
        self.incoming.set_capabilities(destination).unwrap();
        let uri = Uri::Unix(self.folder.path().join("socket"));
        self.incoming.incoming(&uri, Incoming::default()).unwrap();
        self.outgoing.migrate(&uri).unwrap();
        let said = [self.outgoing.wait(), self.incoming.wait()];
        said.map(|result| result.map_err(|error| error.to_string()))
    }

    fn is_refused(&self, multifd: bool, part: &str) {
        let [source, destination] = self.moves(capabilities(multifd), capabilities(multifd));
        let text = destination.unwrap_err();
        assert!(text.contains(part), "{text}");
        source.unwrap_err();
        assert_eq!(self.source.run_state(), RunState::Running);
    }
}

#[test]
fn a_shared_file_stays_where_it_is_and_the_guest_finds_all_its_memory() {
    for multifd in [false, true] {
        let (folder, path) = folder();
        let blocks = || [own("test.own"), in_file(&path, ADDRESS)];
        let pair = pair(folder, blocks(), blocks());
        pair.source.wait_for_passes(2);
        let said = pair.moves(capabilities(multifd), capabilities(multifd));
        assert_eq!(said, [Ok(()), Ok(())]);
        let ram = pair.outgoing.info().ram;
        assert_eq!(ram.total, BYTES, "multifd {multifd}: of one block");
        pair.destination.wait_for_passes(3);
        assert_eq!(pair.destination.state().bad_pages, 0);
        assert!(pair.destination.state().pass >= 5);
    }
}

#[test]
fn all_memory_may_be_shared() {
    let (folder, path) = folder();
    let blocks = || vec![in_file(&path, 0)];
    let source = TestMachine::with_mapped("test-1.0", blocks(), RunState::Running);
    source.wait_for_passes(1);
    let destination = TestMachine::with_mapped("test-1.0", blocks(), RunState::InMigrate);
    let (outgoing, incoming) = (Migration::new(source), Migration::new(destination.clone()));
    let pair =
        Pair { source: TestMachine::new("unused", 4096, RunState::Paused), destination, outgoing, incoming, folder };
    assert_eq!(pair.moves(capabilities(false), capabilities(false)), [Ok(()), Ok(())]);
    let ram = pair.outgoing.info().ram;
    assert_eq!((ram.total, ram.normal_pages, ram.zero_pages), (0, 0, 0));
    pair.destination.wait_for_passes(2);
    assert_eq!(pair.destination.state().bad_pages, 0);
}

#[test]
fn without_the_capability_a_shared_file_is_sent_as_any_memory() {
    let (folder, path) = folder();
    let other = folder.path().join("other");
    let from = [own("test.own"), in_file(&path, ADDRESS)];
    let pair = pair(folder, from, [own("test.own"), in_file(&other, 0)]);
    pair.source.wait_for_passes(1);
    let off = Capabilities::default();
    assert_eq!(pair.moves(off, off), [Ok(()), Ok(())]);
    assert_eq!(pair.outgoing.info().ram.total, 2 * BYTES);
    pair.destination.wait_for_passes(2);
    assert_eq!(pair.destination.state().bad_pages, 0);
}

#[test]
fn a_block_at_another_address_is_refused_with_both() {
    let (folder, path) = folder();
    let (from, to) = ([own("test.own"), in_file(&path, ADDRESS)], [own("test.own"), in_file(&path, 0x4000_0000)]);
    pair(folder, from, to).is_refused(false, "is 0x80000000 for 'test.shared', accepted is 0x40000000");
}

#[test]
fn a_block_that_only_one_end_ignores_is_refused() {
    for multifd in [false, true] {
        let (folder, path) = folder();
        let (from, to) = ([own("test.own"), in_file(&path, 0)], [own("test.own"), own("test.shared")]);
        pair(folder, from, to)
            .is_refused(multifd, "without a page of block 'test.shared', which is no shared file here");
        let (folder, path) = self::folder();
        let (from, to) = ([own("test.own"), own("test.shared")], [own("test.own"), in_file(&path, 0)]);
        pair(folder, from, to)
            .is_refused(multifd, "of block 'test.shared', accepted is none of a block that is a shared file here");
    }
}

#[test]
fn the_capability_at_one_end_only_is_refused() {
    for (source, destination) in [(true, false), (false, true)] {
        let (folder, path) = folder();
        let blocks = || [own("test.own"), in_file(&path, 0)];
        let pair = pair(folder, blocks(), blocks());
        let with = |ignore_shared| Capabilities { ignore_shared, ..Capabilities::default() };
        let [_, said] = pair.moves(with(source), with(destination));
        let text = said.unwrap_err();
        assert!(text.contains("x-ignore-shared"), "{text}");
    }
}

#[test]
fn what_excludes_it_is_told() {
    let on = capabilities(false);
    for (other, part) in [
        (Capabilities { mapped_ram: true, ..on }, "mapped-ram and x-ignore-shared"),
        (
            Capabilities { background_snapshot: true, return_path: false, ..on },
            "background-snapshot and x-ignore-shared",
        ),
    ] {
        let text = other.check().unwrap_err();
        assert!(text.contains(part), "{text}");
    }
}
