//! Where the channels and the main stream wait for each other.
//!
//! ```text
//!  channel:  (packets)* SYNC | waits | (packets)* SYNC | waits | …
//!  main:         …  flush ────────►|   …   flush ────────►|          lets them go on once all are there
//! ```
//!
//! Nobody waits for a channel that failed or ended: whatever happens to one wakes all.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::channel::Interrupt;
use crate::error::{Error, ErrorKind, Side};

/// Where a channel stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Reads packets.
    Reading,
    /// Had its SYNC and waits.
    Waiting,
    /// Ended at this offset.
    Ended(u64),
}

#[derive(Debug)]
struct State {
    channels: Vec<Place>,
    /// Counts the meetings.
    meeting: u64,
    /// A channel failed, and why, until somebody asks.
    has_failed: bool,
    failure: Option<Error>,
    closed: bool,
    /// Channels took pages since the last meeting.
    has_pages: bool,
    /// The main stream is at its end.
    is_loaded: bool,
    normal_pages: u64,
    zero_pages: u64,
}

/// The meeting of one load.
#[derive(Debug)]
pub(super) struct Meeting {
    state: Mutex<State>,
    changed: Condvar,
    alarms: Alarms,
}

/// What ends waits for input.
#[derive(Debug, Clone)]
pub(in crate::destination) struct Alarms {
    /// Of all multifd channels.
    pub(in crate::destination) channels: Interrupt,
    /// Of the main channel, which still has something to say when the others are at their end.
    pub(in crate::destination) main: Interrupt,
}

impl Meeting {
    pub(super) fn new(channels: usize, alarms: Alarms) -> Self {
        let state = State {
            channels: vec![Place::Reading; channels],
            meeting: 0,
            has_failed: false,
            failure: None,
            closed: false,
            has_pages: false,
            is_loaded: false,
            normal_pages: 0,
            zero_pages: 0,
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), alarms }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Channel `id` had its SYNC. Returns when all had theirs and the main stream came there, too, or to its end; false
    /// if it never will.
    pub(super) fn arrive(&self, id: usize) -> bool {
        let mut state = self.state();
        let meeting = state.meeting;
        state.place(id, Place::Waiting);
        self.changed.notify_all();
        while state.meeting == meeting && !state.is_loaded && !state.closed && !state.has_failed {
            state = self.wait(state);
        }
        state.meeting != meeting || state.is_loaded
    }

    /// Channel `id` ended: behind a whole packet, or since it failed.
    pub(super) fn ended(&self, id: usize, offset: u64) {
        self.state().place(id, Place::Ended(offset));
        self.changed.notify_all();
    }

    /// A channel failed. The first reason is the one that is told.
    pub(super) fn fail(&self, error: Error) {
        let mut state = self.state();
        // What ends because all others do is no failure.
        if state.has_failed || state.is_loaded || state.closed {
            return;
        }
        state.has_failed = true;
        state.failure = Some(error);
        drop(state);
        self.changed.notify_all();
        self.alarms.channels.raise();
        self.alarms.main.raise();
    }

    /// Channels take pages: with content, of zeros.
    ///
    /// # Errors
    ///
    /// The main stream is at its end: the guest's memory is not to be touched any more.
    pub(super) fn took(&self, normal_pages: usize, zero_pages: usize) -> Result<(), Error> {
        let mut state = self.state();
        if state.is_loaded {
            return Err(behind_the_last_meeting());
        }
        state.has_pages = true;
        state.normal_pages += normal_pages as u64;
        state.zero_pages += zero_pages as u64;
        Ok(())
    }

