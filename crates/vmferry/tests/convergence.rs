//! Guests that do not converge: throttled, given a longer pause, or given up, as the settings say.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod machine;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use machine::TestMachine;
use vmferry::control::{Capabilities, MigrationInfo, Parameters, RunState, Status};
use vmferry::convergence::{OvertimeAction, ThrottleParameters};
use vmferry::{ErrorKind, Incoming, Machine as _, Migration};

const BYTES: usize = 4 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

struct Pair {
    source: Arc<TestMachine>,
    destination: Arc<TestMachine>,
    outgoing: Migration,
    incoming: Migration,
    _dir: tempfile::TempDir,
}

/// A guest on its way that dirties something whatever happens.
fn on_its_way(parameters: Parameters, auto_converge: bool) -> Pair {
    let dir = tempfile::tempdir().unwrap();
    let uri = format!("unix:{}/socket", dir.path().display()).parse().unwrap();
    let source = TestMachine::new("test-1.0", BYTES, RunState::Running);
    let destination = TestMachine::new("test-1.0", BYTES, RunState::InMigrate);
    source.keeps_dirty.store(true, Ordering::Relaxed);
    let (outgoing, incoming) = (Migration::new(source.clone()), Migration::new(destination.clone()));
    outgoing.set_parameters(parameters).unwrap();
    outgoing.set_capabilities(Capabilities { auto_converge, ..Capabilities::default() }).unwrap();
    incoming.incoming(&uri, Incoming::default()).unwrap();
    outgoing.migrate(&uri).unwrap();
    Pair { source, destination, outgoing, incoming, _dir: dir }
}

fn wait_for(migration: &Migration, done: impl Fn(&MigrationInfo) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done(&migration.info()) {
        assert!(Instant::now() < deadline, "{:?}", migration.info());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Nothing fits into a pause of no time.
fn never() -> Parameters {
    Parameters { downtime_limit_ms: 0, max_bandwidth: 16 << 20, ..Parameters::default() }
}

#[test]
fn the_vcpus_are_throttled_and_run_freely_again_at_either_end() {
    let throttle = ThrottleParameters { trigger_percent: 1, initial_percent: 33, ..ThrottleParameters::default() };
    let pair = on_its_way(Parameters { throttle, ..never() }, true);
    wait_for(&pair.outgoing, |info| info.cpu_throttle_percent == Some(33));
    pair.outgoing.cancel();
    pair.outgoing.wait().unwrap_err();
    assert_eq!(*pair.source.throttles.lock().unwrap(), [0, 33, 0]);
    let info = pair.outgoing.info();
    assert_eq!((info.status, info.cpu_throttle_percent), (Status::Cancelled, None));
    assert_eq!(pair.source.run_state(), RunState::Running);
}

#[test]
fn a_stalled_guest_gets_a_longer_pause_up_to_its_bound() {
    let pair = on_its_way(Parameters { downtime_limit_max_ms: 10_000, ..never() }, false);
    pair.outgoing.wait().unwrap();
    pair.incoming.wait().unwrap();
    assert_eq!(pair.destination.run_state(), RunState::Running);
    assert!(pair.outgoing.info().rounds.len() > 3, "it stalled first");
}

#[test]
fn without_anything_to_help_it_goes_on_and_is_called_stalled() {
    let pair = on_its_way(never(), false);
    wait_for(&pair.outgoing, |info| info.is_stalled);
    assert_eq!(pair.outgoing.info().status, Status::Active);
    pair.outgoing.cancel();
    pair.outgoing.wait().unwrap_err();
}

#[test]
fn a_migration_that_takes_too_long_is_cancelled_and_says_so() {
    let pair = on_its_way(Parameters { total_time_limit_ms: 300, ..never() }, false);
    let error = pair.outgoing.wait().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Overtime { limit_ms: 300 }), "{error}");
    let info = pair.outgoing.info();
    assert_eq!(info.status, Status::Cancelled);
    assert!(info.error.unwrap().contains("x-ferry-total-time-limit, 300 ms"));
    assert_eq!(pair.source.run_state(), RunState::Running);
    pair.incoming.wait().unwrap_err();
}

#[test]
fn or_the_guest_is_stopped_and_the_rest_sent() {
    let overtime_action = OvertimeAction::Pause;
    let pair = on_its_way(Parameters { total_time_limit_ms: 300, overtime_action, ..never() }, false);
    pair.outgoing.wait().unwrap();
    pair.incoming.wait().unwrap();
    assert!(pair.outgoing.info().total_time_ms >= 300);
    pair.destination.wait_for_passes(2);
    assert_eq!(pair.destination.state().bad_pages, 0);
}
