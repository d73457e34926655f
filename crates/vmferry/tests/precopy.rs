//! A guest that keeps rewriting its memory moves over every transport, and finds all of it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod machine;

use std::sync::Arc;

use machine::TestMachine;
use vmferry::channel::Uri;
use vmferry::control::{Capabilities, Event, Owner, Parameters, RunState, Status};
use vmferry::{Incoming, Machine as _, Migration};

const BYTES: usize = 16 << 20;

struct Pair {
    source: Arc<TestMachine>,
    destination: Arc<TestMachine>,
    outgoing: Migration,
    incoming: Migration,
    dir: tempfile::TempDir,
}

fn pair() -> Pair {
    let source = TestMachine::new("test-1.0", BYTES, RunState::Running);
    let destination = TestMachine::new("test-1.0", BYTES, RunState::InMigrate);
    let outgoing = Migration::new(source.clone());
    outgoing.set_parameters(Parameters { max_bandwidth: 0, ..Parameters::default() }).unwrap();
    let incoming = Migration::new(destination.clone());
    Pair { source, destination, outgoing, incoming, dir: tempfile::tempdir().unwrap() }
}

impl Pair {
    fn uri(&self, text: &str) -> Uri {
        text.replace("DIR", self.dir.path().to_str().unwrap()).parse().unwrap()
    }

    /// The guest goes on at the destination and finds every page as it left it.
    fn check_moved(&self) {
        assert_eq!(self.source.run_state(), RunState::PostMigrate);
        assert_eq!(self.destination.run_state(), RunState::Running);
        self.destination.wait_for_passes(2);
        assert_eq!(self.destination.state().bad_pages, 0);
        let info = self.outgoing.info();
        assert_eq!((info.status, info.ram.remaining), (Status::Completed, 0));
        assert!(info.downtime_ms.unwrap() > 0.0 && info.rounds.len() > 1);
    }
}

fn move_over_socket(uri: &str) {
    let pair = pair();
    pair.source.wait_for_passes(1);
    pair.incoming.incoming(&pair.uri(uri), Incoming::default()).unwrap();
    let uri = pair.incoming.listening().unwrap();
    pair.outgoing.migrate(&uri).unwrap();
    pair.outgoing.wait().unwrap();
    pair.incoming.wait().unwrap();
    assert_eq!(pair.outgoing.info().owner, Owner::Destination);
    let phases: Vec<&str> = pair.outgoing.info().downtime_phases.iter().map(|phase| phase.name).collect();
    assert_eq!(phases, ["stop", "final-sync", "last-pages", "devices", "load", "handover"]);
    for migration in [&pair.outgoing, &pair.incoming] {
        let devices = migration.info().downtime_devices;
        let named: Vec<_> = devices.iter().map(|time| (time.section.as_str(), time.instance)).collect();
        assert_eq!(named, [("walker", 0)]);
        assert!(devices.iter().all(|time| time.ms > 0.0));
    }
    pair.check_moved();
}

#[test]
fn over_a_unix_socket() {
    move_over_socket("unix:DIR/socket");
}

#[test]
fn over_tcp() {
    move_over_socket("tcp:127.0.0.1:0");
}

#[test]
fn without_a_return_path_nobody_knows_and_the_source_stays_stopped() {
    let pair = pair();
    pair.outgoing.set_capabilities(Capabilities { return_path: false, ..Capabilities::default() }).unwrap();
    let uri = pair.uri("unix:DIR/socket");
    pair.incoming.incoming(&uri, Incoming::default()).unwrap();
    pair.outgoing.migrate(&uri).unwrap();
    pair.outgoing.wait().unwrap();
    pair.incoming.wait().unwrap();
    assert_eq!(pair.outgoing.info().owner, Owner::Unknown);
    pair.check_moved();
}

#[test]
fn through_a_file_at_an_offset() {
    let pair = pair();
    let uri = pair.uri("file:DIR/state,offset=12288");
    std::fs::write(pair.dir.path().join("state"), vec![0xaa; 20_000]).unwrap();
    pair.outgoing.migrate(&uri).unwrap();
    pair.outgoing.wait().unwrap();
    assert_eq!(std::fs::read(pair.dir.path().join("state")).unwrap()[12287..12292], *b"\xaaQEVM");
    pair.incoming.incoming(&uri, Incoming::default()).unwrap();
    pair.incoming.wait().unwrap();
    pair.check_moved();
}

#[test]
fn a_file_with_a_guests_memory_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let pair = pair();
    pair.outgoing.migrate(&pair.uri("file:DIR/state")).unwrap();
    pair.outgoing.wait().unwrap();
    let mode = std::fs::metadata(pair.dir.path().join("state")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
}

#[test]
fn through_commands() {
    let pair = pair();
    pair.outgoing.migrate(&pair.uri("exec:cat > DIR/state")).unwrap();
    pair.outgoing.wait().unwrap();
    pair.incoming.incoming(&pair.uri("exec:cat DIR/state"), Incoming::default()).unwrap();
    pair.incoming.wait().unwrap();
    pair.check_moved();
}

#[test]
fn over_descriptors_that_were_handed_over() {
    let pair = pair();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    pair.outgoing.descriptors().register("mig", ours.into()).unwrap();
    pair.incoming.descriptors().register("mig", theirs.into()).unwrap();
    let uri = pair.uri("fd:mig");
    pair.incoming.incoming(&uri, Incoming::default()).unwrap();
    pair.outgoing.migrate(&uri).unwrap();
    pair.outgoing.wait().unwrap();
    pair.incoming.wait().unwrap();
    assert_eq!(pair.outgoing.info().owner, Owner::Destination);
    pair.check_moved();
}

