//! Guests with real vCPUs that dirty memory faster than it can be sent: they move if they are throttled, and do not
//! if they are not.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, clippy::indexing_slicing, reason = "tests")]
#![allow(unreachable_pub, missing_docs, reason = "tests")]

#[cfg(target_arch = "x86_64")]
mod x86_host;

use std::thread;
use std::time::{Duration, Instant};

use vm_memory::GuestAddress;
use vmferry::channel::Uri;
use vmferry::control::{Capabilities, MigrationInfo, Parameters};
use vmferry::convergence::ThrottleParameters;
use vmferry::{Incoming, Migration};

const PATIENCE: Duration = Duration::from_secs(120);

/// Memory that the guest writes again and again, in bytes.
const WORKING_SET: u64 = 4 << 20;

/// Rounds after which a guest that does not converge is believed.
const ROUNDS: usize = 6;

/// Rounds within which one that is throttled must have moved.
const ROUNDS_MOST: usize = 60;

fn wait_until(migration: &Migration, done: impl Fn(&MigrationInfo) -> bool) -> MigrationInfo {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let info = migration.info();
        if done(&info) {
            return info;
        }
        assert!(Instant::now() < deadline, "{info:?}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A pause that has room for a few pages at most, and no more bandwidth than `mib_per_s`: a guest that runs at all in
/// a round, of a tenth of a second or more, does not converge, and one that sleeps in one does.
fn tight(migration: &Migration, mib_per_s: u64, capabilities: Capabilities) {
    migration.set_capabilities(capabilities).unwrap();
    let throttle = ThrottleParameters { initial_percent: 99, ..ThrottleParameters::default() };
    let parameters = Parameters {
        downtime_limit_ms: 2,
        max_bandwidth: mib_per_s << 20,
        throttle,
        vcpu_dirty_limit_period_ms: 100,
        ..Parameters::default()
    };
    migration.set_parameters(parameters).unwrap();
}

/// Rounds come and go, and the guest stays.
fn does_not_converge(source: &Migration) {
    let dir = tempfile::tempdir().unwrap();
    source.migrate(&Uri::File { path: dir.path().join("file"), offset: 0 }).unwrap();
    let info = wait_until(source, |info| info.rounds.len() >= ROUNDS || info.status.is_final());
    assert!(info.status.is_running(), "{info:?}");
    assert_eq!((info.cpu_throttle_percent, info.dirty_limit), (None, None));
    source.cancel();
    source.wait().unwrap_err();
}

/// It moves once it is throttled, as `is_throttled` sees it.
fn converges(source: &Migration, destination: &Migration, is_throttled: impl Fn(&MigrationInfo) -> bool) {
    let dir = tempfile::tempdir().unwrap();
    let uri = Uri::Unix(dir.path().join("socket"));
    destination.incoming(&uri, Incoming::default()).unwrap();
    source.migrate(&uri).unwrap();
    let info = wait_until(source, |info| is_throttled(info) || info.status.is_final());
    assert!(is_throttled(&info), "{info:?}");
    source.wait().unwrap();
    destination.wait().unwrap();
    let info = source.info();
    assert!(info.rounds.len() <= ROUNDS_MOST, "{info:?}");
    assert!(!is_throttled(&info), "it is over: {info:?}");
}

mod soft {
    use std::sync::{Arc, Mutex};

    use vmferry::Machine as _;
    use vmferry::control::RunState;
    use vmferry_vmm::guest::{CheckedWords, GuestParameters, parse_line};
    use vmferry_vmm::machine::{Config, FerryVirt, types};

    use super::*;

    const MEMORY: u64 = 8 << 20;
    /// The slowest CPU that the test runs on dirties a multiple of this.
    const MIB_PER_S: u64 = 4;

    struct Soft {
        machine: Arc<FerryVirt>,
        migration: Migration,
        printed: Arc<Mutex<Vec<u8>>>,
    }

    impl Soft {
        /// Waits until the guest has printed so many lines here, and found nothing bad.
        fn wait_for_reports(&self, count: usize) {
            let deadline = Instant::now() + PATIENCE;
            loop {
                let text = String::from_utf8_lossy(&self.printed.lock().unwrap()).into_owned();
                // The first line may have begun elsewhere, the last one may not have ended.
                let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
                let reports: Vec<_> = whole.filter_map(parse_line).collect();
                if reports.len() >= count {
                    assert!(reports.iter().all(|report| report.bad == 0), "{text}");
                    return;
                }
                assert!(Instant::now() < deadline, "the guest stands still: {text}");
                thread::sleep(Duration::from_millis(2));
            }
        }
    }

    fn make(image: Option<Vec<u8>>) -> Soft {
        let printed = Arc::new(Mutex::new(Vec::new()));
        let serial = Arc::clone(&printed);
        let incoming = image.is_none();
        let machine = FerryVirt::new(Config {
            settings: types::settings(types::find("ferry-virt").unwrap(), Vec::new()).unwrap(),
            memory_bytes: MEMORY,
            memory_file: None,
            image,
            serial: Box::new(move |octet| {
                serial.lock().unwrap().push(octet);
                true
            }),
            events: Box::new(|_| ()),
            incoming,
            only_migratable: true,
        })
        .unwrap();
        Soft { migration: Migration::new(machine.clone()), machine, printed }
    }

    fn boot() -> Soft {
        let start = 0x8020_0000;
        let parameters = GuestParameters {
            memory_start: Some(GuestAddress(start)),
            memory_end: Some(GuestAddress(start + WORKING_SET)),
            words: CheckedWords::All,
            ..GuestParameters::default()
        };
        let soft = make(Some(vmferry_vmm::guest::image(&parameters)));
        soft.machine.boot();
        // It writes all of its working set from here on.
        soft.wait_for_reports(1);
        soft
    }

    #[test]
    fn a_soft_cpu_that_runs_freely_is_not_moved() {
        let source = boot();
        tight(&source.migration, MIB_PER_S, Capabilities::default());
        does_not_converge(&source.migration);
        assert_eq!(source.machine.run_state(), RunState::Running);
    }

    #[test]
    fn what_was_moved_and_released_runs_nowhere_else() {
        let (source, destination) = (boot(), make(None));
        source.migration.set_capabilities(Capabilities { release_ram: true, ..Capabilities::default() }).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let uri = Uri::Unix(dir.path().join("socket"));
        destination.migration.incoming(&uri, Incoming::default()).unwrap();
        source.migration.set_parameters(Parameters { max_bandwidth: 0, ..Parameters::default() }).unwrap();
        source.migration.migrate(&uri).unwrap();
        source.migration.wait().unwrap();
        destination.migration.wait().unwrap();
        let refused = source.machine.cont().unwrap_err().to_string();
        assert!(refused.contains("release-ram"), "{refused}");
        assert_eq!(source.machine.run_state(), RunState::PostMigrate);
        destination.wait_for_reports(3);
    }

    #[test]
    fn a_soft_cpu_that_is_throttled_is_moved_and_runs_freely_there() {
        let (source, destination) = (boot(), make(None));
        tight(&source.migration, MIB_PER_S, Capabilities { auto_converge: true, ..Capabilities::default() });
        converges(&source.migration, &destination.migration, |info| info.cpu_throttle_percent == Some(99));
        destination.wait_for_reports(3);
    }
}

#[cfg(target_arch = "x86_64")]
mod kvm {
    use vm_memory::Address as _;
    use vmferry_vmm::guest::GuestParameters;
    use vmferry_vmm::x86::guest::layout;

    use super::*;
    use crate::x86_host::{Host, Setup};

    const MIB_PER_S: u64 = 8;

    fn parameters(working_set: u64) -> GuestParameters {
        let start = layout::RAM.unchecked_add(2 << 20);
        GuestParameters {
            memory_start: Some(start),
            memory_end: Some(start.unchecked_add(working_set)),
            ..GuestParameters::default()
        }
    }

    #[test]
    fn a_guest_on_kvm_that_runs_freely_is_not_moved() {
        let setup = Setup::default();
        let Some(source) = Host::boot(&setup, &parameters(WORKING_SET / 2)) else { return };
        source.walks(1);
        tight(&source.migration, MIB_PER_S, Capabilities::default());
        does_not_converge(&source.migration);
        source.walks(1);
    }

    #[test]
    fn a_guest_on_kvm_that_is_throttled_is_moved() {
        let setup = Setup::default();
        let Some(source) = Host::boot(&setup, &parameters(WORKING_SET / 2)) else { return };
        source.walks(1);
        let destination = Host::empty(&setup).unwrap();
        tight(&source.migration, MIB_PER_S, Capabilities { auto_converge: true, ..Capabilities::default() });
        converges(&source.migration, &destination.migration, |info| info.cpu_throttle_percent == Some(99));
        destination.continues(&source);
        destination.walks(2);
    }

    /// Its rings hold a part of what it writes, so that it is held up often.
    #[test]
    fn a_guest_on_kvm_whose_dirty_rate_is_limited_is_moved() {
        let setup = Setup { memory: 32 << 20, ring: Some(1024), ..Setup::default() };
        let Some(source) = Host::boot(&setup, &parameters(4 * WORKING_SET)) else { return };
        source.walks(1);
        let destination = Host::empty(&setup).unwrap();
        tight(&source.migration, MIB_PER_S, Capabilities { dirty_limit: true, ..Capabilities::default() });
        converges(&source.migration, &destination.migration, |info| info.dirty_limit.is_some());
        assert!(source.migration.vcpu_dirty_limits().is_empty());
        destination.continues(&source);
        destination.walks(2);
    }
}
