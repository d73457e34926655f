//! Pages as differences, and compressed ones: what arrives is the guest's memory, and what is damaged is refused with
//! its place.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation, reason = "tests")]

mod machine;

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use flate2::{Compress, Compression, FlushCompress};
use machine::TestMachine;
use vmferry::control::{Capabilities, Parameters, RunState, Status, XbzrleStats};
use vmferry::{Incoming, Machine as _, Migration};
use vmferry_wire::Name;
use vmferry_wire::configuration::Configuration;
use vmferry_wire::header::Header;
use vmferry_wire::ram::block_list::{BlockEntry, BlockList};
use vmferry_wire::ram::{PageKind, RAM_IDSTR, RAM_VERSION, Record, page_header};
use vmferry_wire::section::{Footer, SectionHeader, SectionIdent};

const BYTES: usize = 4 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for the cache's counters to be as they should.
fn wait_for_stats(migration: &Migration, done: impl Fn(&XbzrleStats) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !migration.info().xbzrle.as_ref().is_some_and(&done) {
        assert!(Instant::now() < deadline, "{:?}", migration.info());
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_guest_that_changes_little_of_each_page_moves_in_differences() {
    let dir = tempfile::tempdir().unwrap();
    let uri = format!("unix:{}/socket", dir.path().display()).parse().unwrap();
    let source = TestMachine::with_blocks("test-1.0", &[("a", BYTES), ("b", 1 << 20)], RunState::Running);
    let destination = TestMachine::with_blocks("test-1.0", &[("a", BYTES), ("b", 1 << 20)], RunState::InMigrate);
    source.wait_for_passes(1);
    let (outgoing, incoming) = (Migration::new(source.clone()), Migration::new(destination.clone()));
    let parameters = Parameters { max_bandwidth: 64 << 20, downtime_limit_ms: 0, ..Parameters::default() };
    outgoing.set_parameters(parameters).unwrap();
    outgoing.set_capabilities(Capabilities { xbzrle: true, ..Capabilities::default() }).unwrap();
    source.keeps_dirty.store(true, Ordering::Relaxed);
    incoming.incoming(&uri, Incoming::default()).unwrap();
    outgoing.migrate(&uri).unwrap();
    wait_for_stats(&outgoing, |stats| stats.pages > 2000 && stats.bytes < stats.pages * 200);
    // Another size drops what is remembered, and the guest's memory arrives all the same.
    outgoing.set_parameters(Parameters { xbzrle_cache_bytes: 1 << 20, ..parameters }).unwrap();
    wait_for_stats(&outgoing, |stats| stats.cache_bytes == 1 << 20 && stats.cache_misses > 1500);
    outgoing.set_parameters(Parameters { downtime_limit_ms: 10_000, ..parameters }).unwrap();
    source.keeps_dirty.store(false, Ordering::Relaxed);
    outgoing.wait().unwrap();
    incoming.wait().unwrap();
    destination.wait_for_passes(2);
    assert_eq!(destination.state().bad_pages, 0);
    assert_eq!(outgoing.info().status, Status::Completed);
}

/// The head of a stream with one block, and the beginning of a part.
fn head() -> Vec<u8> {
    let name = |text: &str| Name::new(text, "name").unwrap();
    let mut out = Vec::new();
    Header.encode(&mut out);
    Configuration::of_machine(name("test-1.0")).encode(&mut out);
    let ident = SectionIdent { idstr: name(RAM_IDSTR), instance_id: 0, version_id: RAM_VERSION };
    SectionHeader::Start { section_id: 1, ident }.encode(&mut out);
    let entry = BlockEntry {
        name: name("test.ram"),
        used_bytes: BYTES as u64,
        page_bytes: None,
        guest_address: None,
        mapped_ram: None,
    };
    BlockList::encode(&[entry], &mut out);
    Record::encode_eos(&mut out);
    Footer { section_id: 1 }.encode(&mut out);
    SectionHeader::Part { section_id: 1 }.encode(&mut out);
    out
}

fn compressed_record(offset: u64, data: &[u8]) -> Vec<u8> {
    let mut out = page_header(PageKind::Compressed, offset, false).to_be_bytes().to_vec();
    Name::new("test.ram", "name").unwrap().encode(&mut out);
    out.extend_from_slice(&(data.len() as u32).to_be_bytes());
    out.extend_from_slice(data);
    out
}

fn xbzrle_record(offset: u64, block: &str, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Record::encode_xbzrle_page(&mut out, offset, Some(&Name::new(block, "name").unwrap()), data.len() as u16);
    out.extend_from_slice(data);
    out
}

/// What the destination says of a stream that goes on with `records` and ends.
fn refusal_of(records: &[u8]) -> String {
    let destination = TestMachine::new("test-1.0", BYTES, RunState::InMigrate);
    let incoming = Migration::new(destination.clone());
    let (ours, theirs) = UnixStream::pair().unwrap();
    incoming.descriptors().register("d", theirs.into()).unwrap();
    incoming.incoming(&"fd:d".parse().unwrap(), Incoming::default()).unwrap();
    (&ours).write_all(&[&head(), records].concat()).unwrap();
    drop(ours);
    let error = incoming.wait().unwrap_err().to_string();
    assert_eq!(destination.run_state(), RunState::InMigrate);
    error
}

fn deflated(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len() + 100);
    Compress::new(Compression::fast(), true).compress_vec(octets, &mut out, FlushCompress::Finish).unwrap();
    out
}

#[test]
fn damaged_pages_are_refused_with_their_place_and_cause() {
    let at = |octets: usize| format!(" {:#x}", head().len() + octets);
    // Header word, name, encoding and length stand before the data; header word, name and length before a stream.
    let (data, stream) = (8 + 9 + 3, 8 + 9 + 4);
    let cases = [
        (xbzrle_record(0x5000, "test.ram", b"\x05\x00\x01"), at(data + 1), "a change of no octets"),
        (xbzrle_record(0x5000, "test.ram", b"\x00\x02\x01"), at(data + 1), "fewer changed octets than announced"),
        (xbzrle_record(0x5000, "test.ram", b"\xff\x7f\x01\x01"), at(data), "beyond the end of the page"),
        (xbzrle_record(BYTES as u64, "test.ram", b"\x00\x01\x01"), at(data), "below its length of 0x400000"),
        (xbzrle_record(0, "other.ram", b"\x00\x01\x01"), at(0), "accepted is 'test.ram'"),
        (compressed_record(0x5000, b"no zlib"), at(stream), "is damaged"),
        (compressed_record(0x5000, &deflated(&[1; 4097])), at(stream), "is longer than a page"),
        (compressed_record(0x5000, &deflated(&[1; 4095])), at(stream), "is shorter than a page"),
        (compressed_record(u64::MAX - 4095, &deflated(&[1; 4096])), at(stream), "below its length of 0x400000"),
        (compressed_record(0x5000, &vec![0; 6000]), at(8 + 9), "the length of a compressed page"),
    ];
    for (records, place, cause) in cases {
        let error = refusal_of(&records);
        assert!(error.starts_with("destination: section 'ram' instance 0: "), "{error}");
        assert!(error.contains(&place) && error.contains(cause), "{error}, not {cause} at {place}");
    }
}

#[test]
fn no_octet_of_such_a_page_can_be_missing() {
    let good = [xbzrle_record(0x5000, "test.ram", b"\x05\x01\x09"), compressed_record(0x6000, &deflated(&[7; 4096]))];
    for cut in 0..good.concat().len() {
        let error = refusal_of(&good.concat()[..cut]);
        assert!(error.contains("the stream ends") || error.contains("ends at"), "{cut}: {error}");
    }
}
