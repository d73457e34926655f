//! A guest that keeps rewriting its memory moves on several channels, and finds all of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod machine;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use machine::TestMachine;
use vmferry::control::{
    Capabilities, MultifdCompression, MultifdParameters, Owner, Parameters, RunState, Status, ZeroPageDetection,
};
use vmferry::{Incoming, Machine as _, Migration};

const BYTES: usize = 16 << 20;

/// How a guest is to move.
#[derive(Debug, Clone, Copy)]
struct Way {
    uri: &'static str,
    channels: u8,
    compression: MultifdCompression,
    detection: ZeroPageDetection,
    flushes_after_each_section: bool,
}

const PLAIN: Way = Way {
    uri: "unix:DIR/socket",
    channels: 2,
    compression: MultifdCompression::None,
    detection: ZeroPageDetection::Multifd,
    flushes_after_each_section: false,
};

fn with_channels(machine: &Arc<TestMachine>, way: Way) -> Migration {
    let migration = Migration::new(machine.clone());
    migration.set_capabilities(Capabilities { multifd: true, ..Capabilities::default() }).unwrap();
    let multifd = MultifdParameters { channels: way.channels, compression: way.compression, ..Default::default() };
    let parameters = Parameters { max_bandwidth: 0, zero_page_detection: way.detection, multifd, ..Default::default() };
    migration.set_parameters(parameters).unwrap();
    migration
}

/// Moves the running guest of `source` to a fresh destination and lets it check its memory there.
fn moved(source: &Arc<TestMachine>, destination: &Arc<TestMachine>, way: Way) -> Migration {
    let (outgoing, incoming) = (with_channels(source, way), with_channels(destination, way));
    source.flushes_after_each_section.store(way.flushes_after_each_section, Ordering::Relaxed);
    let dir = tempfile::tempdir().unwrap();
    let uri = way.uri.replace("DIR", dir.path().to_str().unwrap());
    incoming.incoming(&uri.parse().unwrap(), Incoming::default()).unwrap();
    outgoing.migrate(&incoming.listening().unwrap()).unwrap();
    let left = outgoing.wait();
    incoming.wait().unwrap_or_else(|error| panic!("{way:?}: {error}"));
    left.unwrap_or_else(|error| panic!("{way:?}: {error}"));
    assert_eq!((outgoing.info().status, outgoing.info().owner), (Status::Completed, Owner::Destination), "{way:?}");
    assert_eq!(incoming.info().error, None, "{way:?}");
    let (sent, arrived) = (outgoing.info().ram, incoming.info().ram);
    assert_eq!((sent.normal_pages, sent.zero_pages), (arrived.normal_pages, arrived.zero_pages), "{way:?}");
    outgoing
}

fn move_running(way: Way) {
    let source = TestMachine::new("test-1.0", BYTES, RunState::Running);
    let destination = TestMachine::new("test-1.0", BYTES, RunState::InMigrate);
    source.wait_for_passes(1);
    let outgoing = moved(&source, &destination, way);
    assert_eq!((source.run_state(), destination.run_state()), (RunState::PostMigrate, RunState::Running), "{way:?}");
    destination.wait_for_passes(2);
    assert_eq!(destination.state().bad_pages, 0, "{way:?}");
    let ram = outgoing.info().ram;
    assert!(ram.multifd_bytes > 0 && ram.multifd_bytes < ram.transferred, "{way:?}: {ram:?}");
}

#[test]
fn over_any_number_of_channels() {
    for channels in [1, 2, 5, 40] {
        move_running(Way { channels, ..PLAIN });
    }
    move_running(Way { uri: "tcp:127.0.0.1:0", ..PLAIN });
}

#[test]
fn with_every_compression() {
    for compression in MultifdCompression::ALL {
        move_running(Way { compression, channels: 3, ..PLAIN });
    }
}

#[test]
fn with_every_way_to_find_zero_pages() {
    for detection in ZeroPageDetection::ALL {
        move_running(Way { detection, ..PLAIN });
        move_running(Way {
            detection,
            compression: MultifdCompression::Zstd,
            flushes_after_each_section: true,
            ..PLAIN
        });
    }
}

