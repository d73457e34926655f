//! What goes wrong with pages in a file: a full disk, a cancellation, a file that was cut or made to harm. The guest
//! runs on at the source, nothing is left behind, and a destination says what is wrong where.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::cast_possible_truncation, reason = "small numbers")]

mod machine;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use machine::TestMachine;
use vmferry::channel::Uri;
use vmferry::control::{Capabilities, MultifdParameters, Owner, Parameters, RunState, Status};
use vmferry::{ErrorKind, Incoming, Machine as _, Migration};

const BYTES: usize = 8 << 20;

fn migration(machine: &Arc<TestMachine>, channels: u8) -> Migration {
    let migration = Migration::new(machine.clone());
    let capabilities = Capabilities { mapped_ram: true, multifd: channels > 0, ..Capabilities::default() };
    migration.set_capabilities(capabilities).unwrap();
    let multifd = MultifdParameters { channels: channels.max(1), ..Default::default() };
    migration.set_parameters(Parameters { max_bandwidth: 0, multifd, ..Default::default() }).unwrap();
    migration
}

fn file(path: &Path) -> Uri {
    Uri::File { path: path.to_owned(), offset: 0 }
}

/// A place that is mounted, until the test is over.
struct Mount(tempfile::TempDir);

impl Mount {
    /// `None`, with a word why, where this process may not mount.
    fn new(kind: &str, options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("mount").args(["-t", kind, "-o", options, kind]).arg(folder.path()).output();
        match mount {
            Ok(output) if output.status.success() => Some(Self(folder)),
            Ok(output) => {
                println!("skipped: cannot mount {kind}: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                println!("skipped: cannot mount {kind}: {error}");
                None
            }
        }
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("guest")
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).stderr(Stdio::null()).status();
    }
}

/// Threads of channels, and descriptors of the file, that are open in this process.
fn left_behind(path: &Path) -> (Vec<String>, usize) {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let threads = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    let open = descriptors.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok()).filter(|target| target == path);
    (threads.filter(|name| name.starts_with("multifd-")).collect(), open.count())
}

/// The guest runs at the source, unharmed, and an attempt with enough room brings it all of its memory elsewhere.
fn runs_on_and_is_saved_later(source: &Arc<TestMachine>, outgoing: &Migration, path: &Path) {
    assert_eq!((outgoing.info().owner, source.run_state()), (Owner::Source, RunState::Running));
    assert_eq!(left_behind(path), (Vec::new(), 0));
    source.wait_for_passes(1);
    assert_eq!(source.state().bad_pages, 0);
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = file(&folder.path().join("guest"));
    outgoing.migrate(&elsewhere).unwrap();
    outgoing.wait().unwrap();
    let destination = TestMachine::new("test-1.0", BYTES, RunState::InMigrate);
    let channels = if outgoing.capabilities().multifd { 2 } else { 0 };
    let incoming = migration(&destination, channels);
    incoming.incoming(&elsewhere, Incoming::default()).unwrap();
    incoming.wait().unwrap();
    destination.wait_for_passes(2);
    assert_eq!(destination.state().bad_pages, 0);
}

/// What stays of a file that was not finished is refused.
fn is_not_loaded(path: &Path) {
    let incoming = migration(&TestMachine::new("test-1.0", BYTES, RunState::InMigrate), 0);
    incoming.incoming(&file(path), Incoming::default()).unwrap();
    let error = incoming.wait().unwrap_err();
    assert!(!matches!(error.kind(), ErrorKind::State(_)), "{error}");
}

#[test]
fn a_full_disk_ends_the_migration_and_the_guest_runs_on() {
    const MIB: usize = 1 << 20;
    for channels in [0, 3] {
        // Full before the head, in the pages of the first round, and behind the last page.
        for room in [4096, MIB, BYTES / 2, BYTES + 4096] {
            let Some(mount) = Mount::new("tmpfs", &format!("size={room}")) else { return };
            if room == 4096 {
                std::fs::write(mount.0.path().join("full"), [1; 4096]).unwrap();
            }
            let source = TestMachine::new("test-1.0", BYTES, RunState::Running);
            source.wait_for_passes(1);
            let outgoing = migration(&source, channels);
            outgoing.migrate(&file(&mount.path())).unwrap();
            let error = outgoing.wait().unwrap_err().to_string();
            assert!(error.starts_with("source: ") && error.contains("No space left on device"), "{room}: {error}");
            assert!(error.contains("incomplete"), "{room}: {error}");
            assert_eq!(outgoing.info().status, Status::Failed);
            runs_on_and_is_saved_later(&source, &outgoing, &mount.path());
            is_not_loaded(&mount.path());
        }
    }
}

