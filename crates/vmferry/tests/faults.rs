//! What goes wrong on the way leaves the guest running at exactly one side, and the next attempt works.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod machine;

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use machine::TestMachine;
use vmferry::channel::Uri;
use vmferry::control::{Event, Owner, Parameters, RunState, Status};
use vmferry::{ErrorKind, Incoming, Machine as _, Migration, Side};

const BYTES: usize = 2 << 20;

fn unlimited(machine: &Arc<TestMachine>) -> Migration {
    let migration = Migration::new(machine.clone());
    migration.set_parameters(Parameters { max_bandwidth: 0, ..Parameters::default() }).unwrap();
    migration
}

fn running() -> (Arc<TestMachine>, Migration) {
    let machine = TestMachine::new("test-1.0", BYTES, RunState::Running);
    let migration = unlimited(&machine);
    (machine, migration)
}

fn waiting() -> (Arc<TestMachine>, Migration) {
    let machine = TestMachine::new("test-1.0", BYTES, RunState::InMigrate);
    let migration = Migration::new(machine.clone());
    (machine, migration)
}

/// Gives each migration one end of a socket pair.
fn connect(outgoing: &Migration, incoming: &Migration) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    incoming.descriptors().register("d", theirs.into()).unwrap();
    outgoing.descriptors().register("s", ours.into()).unwrap();
    incoming.incoming(&"fd:d".parse().unwrap(), Incoming::default()).unwrap();
    outgoing.migrate(&"fd:s".parse().unwrap()).unwrap();
}

/// The guest runs on at the source, unharmed, and a second attempt to a fresh destination works.
fn runs_on_and_moves_later(source: &Arc<TestMachine>, outgoing: &Migration) {
    assert_eq!(source.run_state(), RunState::Running);
    source.wait_for_passes(1);
    assert_eq!(source.state().bad_pages, 0);
    let (destination, incoming) = waiting();
    connect(outgoing, &incoming);
    outgoing.wait().unwrap();
    incoming.wait().unwrap();
    assert_eq!(source.run_state(), RunState::PostMigrate);
    destination.wait_for_passes(2);
    assert_eq!(destination.state().bad_pages, 0);
}

#[test]
fn nobody_listens() {
    let (source, outgoing) = running();
    outgoing.migrate(&Uri::Unix("/nonexistent/socket".into())).unwrap();
    let error = outgoing.wait().unwrap_err();
    assert_eq!(error.side(), Side::Source);
    assert_eq!(outgoing.info().status, Status::Failed);
    runs_on_and_moves_later(&source, &outgoing);
}

#[test]
fn a_device_refuses_to_be_saved() {
    let (source, outgoing) = running();
    let (destination, incoming) = waiting();
    source.walker.lock().unwrap().refuses_snapshot = true;
    connect(&outgoing, &incoming);
    let error = outgoing.wait().unwrap_err();
    assert_eq!(error.section(), Some(("walker", 0)));
    assert!(error.to_string().contains("not to be saved"), "{error}");
    assert!(incoming.wait().is_err());
    assert_ne!(destination.run_state(), RunState::Running);
    source.walker.lock().unwrap().refuses_snapshot = false;
    runs_on_and_moves_later(&source, &outgoing);
}

#[test]
fn a_device_refuses_to_be_loaded_and_the_source_learns_why() {
    let (source, outgoing) = running();
    let (destination, incoming) = waiting();
    destination.walker.lock().unwrap().refuses_restore = true;
    connect(&outgoing, &incoming);
    let error = outgoing.wait().unwrap_err().to_string();
    assert!(error.contains("section 'walker' instance 0: the walker is not to be restored"), "{error}");
    let error = incoming.wait().unwrap_err();
    assert_eq!((error.side(), error.section()), (Side::Destination, Some(("walker", 0))));
    assert_ne!(destination.run_state(), RunState::Running);
    assert_eq!(destination.state().pass, 0, "the refused device is what it was");
    runs_on_and_moves_later(&source, &outgoing);
}

