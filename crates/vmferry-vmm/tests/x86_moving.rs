//! Guests on KVM move while they run, with either dirty log, and find nothing bad; skipped with a line where there is
//! no KVM.

#![cfg(target_arch = "x86_64")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    unreachable_pub,
    missing_docs,
    reason = "tests"
)]

mod x86_host;

use std::thread;
use std::time::{Duration, Instant};

use vmferry::Incoming;
use vmferry::Machine as _;
use vmferry::channel::Uri;
use vmferry::control::{Parameters, RunState};
use vmferry_vmm::guest::GuestParameters;
use vmferry_vmm::x86::FerryX86;
use x86_host::{Host, Setup};

const RATE: Option<u64> = Some(300_000_000);

fn setups() -> [Setup; 4] {
    let setup = Setup { memory: 32 << 20, ..Setup::default() };
    [
        Setup { vcpus: 1, ..setup.clone() },
        Setup { manual_protect: false, ..setup.clone() },
        Setup { vcpus: 2, ..setup.clone() },
        Setup { vcpus: 2, ring: Some(4096), ..setup },
    ]
}

fn ram_of(machine: &FerryX86) -> Vec<u8> {
    let block = &machine.ram()[0];
    let mut bytes = vec![0; block.used_len() as usize];
    block.read(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn a_running_guest_moves_there_and_back_ten_times() {
    let dir = tempfile::tempdir().unwrap();
    for setup in setups() {
        let parameters = GuestParameters { dirty_rate_bytes_per_s: RATE, ..GuestParameters::default() };
        let Some(mut here) = Host::boot(&setup, &parameters) else { return };
        let mut last = here.walks(2);
        for step in 0..10 {
            let there = Host::empty(&setup).unwrap();
            here.moves_to(&there, &Uri::Unix(dir.path().join(format!("{}-{:?}-{step}", setup.vcpus, setup.ring))));
            let before = here.reports().last().map_or(last.pass, |report| report.pass);
            there.walks(2);
            let reports = there.reports();
            last = *reports.last().unwrap();
            assert_eq!(last.pass, before + reports.len() as u64, "{setup:?}: no pass is lost or made twice");
            here = there;
        }
        assert!(last.ticks > 0 && last.checked > 0);
    }
}

#[test]
fn memory_and_state_arrive_as_they_left() {
    let dir = tempfile::tempdir().unwrap();
    for setup in setups() {
        let parameters = GuestParameters { dirty_rate_bytes_per_s: RATE, ..GuestParameters::default() };
        let Some(here) = Host::boot(&setup, &parameters) else { return };
        here.walks(2);
        let there = Host::empty(&setup).unwrap();
        let uri = Uri::Unix(dir.path().join(format!("{}-{:?}", setup.vcpus, setup.ring)));
        there.migration.incoming(&uri, Incoming { autostart: false }).unwrap();
        here.migration.migrate(&uri).unwrap();
        here.migration.wait().unwrap();
        there.migration.wait().unwrap();
        assert_eq!(there.machine.run_state(), RunState::Paused);
        assert!(ram_of(&here.machine) == ram_of(&there.machine), "{setup:?}");
        there.machine.cont().unwrap();
        there.walks(3);
    }
}

#[test]
fn a_guest_stops_and_starts_at_any_moment() {
    for setup in setups() {
        let parameters = GuestParameters { dirty_rate_bytes_per_s: None, ..GuestParameters::default() };
        let Some(host) = Host::boot(&setup, &parameters) else { return };
        host.walks(1);
        let mut longest = Duration::ZERO;
        for round in 0..200_u64 {
            let before = Instant::now();
            host.machine.pause().unwrap();
            longest = longest.max(before.elapsed());
            let memory = if round % 50 == 0 { Some(ram_of(&host.machine)) } else { None };
            if let Some(memory) = memory {
                thread::sleep(Duration::from_millis(5));
                assert!(memory == ram_of(&host.machine), "what is stopped writes nothing");
            }
            host.machine.cont().unwrap();
            thread::sleep(Duration::from_micros(round * 37 % 3000));
        }
        host.walks(2);
        println!("{setup:?}: the longest of 200 stops took {longest:?}");
    }
}

#[test]
fn a_guest_on_a_file_goes_on_later() {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup { vcpus: 2, ..Setup::default() };
    let parameters = GuestParameters { dirty_rate_bytes_per_s: RATE, ..GuestParameters::default() };
    let Some(here) = Host::boot(&setup, &parameters) else { return };
    here.walks(2);
    let file = Uri::File { path: dir.path().join("state"), offset: 0 };
    here.migration.migrate(&file).unwrap();
    here.migration.wait().unwrap();
    for _ in 0..2 {
        let there = Host::empty(&setup).unwrap();
        there.migration.incoming(&file, Incoming::default()).unwrap();
        there.migration.wait().unwrap();
        there.continues(&here);
        there.walks(2);
        let reports = there.reports();
        assert_eq!(reports.last().unwrap().pass, here.reports().last().unwrap().pass + reports.len() as u64);
    }
}

#[test]
fn a_ring_that_is_too_small_holds_the_guest_up_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // 14 MiB are 3584 pages a pass; a ring has 1024 entries, and is looked at once a round only.
    let setup = Setup { vcpus: 2, ring: Some(1024), memory: 16 << 20, ..Setup::default() };
    let parameters = GuestParameters { dirty_rate_bytes_per_s: None, ..GuestParameters::default() };
    let Some(here) = Host::boot(&setup, &parameters) else { return };
    here.walks(1);
    let there = Host::empty(&setup).unwrap();
    here.migration
        .set_parameters(Parameters { max_bandwidth: 20 << 20, downtime_limit_ms: 1, ..Parameters::default() })
        .unwrap();
    let uri = Uri::Unix(dir.path().join("socket"));
    there.migration.incoming(&uri, Incoming::default()).unwrap();
    here.migration.migrate(&uri).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while here.machine.dirty_ring_full_exits() < 10 {
        assert!(Instant::now() < deadline, "no ring was ever full: {}", here.text());
        thread::sleep(Duration::from_millis(1));
    }
    here.walks(3);
    here.migration
        .set_parameters(Parameters { max_bandwidth: 0, downtime_limit_ms: 2000, ..Parameters::default() })
        .unwrap();
    here.migration.wait().unwrap();
    there.migration.wait().unwrap();
    there.walks(3);
}

#[test]
fn other_vcpus_or_memory_are_refused_and_the_guest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup { vcpus: 2, ..Setup::default() };
    let parameters = GuestParameters { dirty_rate_bytes_per_s: RATE, ..GuestParameters::default() };
    let Some(here) = Host::boot(&setup, &parameters) else { return };
    for (name, other) in
        [("vcpus", Setup { vcpus: 1, ..setup.clone() }), ("memory", Setup { memory: 16 << 20, ..setup })]
    {
        let there = Host::empty(&other).unwrap();
        let uri = Uri::Unix(dir.path().join(name));
        there.migration.incoming(&uri, Incoming::default()).unwrap();
        here.migration.migrate(&uri).unwrap();
        assert!(here.migration.wait().is_err(), "{name}");
        let refused = there.migration.wait().unwrap_err().to_string();
        assert!(refused.contains(if name == "vcpus" { "x86_vcpu" } else { "ferry-x86.ram" }), "{refused}");
        assert_eq!(here.machine.run_state(), RunState::Running);
        here.walks(2);
    }
}

#[test]
fn a_throttled_guest_is_slower_and_still_stops_at_once() {
    let setup = Setup { vcpus: 2, ..Setup::default() };
    let parameters = GuestParameters { dirty_rate_bytes_per_s: None, ..GuestParameters::default() };
    let Some(host) = Host::boot(&setup, &parameters) else { return };
    let passes_in = |time| {
        let before = host.walks(1).pass;
        thread::sleep(time);
        host.walks(1).pass - before
    };
    let free = passes_in(Duration::from_secs(1));
    host.machine.throttle(90).unwrap();
    let throttled = passes_in(Duration::from_secs(1));
    assert!(throttled * 2 < free, "{throttled} passes a second instead of {free}");
    host.machine.throttle(99).unwrap();
    thread::sleep(Duration::from_millis(50));
    let before = Instant::now();
    host.machine.pause().unwrap();
    assert!(before.elapsed() < Duration::from_millis(500), "a stop ends a sleep, which is 990 ms long");
    host.machine.throttle(0).unwrap();
    host.machine.cont().unwrap();
    host.walks(2);
}