#[test]
fn a_cancellation_ends_it_at_any_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guest");
    for channels in [0, 3] {
        let source = TestMachine::new("test-1.0", BYTES, RunState::Running);
        source.wait_for_passes(1);
        source.keeps_dirty.store(true, std::sync::atomic::Ordering::Relaxed);
        let outgoing = migration(&source, channels);
        let endless = Parameters { downtime_limit_ms: 0, ..outgoing.parameters() };
        outgoing.set_parameters(endless).unwrap();
        outgoing.migrate(&file(&path)).unwrap();
        while outgoing.info().ram.dirty_sync_count < 3 {
            std::thread::sleep(Duration::from_millis(1));
        }
        outgoing.cancel();
        assert!(matches!(outgoing.wait().unwrap_err().kind(), ErrorKind::Cancelled));
        assert_eq!(outgoing.info().status, Status::Cancelled);
        is_not_loaded(&path);
        source.keeps_dirty.store(false, std::sync::atomic::Ordering::Relaxed);
        outgoing.set_parameters(Parameters { downtime_limit_ms: 300, ..endless }).unwrap();
        runs_on_and_is_saved_later(&source, &outgoing, &path);
    }
}

/// What an older, whole stream left on a device must not end a newer one that was not finished.
#[test]
fn an_unfinished_stream_on_a_device_does_not_go_on_with_an_older_one() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("disk");
    std::fs::File::create(&image).unwrap().set_len(2 * BYTES as u64).unwrap();
    let output = match Command::new("losetup").args(["--find", "--show"]).arg(&image).output() {
        Ok(output) if output.status.success() => output.stdout,
        other => {
            println!("skipped: no loop device: {other:?}");
            return;
        }
    };
    struct Device(PathBuf);
    impl Drop for Device {
        fn drop(&mut self) {
            let _ = Command::new("losetup").arg("--detach").arg(&self.0).status();
        }
    }
    let device = Device(String::from_utf8(output).unwrap().trim().into());
    let source = TestMachine::new("test-1.0", BYTES, RunState::Running);
    source.wait_for_passes(1);
    let outgoing = migration(&source, 2);
    outgoing.migrate(&file(&device.0)).unwrap();
    outgoing.wait().unwrap();
    let destination = TestMachine::new("test-1.0", BYTES, RunState::InMigrate);
    let incoming = migration(&destination, 2);
    incoming.incoming(&file(&device.0), Incoming::default()).unwrap();
    incoming.wait().unwrap();
    destination.wait_for_passes(2);
    assert_eq!(destination.state().bad_pages, 0);

    source.start().unwrap();
    source.keeps_dirty.store(true, std::sync::atomic::Ordering::Relaxed);
    outgoing.set_parameters(Parameters { downtime_limit_ms: 0, ..outgoing.parameters() }).unwrap();
    outgoing.migrate(&file(&device.0)).unwrap();
    while outgoing.info().ram.dirty_sync_count < 3 {
        std::thread::sleep(Duration::from_millis(1));
    }
    outgoing.cancel();
    outgoing.wait().unwrap_err();
    is_not_loaded(&device.0);
}