#[test]
fn zero_pages_arrive_as_such_however_they_are_found() {
    for detection in ZeroPageDetection::ALL {
        let source = TestMachine::new("test-1.0", BYTES, RunState::Paused);
        let destination = TestMachine::new("test-1.0", BYTES, RunState::InMigrate);
        // What a page of zeros must overwrite, or an image that was there before.
        destination.fill(0, &vec![0xaa; BYTES]);
        source.fill(5 << 12, &[7; 3 << 12]);
        source.fill(200 << 12, &[9; 1 << 12]);
        let outgoing = moved(&source, &destination, Way { detection, ..PLAIN });
        assert!(destination.memory() == source.memory(), "{detection}");
        let pages = (BYTES >> 12) as u64;
        let expected = if detection == ZeroPageDetection::None { (pages, 0) } else { (4, pages - 4) };
        let ram = outgoing.info().ram;
        assert_eq!((ram.normal_pages, ram.zero_pages), expected, "{detection}");
    }
}

#[test]
fn several_blocks_of_odd_sizes_arrive_whole() {
    let blocks = [("a", 3 << 12), ("vga.vram", 1031 << 12), ("m.1", 65 << 12)];
    for compression in MultifdCompression::ALL {
        let source = TestMachine::with_blocks("test-1.0", &blocks, RunState::Running);
        source.wait_for_passes(2);
        source.stop(RunState::Paused).unwrap();
        let destination = TestMachine::with_blocks("test-1.0", &blocks, RunState::InMigrate);
        moved(&source, &destination, Way { compression, ..PLAIN });
        assert!(destination.memory() == source.memory(), "{compression}");
        assert_eq!(destination.state(), source.state());
    }
}

#[test]
fn without_a_copy_in_the_kernel() {
    let source = TestMachine::new("test-1.0", BYTES, RunState::Running);
    let destination = TestMachine::new("test-1.0", BYTES, RunState::InMigrate);
    source.wait_for_passes(1);
    let way = Way { uri: "tcp:127.0.0.1:0", ..PLAIN };
    let (outgoing, incoming) = (with_channels(&source, way), with_channels(&destination, way));
    let capabilities = Capabilities { multifd: true, zero_copy_send: true, ..Capabilities::default() };
    outgoing.set_capabilities(capabilities).unwrap();
    incoming.incoming(&way.uri.parse().unwrap(), Incoming::default()).unwrap();
    outgoing.migrate(&incoming.listening().unwrap()).unwrap();
    outgoing.wait().unwrap();
    incoming.wait().unwrap();
    destination.wait_for_passes(2);
    assert_eq!(destination.state().bad_pages, 0);
    // Over loopback the kernel copies what a socket of this host receives, and says so.
    let ram = outgoing.info().ram;
    assert!(ram.missed_zero_copy > 0 && ram.missed_zero_copy <= 2 * (ram.dirty_sync_count + 1), "{ram:?}");
}

#[test]
fn zero_copy_needs_multifd_and_tcp_and_no_compression() {
    let machine = TestMachine::new("test-1.0", BYTES, RunState::Running);
    let migration = with_channels(&machine, PLAIN);
    let zero_copy = Capabilities { zero_copy_send: true, ..Capabilities::default() };
    assert!(migration.set_capabilities(zero_copy).unwrap_err().to_string().contains("needs multifd"));
    migration.set_capabilities(Capabilities { multifd: true, ..zero_copy }).unwrap();
    let error = migration.migrate(&"unix:/nonexistent/socket".parse().unwrap()).unwrap_err().to_string();
    assert!(error.contains("zero-copy-send needs tcp"), "{error}");
    let multifd = MultifdParameters { compression: MultifdCompression::Zstd, ..Default::default() };
    migration.set_parameters(Parameters { multifd, ..Default::default() }).unwrap();
    let error = migration.migrate(&"tcp:127.0.0.1:1".parse().unwrap()).unwrap_err().to_string();
    assert!(error.contains("needs multifd-compression 'none'"), "{error}");
    let excluded = Capabilities { multifd: true, xbzrle: true, ..Capabilities::default() };
    assert!(migration.set_capabilities(excluded).unwrap_err().to_string().contains("exclude"));
}

#[test]
fn a_uuid_that_both_ends_have_is_accepted() {
    let source = TestMachine::new("test-1.0", BYTES, RunState::Paused);
    let destination = TestMachine::new("test-1.0", BYTES, RunState::InMigrate);
    for machine in [&source, &destination] {
        *machine.uuid.lock().unwrap() = *b"\0\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff";
    }
    moved(&source, &destination, PLAIN);
}
