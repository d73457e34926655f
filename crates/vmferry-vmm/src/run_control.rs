//! Who runs and who stands: the state that the vCPUs' threads share with those who stop and start the machine.
//!
//! ```text
//!              start                    stop / power off / stuck
//!   standing ─────────► running ───────────────────────────────► standing        (quit from either)
//! ```
//!
//! The machine stands when every vCPU's thread is parked: no vCPU runs, no device touches RAM, and virtual time stands
//! still. A thread parks itself; the others are told by [`Hooks::kick`].

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use vmferry::control::RunState;

use crate::throttle::Throttle;

/// Why a vCPU stopped by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Halt {
    /// The guest powered the machine off.
    PowerOff {
        /// The guest's verdict; 0 is success.
        code: u16,
    },
    /// The guest asked for a reset, which this machine does not do by itself.
    Reset,
    /// It cannot go on.
    Stuck,
}

impl Halt {
    const fn run_state(self) -> RunState {
        match self {
            Self::PowerOff { .. } | Self::Reset => RunState::Shutdown,
            Self::Stuck => RunState::InternalError,
        }
    }
}

/// What a machine does at the turns.
pub(crate) trait Hooks: Send + Sync {
    /// The first vCPU is about to run; no other turn happens meanwhile.
    fn resumes(&self);

    /// The last vCPU has parked; no other turn happens meanwhile.
    fn stands(&self);

    /// Gets every vCPU out of its guest, and out of the next attempt to enter it. Called with no lock held.
    fn kick(&self);

    /// A vCPU stopped by itself, and all stand. Called with no lock held.
    fn halted(&self, halt: Halt);
}

/// The state.
pub(crate) struct RunControl {
    state: Mutex<State>,
    changed: Condvar,
    /// Looked at between two runs of a vCPU, without the lock.
    must_park: AtomicBool,
    threads: usize,
    hooks: Box<dyn Hooks>,
    /// What the vCPUs are throttled to; their threads look for themselves.
    pub(crate) throttle: Throttle,
}

struct State {
    run_state: RunState,
    /// What the guest did before it was stopped: running, unless it halted on the way.
    left: RunState,
    parked: usize,
    /// Why a vCPU stopped by itself, until it is told.
    halt: Option<Halt>,
    quits: bool,
}

impl fmt::Debug for RunControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("RunControl")
            .field("run_state", &state.run_state)
            .field("parked", &state.parked)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

