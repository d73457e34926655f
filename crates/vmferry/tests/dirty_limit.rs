//! Limits on what single vCPUs dirty, set by hand and by a migration that does not converge.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod machine;

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use machine::TestMachine;
use vmferry::Migration;
use vmferry::control::{Capabilities, Parameters, RunState};
use vmferry::convergence::ThrottleParameters;
use vmferry::dirty_limit::{VcpuDirtyLimit, VcpuDirtyRings};

const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Seen {
    /// What `count` was told last.
    counts: bool,
    sleeps: [Duration; 3],
    dirtied: u64,
    fails: bool,
}

/// Three vCPUs: one that dirties memory as no other, one that dirties nothing, one that keeps its limit.
#[derive(Clone, Default)]
struct Rings(Arc<Mutex<Seen>>);

impl VcpuDirtyRings for Rings {
    fn vcpus(&self) -> usize {
        3
    }

    fn ring_bytes(&self) -> u64 {
        16 << 20
    }

    fn count(&self, on: bool) -> io::Result<()> {
        self.0.lock().unwrap().counts = on;
        Ok(())
    }

    fn dirtied_pages(&self) -> io::Result<Vec<u64>> {
        let mut seen = self.0.lock().unwrap();
        assert!(seen.counts, "nobody counts");
        seen.dirtied += 1 << 16;
        if seen.fails { Err(io::Error::other("broken")) } else { Ok(vec![seen.dirtied, 7, 0]) }
    }

    fn set_sleep(&self, vcpu: usize, sleep: Duration) {
        self.0.lock().unwrap().sleeps[vcpu] = sleep;
    }
}

fn limited_machine() -> (Rings, Arc<TestMachine>, Migration) {
    let rings = Rings::default();
    let machine = TestMachine::new("test-1.0", 1 << 20, RunState::Running);
    assert!(machine.rings.set(Box::new(rings.clone())).is_ok());
    let migration = Migration::new(machine.clone());
    let parameters = Parameters { vcpu_dirty_limit_period_ms: 2, ..Parameters::default() };
    migration.set_parameters(parameters).unwrap();
    (rings, machine, migration)
}

fn wait_until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "nothing happens");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn limits(migration: &Migration) -> Vec<(usize, u64)> {
    let of = |limit: VcpuDirtyLimit| (limit.vcpu, limit.limit_mb_per_s);
    migration.vcpu_dirty_limits().into_iter().map(of).collect()
}

#[test]
fn a_vcpu_that_dirties_more_than_it_may_sleeps_until_the_limit_is_lifted() {
    let (rings, _machine, migration) = limited_machine();
    assert_eq!(limits(&migration), []);
    migration.set_vcpu_dirty_limit(None, 100).unwrap();
    assert_eq!(limits(&migration), [(0, 100), (1, 100), (2, 100)]);
    let sleeps = || rings.0.lock().unwrap().sleeps;
    wait_until(|| !sleeps()[0].is_zero());
    assert_eq!(sleeps()[1..], [Duration::ZERO; 2]);
    assert!(migration.vcpu_dirty_limits()[0].current_mb_per_s > 100);
    migration.set_vcpu_dirty_limit(Some(0), 0).unwrap();
    assert_eq!(limits(&migration), [(1, 100), (2, 100)]);
    wait_until(|| sleeps()[0].is_zero());
    migration.cancel_vcpu_dirty_limit(Some(1)).unwrap();
    migration.set_vcpu_dirty_limit(Some(0), u64::MAX).unwrap();
    migration.cancel_vcpu_dirty_limit(None).unwrap();
    assert_eq!(limits(&migration), []);
    wait_until(|| !rings.0.lock().unwrap().counts);
    // Another one begins where the last has ended.
    migration.set_vcpu_dirty_limit(Some(0), 1).unwrap();
    wait_until(|| !sleeps()[0].is_zero());
    drop(migration);
    wait_until(|| !rings.0.lock().unwrap().counts);
    assert_eq!(sleeps(), [Duration::ZERO; 3]);
}

