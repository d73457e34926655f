//! A guest goes into a file in which its pages have fixed places, and comes out of it, on one descriptor or on many.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::cast_possible_truncation, reason = "small numbers")]

mod machine;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use machine::TestMachine;
use vmferry::control::{
    Capabilities, MultifdCompression, MultifdParameters, Owner, Parameters, RunState, Status, ZeroPageDetection,
};
use vmferry::memory::populated::populated;
use vmferry::{Incoming, Machine as _, Migration};

const BYTES: usize = 8 << 20;
const PAGES: u64 = (BYTES / 4096) as u64;

/// How a guest is to go.
#[derive(Debug, Clone, Copy, Default)]
struct Way {
    /// None without multifd.
    channels: u8,
    is_direct: bool,
    offset: u64,
    detection: ZeroPageDetection,
}

/// All that there are, but for the detection of zeros.
const WAYS: [Way; 5] = {
    const PLAIN: Way = Way { channels: 0, is_direct: false, offset: 0, detection: ZeroPageDetection::Multifd };
    [
        PLAIN,
        Way { offset: 0x1000, is_direct: true, ..PLAIN },
        Way { channels: 1, ..PLAIN },
        Way { channels: 3, offset: 12_345, ..PLAIN },
        Way { channels: 4, is_direct: true, ..PLAIN },
    ]
};

impl Way {
    fn migration(self, machine: &Arc<TestMachine>) -> Migration {
        let migration = Migration::new(machine.clone());
        let capabilities = Capabilities { mapped_ram: true, multifd: self.channels > 0, ..Capabilities::default() };
        migration.set_capabilities(capabilities).unwrap();
        let multifd = MultifdParameters { channels: self.channels.max(1), ..Default::default() };
        migration
            .set_parameters(Parameters {
                max_bandwidth: 0,
                multifd,
                direct_io: self.is_direct,
                zero_page_detection: self.detection,
                ..Parameters::default()
            })
            .unwrap();
        migration
    }

    fn uri(self, path: &Path) -> vmferry::channel::Uri {
        format!("file:{},offset={}", path.display(), self.offset).parse().unwrap()
    }

    fn save(self, source: &Arc<TestMachine>, path: &Path) -> Migration {
        let outgoing = self.migration(source);
        outgoing.migrate(&self.uri(path)).unwrap_or_else(|error| panic!("{self:?}: {error}"));
        outgoing.wait().unwrap_or_else(|error| panic!("{self:?}: {error}"));
        assert_eq!((outgoing.info().status, outgoing.info().owner), (Status::Completed, Owner::Unknown), "{self:?}");
        outgoing
    }

    fn load(self, destination: &Arc<TestMachine>, path: &Path) -> Migration {
        let incoming = self.migration(destination);
        incoming.incoming(&self.uri(path), Incoming::default()).unwrap_or_else(|error| panic!("{self:?}: {error}"));
        incoming.wait().unwrap_or_else(|error| panic!("{self:?}: {error}"));
        incoming
    }
}

fn fresh() -> Arc<TestMachine> {
    TestMachine::new("test-1.0", BYTES, RunState::InMigrate)
}

/// A folder on a disk, where there is one: what tmpfs does is not what most files meet.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