#[test]
fn a_file_system_without_direct_output_is_told_before_anything_is_lost() {
    let Some(mount) = Mount::new("ramfs", "mode=0700") else { return };
    std::fs::write(mount.path(), b"what was there").unwrap();
    let source = TestMachine::new("test-1.0", BYTES, RunState::Running);
    let outgoing = migration(&source, 2);
    let buffered = outgoing.parameters();
    outgoing.set_parameters(Parameters { direct_io: true, ..buffered }).unwrap();
    let error = outgoing.migrate(&file(&mount.path())).unwrap_err().to_string();
    assert!(error.contains("has no direct input and output: set direct-io off"), "{error}");
    assert_eq!(std::fs::read(mount.path()).unwrap(), b"what was there");
    assert_eq!((source.run_state(), outgoing.info().status), (RunState::Running, Status::None));
    outgoing.set_parameters(buffered).unwrap();
    outgoing.migrate(&file(&mount.path())).unwrap();
    outgoing.wait().unwrap();
}

/// A whole file of a guest with 1 MiB, in which pages 0 and 5 hold something.
struct Whole {
    folder: tempfile::TempDir,
    octets: Vec<u8>,
    /// Where the entry of the block begins, and its mapped-ram header.
    entry: usize,
    header: usize,
}

const SMALL: usize = 1 << 20;
const PAGES: usize = 0x10_0000;

impl Whole {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("whole");
        let source = TestMachine::new("test-1.0", SMALL, RunState::Paused);
        source.fill(0, &[0x11; 4096]);
        source.fill(5 << 12, &[0x55; 4096]);
        let outgoing = migration(&source, 0);
        outgoing.migrate(&file(&path)).unwrap();
        outgoing.wait().unwrap();
        let octets = std::fs::read(&path).unwrap();
        let entry = octets.windows(9).position(|window| window == b"\x08test.ram").unwrap();
        Self { folder, octets, entry, header: entry + 9 + 8 }
    }

    /// Loads a file of these octets, on one descriptor and on several: the memory, or what is wrong.
    fn load(&self, octets: &[u8]) -> Result<Vec<u8>, String> {
        let path = self.folder.path().join("loaded");
        std::fs::write(&path, octets).unwrap();
        let [one, many] = [0, 3].map(|channels| {
            let destination = TestMachine::new("test-1.0", SMALL, RunState::InMigrate);
            destination.fill(SMALL as u64 / 2, &[0xaa; 8192]);
            let incoming = migration(&destination, channels);
            incoming.incoming(&file(&path), Incoming { autostart: false }).unwrap();
            let loaded = incoming.wait().map(|()| destination.memory()).map_err(|error| error.to_string());
            assert_eq!(left_behind(&path), (Vec::new(), 0));
            loaded
        });
        assert!(one == many, "{:?} and {:?}", one.err(), many.err());
        one
    }

    /// The octets with `with` at `at`.
    fn patched(&self, at: usize, with: &[u8]) -> Vec<u8> {
        let mut octets = self.octets.clone();
        octets[at..at + with.len()].copy_from_slice(with);
        octets
    }

    fn memory() -> Vec<u8> {
        let mut memory = vec![0; SMALL];
        memory[..4096].fill(0x11);
        memory[0x5000..0x6000].fill(0x55);
        memory
    }
}

#[test]
fn each_hostile_place_is_refused_by_name() {
    let whole = Whole::new();
    assert!(whole.load(&whole.octets).unwrap() == Whole::memory());
    let (header, bitmap) = (whole.header, (whole.header + 28) as u64);
    let word = |at: usize, value: u64| whole.patched(header + at, &value.to_be_bytes());
    let beyond = whole.octets.len() as u64;
    for (octets, text) in [
        (whole.patched(header, &[0, 0, 0, 0]), "the version of the mapped-ram header"),
        (whole.patched(header, &[0, 0, 0, 2]), "the version of the mapped-ram header"),
        (word(4, 0), "the page size of the mapped-ram header"),
        (word(4, 0x800), "the page size of the mapped-ram header"),
        (word(4, 0x2000), "the page size of the mapped-ram header"),
        (word(12, 0), "the place of the bitmap is 0x0"),
        (word(12, bitmap - 1), "where the entry ends, or behind"),
        (word(12, PAGES as u64 - 31), "where the bitmap ends, or behind"),
        (word(12, u64::MAX), "where the bitmap ends, or behind"),
        (word(20, bitmap), "where the bitmap ends, or behind"),
        (word(20, PAGES as u64 + 0x800), "multiples of the target page"),
        (word(20, 0x20_0000), "the length of the file: it may have been cut"),
        (word(20, beyond.next_multiple_of(4096)), "the length of the file: it may have been cut"),
        (word(20, u64::MAX - 0xfff), "the length of the file: it may have been cut"),
        (whole.patched(whole.entry + 9, &(2 * SMALL as u64).to_be_bytes()), "the length of a RAM block"),
        // The stream goes on where no section begins.
        (word(20, PAGES as u64 - 0x1000), "in section"),
        // A page record in the first section, where its end was.
        (whole.patched(PAGES + SMALL, &0x28_u64.to_be_bytes()), "pages have places in the file"),
        (whole.patched(PAGES + SMALL, &0x200_u64.to_be_bytes()), "pages have places in the file"),
        (whole.patched(PAGES + SMALL, &0x10_0004_u64.to_be_bytes()), "a second list of RAM blocks"),
    ] {
        let error = whole.load(&octets).expect_err(text);
        assert!(error.starts_with("destination: "), "{error}");
        assert!(error.contains(text) || text == "in section", "{text}: {error}");
    }
}

