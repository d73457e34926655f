//! What bad clients get: errors and, at the end, a disconnection; never the machine.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod kit;

use std::fs::File;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread;

use kit::{Raw, serve};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::json;
use vmferry::control::Event;
use vmferry_qmp::{Client, Limits, WAITING_LIMIT};

const STATUS: &str = r#"{"execute":"query-status","id":"after"}"#;

/// The connection still works.
fn works(raw: &mut Raw) {
    assert_eq!(raw.ask(STATUS)["id"], "after");
}

#[test]
fn garbage_gets_one_error_without_id_and_the_connection_goes_on() {
    let served = serve();
    let mut raw = Raw::negotiated(served.server.path());
    for garbage in [
        "garbage\n",
        "{]",
        "}\n",
        "{\"a\"}",
        "[1]",
        "12 ",
        "\"text\"",
        "null\n",
        "{'execute':'stop'}",
        "{\"execute\":\"st\n",
        "{\"execute\":\"stop\",\"execute\":\"quit\"}",
        "{\"execute\":\"stop\",}",
        "{\"execute\":\"\\ud800\"}",
        "\0\n",
        "{}",
    ] {
        let reply = raw.ask(garbage);
        assert_eq!(reply["error"]["class"], "GenericError", "{garbage:?}");
        assert!(reply.get("id").is_none(), "{garbage:?}");
        works(&mut raw);
    }
    // Text that is not UTF-8, and the octet that resynchronises.
    for garbage in [&b"{\"execute\":\"\xc3(\"}"[..], b"{\"execute\": [[[ \"\xff"] {
        assert_eq!(raw.ask(garbage)["error"]["class"], "GenericError");
        works(&mut raw);
    }
}

#[test]
fn a_line_of_a_hundred_million_octets_costs_one_error() {
    let served = serve();
    let mut raw = Raw::negotiated(served.server.path());
    let mut writer = raw.stream.try_clone().unwrap();
    let thread = thread::spawn(move || {
        let part = vec![b'x'; 1 << 20];
        std::io::Write::write_all(&mut writer, b"{\"execute\":\"").unwrap();
        for _ in 0..100 {
            std::io::Write::write_all(&mut writer, &part).unwrap();
        }
        std::io::Write::write_all(&mut writer, b"\"}").unwrap();
    });
    let reply = raw.read();
    assert!(reply["error"]["desc"].as_str().unwrap().contains(&Limits::REQUEST.bytes.to_string()), "{reply}");
    thread.join().unwrap();
    works(&mut raw);
}

#[test]
fn deep_nesting_costs_one_error() {
    let served = serve();
    let mut raw = Raw::negotiated(served.server.path());
    let nested = |depth: usize| format!("{{\"execute\":\"stop\",\"id\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    // The object itself is one level.
    let deepest = nested(Limits::REQUEST.depth - 1);
    assert!(raw.ask(deepest)["id"].is_array());
    for depth in [Limits::REQUEST.depth, 128, 100_000] {
        let reply = raw.ask(nested(depth));
        assert!(reply["error"]["desc"].as_str().unwrap().contains("nesting"), "{reply}");
        works(&mut raw);
    }
}

#[test]
fn half_a_request_is_never_executed() {
    let served = serve();
    for cut in 1..r#"{"execute":"quit"}"#.len() {
        let mut raw = Raw::negotiated(served.server.path());
        raw.send(&r#"{"execute":"quit"}"#[..cut]);
        raw.stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(raw.is_closed());
    }
    assert!(served.mock.calls.lock().unwrap().is_empty());
}

/// Sends one octet with `count` descriptors.
fn send_descriptors(stream: &UnixStream, count: usize) {
    let null = File::open("/dev/null").unwrap();
    let descriptors = vec![null.as_fd(); count];
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(200))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    sendmsg(stream, &[IoSlice::new(b" ")], &mut control, SendFlags::empty()).unwrap();
}

#[test]
fn a_flood_of_descriptors_is_closed_and_reported() {
    let served = serve();
    let mut raw = Raw::negotiated(served.server.path());
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open();
    for _ in 0..20 {
        send_descriptors(&raw.stream, 200);
        let reply = raw.read();
        assert!(reply["error"]["desc"].as_str().unwrap().contains("file descriptors wait"), "{reply}");
    }
    for _ in 0..=WAITING_LIMIT {
        send_descriptors(&raw.stream, 1);
    }
    assert!(raw.read()["error"]["desc"].as_str().unwrap().contains("file descriptors wait"));
    works(&mut raw);
    // Other tests of this program may hold some.
    assert!(open() < before + 1000, "{} descriptors are open, {before} were", open());
    let reply = raw.ask(r#"{"execute":"getfd","arguments":{"fdname":"a"}}"#);
    assert!(reply["error"]["desc"].as_str().unwrap().contains("SCM_RIGHTS"), "{reply}");
}

#[test]
fn a_client_that_does_not_read_is_cut_off_and_nobody_else_notices() {
    let served = serve();
    let mut lazy = Raw::negotiated(served.server.path());
    let mut other = Client::connect(served.server.path()).unwrap();
    // Far more than the socket and the queue hold. Emitting must never wait for the lazy one.
    for _ in 0..20 {
        for _ in 0..500 {
            served.mock.events.emit(Event::Stop);
        }
        for _ in 0..500 {
            assert_eq!(other.next_event(kit::PATIENCE).unwrap().unwrap().name, "STOP");
        }
    }
    assert!(lazy.is_closed());
    assert_eq!(other.execute("stop", json!({})).unwrap(), json!({}));
}

#[test]
fn requests_whose_replies_nobody_reads_are_not_executed_ahead() {
    let served = serve();
    let mut lazy = Raw::negotiated(served.server.path());
    lazy.stream.set_nonblocking(true).unwrap();
    let request = format!("{{\"execute\":\"migrate_cancel\",\"id\":\"{}\"}}", "x".repeat(100_000));
    // Until the sockets of both directions are full.
    let mut sent = 0;
    let mut refusals = 0;
    while refusals < 1000 && sent < 1000 {
        match std::io::Write::write(&mut lazy.stream, request.as_bytes()) {
            Ok(count) if count == request.len() => sent += 1,
            Ok(_) => break,
            Err(_) => {
                refusals += 1;
                thread::yield_now();
            }
        }
    }
    let executed = served.mock.calls.lock().unwrap().len();
    assert!(executed < 100, "{executed} of {sent} were executed");
}