#[test]
fn a_running_guest_goes_into_a_file_and_finds_all_its_memory() {
    for way in WAYS {
        let folder = folder();
        let path = folder.path().join("guest");
        // What is before the stream stays, and what is behind goes.
        std::fs::write(&path, vec![0xee; 32 << 20]).unwrap();
        let source = TestMachine::new("test-1.0", BYTES, RunState::Running);
        source.wait_for_passes(1);
        let outgoing = way.save(&source, &path);
        let (stopped, ram) = (source.state(), outgoing.info().ram);
        assert_eq!(source.run_state(), RunState::PostMigrate);
        assert!(ram.normal_pages >= PAGES && ram.dirty_sync_count > 1, "{way:?}: {ram:?}");
        assert_eq!(ram.multifd_bytes > 0, way.channels > 0, "{way:?}");
        let octets = std::fs::read(&path).unwrap();
        assert!(octets.len() < 12 << 20, "{way:?}: pages that come again overwrite their places");
        assert!(octets[..way.offset as usize].iter().all(|octet| *octet == 0xee), "{way:?}");

        for loading in WAYS.map(|loading| Way { offset: way.offset, ..loading }) {
            let destination = fresh();
            let incoming = loading.load(&destination, &path);
            assert_eq!(destination.run_state(), RunState::Running, "{way:?}, {loading:?}");
            assert_eq!(incoming.info().ram.normal_pages, PAGES, "{way:?}, {loading:?}");
            destination.wait_for_passes(2);
            assert_eq!(destination.state().bad_pages, 0, "{way:?}, {loading:?}");
            assert!(destination.state().pass >= stopped.pass + 2, "{way:?}, {loading:?}");
        }
    }
}

/// The example of `docs/spec/mapped-ram.md` section 1, for a block of this name and machine type.
#[test]
fn a_file_has_the_verified_layout() {
    let folder = folder();
    let path = folder.path().join("guest");
    for channels in [0, 2] {
        let source = TestMachine::with_blocks("none", &[("ram", 1 << 20)], RunState::Paused);
        source.fill(0, &[0x11; 4096]);
        source.fill(5 << 12, &[0x55; 4096]);
        Way { channels, ..Way::default() }.save(&source, &path);
        let octets = std::fs::read(&path).unwrap();
        let at = octets.windows(12).position(|window| window == b"\x03ram\0\0\0\0\0\x10\0\0").unwrap();
        assert_eq!(octets[at - 8..at], 0x10_0004_u64.to_be_bytes());
        let header = at + 12;
        let bitmap = header + 28;
        let expected = [
            &1_u32.to_be_bytes()[..],
            &0x1000_u64.to_be_bytes(),
            &(bitmap as u64).to_be_bytes(),
            &0x10_0000_u64.to_be_bytes(),
        ];
        assert_eq!(octets[header..bitmap], expected.concat());
        assert_eq!(octets[bitmap..bitmap + 32], [&[0x21][..], &[0; 31]].concat());
        assert!(octets[bitmap + 32..0x10_0000].iter().all(|octet| *octet == 0));
        let mut pages = vec![0; 1 << 20];
        pages[..4096].fill(0x11);
        pages[0x5000..0x6000].fill(0x55);
        assert!(octets[0x10_0000..0x20_0000] == pages);
        assert_eq!(octets[0x20_0000..0x20_000d], [&0x10_u64.to_be_bytes()[..], &[0x7e, 0, 0, 0, 1]].concat());
    }
}

#[test]
fn pages_of_zeros_have_no_bit_and_are_not_written() {
    for (detection, channels) in
        ZeroPageDetection::ALL.into_iter().flat_map(|detection| [(detection, 0), (detection, 3)])
    {
        let way = Way { detection, channels, ..Way::default() };
        let folder = folder();
        let path = folder.path().join("guest");
        let source = TestMachine::new("test-1.0", BYTES, RunState::Paused);
        source.fill(5 << 12, &[7; 3 << 12]);
        source.fill(200 << 12, &[9; 1 << 12]);
        // Populated and zero.
        source.fill(300 << 12, &[0; 100 << 12]);
        let ram = way.save(&source, &path).info().ram;
        let expected = if detection == ZeroPageDetection::None { (PAGES, 0) } else { (4, PAGES - 4) };
        assert_eq!((ram.normal_pages, ram.zero_pages), expected, "{way:?}");
        // What a page of zeros must overwrite, or an image that was there before.
        let destination = fresh();
        destination.fill(0, &vec![0xaa; BYTES]);
        let ram = way.load(&destination, &path).info().ram;
        assert_eq!((ram.normal_pages, ram.zero_pages), expected, "{way:?}");
        assert!(destination.memory() == source.memory(), "{way:?}");
    }
}