#[test]
fn machines_that_differ_are_told_apart_before_a_page_is_sent() {
    let (source, outgoing) = running();
    for (machine_type, bytes, expected) in [
        ("test-1.1", BYTES, "the machine type is 'test-1.0', accepted is 'test-1.1'"),
        ("test-1.0", BYTES * 2, "the length of a RAM block is 0x200000 for 'test.ram', accepted is 0x400000"),
    ] {
        let destination = TestMachine::new(machine_type, bytes, RunState::InMigrate);
        let incoming = Migration::new(destination);
        connect(&outgoing, &incoming);
        let error = outgoing.wait().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(incoming.wait().unwrap_err().to_string().contains(expected));
    }
    runs_on_and_moves_later(&source, &outgoing);
}

/// Passes octets on in both directions; cuts both after `limit` octets from the source.
fn relay_until(limit: usize, source: UnixStream, destination: UnixStream) -> thread::JoinHandle<usize> {
    let (mut back_in, mut back_out) = (destination.try_clone().unwrap(), source.try_clone().unwrap());
    let backward = thread::spawn(move || {
        let _ = std::io::copy(&mut back_in, &mut back_out);
        let _ = back_out.shutdown(Shutdown::Both);
    });
    thread::spawn(move || {
        let (mut source, mut destination) = (source, destination);
        let mut passed = 0;
        let mut buffer = [0; 16384];
        while passed < limit {
            let wanted = buffer.len().min(limit - passed);
            match source.read(&mut buffer[..wanted]) {
                Ok(0) | Err(_) => break,
                Ok(read) => {
                    if destination.write_all(&buffer[..read]).is_err() {
                        break;
                    }
                    passed += read;
                }
            }
        }
        let _ = source.shutdown(Shutdown::Both);
        let _ = destination.shutdown(Shutdown::Both);
        backward.join().unwrap();
        passed
    })
}

/// One attempt through a relay that cuts; returns how much passed.
fn attempt_with_cut(limit: usize) -> usize {
    let (source, outgoing) = running();
    let (destination, incoming) = waiting();
    let (ours, relay_source) = UnixStream::pair().unwrap();
    let (relay_destination, theirs) = UnixStream::pair().unwrap();
    let relay = relay_until(limit, relay_source, relay_destination);
    incoming.descriptors().register("d", theirs.into()).unwrap();
    outgoing.descriptors().register("s", ours.into()).unwrap();
    incoming.incoming(&"fd:d".parse().unwrap(), Incoming::default()).unwrap();
    outgoing.migrate(&"fd:s".parse().unwrap()).unwrap();
    let left = outgoing.wait();
    let arrived = incoming.wait();
    let passed = relay.join().unwrap();
    let states = (source.run_state(), destination.run_state());
    match outgoing.info().owner {
        Owner::Source => {
            assert!(left.is_err(), "cut after {limit}");
            assert_eq!(states.0, RunState::Running, "cut after {limit}");
            assert_ne!(states.1, RunState::Running, "cut after {limit}");
            runs_on_and_moves_later(&source, &outgoing);
        }
        Owner::Destination => {
            assert_eq!(states.0, RunState::PostMigrate, "cut after {limit}");
            assert!(arrived.is_ok(), "cut after {limit}: {arrived:?}");
            if states.1 != RunState::Running {
                assert_eq!(states.1, RunState::Paused);
                assert!(incoming.info().error.unwrap().contains("cont"));
                destination.start().unwrap();
            }
            destination.wait_for_passes(2);
            assert_eq!(destination.state().bad_pages, 0, "cut after {limit}");
        }
        Owner::Unknown => panic!("cut after {limit}: between our own ends the owner is known"),
    }
    passed
}

