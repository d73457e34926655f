//! What waits for the channels: packets, and the places where all of them meet.
//!
//! ```text
//!  jobs of interval 0   | SYNC |   jobs of interval 1   | SYNC | …
//! ```
//!
//! A channel takes the first job if it is of the interval that the channel is in. If it is of a later one, or there is
//! none and a sync was asked for, the channel sends its SYNC and is in the next interval. So nobody waits for anybody
//! else, and no page of an interval goes out behind a SYNC of its end, whichever channel takes it.

use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::source::runs::Run;

/// Jobs that may wait for each channel: enough that it never waits for the scan, few enough to be forgotten.
const JOBS_PER_CHANNEL: usize = 3;

/// Pages of one block, for one packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    /// Number of the block, in the machine's order.
    pub(super) block: usize,
    /// The runs, all of this block, at most [`super::PAGES_PER_PACKET`] pages in all.
    pub(super) runs: Vec<Run>,
}

/// What a channel is to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Send a packet of this number.
    Packet(u64, Job),
    /// Send a SYNC of this number.
    Sync(u64),
    /// Nothing more will come.
    End,
}

/// What the channels sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::source) struct Counts {
    /// Pages with content.
    pub(super) normal_pages: u64,
    /// Zero pages.
    pub(super) zero_pages: u64,
    /// Octets on the wire.
    pub(super) bytes: u64,
    /// Syncs of channels in whose interval the kernel copied what was to be sent without a copy.
    pub(super) missed_zero_copy: u64,
}

#[derive(Debug, Default)]
struct State {
    /// Jobs, each with its interval.
    jobs: VecDeque<(u64, Job)>,
    /// Interval of the jobs that come.
    interval: u64,
    /// Interval that each channel is in, and whether it has sent the SYNC that it took.
    channels: Vec<(u64, bool)>,
    packet_num: u64,
    counts: Counts,
    /// A channel failed, and why, until somebody asks.
    failed: bool,
    failure: Option<io::Error>,
    ended: bool,
}

/// Between the migration's thread and those of the channels.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// For channels: there is work. For the migration's thread: there is room, or a SYNC is out.
    changed: Condvar,
}