/// A page that was sent, and became zero before the guest stopped, has neither bit nor content in the file.
#[test]
fn a_page_that_became_zero_is_taken_out_of_the_file() {
    for channels in [0, 2] {
        let way = Way { channels, ..Way::default() };
        let folder = folder();
        let path = folder.path().join("guest");
        let source = TestMachine::new("test-1.0", BYTES, RunState::Paused);
        source.fill(0, &vec![7; BYTES]);
        // The first pages are dirty at each synchronisation.
        source.keeps_dirty.store(true, std::sync::atomic::Ordering::Relaxed);
        let outgoing = way.migration(&source);
        let slowly = Parameters { downtime_limit_ms: 0, ..outgoing.parameters() };
        outgoing.set_parameters(slowly).unwrap();
        outgoing.migrate(&way.uri(&path)).unwrap();
        while outgoing.info().ram.dirty_sync_count < 4 {
            assert!(outgoing.info().status.is_running(), "{:?}", outgoing.info());
            std::thread::sleep(Duration::from_millis(1));
        }
        source.fill(3 << 12, &[0; 5 << 12]);
        outgoing.set_parameters(Parameters { downtime_limit_ms: 2_000_000, ..slowly }).unwrap();
        outgoing.wait().unwrap();
        let octets = std::fs::read(&path).unwrap();
        assert!(octets[0x10_0000 + (3 << 12)..0x10_0000 + (8 << 12)].iter().all(|octet| *octet == 0), "{way:?}");
        let destination = fresh();
        let incoming = way.load(&destination, &path);
        assert_eq!(incoming.info().ram.zero_pages, 5, "{way:?}");
        assert!(destination.memory() == source.memory(), "{way:?}");
    }
}

#[test]
fn a_sparse_guest_makes_a_sparse_file_and_stays_sparse() {
    const SPARSE: usize = 64 << 20;
    let folder = folder();
    let path = folder.path().join("guest");
    let source = TestMachine::new("test-1.0", SPARSE, RunState::Paused);
    let pages = [0, 1, 77, 8191, 8192, 16_383];
    for page in pages {
        source.fill(page * 4096, &[7; 4096]);
    }
    let told = populated(&*source.ram()[0]).is_ok();
    for channels in [0, 2] {
        let way = Way { channels, ..Way::default() };
        source.stop(RunState::Paused).unwrap();
        way.save(&source, &path);
        let metadata = std::fs::metadata(&path).unwrap();
        assert!(metadata.len() > SPARSE as u64, "{way:?}");
        let stored = std::os::unix::fs::MetadataExt::blocks(&metadata) * 512;
        assert!(stored < 1 << 20, "{way:?}: {stored} octets on the disk");
        let destination = TestMachine::new("test-1.0", SPARSE, RunState::InMigrate);
        way.load(&destination, &path);
        if told {
            for machine in [&source, &destination] {
                let held = populated(&*machine.ram()[0]).unwrap();
                assert_eq!(held.count(), 6, "{way:?}: nothing else was touched");
            }
        }
        assert!(destination.memory() == source.memory(), "{way:?}");
    }
}

#[test]
fn several_blocks_of_odd_sizes_arrive_whole() {
    let blocks = [("a", 3 << 12), ("vga.vram", 1031 << 12), ("m.1", 65 << 12)];
    let source = TestMachine::with_blocks("test-1.0", &blocks, RunState::Running);
    source.wait_for_passes(2);
    for way in WAYS {
        let folder = folder();
        let path = folder.path().join("guest");
        way.save(&source, &path);
        let destination = TestMachine::with_blocks("test-1.0", &blocks, RunState::InMigrate);
        destination.fill(0, &[0xaa; 100]);
        way.load(&destination, &path);
        destination.wait_for_passes(2);
        assert_eq!(destination.state().bad_pages, 0, "{way:?}");
        source.start().unwrap();
        source.wait_for_passes(1);
    }
}