#[test]
fn a_connection_that_breaks_anywhere_leaves_one_owner() {
    let whole = attempt_with_cut(usize::MAX);
    assert!(whole > 10_000);
    for limit in [0, 1, 7, 8, 9, 40, 60, 100, 200, 5_000, 40_000] {
        attempt_with_cut(limit);
    }
    for part in 1..40 {
        attempt_with_cut(whole * part / 40);
    }
}

/// The tail of a stream whose guest stands still is the same in every run, so each of its octets can be a cut.
#[test]
fn a_connection_that_breaks_at_any_of_the_last_octets_leaves_one_owner() {
    let machine = || {
        let machine = TestMachine::new("test-1.0", 16 * 4096, RunState::Paused);
        let migration = unlimited(&machine);
        (machine, migration)
    };
    let attempt = |limit: usize| {
        let (source, outgoing) = machine();
        let destination = TestMachine::new("test-1.0", 16 * 4096, RunState::InMigrate);
        let incoming = Migration::new(destination.clone());
        let (ours, relay_source) = UnixStream::pair().unwrap();
        let (relay_destination, theirs) = UnixStream::pair().unwrap();
        let relay = relay_until(limit, relay_source, relay_destination);
        incoming.descriptors().register("d", theirs.into()).unwrap();
        outgoing.descriptors().register("s", ours.into()).unwrap();
        incoming.incoming(&"fd:d".parse().unwrap(), Incoming::default()).unwrap();
        outgoing.migrate(&"fd:s".parse().unwrap()).unwrap();
        let _ = outgoing.wait();
        let arrived = incoming.wait();
        match outgoing.info().owner {
            Owner::Source => assert_eq!(source.run_state(), RunState::Paused, "cut after {limit}"),
            Owner::Destination => {
                assert_eq!(source.run_state(), RunState::PostMigrate, "cut after {limit}");
                assert!(arrived.is_ok(), "cut after {limit}: {arrived:?}");
            }
            Owner::Unknown => panic!("cut after {limit}"),
        }
        (relay.join().unwrap(), outgoing.info().owner)
    };
    let (whole, owner) = attempt(usize::MAX);
    assert_eq!(owner, Owner::Destination);
    let mut owners = Vec::new();
    for limit in (0..whole).rev() {
        owners.push(attempt(limit).1);
    }
    // RUN is the last message, of 9 octets: without it the source has either kept the guest or given it up for good.
    assert!(owners[9..].iter().all(|owner| *owner == Owner::Source), "before RUN nothing is given up");
}

#[test]
fn a_cancellation_at_any_moment_keeps_the_guest_or_comes_too_late() {
    let mut kept = 0;
    let mut late = 0;
    for step in 0..60 {
        let (source, outgoing) = running();
        let (destination, incoming) = waiting();
        connect(&outgoing, &incoming);
        thread::sleep(Duration::from_micros(step * 150));
        outgoing.cancel();
        let left = outgoing.wait();
        let _ = incoming.wait();
        if outgoing.info().owner == Owner::Source {
            kept += 1;
            assert!(matches!(left.unwrap_err().kind(), ErrorKind::Cancelled));
            assert_eq!(outgoing.info().status, Status::Cancelled);
            assert_ne!(destination.run_state(), RunState::Running);
            runs_on_and_moves_later(&source, &outgoing);
        } else {
            late += 1;
            assert_eq!(source.run_state(), RunState::PostMigrate);
            destination.wait_for_passes(1);
            assert_eq!(destination.state().bad_pages, 0);
        }
    }
    println!("{kept} kept, {late} too late");
    assert!(kept > 0, "some cancellations were in time");
}