impl Queue {
    pub(super) fn new(channels: usize) -> Self {
        let state = State { channels: vec![(0, true); channels], ..State::default() };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job, once there is room.
    ///
    /// # Errors
    ///
    /// A channel failed.
    pub(super) fn push(&self, job: Job) -> io::Result<()> {
        let mut state = self.state();
        while state.jobs.len() >= state.channels.len() * JOBS_PER_CHANNEL && !state.failed {
            state = self.wait(state);
        }
        state.check()?;
        let interval = state.interval;
        state.jobs.push_back((interval, job));
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Ends the interval: every channel sends a SYNC behind the jobs that are here.
    ///
    /// # Errors
    ///
    /// A channel failed.
    pub(super) fn request_sync(&self) -> io::Result<()> {
        let mut state = self.state();
        state.check()?;
        state.interval += 1;
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Waits until every channel has sent the SYNC that was asked for last.
    ///
    /// # Errors
    ///
    /// A channel failed.
    pub(super) fn wait_synced(&self) -> io::Result<()> {
        let mut state = self.state();
        while !state.failed && state.channels.iter().any(|(at, sent)| *at < state.interval || !sent) {
            state = self.wait(state);
        }
        state.check()
    }

    /// The next work of `channel`, as soon as there is some.
    pub(super) fn take(&self, channel: usize) -> Work {
        let mut state = self.state();
        loop {
            if state.ended || state.failed {
                return Work::End;
            }
            let at = state.channels.get(channel).map_or(0, |(at, _)| *at);
            let next = state.jobs.front().map_or(state.interval, |(interval, _)| *interval);
            let num = state.packet_num;
            if next > at {
                if let Some(place) = state.channels.get_mut(channel) {
                    *place = (at + 1, false);
                }
                state.packet_num += 1;
                return Work::Sync(num);
            }
            if let Some((_, job)) = state.jobs.pop_front() {
                state.packet_num += 1;
                drop(state);
                self.changed.notify_all();
                return Work::Packet(num, job);
            }
            state = self.wait(state);
        }
    }

    /// `channel` sent the packet that it took.
    pub(super) fn sent(&self, counts: Counts) {
        self.state().count(counts);
    }

    /// `channel` sent the SYNC that it took.
    pub(super) fn synced(&self, channel: usize, counts: Counts) {
        let mut state = self.state();
        state.count(counts);
        if let Some((_, sent)) = state.channels.get_mut(channel) {
            *sent = true;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// A channel failed: nobody sends any more. The first reason is the one that is told.
    pub(super) fn fail(&self, error: io::Error) {
        let mut state = self.state();
        if !state.failed && !state.ended {
            state.failed = true;
            state.failure = Some(error);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Why a channel failed, if one did; told once.
    pub(super) fn failure(&self) -> Option<io::Error> {
        self.state().failure.take()
    }

    /// What was sent since this was asked last.
    pub(super) fn take_counts(&self) -> Counts {
        std::mem::take(&mut self.state().counts)
    }

    /// Nothing more will come; what waits is dropped.
    pub(super) fn end(&self) {
        self.state().ended = true;
        self.changed.notify_all();
    }
}

impl State {
    fn check(&mut self) -> io::Result<()> {
        if !self.failed {
            return Ok(());
        }
        // The reason may have been told already; whoever heard it keeps it.
        Err(self.failure.take().unwrap_or_else(|| io::Error::other("a multifd channel failed")))
    }

    fn count(&mut self, counts: Counts) {
        let Counts { normal_pages, zero_pages, bytes, missed_zero_copy } = counts;
        self.counts.normal_pages += normal_pages;
        self.counts.zero_pages += zero_pages;
        self.counts.bytes += bytes;
        self.counts.missed_zero_copy += missed_zero_copy;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(block: usize) -> Job {
        Job { block, runs: vec![Run { block, first: 0, count: 1, never_populated: false }] }
    }

    #[test]
    fn no_page_of_an_interval_goes_behind_the_syncs_of_its_end() {
        let queue = Queue::new(2);
        queue.push(job(0)).unwrap();
        queue.request_sync().unwrap();
        queue.push(job(1)).unwrap();
        // The second channel finds nothing but the job of the next interval once the first one has taken its own.
        assert_eq!(queue.take(0), Work::Packet(0, job(0)));
        assert_eq!(queue.take(1), Work::Sync(1));
        assert_eq!(queue.take(1), Work::Packet(2, job(1)));
        assert_eq!(queue.take(0), Work::Sync(3));
        queue.synced(1, Counts::default());
        queue.synced(0, Counts::default());
        queue.wait_synced().unwrap();
    }

    #[test]
    fn syncs_without_pages_between_are_all_sent() {
        let queue = Queue::new(1);
        queue.request_sync().unwrap();
        queue.request_sync().unwrap();
        assert_eq!([queue.take(0), queue.take(0)], [Work::Sync(0), Work::Sync(1)]);
        queue.end();
        assert_eq!(queue.take(0), Work::End);
    }

    #[test]
    fn a_failure_ends_waits_and_is_told_once() {
        let queue = Queue::new(1);
        queue.request_sync().unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| queue.wait_synced());
            queue.fail(io::Error::other("first"));
            queue.fail(io::Error::other("second"));
            assert_eq!(waiter.join().unwrap().unwrap_err().to_string(), "first");
        });
        assert_eq!(queue.take(0), Work::End);
        assert!(queue.push(job(0)).is_err() && queue.failure().is_none());
    }

    #[test]
    fn who_pushes_waits_for_room() {
        let queue = Queue::new(1);
        for _ in 0..JOBS_PER_CHANNEL {
            queue.push(job(0)).unwrap();
        }
        std::thread::scope(|scope| {
            let pusher = scope.spawn(|| queue.push(job(9)));
            for num in 0..=JOBS_PER_CHANNEL as u64 {
                assert!(matches!(queue.take(0), Work::Packet(found, _) if found == num));
            }
            pusher.join().unwrap().unwrap();
        });
    }
}