#[test]
fn what_cannot_be_together_is_refused_at_once() {
    let machine = TestMachine::new("test-1.0", BYTES, RunState::Running);
    let migration = Migration::new(machine.clone());
    let mapped = Capabilities { mapped_ram: true, ..Capabilities::default() };
    let excluded = Capabilities { xbzrle: true, ..mapped };
    assert!(migration.set_capabilities(excluded).unwrap_err().to_string().contains("mapped-ram and xbzrle exclude"));
    let compressed = MultifdParameters { compression: MultifdCompression::Zstd, ..Default::default() };
    let compressed = Parameters { multifd: compressed, ..Default::default() };
    migration.set_parameters(compressed).unwrap();
    let error = migration.set_capabilities(mapped).unwrap_err().to_string();
    assert!(error.contains("needs multifd-compression 'none', which is 'zstd'"), "{error}");
    migration.set_parameters(Parameters::default()).unwrap();
    migration.set_capabilities(Capabilities { multifd: true, ..mapped }).unwrap();
    let error = migration.set_parameters(compressed).unwrap_err().to_string();
    assert!(error.contains("needs multifd-compression 'none', which is 'zstd'"), "{error}");
    assert_eq!(migration.parameters(), Parameters::default(), "nothing was changed");
    migration.set_parameters(Parameters { max_bandwidth: 1, ..Parameters::default() }).unwrap();
    for (uri, text) in [
        ("unix:/nonexistent/socket", "mapped-ram needs a file"),
        ("tcp:127.0.0.1:1", "mapped-ram needs a file"),
        ("exec:cat >/dev/null", "mapped-ram needs a file"),
        ("fd:7", "file:/dev/fd/N"),
        ("file:/dev/null", "this is none"),
        ("file:/nonexistent/file", "No such file"),
    ] {
        let error = migration.migrate(&uri.parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains(text), "{uri}: {error}");
        assert_eq!(migration.info().status, Status::None);
    }
    migration.set_capabilities(Capabilities { multifd: true, ..Capabilities::default() }).unwrap();
    let error = migration.migrate(&"file:/nonexistent/file".parse().unwrap()).unwrap_err().to_string();
    assert!(error.contains("file: with mapped-ram"), "{error}");
}

#[test]
fn both_ends_must_have_the_capability() {
    let folder = folder();
    let (mapped, plain) = (folder.path().join("mapped"), folder.path().join("plain"));
    let source = TestMachine::new("test-1.0", BYTES, RunState::Paused);
    Way::default().save(&source, &mapped);
    source.stop(RunState::Paused).unwrap();
    let outgoing = Migration::new(source.clone());
    outgoing.migrate(&Way::default().uri(&plain)).unwrap();
    outgoing.wait().unwrap();

    let incoming = Migration::new(fresh());
    incoming.incoming(&Way::default().uri(&mapped), Incoming::default()).unwrap();
    let error = incoming.wait().unwrap_err().to_string();
    assert!(error.contains("'mapped-ram', accepted is none: turn it on here"), "{error}");
    let incoming = Way::default().migration(&fresh());
    incoming.incoming(&Way::default().uri(&plain), Incoming::default()).unwrap();
    let error = incoming.wait().unwrap_err().to_string();
    assert!(error.contains("none, accepted is 'mapped-ram': turn it off here"), "{error}");
}

/// An inherited descriptor has a path, by which every channel opens the file anew.
#[test]
fn an_inherited_descriptor_is_a_file_by_its_path() {
    use std::os::fd::AsRawFd as _;
    let folder = folder();
    let file = std::fs::File::options().read(true).write(true).create_new(true).open(folder.path().join("guest"));
    let file = file.unwrap();
    let path = PathBuf::from(format!("/dev/fd/{}", file.as_raw_fd()));
    let way = Way { channels: 2, ..Way::default() };
    let source = TestMachine::new("test-1.0", BYTES, RunState::Paused);
    source.fill(5 << 12, &[7; 3 << 12]);
    way.save(&source, &path);
    let destination = fresh();
    way.load(&destination, &path);
    assert!(destination.memory() == source.memory());
}