#[test]
fn what_stands_where_no_bit_is_means_nothing() {
    let whole = Whole::new();
    let bitmap = whole.header + 28;
    // Page 5 was sent once and became zero; a page of which QEMU left what it was.
    assert!(
        whole.load(&whole.patched(bitmap, &[0x01])).unwrap() == {
            let mut memory = Whole::memory();
            memory[0x5000..0x6000].fill(0);
            memory
        }
    );
    assert!(whole.load(&whole.patched(PAGES + 0x8000, &[0xee; 4096])).unwrap() == Whole::memory());
    // A page of zeros that has a bit.
    assert!(whole.load(&whole.patched(bitmap, &[0x23])).unwrap() == Whole::memory());
    // Gaps before the bitmap and between it and the pages are allowed.
    let mut moved = whole.patched(whole.header + 12, &0x8000_u64.to_be_bytes());
    moved[0x8000] = 0x21;
    moved[bitmap] = 0xff;
    assert!(whole.load(&moved).unwrap() == Whole::memory());
}

/// 65 pages: the second word of the bitmap has one bit that is a page's.
#[test]
fn bits_behind_the_last_page_are_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guest");
    let source = TestMachine::new("test-1.0", 65 << 12, RunState::Paused);
    source.fill(64 << 12, &[7; 4096]);
    let outgoing = migration(&source, 0);
    outgoing.migrate(&file(&path)).unwrap();
    outgoing.wait().unwrap();
    let mut octets = std::fs::read(&path).unwrap();
    let bitmap = octets.windows(9).position(|window| window == b"\x08test.ram").unwrap() + 9 + 8 + 28;
    assert_eq!(octets[bitmap..bitmap + 16], [&[0; 8][..], &[1], &[0; 7]].concat());
    octets[bitmap + 8..bitmap + 16].fill(0xff);
    std::fs::write(&path, octets).unwrap();
    let destination = TestMachine::new("test-1.0", 65 << 12, RunState::InMigrate);
    let incoming = migration(&destination, 0);
    incoming.incoming(&file(&path), Incoming { autostart: false }).unwrap();
    incoming.wait().unwrap();
    assert!(destination.memory() == source.memory());
}

#[test]
fn a_file_that_was_cut_is_refused_wherever() {
    let whole = Whole::new();
    let head = whole.header + 28 + 32;
    let tail = PAGES + SMALL;
    let cuts = (0..head).step_by(7).chain([head, PAGES - 1, PAGES, PAGES + 0x5800, tail - 1]);
    // From the end mark on, nothing is needed any more.
    let end = tail + whole.octets[tail..].windows(2).position(|window| window == b"\0\x06").unwrap();
    for cut in cuts.chain((tail..end).step_by(5)).chain([end]) {
        let error = whole.load(&whole.octets[..cut]).expect_err(&cut.to_string());
        assert!(error.starts_with("destination: "), "{cut}: {error}");
    }
    assert!(whole.load(&whole.octets[..=end]).unwrap() == Whole::memory());
}
