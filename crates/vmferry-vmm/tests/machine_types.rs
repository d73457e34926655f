//! Whole machines of each type move, and what they send is what their type allows.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use vmferry::channel::Uri;
use vmferry::control::{Parameters, RunState};
use vmferry::{Incoming, Machine as _, Migration};
use vmferry_vmm::guest::{self, GuestParameters, GuestReport, parse_line};
use vmferry_vmm::machine::{Config, FerryVirt, types};

const MEMORY: u64 = 8 << 20;

/// A machine and what its guest has printed.
struct Host {
    machine: Arc<FerryVirt>,
    migration: Migration,
    printed: Arc<Mutex<Vec<u8>>>,
}

fn host(machine_type: &str, incoming: bool) -> Host {
    let printed = Arc::new(Mutex::new(Vec::new()));
    let serial = Arc::clone(&printed);
    let image =
        guest::image(&GuestParameters { dirty_rate_bytes_per_s: Some(200_000_000), ..GuestParameters::default() });
    let machine = FerryVirt::new(Config {
        settings: types::settings(types::find(machine_type).unwrap(), Vec::new()).unwrap(),
        memory_bytes: MEMORY,
        memory_file: None,
        image: (!incoming).then_some(image),
        serial: Box::new(move |octet| {
            serial.lock().unwrap().push(octet);
            true
        }),
        events: Box::new(|_| {}),
        incoming,
        only_migratable: false,
    })
    .unwrap();
    let migration = Migration::new(machine.clone());
    migration.set_parameters(Parameters { max_bandwidth: 0, ..Parameters::default() }).unwrap();
    if !incoming {
        machine.start().unwrap();
    }
    Host { machine, migration, printed }
}

impl Host {
    fn reports(&self) -> Vec<GuestReport> {
        String::from_utf8_lossy(&self.printed.lock().unwrap()).lines().filter_map(parse_line).collect()
    }

    /// Waits until the guest has finished `passes` passes here, and found nothing bad.
    fn walks(&self, passes: usize) -> GuestReport {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let reports = self.reports();
            if reports.len() >= passes {
                let last = *reports.last().unwrap();
                assert_eq!(last.bad, 0);
                return last;
            }
            assert!(Instant::now() < deadline, "the guest stands still: {reports:?}");
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn moves_to(&self, destination: &Host, uri: &Uri) {
        destination.migration.incoming(uri, Incoming::default()).unwrap();
        self.migration.migrate(uri).unwrap();
        self.migration.wait().unwrap();
        destination.migration.wait().unwrap();
        assert_eq!(self.machine.run_state(), RunState::PostMigrate);
        assert_eq!(destination.machine.run_state(), RunState::Running);
    }
}

fn names_in(stream: &[u8], name: &str) -> bool {
    stream.windows(name.len()).any(|window| window == name.as_bytes())
}

#[test]
fn each_type_sends_what_it_may_and_goes_on_from_a_file() {
    for (machine_type, counters) in [("ferry-virt-1.0", false), ("ferry-virt-1.1", true), ("ferry-virt-2.0", true)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let source = host(machine_type, false);
        source.walks(2);
        source.migration.migrate(&Uri::File { path: path.clone(), offset: 0 }).unwrap();
        source.migration.wait().unwrap();
        let stream = std::fs::read(&path).unwrap();
        assert!(names_in(&stream, machine_type));
        assert_eq!(names_in(&stream, "riscv_hart/counters"), counters, "{machine_type}");
        let destination = host(machine_type, true);
        destination.migration.incoming(&Uri::File { path, offset: 0 }, Incoming::default()).unwrap();
        destination.migration.wait().unwrap();
        let before = source.reports().last().unwrap().pass;
        let after = destination.walks(3);
        assert_eq!(after.pass, before + 3, "{machine_type}: no pass is lost or made twice");
        assert!(after.ticks > 0 && after.rng >= after.pass - 1, "timer and entropy go on: {after:?}");
    }
}

#[test]
fn a_stream_of_another_type_is_refused_with_the_type_to_take() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let source = host("ferry-virt-2.0", false);
    source.migration.migrate(&Uri::File { path: path.clone(), offset: 0 }).unwrap();
    source.migration.wait().unwrap();
    let destination = host("ferry-virt-1.1", true);
    destination.migration.incoming(&Uri::File { path, offset: 0 }, Incoming::default()).unwrap();
    let error = destination.migration.wait().unwrap_err().to_string();
    assert!(error.contains("'ferry-virt-2.0'") && error.contains("--machine ferry-virt-2.0"), "{error}");
}

#[test]
fn a_guest_survives_a_chain_of_moves() {
    let dir = tempfile::tempdir().unwrap();
    let mut here = host("ferry-virt-2.0", false);
    here.walks(2);
    for step in 0..6 {
        let there = host("ferry-virt-2.0", true);
        here.moves_to(&there, &Uri::Unix(dir.path().join(format!("step{step}"))));
        let before = here.reports().last().map(|report| report.pass);
        let after = there.walks(3);
        if let Some(before) = before {
            assert_eq!(after.pass, before + u64::try_from(there.reports().len()).unwrap());
        }
        here = there;
    }
}

#[test]
fn a_guest_that_powers_off_during_its_migration_is_off_at_one_place() {
    let dir = tempfile::tempdir().unwrap();
    let image = guest::image(&GuestParameters { passes: Some(3), ..GuestParameters::default() });
    let (tell, told) = std::sync::mpsc::channel();
    let machine = FerryVirt::new(Config {
        settings: types::settings(types::find("ferry-virt").unwrap(), Vec::new()).unwrap(),
        memory_bytes: MEMORY,
        memory_file: None,
        image: Some(image),
        serial: Box::new(|_| true),
        events: Box::new(move |event| {
            let _ = tell.send(event);
        }),
        incoming: false,
        only_migratable: false,
    })
    .unwrap();
    let migration = Migration::new(machine.clone());
    // Too slow to end before the guest does.
    migration
        .set_parameters(Parameters { max_bandwidth: 1 << 20, downtime_limit_ms: 0, ..Parameters::default() })
        .unwrap();
    let destination = host("ferry-virt", true);
    let uri = Uri::Unix(dir.path().join("socket"));
    destination.migration.incoming(&uri, Incoming::default()).unwrap();
    migration.migrate(&uri).unwrap();
    machine.start().unwrap();
    while told.recv_timeout(Duration::from_secs(60)).unwrap() != vmferry::control::Event::Shutdown {}
    migration.set_parameters(Parameters { max_bandwidth: 0, ..Parameters::default() }).unwrap();
    migration.wait().unwrap();
    destination.migration.wait().unwrap();
    assert_eq!(machine.exit_code(), Some(0));
    assert_eq!(destination.machine.run_state(), RunState::Shutdown);
    assert!(destination.machine.cont().is_err(), "what has ended does not go on");
}