#[test]
fn a_peer_that_hangs_does_not_hold_a_cancellation_up() {
    let (source, outgoing) = running();
    let (ours, theirs) = UnixStream::pair().unwrap();
    outgoing.descriptors().register("s", ours.into()).unwrap();
    outgoing.migrate(&"fd:s".parse().unwrap()).unwrap();
    // Nobody reads: the source fills the socket and waits.
    while outgoing.info().status != Status::Active {
        thread::yield_now();
    }
    outgoing.cancel();
    assert!(matches!(outgoing.wait().unwrap_err().kind(), ErrorKind::Cancelled));
    drop(theirs);
    runs_on_and_moves_later(&source, &outgoing);
}

#[test]
fn a_connection_that_nobody_accepts_does_not_hold_a_cancellation_up() {
    let (source, outgoing) = running();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let unix = UnixListener::bind(&path).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&unix, 0).unwrap();
    rustix::net::listen(&tcp, 0).unwrap();
    let address = tcp.local_addr().unwrap();
    // Fill the backlogs, so that the next connection has to wait.
    let _first = UnixStream::connect(&path).unwrap();
    let filler = thread::spawn(move || {
        (0..2).map(|_| TcpStream::connect_timeout(&address, Duration::from_millis(300))).collect::<Vec<_>>()
    });
    let _connections = filler.join().unwrap();
    for uri in [format!("unix:{}", path.display()), format!("tcp:127.0.0.1:{}", address.port())] {
        source.events.lock().unwrap().clear();
        outgoing.migrate(&uri.parse().unwrap()).unwrap();
        // If it does not wait, the status is `failed` or `active` soon.
        thread::sleep(Duration::from_millis(50));
        assert_eq!(outgoing.info().status, Status::Setup, "{uri}");
        let asked = Instant::now();
        outgoing.cancel();
        assert!(matches!(outgoing.wait().unwrap_err().kind(), ErrorKind::Cancelled), "{uri}");
        assert!(asked.elapsed() < Duration::from_secs(5), "{uri}: {:?}", asked.elapsed());
        assert_eq!(outgoing.info().status, Status::Cancelled);
        let events = source.events.lock().unwrap().clone();
        let statuses = [Status::Setup, Status::Cancelling, Status::Cancelled].map(Event::Migration);
        assert_eq!(events, statuses, "{uri}");
    }
    runs_on_and_moves_later(&source, &outgoing);
}

#[test]
fn a_fifo_without_a_reader_is_refused_and_one_without_a_writer_is_awaited() {
    let (source, outgoing) = running();
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let uri: Uri = format!("file:{}", fifo.display()).parse().unwrap();
    assert!(outgoing.migrate(&uri).unwrap_err().to_string().contains("opening the channel"));
    let (destination, incoming) = waiting();
    incoming.incoming(&uri, Incoming::default()).unwrap();
    outgoing.migrate(&uri).unwrap();
    outgoing.wait().unwrap();
    incoming.wait().unwrap();
    assert_eq!((source.run_state(), destination.run_state()), (RunState::PostMigrate, RunState::Running));
}

#[test]
fn a_peer_that_floods_the_return_path_is_cut_off() {
    let (source, outgoing) = running();
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    outgoing.descriptors().register("s", ours.into()).unwrap();
    outgoing.migrate(&"fd:s".parse().unwrap()).unwrap();
    // It never reads, so the source waits in a write while answers to nothing pile up.
    let mut pongs = Vec::new();
    for _ in 0..1000 {
        pongs.extend_from_slice(b"\0\x02\0\x04\0\0\0\x01");
    }
    let flood = thread::spawn(move || {
        let mut written = 0_usize;
        while written < 64 << 20 && theirs.write_all(&pongs).is_ok() {
            written += pongs.len();
        }
        written
    });
    let error = outgoing.wait().unwrap_err().to_string();
    assert!(error.contains("messages"), "{error}");
    assert!(flood.join().unwrap() < 4 << 20);
    runs_on_and_moves_later(&source, &outgoing);
}

