//! The vCPU's thread: runs the hart while the machine runs, and parks it in between.
//!
//! While it is parked the hart's lock is free, no device touches RAM, and virtual time stands still.

use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::board::{Board, BoardBus, lock};
use crate::cpu::{Exit, Hart};
use crate::devices::clock::HostClock;
use crate::devices::finisher::Finish;
use crate::lifecycle::{EventSink, ExitStatus};
use crate::run_control::{Halt, Hooks, RunControl};

/// Instructions between two looks at time and stop requests: about a tenth of a millisecond.
const QUANTUM: u64 = 20_000;

/// Longest sleep of a hart that waits: bounds what a missed wake-up could cost.
const SLEEP_MAX: Duration = Duration::from_millis(100);

/// What this machine does at the turns: virtual time goes and stands.
pub(super) struct SoftHooks {
    pub(super) clock: Arc<HostClock>,
    pub(super) exit: ExitStatus,
    pub(super) events: EventSink,
}

impl Hooks for SoftHooks {
    fn resumes(&self) {
        self.clock.start();
    }

    fn stands(&self) {
        self.clock.stop();
    }

    /// The hart looks for itself after each quantum.
    fn kick(&self) {}

    fn halted(&self, halt: Halt) {
        self.exit.end(halt, &self.events);
    }
}

/// The handle of the thread.
#[derive(Debug)]
pub(super) struct Vcpu {
    control: Arc<RunControl>,
    thread: Option<JoinHandle<()>>,
}

impl Vcpu {
    /// Starts the thread, parked.
    pub(super) fn spawn(control: Arc<RunControl>, hart: Arc<Mutex<Hart>>, board: Board) -> std::io::Result<Self> {
        let thread = {
            let control = Arc::clone(&control);
            thread::Builder::new().name("vcpu0".to_owned()).spawn(move || {
                while control.park() {
                    if let Some(halt) = run(&control, &hart, &board) {
                        control.halt(halt);
                    }
                }
            })?
        };
        Ok(Self { control, thread: Some(thread) })
    }
}

impl Drop for Vcpu {
    fn drop(&mut self) {
        self.control.quit();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            // A panic of the guest's thread was printed; here the machine only ends.
            let _ = thread.join();
        }
    }
}

/// Runs until the thread is to park or the hart halts.
fn run(control: &RunControl, hart: &Mutex<Hart>, board: &Board) -> Option<Halt> {
    let mut hart = lock(hart);
    let mut bus = BoardBus::new(board);
    // RAM may have been loaded since: what the ring in it says is to be believed only once it was looked at.
    lock(&board.rng).check_queue(&bus);
    let mut runs_since = Instant::now();
    while !control.must_park() {
        if let Some(pause) = control.throttle.sleep(runs_since) {
            control.sleep(pause);
            runs_since = Instant::now();
        }
        let exit = hart.run(&mut bus, QUANTUM);
        board.poll();
        match exit {
            Exit::Budget => {}
            Exit::Wfi => control.sleep(Duration::from_nanos(board.due_in_ns()).min(SLEEP_MAX)),
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
