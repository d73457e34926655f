//! A limit on what each vCPU dirties, kept with the help of its dirty ring.
//!
//! ```text
//!   every period:   what each vCPU dirtied ──► rate ──► quota exceeded? ──► how long it sleeps when its ring is full
//!                   (its ring's entries)               (the table in `quota`)
//! ```
//!
//! A vCPU that only reads is never held up, unlike with `auto-converge`: it does not fill its ring. The price is that
//! the limit is coarse: rates within [`quota::TOLERANCE_MB_PER_S`] of the quota are left alone, and a vCPU that
//! dirties less than a ring in a period is not seen to fill it.
//!
//! Source: `docs/spec/ram.md` section B9, `docs/spec/control.md` section 2.3.

pub mod quota;

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use vmstate::Refused;

use self::quota::{ring_full_us, sleep_us};
use crate::error::{Doing as _, Error, ErrorKind, Side};
use crate::machine::Machine;
use crate::memory::TARGET_PAGE_BYTES;
use crate::shared::Shared;

/// Rings that tell what each vCPU dirties, and in which a vCPU can be held up.
pub trait VcpuDirtyRings: Send + Sync {
    /// Number of vCPUs.
    fn vcpus(&self) -> usize;

    /// Bytes of the pages that fill a ring.
    fn ring_bytes(&self) -> u64;

    /// Lets the rings be filled, or no more; independent of a dirty log that uses them as well.
    ///
    /// # Errors
    ///
    /// The kernel's.
    fn count(&self, on: bool) -> io::Result<()>;

    /// How many pages each vCPU has dirtied, counted from any time on; empties the rings.
    ///
    /// # Errors
    ///
    /// The kernel's.
    fn dirtied_pages(&self) -> io::Result<Vec<u64>>;

    /// How long a vCPU sleeps from now on each time that its ring is full. A stop of the machine ends a sleep.
    fn set_sleep(&self, vcpu: usize, sleep: Duration);
}

/// The limit of one vCPU, as `query-vcpu-dirty-limit` reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VcpuDirtyLimit {
    /// Number of the vCPU.
    pub vcpu: usize,
    /// What it may dirty, in MiB per second.
    pub limit_mb_per_s: u64,
    /// What it dirtied in the last period, in MiB per second.
    pub current_mb_per_s: u64,
}

/// What the limits cost, as `query-migrate` reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DirtyLimitStats {
    /// Longest sleep of a vCPU each time that its ring is full, in microseconds.
    pub throttle_time_per_round_us: u64,
    /// How long the fastest rate that was seen takes to fill a ring, in microseconds.
    pub ring_full_time_us: u64,
}

/// The limits of a machine's vCPUs, and the thread that keeps them.
pub(crate) struct DirtyLimiter {
    machine: Arc<dyn Machine>,
    shared: Arc<Shared>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    vcpus: Vec<Vcpu>,
    /// Highest rate of a vCPU since the limits began, in MiB per second.
    highest_mb_per_s: u64,
    ring_bytes: u64,
    /// The thread runs.
    runs: bool,
}

#[derive(Debug, Clone, Default)]
struct Vcpu {
    limit_mb_per_s: Option<u64>,
    current_mb_per_s: u64,
    sleep_us: u64,
}

impl State {
    fn is_limited(&self) -> bool {
        self.vcpus.iter().any(|vcpu| vcpu.limit_mb_per_s.is_some())
    }

    /// A period of `took` ended in which the vCPUs dirtied so many pages; how long each is to sleep.
    fn period(&mut self, pages: &[u64], took: Duration) -> Vec<Duration> {
        for (vcpu, pages) in self.vcpus.iter_mut().zip(pages) {
            vcpu.current_mb_per_s = mb_per_s(*pages, took);
            self.highest_mb_per_s = self.highest_mb_per_s.max(vcpu.current_mb_per_s);
        }
        let full_us = ring_full_us(self.ring_bytes, self.highest_mb_per_s);
        let sleep = |vcpu: &mut Vcpu| {
            vcpu.sleep_us =
                vcpu.limit_mb_per_s.map_or(0, |quota| sleep_us(vcpu.sleep_us, vcpu.current_mb_per_s, quota, full_us));
            Duration::from_micros(vcpu.sleep_us)
        };
        self.vcpus.iter_mut().map(sleep).collect()
    }
}

fn mb_per_s(pages: u64, took: Duration) -> u64 {
    let bytes = u128::from(pages) * u128::from(TARGET_PAGE_BYTES);
    let rate = (bytes * 1_000_000 / took.as_micros().max(1)) >> 20;
    u64::try_from(rate).unwrap_or(u64::MAX)
}