#[test]
fn a_destination_that_failed_is_not_used_again() {
    let (destination, incoming) = waiting();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    std::fs::write(&path, recording().get(..5000).unwrap()).unwrap();
    let uri = Uri::File { path, offset: 0 };
    incoming.incoming(&uri, Incoming::default()).unwrap();
    incoming.wait().unwrap_err();
    // What the first stream left in devices and RAM would mix with the second.
    let error = incoming.incoming(&uri, Incoming::default()).unwrap_err().to_string();
    assert!(error.contains("fresh"), "{error}");
    assert_eq!((incoming.info().status, destination.run_state()), (Status::Failed, RunState::InMigrate));
}

#[test]
fn looking_whether_an_address_is_taken_does_not_disturb_who_listens_there() {
    let dir = tempfile::tempdir().unwrap();
    let uri = Uri::Unix(dir.path().join("socket"));
    let (source, outgoing) = running();
    let (_first, first) = waiting();
    let (_second, second) = waiting();
    first.incoming(&uri, Incoming::default()).unwrap();
    assert!(second.incoming(&uri, Incoming::default()).is_err());
    outgoing.migrate(&uri).unwrap();
    outgoing.wait().unwrap();
    first.wait().unwrap();
    assert_eq!(source.run_state(), RunState::PostMigrate);
}

#[test]
fn a_cancelled_wait_leaves_no_socket_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let (_machine, incoming) = waiting();
    incoming.incoming(&Uri::Unix(path.clone()), Incoming::default()).unwrap();
    incoming.cancel();
    incoming.wait().unwrap_err();
    assert!(!path.exists());
}

#[test]
fn a_cancellation_is_announced_whatever_it_interrupts() {
    let (source, outgoing) = running();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    outgoing.descriptors().register("s", ours.into()).unwrap();
    outgoing.migrate(&"fd:s".parse().unwrap()).unwrap();
    while outgoing.info().status != Status::Active {
        thread::yield_now();
    }
    outgoing.cancel();
    outgoing.wait().unwrap_err();
    let events = source.events.lock().unwrap().clone();
    let last = [Status::Cancelling, Status::Cancelled].map(Event::Migration);
    assert!(events.ends_with(&last), "{events:?}");
}

#[test]
fn a_peer_that_talks_nonsense_is_not_believed() {
    let (source, outgoing) = running();
    for nonsense in
        [&b"\0\x09\0\0"[..], b"\0\x03\0\x0d\0\0\0\0\0\0\0\0\0\0\x10\0\0", b"\0\x01\0\x04\0\0\0\0", &[0xff; 64]]
    {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        outgoing.descriptors().register("s", ours.into()).unwrap();
        outgoing.migrate(&"fd:s".parse().unwrap()).unwrap();
        theirs.write_all(nonsense).unwrap();
        let mut sink = Vec::new();
        let _ = theirs.read_to_end(&mut sink);
        assert!(outgoing.wait().is_err(), "{nonsense:x?}");
        assert_eq!((outgoing.info().owner, source.run_state()), (Owner::Source, RunState::Running), "{nonsense:x?}");
    }
    runs_on_and_moves_later(&source, &outgoing);
}

#[test]
fn a_command_that_fails_leaves_the_source_stopped_and_says_so() {
    let (source, outgoing) = running();
    outgoing.migrate(&"exec:cat > /dev/null; exit 3".parse().unwrap()).unwrap();
    let error = outgoing.wait().unwrap_err().to_string();
    assert!(error.contains("exit status: 3"), "{error}");
    // What it read may be with somebody who started it.
    assert_eq!((outgoing.info().owner, source.run_state()), (Owner::Unknown, RunState::PostMigrate));
}

#[test]
fn a_command_that_ends_early_leaves_the_guest() {
    let (source, outgoing) = running();
    source.wait_for_passes(1);
    outgoing.migrate(&"exec:head -c 1000 > /dev/null".parse().unwrap()).unwrap();
    assert!(outgoing.wait().is_err());
    assert_eq!(outgoing.info().owner, Owner::Source);
    runs_on_and_moves_later(&source, &outgoing);
}

