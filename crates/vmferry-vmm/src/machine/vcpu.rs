//! The vCPU's thread: runs the hart while the machine runs, and parks it in between.
//!
//! ```text
//!            start                    stop / power off / stuck
//!   parked ─────────► running ───────────────────────────────► parked        (quit from either)
//! ```
//!
//! While it is parked the hart's lock is free, no device touches RAM, and virtual time stands still.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use vmferry::control::RunState;

use super::board::{Board, BoardBus, lock};
use crate::cpu::{Exit, Hart};
use crate::devices::clock::HostClock;
use crate::devices::finisher::Finish;
use crate::throttle::Throttle;

/// Instructions between two looks at time and stop requests: about a tenth of a millisecond.
const QUANTUM: u64 = 20_000;

/// Longest sleep of a hart that waits: bounds what a missed wake-up could cost.
const SLEEP_MAX: Duration = Duration::from_millis(100);

/// Why the hart stopped by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Halt {
    /// The guest powered the machine off.
    PowerOff {
        /// The guest's verdict; 0 is success.
        code: u16,
    },
    /// The guest asked for a reset, which this machine does not do by itself.
    Reset,
    /// The trap handler cannot be fetched.
    Stuck,
}

/// What the thread and its masters share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Looked at between quanta, without the lock.
    must_park: AtomicBool,
    throttle: Throttle,
}

#[derive(Debug)]
struct State {
    run_state: RunState,
    /// What the guest did before it was stopped: running, unless it halted on the way.
    left: RunState,
    is_parked: bool,
    quits: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The handle of the thread.
#[derive(Debug)]
pub(super) struct Vcpu {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Vcpu {
    /// Starts the thread, parked. `halted` is told when the hart stops by itself, after it is parked.
    pub(super) fn spawn(
        hart: Arc<Mutex<Hart>>,
        board: Board,
        clock: Arc<HostClock>,
        run_state: RunState,
        halted: impl Fn(Halt) + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State { run_state, left: run_state, is_parked: true, quits: false }),
            changed: Condvar::new(),
            must_park: AtomicBool::new(true),
            throttle: Throttle::default(),
        });
        let thread = {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name("vcpu0".to_owned())
                .spawn(move || run_until_quit(&shared, &hart, &board, &clock, &halted))?
        };
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(super) fn run_state(&self) -> RunState {
        self.shared.state().run_state
    }

    /// Makes the hart sleep `percent` per cent of its time.
    pub(super) fn throttle(&self, percent: u8) {
        self.shared.throttle.set(percent);
    }

    /// Parks the hart and enters `run_state`; returns the state that was left.
    pub(super) fn stop(&self, run_state: RunState) -> RunState {
        self.stop_if(run_state, |_| true).unwrap_or(run_state)
    }

    /// Parks the hart and enters `run_state`, if it runs; returns the state that was left if it did.
    pub(super) fn stop_running(&self, run_state: RunState) -> Option<RunState> {
        self.stop_if(run_state, RunState::is_running)
    }

    /// Parks the hart and enters `run_state`, if `wanted` says so of the run state that it is in.
    fn stop_if(&self, run_state: RunState, wanted: impl FnOnce(RunState) -> bool) -> Option<RunState> {
        let mut state = self.shared.state();
        if !wanted(state.run_state) {
            return None;
        }
        state.left = std::mem::replace(&mut state.run_state, run_state);
        self.shared.must_park.store(true, Ordering::Release);
        self.shared.changed.notify_all();
        // Another client may have let it run again meanwhile; then there is nothing to wait for.
        while !state.is_parked && !state.run_state.is_running() {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Some(state.left)
    }

    /// Lets the hart run, if `allows` says so of the run state that it is in.
    /// Returns what `allows` says: whether it ran already.
    pub(super) fn start<E>(&self, allows: impl FnOnce(RunState) -> Result<bool, E>) -> Result<bool, E> {
        let mut state = self.shared.state();
        if allows(state.run_state)? {
            return Ok(true);
        }
        state.run_state = RunState::Running;
        state.is_parked = false;
        self.shared.must_park.store(false, Ordering::Release);
        self.shared.changed.notify_all();
        Ok(false)
    }
}

impl Drop for Vcpu {
    fn drop(&mut self) {
        self.shared.state().quits = true;
        self.shared.must_park.store(true, Ordering::Release);
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            // A panic of the guest's thread was printed; here the machine only ends.
            let _ = thread.join();
        }
    }
}

fn run_until_quit(shared: &Shared, hart: &Mutex<Hart>, board: &Board, clock: &HostClock, halted: &dyn Fn(Halt)) {
    loop {
        let mut state = shared.state();
        while !state.run_state.is_running() && !state.quits {
            state.is_parked = true;
            shared.changed.notify_all();
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.quits {
            return;
        }
        state.is_parked = false;
        drop(state);
        clock.start();
        let halt = run(shared, hart, board);
        clock.stop();
        if let Some(halt) = halt {
            let mut state = shared.state();
            let halted_as = if halt == Halt::Stuck { RunState::InternalError } else { RunState::Shutdown };
            if state.run_state.is_running() {
                state.run_state = halted_as;
            } else {
                // A stop came first and keeps its run state, but what it stops has ended.
                state.left = halted_as;
            }
            state.is_parked = true;
            shared.changed.notify_all();
            drop(state);
            halted(halt);
        }
    }
}

/// Runs until the thread is to park or the hart halts.
fn run(shared: &Shared, hart: &Mutex<Hart>, board: &Board) -> Option<Halt> {
    let mut hart = lock(hart);
    let mut bus = BoardBus::new(board);
    // RAM may have been loaded since: what the ring in it says is to be believed only once it was looked at.
    lock(&board.rng).check_queue(&bus);
    let mut runs_since = Instant::now();
    while !shared.must_park.load(Ordering::Acquire) {
        if let Some(pause) = shared.throttle.sleep(runs_since) {
            sleep(shared, pause, pause);
            runs_since = Instant::now();
        }
        let exit = hart.run(&mut bus, QUANTUM);
        board.poll();
        match exit {
            Exit::Budget => {}
            Exit::Wfi => sleep(shared, Duration::from_nanos(board.due_in_ns()), SLEEP_MAX),
            Exit::Stuck => return Some(Halt::Stuck),
            Exit::Requested => match lock(&board.finisher).take_request() {
                Some(Finish::PowerOff { code }) => return Some(Halt::PowerOff { code }),
                Some(Finish::Reset) => return Some(Halt::Reset),
                None => {}
            },
        }
    }
    lock(&board.uart).flush();
    None
}

/// Sleeps until a device is due, at most for `longest`, or the thread is to park.
fn sleep(shared: &Shared, due: Duration, longest: Duration) {
    let state = shared.state();
    if state.run_state.is_running() && !state.quits && !due.is_zero() {
        drop(shared.changed.wait_timeout(state, due.min(longest)).unwrap_or_else(PoisonError::into_inner));
    }
}