impl RunControl {
    /// The state of a machine of `threads` vCPUs that is in `run_state`, no running one.
    pub(crate) fn new(threads: usize, run_state: RunState, hooks: Box<dyn Hooks>) -> Self {
        Self {
            state: Mutex::new(State { run_state, left: run_state, parked: 0, halt: None, quits: false }),
            changed: Condvar::new(),
            must_park: AtomicBool::new(true),
            threads,
            hooks,
            throttle: Throttle::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn run_state(&self) -> RunState {
        self.state().run_state
    }

    /// Parks the vCPUs and enters `run_state`; returns the state that was left.
    pub(crate) fn stop(&self, run_state: RunState) -> RunState {
        self.stop_if(run_state, |_| true).unwrap_or(run_state)
    }

    /// Parks the vCPUs and enters `run_state`, if they run; returns the state that was left if they did.
    pub(crate) fn stop_running(&self, run_state: RunState) -> Option<RunState> {
        self.stop_if(run_state, RunState::is_running)
    }

    /// Parks the vCPUs and enters `run_state`, if `wanted` says so of the run state that they are in.
    fn stop_if(&self, run_state: RunState, wanted: impl FnOnce(RunState) -> bool) -> Option<RunState> {
        let mut state = self.state();
        if !wanted(state.run_state) {
            return None;
        }
        state.left = std::mem::replace(&mut state.run_state, run_state);
        self.must_park.store(true, Ordering::SeqCst);
        self.changed.notify_all();
        if state.parked < self.threads {
            drop(state);
            self.hooks.kick();
            state = self.state();
        }
        // Another client may have let them run again meanwhile; then there is nothing to wait for.
        while state.parked < self.threads && !state.run_state.is_running() {
            state = self.wait(state);
        }
        Some(state.left)
    }

    /// Lets the vCPUs run, if `allows` says so of the run state that they are in.
    /// Returns what `allows` says: whether they ran already.
    pub(crate) fn start<E>(&self, allows: impl FnOnce(RunState) -> Result<bool, E>) -> Result<bool, E> {
        let mut state = self.state();
        if allows(state.run_state)? {
            return Ok(true);
        }
        state.run_state = RunState::Running;
        self.must_park.store(false, Ordering::SeqCst);
        self.changed.notify_all();
        Ok(false)
    }

    /// Tells the threads to end; they may be joined afterwards.
    pub(crate) fn quit(&self) {
        self.state().quits = true;
        self.must_park.store(true, Ordering::SeqCst);
        self.changed.notify_all();
        self.hooks.kick();
    }

    /// Whether the calling thread is to come back to [`RunControl::park`].
    #[inline]
    pub(crate) fn must_park(&self) -> bool {
        self.must_park.load(Ordering::SeqCst)
    }

    /// Parks a vCPU's thread until its vCPU may run; false if it is to end. A thread begins with this.
    pub(crate) fn park(&self) -> bool {
        let mut state = self.state();
        state.parked += 1;
        if state.parked == self.threads {
            self.hooks.stands();
        }
        self.changed.notify_all();
        loop {
            if state.quits {
                return false;
            }
            if state.run_state.is_running() {
                break;
            }
            if state.parked == self.threads
                && let Some(halt) = state.halt.take()
            {
                drop(state);
                self.hooks.halted(halt);
                state = self.state();
                continue;
            }
            state = self.wait(state);
        }
        if state.parked == self.threads {
            self.hooks.resumes();
            let now = clock_gettime(ClockId::Monotonic);
            tracing::info!(monotonic_s = now.tv_sec, ns = now.tv_nsec, "the guest runs");
        }
        state.parked -= 1;
        true
    }

    /// A vCPU stopped by itself: its machine is to stand. The calling thread then parks.
    pub(crate) fn halt(&self, halt: Halt) {
        let mut state = self.state();
        if state.run_state.is_running() {
            state.run_state = halt.run_state();
        } else {
            // A stop came first and keeps its run state, but what it stops has ended.
            state.left = halt.run_state();
        }
        state.halt.get_or_insert(halt);
        self.must_park.store(true, Ordering::SeqCst);
        self.changed.notify_all();
        drop(state);
        self.hooks.kick();
    }

    /// Sleeps for `longest`, or until the thread is to park.
    pub(crate) fn sleep(&self, longest: Duration) {
        let state = self.state();
        if state.run_state.is_running() && !state.quits && !longest.is_zero() {
            drop(self.changed.wait_timeout(state, longest).unwrap_or_else(PoisonError::into_inner));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    use super::*;

    #[derive(Default)]
    struct Counts {
        resumed: AtomicUsize,
        stood: AtomicUsize,
        running: AtomicUsize,
        halted: Mutex<Vec<Halt>>,
    }

    struct Counting(Arc<Counts>);

    impl Hooks for Counting {
        fn resumes(&self) {
            assert_eq!(self.0.running.load(Ordering::SeqCst), 0);
            self.0.resumed.fetch_add(1, Ordering::SeqCst);
        }
        fn stands(&self) {
            assert_eq!(self.0.running.load(Ordering::SeqCst), 0);
            self.0.stood.fetch_add(1, Ordering::SeqCst);
        }
        fn kick(&self) {}
        fn halted(&self, halt: Halt) {
            assert_eq!(self.0.running.load(Ordering::SeqCst), 0, "it is told when all stand");
            self.0.halted.lock().unwrap().push(halt);
        }
    }

    fn three_threads(halts: bool) -> (Arc<Counts>, Arc<RunControl>, Vec<thread::JoinHandle<()>>) {
        let counts = Arc::new(Counts::default());
        let control = Arc::new(RunControl::new(3, RunState::Prelaunch, Box::new(Counting(Arc::clone(&counts)))));
        let threads = (0..3)
            .map(|index| {
                let (control, counts) = (Arc::clone(&control), Arc::clone(&counts));
                thread::spawn(move || {
                    while control.park() {
                        counts.running.fetch_add(1, Ordering::SeqCst);
                        let halts = halts && index == 1;
                        while !halts && !control.must_park() {
                            thread::yield_now();
                        }
                        counts.running.fetch_sub(1, Ordering::SeqCst);
                        if halts {
                            control.halt(Halt::PowerOff { code: 7 });
                        }
                    }
                })
            })
            .collect();
        (counts, control, threads)
    }

    fn join(control: &RunControl, threads: Vec<thread::JoinHandle<()>>) {
        control.quit();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn all_stand_when_a_stop_returns_however_often() {
        let (counts, control, threads) = three_threads(false);
        for _ in 0..500 {
            control.start(|_| Ok::<_, ()>(false)).unwrap();
            assert_eq!(control.stop(RunState::Paused), RunState::Running);
            assert_eq!(counts.running.load(Ordering::SeqCst), 0);
        }
        assert_eq!(control.stop_running(RunState::FinishMigrate), None);
        assert_eq!(control.run_state(), RunState::Paused);
        join(&control, threads);
        // A start that was taken back before a thread woke is no turn.
        assert!(counts.resumed.load(Ordering::SeqCst) <= 500);
    }

    #[test]
    fn a_halt_is_told_once_and_stops_all() {
        let (counts, control, threads) = three_threads(true);
        control.start(|_| Ok::<_, ()>(false)).unwrap();
        while counts.halted.lock().unwrap().is_empty() {
            thread::yield_now();
        }
        assert_eq!(control.run_state(), RunState::Shutdown);
        assert_eq!(control.stop(RunState::FinishMigrate), RunState::Shutdown);
        join(&control, threads);
        assert_eq!(*counts.halted.lock().unwrap(), [Halt::PowerOff { code: 7 }]);
    }
}