#[test]
fn rings_that_break_end_the_limits_and_hold_nobody_up() {
    let (rings, _machine, migration) = limited_machine();
    migration.set_vcpu_dirty_limit(None, 1).unwrap();
    wait_until(|| !rings.0.lock().unwrap().sleeps[0].is_zero());
    rings.0.lock().unwrap().fails = true;
    wait_until(|| limits(&migration).is_empty());
    wait_until(|| rings.0.lock().unwrap().sleeps[0].is_zero());
}

#[test]
fn what_cannot_be_limited_is_refused_with_the_reason() {
    let machine = TestMachine::new("test-1.0", 1 << 20, RunState::Running);
    let migration = Migration::new(machine.clone());
    let limiting = Capabilities { dirty_limit: true, ..Capabilities::default() };
    let text = migration.set_capabilities(limiting).unwrap_err().to_string();
    assert!(text.contains("the test machine has no dirty rings"), "{text}");
    assert!(!migration.capabilities().dirty_limit);
    let text = migration.set_vcpu_dirty_limit(None, 1).unwrap_err().to_string();
    assert!(text.contains("the test machine has no dirty rings"), "{text}");
    migration.cancel_vcpu_dirty_limit(Some(7)).unwrap();

    let (_rings, _machine, migration) = limited_machine();
    let both = Capabilities { auto_converge: true, ..limiting };
    let text = migration.set_capabilities(both).unwrap_err().to_string();
    assert!(text.contains("dirty-limit and auto-converge exclude each other"), "{text}");
    for refused in [migration.set_vcpu_dirty_limit(Some(3), 1), migration.cancel_vcpu_dirty_limit(Some(u64::MAX))] {
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("the vCPUs are 0 to 2"), "{text}");
    }
    for (parameters, part) in [
        (Parameters { vcpu_dirty_limit_period_ms: 0, ..Parameters::default() }, "accepted are 1 to 1000 ms"),
        (Parameters { vcpu_dirty_limit_period_ms: 1001, ..Parameters::default() }, "accepted are 1 to 1000 ms"),
        (Parameters { vcpu_dirty_limit_mb_per_s: 0, ..Parameters::default() }, "accepted is 1 or more"),
    ] {
        let text = migration.set_parameters(parameters).unwrap_err().to_string();
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_migration_that_does_not_converge_limits_all_vcpus_until_it_ends() {
    let (rings, machine, migration) = limited_machine();
    machine.keeps_dirty.store(true, Ordering::Relaxed);
    migration.set_capabilities(Capabilities { dirty_limit: true, ..Capabilities::default() }).unwrap();
    let throttle = ThrottleParameters { trigger_percent: 1, ..ThrottleParameters::default() };
    migration
        .set_parameters(Parameters {
            throttle,
            vcpu_dirty_limit_mb_per_s: 5,
            downtime_limit_ms: 0,
            max_bandwidth: 16 << 20,
            ..migration.parameters()
        })
        .unwrap();
    migration.set_vcpu_dirty_limit(Some(1), 900).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    migration.migrate(&format!("file:{}", file.path().display()).parse().unwrap()).unwrap();
    wait_until(|| limits(&migration) == [(0, 5), (1, 5), (2, 5)]);
    wait_until(|| migration.info().dirty_limit.is_some_and(|stats| stats.throttle_time_per_round_us > 0));
    assert!(machine.throttles.lock().unwrap().is_empty(), "the other way to throttle is not taken");
    for refused in [migration.set_vcpu_dirty_limit(None, 9), migration.cancel_vcpu_dirty_limit(None)] {
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("limits the vCPUs itself"), "{text}");
    }
    migration.cancel();
    migration.wait().unwrap_err();
    assert_eq!(limits(&migration), []);
    wait_until(|| !rings.0.lock().unwrap().counts);
    assert_eq!(migration.info().dirty_limit, None);
}
