//! A `ferry-x86` machine in this process, or a line that says why there is none.

#![allow(dead_code, reason = "not every test file uses everything")]
#![allow(clippy::panic, clippy::print_stderr, clippy::expect_used, reason = "tests")]

use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use vmferry::channel::Uri;
use vmferry::control::{Event, Parameters, RunState};
use vmferry::{Incoming, Machine as _, Migration};
use vmferry_vmm::accel::KvmOptions;
use vmferry_vmm::guest::{GuestParameters, GuestReport, parse_line};
use vmferry_vmm::machine::{Config, ConfigError};
use vmferry_vmm::x86::{FerryX86, X86Config, guest, types};

/// Bytes of RAM, unless told otherwise.
pub const MEMORY: u64 = 8 << 20;

#[derive(Debug, Clone)]
pub struct Setup {
    pub vcpus: u32,
    pub memory: u64,
    pub ring: Option<u32>,
    /// Without it, each copy of the dirty log protects what it reports.
    pub manual_protect: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self { vcpus: 1, memory: MEMORY, ring: None, manual_protect: true }
    }
}

/// A machine and what its guest has printed.
pub struct Host {
    pub machine: Arc<FerryX86>,
    pub migration: Migration,
    printed: Arc<Mutex<Vec<u8>>>,
    ended: Arc<(Mutex<bool>, Condvar)>,
}

/// `None`, with a line that says so, where there is no KVM.
fn make(setup: &Setup, image: Option<Vec<u8>>) -> Option<Host> {
    let printed = Arc::new(Mutex::new(Vec::new()));
    let ended = Arc::new((Mutex::new(false), Condvar::new()));
    let (serial, ends) = (Arc::clone(&printed), Arc::clone(&ended));
    let incoming = image.is_none();
    let config = Config {
        settings: types::settings(types::find("ferry-x86").unwrap(), Vec::new()).unwrap(),
        memory_bytes: setup.memory,
        memory_file: None,
        image,
        serial: Box::new(move |octet| {
            serial.lock().unwrap().push(octet);
            true
        }),
        events: Box::new(move |event| {
            if event == Event::Shutdown {
                *ends.0.lock().unwrap() = true;
                ends.1.notify_all();
            }
        }),
        incoming,
        only_migratable: true,
    };
    let kvm = KvmOptions { dirty_ring_size: setup.ring, manual_protect: setup.manual_protect, ..KvmOptions::default() };
    let machine = match FerryX86::new(X86Config { config, vcpus: setup.vcpus, kvm }) {
        Ok(machine) => machine,
        Err(ConfigError::NoKvm(why)) => {
            eprintln!("skipped: {why}");
            return None;
        }
        Err(ConfigError::Host { what: "dirty rings", source }) => {
            eprintln!("skipped: {source}");
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    let migration = Migration::new(machine.clone());
    migration.set_parameters(Parameters { max_bandwidth: 0, ..Parameters::default() }).unwrap();
    Some(Host { machine, migration, printed, ended })
}

impl Host {
    /// A machine whose guest runs.
    pub fn boot(setup: &Setup, parameters: &GuestParameters) -> Option<Self> {
        Self::boot_image(setup, guest::image(parameters))
    }

    /// A machine whose guest is `image`.
    pub fn boot_image(setup: &Setup, image: Vec<u8>) -> Option<Self> {
        let host = make(setup, Some(image))?;
        host.machine.boot();
        Some(host)
    }

    /// A machine that waits for its guest.
    pub fn empty(setup: &Setup) -> Option<Self> {
        make(setup, None)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.printed.lock().unwrap()).into_owned()
    }

    pub fn reports(&self) -> Vec<GuestReport> {
        // The last line may not be complete.
        self.text().split_inclusive('\n').filter(|line| line.ends_with('\n')).filter_map(parse_line).collect()
    }

    /// Waits until the guest has printed so many reports here; the last one.
    pub fn wait_for(&self, reports: usize) -> GuestReport {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let found = self.reports();
            if found.len() >= reports {
                return *found.last().unwrap();
            }
            let state = self.machine.run_state();
            assert!(state == RunState::Running, "the guest is {state:?}: {}", self.text());
            assert!(Instant::now() < deadline, "the guest stands still: {}", self.text());
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until the guest has finished `passes` more passes here, and found nothing bad.
    pub fn walks(&self, passes: usize) -> GuestReport {
        let report = self.wait_for(self.reports().len() + passes);
        assert_eq!(report.bad, 0, "{}", self.text());
        report
    }

    /// Waits until the guest powers itself off; its verdict.
    pub fn ends(&self) -> u16 {
        let (ended, change) = &*self.ended;
        let waited = change.wait_timeout_while(ended.lock().unwrap(), Duration::from_secs(60), |ended| !*ended);
        assert!(!waited.unwrap().1.timed_out(), "the guest goes on: {}", self.text());
        self.machine.exit_code().expect("it has ended")
    }

    /// Puts what `before` has printed of a line in front of what is printed here: the guest moved amid it.
    pub fn continues(&self, before: &Self) {
        let printed = before.printed.lock().unwrap();
        let complete = printed.iter().rposition(|octet| *octet == b'\n').map_or(0, |at| at + 1);
        self.printed.lock().unwrap().splice(0..0, printed[complete..].iter().copied());
    }

    pub fn moves_to(&self, destination: &Self, uri: &Uri) {
        destination.migration.incoming(uri, Incoming::default()).unwrap();
        self.migration.migrate(uri).unwrap();
        self.migration.wait().unwrap();
        destination.migration.wait().unwrap();
        destination.continues(self);
        assert_eq!(self.machine.run_state(), RunState::PostMigrate);
        assert_eq!(destination.machine.run_state(), RunState::Running);
    }
}
