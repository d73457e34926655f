//! What an operator may do with a machine, whichever vCPUs it has: pause, continue, and what it tells of that.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use vmferry::control::{Event, RunState};
use vmstate::Refused;

use crate::run_control::{Halt, RunControl};

/// Where a machine's events go.
#[derive(Clone)]
pub(crate) struct EventSink(Arc<dyn Fn(Event) + Send + Sync>);

impl EventSink {
    pub(crate) fn new(events: Box<dyn Fn(Event) + Send + Sync>) -> Self {
        Self(events.into())
    }

    pub(crate) fn emit(&self, event: Event) {
        (self.0)(event);
    }
}

impl fmt::Debug for EventSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventSink")
    }
}

/// How the guest ended, once it has.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExitStatus(Arc<Mutex<Option<u16>>>);

impl ExitStatus {
    pub(crate) fn get(&self) -> Option<u16> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how the guest ended, and tells.
    pub(crate) fn end(&self, halt: Halt, events: &EventSink) {
        let code = match halt {
            Halt::PowerOff { code } => code,
            Halt::Reset => 0,
            Halt::Stuck => {
                tracing::error!("the guest cannot go on");
                1
            }
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(code);
        events.emit(Event::Stop);
        events.emit(Event::Shutdown);
    }
}

/// A machine's run states and events.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    pub(crate) control: Arc<RunControl>,
    pub(crate) events: EventSink,
    /// The guest is elsewhere, and its memory was given back.
    pub(crate) forsaken: AtomicBool,
}

impl Lifecycle {
    /// See [`vmferry::Machine::forsake`].
    pub(crate) fn forsake(&self) -> Result<(), Refused> {
        // Whoever lets the guest run looks at it with the run state locked: either that is seen here, or this there.
        self.forsaken.store(true, Ordering::SeqCst);
        match self.control.run_state() {
            RunState::PostMigrate => Ok(()),
            other => {
                self.forsaken.store(false, Ordering::SeqCst);
                Err(Refused::new(format!("the guest is {other} here, and not put aside")))
            }
        }
    }

    /// Whether a guest in this state can ever run again here.
    fn startable(&self, state: RunState) -> Result<(), Refused> {
        match state {
            RunState::Shutdown => Err(Refused::new("the guest has powered itself off")),
            RunState::InternalError => Err(Refused::new("the guest cannot go on after an internal error")),
            _ if self.forsaken.load(Ordering::SeqCst) => Err(Refused::new(
                "the guest was migrated away and its memory given back (release-ram): it runs at the destination alone",
            )),
            _ => Ok(()),
        }
    }

    /// See [`vmferry::Machine::stop`].
    pub(crate) fn stop(&self, state: RunState) -> RunState {
        let left = self.control.stop(state);
        self.stopped(left);
        left
    }

    /// See [`vmferry::Machine::start`].
    pub(crate) fn start(&self) -> Result<(), Refused> {
        if !self.control.start(|state| self.startable(state).map(|()| state.is_running()))? {
            self.events.emit(Event::Resume);
        }
        Ok(())
    }

    /// Stops the guest for the operator: if it runs, it is `paused`; if it stands for another reason, that stays.
    pub(crate) fn pause(&self) -> Result<(), Refused> {
        if let Some(left) = self.control.stop_running(RunState::Paused) {
            self.stopped(left);
            return Ok(());
        }
        match self.control.run_state() {
            RunState::InMigrate => Err(Refused::new("the guest is not here yet: an incoming migration is awaited")),
            RunState::FinishMigrate => Err(Refused::new("the guest stands still for its migration")),
            _ => Ok(()),
        }
    }

    /// Lets a guest run that never did; one that a client has started, stopped or sent away meanwhile is left alone.
    pub(crate) fn boot(&self) {
        let ran = self.control.start(|state| Ok::<_, std::convert::Infallible>(state != RunState::Prelaunch));
        if ran == Ok(false) {
            self.events.emit(Event::Resume);
        }
    }

    /// Lets the guest run for the operator.
    pub(crate) fn cont(&self) -> Result<(), Refused> {
        let ran = self.control.start(|state| match state {
            RunState::InMigrate => Err(Refused::new("the guest is not here yet: an incoming migration is awaited")),
            RunState::FinishMigrate => {
                Err(Refused::new("the guest stands still for its migration: cancel that, or wait for its end"))
            }
            other => self.startable(other).map(|()| other.is_running()),
        })?;
        if !ran {
            self.events.emit(Event::Resume);
        }
        Ok(())
    }

    /// Tells that the guest stopped; one that halted on the way has told itself.
    fn stopped(&self, left: RunState) {
        if left.is_running() {
            self.events.emit(Event::Stop);
        }
    }
}
