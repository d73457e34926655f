//! The dirty rate of a running guest, without moving it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod machine;

use std::sync::Arc;
use std::time::{Duration, Instant};

use machine::TestMachine;
use vmferry::Migration;
use vmferry::control::RunState;
use vmferry::dirty_rate::{DirtyRate, DirtyRateMode, DirtyRateRequest, DirtyRateStatus};

fn machine(bytes: usize) -> (Arc<TestMachine>, Migration) {
    let machine = TestMachine::new("test-1.0", bytes, RunState::Running);
    let migration = Migration::new(machine.clone());
    (machine, migration)
}

fn request(ms: u64, mode: DirtyRateMode) -> DirtyRateRequest {
    DirtyRateRequest { time: Duration::from_millis(ms), sample_pages: 512, mode }
}

fn result(migration: &Migration) -> DirtyRate {
    let deadline = Instant::now() + Duration::from_secs(60);
    while migration.dirty_rate().status != DirtyRateStatus::Measured {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(1));
    }
    migration.dirty_rate()
}

#[test]
fn the_log_tells_how_many_pages_the_guest_writes() {
    let (machine, migration) = machine(4 << 20);
    machine.wait_for_passes(1);
    assert_eq!(migration.dirty_rate(), DirtyRate::default());
    migration.calc_dirty_rate(request(500, DirtyRateMode::DirtyBitmap)).unwrap();
    let again = migration.calc_dirty_rate(request(100, DirtyRateMode::PageSampling)).unwrap_err().to_string();
    assert!(again.contains("already"), "{again}");
    let uri = "unix:/nonexistent".parse().unwrap();
    let refused = migration.migrate(&uri).unwrap_err().to_string();
    assert!(refused.contains("dirty log"), "{refused}");
    let rate = result(&migration);
    let bytes = rate.dirty_bytes.unwrap();
    assert!((1 << 20..=4 << 20).contains(&bytes), "{bytes}");
    assert_eq!(rate.mib_per_s, Some((bytes * 2) >> 20));
    assert_eq!(machine.state().bad_pages, 0);
}

#[test]
fn samples_tell_what_part_of_memory_the_guest_writes() {
    let (machine, migration) = machine(256 << 20);
    machine.pause_us.store(0, std::sync::atomic::Ordering::Relaxed);
    migration.calc_dirty_rate(request(300, DirtyRateMode::PageSampling)).unwrap();
    let bytes = result(&migration).dirty_bytes.unwrap();
    assert!((1..=256 << 20).contains(&bytes), "{bytes}");
    let idle = TestMachine::new("test-1.0", 256 << 20, RunState::Paused);
    let idle_migration = Migration::new(idle.clone());
    idle_migration.calc_dirty_rate(request(50, DirtyRateMode::PageSampling)).unwrap();
    assert_eq!(result(&idle_migration).mib_per_s, Some(0));
    let small = Migration::new(TestMachine::new("test-1.0", 1 << 20, RunState::Running));
    small.calc_dirty_rate(request(50, DirtyRateMode::PageSampling)).unwrap();
    assert_eq!(result(&small).mib_per_s, None, "too small to be sampled");
}