#[test]
fn a_stopped_guest_arrives_stopped_and_equal() {
    let pair = pair();
    pair.source.wait_for_passes(1);
    pair.source.stop(RunState::Paused).unwrap();
    pair.source.events.lock().unwrap().clear();
    let noise: Vec<u8> = (0..1 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect();
    pair.source.fill(3 << 20, &noise);
    let uri = pair.uri("unix:DIR/socket");
    pair.incoming.incoming(&uri, Incoming::default()).unwrap();
    pair.outgoing.migrate(&uri).unwrap();
    pair.outgoing.wait().unwrap();
    pair.incoming.wait().unwrap();
    assert_eq!(pair.destination.run_state(), RunState::Paused);
    assert!(pair.source.memory() == pair.destination.memory());
    assert_eq!(pair.source.state(), pair.destination.state());
    assert!(!pair.source.events.lock().unwrap().contains(&Event::Stop), "it was stopped before");
}

#[test]
fn a_paused_destination_loads_and_waits() {
    let pair = pair();
    let uri = pair.uri("unix:DIR/socket");
    pair.incoming.incoming(&uri, Incoming { autostart: false }).unwrap();
    pair.outgoing.migrate(&uri).unwrap();
    pair.outgoing.wait().unwrap();
    pair.incoming.wait().unwrap();
    assert_eq!(pair.destination.run_state(), RunState::Paused);
    pair.destination.start().unwrap();
    pair.check_moved();
}

#[test]
fn memory_of_zeros_is_sent_in_nine_bytes_a_page_and_not_populated() {
    let pair = pair();
    pair.source.stop(RunState::Paused).unwrap();
    pair.source.fill(0, &vec![0; BYTES]);
    let uri = pair.uri("unix:DIR/socket");
    pair.incoming.incoming(&uri, Incoming::default()).unwrap();
    pair.outgoing.migrate(&uri).unwrap();
    pair.outgoing.wait().unwrap();
    pair.incoming.wait().unwrap();
    let ram = pair.outgoing.info().ram;
    assert_eq!((ram.zero_pages, ram.normal_pages), ((BYTES / 4096) as u64, 0));
    assert!(ram.transferred < 9 * ram.zero_pages + 4096, "{} bytes", ram.transferred);
}

#[test]
fn the_bandwidth_limit_is_kept() {
    let pair = pair();
    pair.source.stop(RunState::Paused).unwrap();
    pair.source.fill(0, &vec![0x5a; 4 << 20]);
    pair.outgoing
        .set_parameters(Parameters { max_bandwidth: 16 << 20, downtime_limit_ms: 0, ..Parameters::default() })
        .unwrap();
    let uri = pair.uri("unix:DIR/socket");
    pair.incoming.incoming(&uri, Incoming::default()).unwrap();
    pair.outgoing.migrate(&uri).unwrap();
    pair.outgoing.wait().unwrap();
    let info = pair.outgoing.info();
    assert!(info.total_time_ms >= 200, "4 MiB at 16 MiB/s took {} ms", info.total_time_ms);
    assert_eq!(info.ram.normal_pages, 1024);
}

#[test]
fn events_come_in_qemus_order() {
    let pair = pair();
    let uri = pair.uri("unix:DIR/socket");
    pair.incoming.incoming(&uri, Incoming::default()).unwrap();
    pair.outgoing.migrate(&uri).unwrap();
    pair.outgoing.wait().unwrap();
    pair.incoming.wait().unwrap();
    // docs/spec/control.md section 6: setup, PASS 1, active, (PASS n), STOP, device, PASS n, completed.
    let events = pair.source.events.lock().unwrap().clone();
    let position = |event: &Event| events.iter().position(|other| other == event).unwrap();
    let order = [
        Event::Migration(Status::Setup),
        Event::MigrationPass(1),
        Event::Migration(Status::Active),
        Event::Stop,
        Event::Migration(Status::Device),
        Event::Migration(Status::Completed),
    ];
    assert!(order.windows(2).all(|two| position(&two[0]) < position(&two[1])), "{events:?}");
    let events = pair.destination.events.lock().unwrap().clone();
    assert_eq!(
        events,
        [
            Event::Migration(Status::Setup),
            Event::Migration(Status::Active),
            Event::Resume,
            Event::Migration(Status::Completed)
        ]
    );
}

#[test]
fn blocks_of_different_sizes_move_together() {
    // None has a multiple of 64 pages, so the bitmaps' last words are partly used.
    let blocks: [(&str, usize); 3] = [("a", 3 << 12), ("0000:00:02.0/vga.vram", 1031 << 12), ("m.1", 65 << 12)];
    let source = TestMachine::with_blocks("test-1.0", &blocks, RunState::Running);
    let destination = TestMachine::with_blocks("test-1.0", &[blocks[2], blocks[0], blocks[1]], RunState::InMigrate);
    source.wait_for_passes(1);
    let (outgoing, incoming) = (Migration::new(source.clone()), Migration::new(destination.clone()));
    let dir = tempfile::tempdir().unwrap();
    let uri: Uri = format!("unix:{}", dir.path().join("socket").display()).parse().unwrap();
    incoming.incoming(&uri, Incoming { autostart: false }).unwrap();
    outgoing.migrate(&uri).unwrap();
    outgoing.wait().unwrap();
    incoming.wait().unwrap();
    assert_eq!(outgoing.info().ram.total, (3 + 1031 + 65) << 12);
    let (there, here) = (destination.memory(), source.memory());
    let (a, vram) = (3 << 12, 1031 << 12);
    assert!(there[..65 << 12] == here[a + vram..], "m.1");
    assert!(there[65 << 12..][..a] == here[..a], "a");
    assert!(there[(65 << 12) + a..] == here[a..][..vram], "vga.vram");
    assert_eq!(destination.state(), source.state());
}