impl DirtyLimiter {
    pub(crate) fn new(machine: Arc<dyn Machine>, shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self { machine, shared, state: Mutex::default(), changed: Condvar::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Limits one vCPU, or all, from now on; `None` lifts the limit.
    pub(crate) fn set(self: &Arc<Self>, vcpu: Option<u64>, limit_mb_per_s: Option<u64>) -> Result<(), Error> {
        let rings = match (self.machine.vcpu_dirty_rings(), limit_mb_per_s) {
            (Ok(rings), _) => rings,
            // Nobody is limited.
            (Err(_), None) => return Ok(()),
            (Err(refused), Some(_)) => return Err(refusal(&refused)),
        };
        let mut state = self.state();
        let count = rings.vcpus();
        state.vcpus.resize(count, Vcpu::default());
        state.ring_bytes = rings.ring_bytes();
        let chosen = match vcpu {
            None => 0..count,
            Some(index) => match usize::try_from(index).ok().filter(|index| *index < count) {
                Some(index) => index..index + 1,
                None => {
                    let last = count.saturating_sub(1);
                    return Err(state_error(format!("there is no vCPU {index}; the vCPUs are 0 to {last}")));
                }
            },
        };
        if limit_mb_per_s.is_some() && !state.runs {
            rings.count(true).doing(Side::Source, "counting what the vCPUs dirty")?;
            state.highest_mb_per_s = 0;
            let limiter = Arc::clone(self);
            let thread = thread::Builder::new().name("dirty-limit".to_owned()).spawn(move || limiter.run());
            if let Err(error) = thread {
                rings.count(false).doing(Side::Source, "ending to count what the vCPUs dirty")?;
                return Err(error).doing(Side::Source, "starting the thread of the dirty limit");
            }
            state.runs = true;
        }
        // A limit that cannot be kept is not there.
        for vcpu in state.vcpus.get_mut(chosen).unwrap_or_default() {
            vcpu.limit_mb_per_s = limit_mb_per_s;
        }
        // Whoever is not limited any more is not to wait for the end of the period.
        self.changed.notify_all();
        Ok(())
    }

    /// The vCPUs that are limited.
    pub(crate) fn limits(&self) -> Vec<VcpuDirtyLimit> {
        let limit = |(vcpu, state): (usize, &Vcpu)| {
            let current_mb_per_s = state.current_mb_per_s;
            state.limit_mb_per_s.map(|limit_mb_per_s| VcpuDirtyLimit { vcpu, limit_mb_per_s, current_mb_per_s })
        };
        self.state().vcpus.iter().enumerate().filter_map(limit).collect()
    }

    /// What the limits cost, if there are any.
    pub(crate) fn stats(&self) -> Option<DirtyLimitStats> {
        let state = self.state();
        state.is_limited().then(|| DirtyLimitStats {
            throttle_time_per_round_us: state.vcpus.iter().map(|vcpu| vcpu.sleep_us).max().unwrap_or(0),
            ring_full_time_us: ring_full_us(state.ring_bytes, state.highest_mb_per_s),
        })
    }

    /// Lifts all limits, which ends the thread.
    pub(crate) fn lift(&self) {
        self.state().vcpus.fill(Vcpu::default());
        self.changed.notify_all();
    }

    /// The thread: keeps the limits until there are none.
    fn run(&self) {
        let Ok(rings) = self.machine.vcpu_dirty_rings() else { return };
        loop {
            let kept = self.keep(rings);
            let mut state = self.state();
            if let Err(error) = kept {
                tracing::error!(%error, "the vCPUs' dirty limits cannot be kept");
                state.vcpus.fill(Vcpu::default());
            }
            // One may have come meanwhile, which found the thread running.
            if state.is_limited() {
                continue;
            }
            for vcpu in 0..rings.vcpus() {
                rings.set_sleep(vcpu, Duration::ZERO);
            }
            if let Err(error) = rings.count(false) {
                tracing::warn!(%error, "what the vCPUs dirty is still counted, which slows them down");
            }
            state.runs = false;
            return;
        }
    }

    fn keep(&self, rings: &dyn VcpuDirtyRings) -> io::Result<()> {
        let mut before = rings.dirtied_pages()?;
        let mut begun = Instant::now();
        loop {
            let period = Duration::from_millis(self.shared.parameters().vcpu_dirty_limit_period_ms);
            let end = begun + period;
            let mut state = self.state();
            while state.is_limited() && Instant::now() < end {
                let rest = end.saturating_duration_since(Instant::now());
                state = self.changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
                // Limits that were lifted meanwhile.
                for (index, vcpu) in
                    state.vcpus.iter_mut().enumerate().filter(|(_, vcpu)| vcpu.limit_mb_per_s.is_none())
                {
                    vcpu.sleep_us = 0;
                    rings.set_sleep(index, Duration::ZERO);
                }
            }
            if !state.is_limited() {
                return Ok(());
            }
            let (now, took) = (rings.dirtied_pages()?, begun.elapsed());
            begun = Instant::now();
            let dirtied: Vec<u64> = now.iter().zip(&before).map(|(now, before)| now.saturating_sub(*before)).collect();
            before = now;
            for (vcpu, sleep) in state.period(&dirtied, took).into_iter().enumerate() {
                rings.set_sleep(vcpu, sleep);
            }
        }
    }
}

/// Capability or command on a machine without rings.
pub(crate) fn refusal(refused: &Refused) -> Error {
    state_error(format!("the vCPUs' dirty rate cannot be limited: {refused}"))
}

fn state_error(text: String) -> Error {
    Error::new(Side::Source, ErrorKind::State(text))
}