#[test]
fn a_full_disk_leaves_the_guest() {
    let (source, outgoing) = running();
    outgoing.migrate(&"file:/dev/full".parse().unwrap()).unwrap();
    assert!(outgoing.wait().is_err());
    assert_eq!(outgoing.info().status, Status::Failed);
    runs_on_and_moves_later(&source, &outgoing);
}

#[test]
fn a_migrated_guest_is_not_migrated_again() {
    let (source, outgoing) = running();
    runs_on_and_moves_later(&source, &outgoing);
    let error = outgoing.migrate(&"unix:/tmp/x".parse().unwrap()).unwrap_err().to_string();
    assert!(error.contains("migrated away"), "{error}");
}

/// A recorded stream of a stopped guest of 16 pages, some with content.
fn recording() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stream");
    let machine = TestMachine::new("test-1.0", 16 * 4096, RunState::Paused);
    machine.fill(3 * 4096, &[7; 4096]);
    machine.fill(9 * 4096, &[9; 8192]);
    let migration = Migration::new(machine);
    migration.migrate(&Uri::File { path: path.clone(), offset: 0 }).unwrap();
    migration.wait().unwrap();
    std::fs::read(path).unwrap()
}

fn load(dir: &tempfile::TempDir, stream: &[u8]) -> (Arc<TestMachine>, Result<(), vmferry::Error>) {
    let path = dir.path().join("stream");
    std::fs::write(&path, stream).unwrap();
    let machine = TestMachine::new("test-1.0", 16 * 4096, RunState::InMigrate);
    let migration = Migration::new(machine.clone());
    migration.incoming(&Uri::File { path, offset: 0 }, Incoming::default()).unwrap();
    let result = migration.wait();
    (machine, result)
}

#[test]
fn a_stream_cut_anywhere_before_its_end_mark_is_refused_with_its_offset() {
    let stream = recording();
    let dir = tempfile::tempdir().unwrap();
    let (_, whole) = load(&dir, &stream);
    whole.unwrap();
    // The end mark stands before the description: 00 06 and its length.
    let end = (0..stream.len())
        .rfind(|at| {
            stream[*at..].starts_with(&[0, 6])
                && stream.get(*at + 2..*at + 6).is_some_and(|length| {
                    u32::from_be_bytes(length.try_into().unwrap()) as usize == stream.len() - *at - 6
                })
        })
        .unwrap();
    for cut in 0..=end {
        // Cuts inside pages are all alike.
        if cut % 4096 > 300 && cut < end - 400 && cut % 97 != 0 {
            continue;
        }
        let (machine, result) = load(&dir, &stream[..cut]);
        let error = result.expect_err("a cut stream is refused").to_string();
        assert!(error.starts_with("destination: ") && error.contains("at byte 0x"), "cut at {cut}: {error}");
        assert_eq!(machine.run_state(), RunState::InMigrate, "cut at {cut}");
    }
    // Behind it the result stands (docs/spec/stream.md section 7).
    let (machine, result) = load(&dir, &stream[..end + 40]);
    result.unwrap();
    assert_eq!(machine.run_state(), RunState::Paused);
}

#[test]
fn a_flipped_octet_is_refused_or_lands_in_content_and_never_panics() {
    let stream = recording();
    let dir = tempfile::tempdir().unwrap();
    let mut refused = 0;
    for at in (0..stream.len()).filter(|at| at % 4096 < 500 || at % 113 == 0 || at + 3000 > stream.len()) {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = stream.clone();
            damaged[at] ^= flip;
            let (_, result) = load(&dir, &damaged);
            if let Err(error) = result {
                refused += 1;
                assert!(error.to_string().contains("byte 0x") || error.to_string().contains("offset 0x"), "{error}");
            }
        }
    }
    assert!(refused > 300, "{refused} refusals");
}