    /// The main stream waits until every channel had its SYNC, and lets them go on.
    ///
    /// # Errors
    ///
    /// A channel failed, or ended before.
    pub(super) fn meet(&self) -> Result<(), Error> {
        let mut state = self.state();
        loop {
            if let Some(error) = state.failed() {
                return Err(error);
            }
            let ended = state.channels.iter().enumerate().find_map(|(id, place)| match place {
                Place::Ended(offset) => Some((id, *offset)),
                _ => None,
            });
            if let Some((id, offset)) = ended {
                return Err(Error::new(Side::Destination, ErrorKind::Truncated { offset }).in_channel(id));
            }
            if state.channels.iter().all(|place| *place == Place::Waiting) {
                break;
            }
            state = self.wait(state);
        }
        state.channels.fill(Place::Reading);
        state.meeting = state.meeting.wrapping_add(1);
        state.has_pages = false;
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// The main stream is at its end: channels read on, but take no pages.
    ///
    /// # Errors
    ///
    /// A channel failed, or took pages that no meeting stands behind.
    pub(super) fn load(&self) -> Result<(), Error> {
        let mut state = self.state();
        if let Some(error) = state.failed() {
            return Err(error);
        }
        if state.has_pages {
            return Err(behind_the_last_meeting());
        }
        state.is_loaded = true;
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Waits until all channels have ended, for `patience` at most; false if one has not.
    pub(super) fn wait_for_ends(&self, patience: Duration) -> bool {
        let is_open = |state: &mut State| state.channels.iter().any(|place| !matches!(place, Place::Ended(_)));
        let waited = self.changed.wait_timeout_while(self.state(), patience, is_open);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Nothing more is to be read: whoever waits goes.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
        self.alarms.channels.raise();
    }

    /// Why a channel failed, if one did; told once.
    pub(super) fn failure(&self) -> Option<Error> {
        self.state().failure.take()
    }

    /// Pages taken: with content, of zeros.
    pub(super) fn pages(&self) -> (u64, u64) {
        let state = self.state();
        (state.normal_pages, state.zero_pages)
    }
}

impl State {
    fn place(&mut self, id: usize, place: Place) {
        if let Some(entry) = self.channels.get_mut(id) {
            *entry = place;
        }
    }

    fn failed(&mut self) -> Option<Error> {
        let told = || Error::new(Side::Destination, ErrorKind::State("a multifd channel failed".to_owned()));
        self.has_failed.then(|| self.failure.take().unwrap_or_else(told))
    }
}

fn behind_the_last_meeting() -> Error {
    let text = "pages came on multifd channels behind the last place where the main stream waits for them";
    Error::new(Side::Destination, ErrorKind::State(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn meeting(channels: usize) -> (Meeting, Alarms) {
        let alarms = Alarms { channels: Interrupt::new().unwrap(), main: Interrupt::new().unwrap() };
        (Meeting::new(channels, alarms.clone()), alarms)
    }

    #[test]
    fn all_wait_for_all() {
        let (meeting, alarms) = meeting(3);
        thread::scope(|scope| {
            let channels: Vec<_> = (0..3)
                .map(|id| {
                    let meeting = &meeting;
                    scope.spawn(move || (0..50).all(|_| meeting.arrive(id)) && !meeting.arrive(id))
                })
                .collect();
            for _ in 0..50 {
                meeting.took(1, 2).unwrap();
                meeting.meet().unwrap();
            }
            meeting.close();
            assert!(channels.into_iter().all(|channel| channel.join().unwrap()));
        });
        assert_eq!(meeting.pages(), (50, 100));
        meeting.fail(Error::new(Side::Destination, ErrorKind::Cancelled));
        assert!(alarms.channels.is_raised() && !alarms.main.is_raised());
        assert!(meeting.failure().is_none(), "what ends with the load is no failure");
    }

    #[test]
    fn a_failure_wakes_the_main_stream_and_all_channels() {
        let (meeting, alarms) = meeting(2);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| meeting.arrive(0));
            let main = scope.spawn(|| meeting.meet());
            let error = || Error::new(Side::Destination, ErrorKind::Truncated { offset: 7 }).in_channel(1);
            meeting.fail(error());
            meeting.fail(Error::new(Side::Destination, ErrorKind::Cancelled));
            assert!(!waiting.join().unwrap() && alarms.channels.is_raised() && alarms.main.is_raised());
            let told = main.join().unwrap().unwrap_err().to_string();
            assert!(told.starts_with("destination: multifd channel 1: ") && told.contains("0x7"), "{told}");
        });
        assert!(meeting.failure().is_none(), "told once");
    }

    #[test]
    fn a_load_takes_no_pages_but_lets_channels_read_to_their_ends() {
        let (meeting, _) = meeting(1);
        meeting.took(1, 0).unwrap();
        assert!(meeting.load().unwrap_err().to_string().contains("behind the last place"));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| meeting.arrive(0));
            meeting.meet().unwrap();
            assert!(waiting.join().unwrap());
            meeting.load().unwrap();
            assert!(meeting.arrive(0), "nobody will meet it");
            assert!(meeting.took(0, 1).is_err());
            assert!(!meeting.wait_for_ends(Duration::from_millis(1)));
            let waiting = scope.spawn(|| meeting.wait_for_ends(Duration::from_mins(1)));
            meeting.ended(0, 64);
            assert!(waiting.join().unwrap());
        });
        assert_eq!(meeting.pages(), (1, 0));
    }

    #[test]
    fn a_channel_that_ended_is_not_waited_for() {
        let (meeting, _) = meeting(1);
        meeting.ended(0, 1408);
        let error = meeting.meet().unwrap_err().to_string();
        assert!(error.contains("multifd channel 0") && error.contains("0x580"), "{error}");
    }
}
