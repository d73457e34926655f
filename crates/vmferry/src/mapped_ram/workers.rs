//! Threads that take pieces of work from one queue; or, without threads, whoever gives the work does it.
//!
//! A piece is short (some MiB of a file), so nothing here waits for a peer: a cancellation is heard between two pieces.
//! The first failure ends all: whoever gives work or waits is told it, and every thread has ended when [`Workers`] is
//! dropped.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::channel::Interrupt;
use crate::channel::interrupt::is_cancellation;
use crate::error::{Error, ErrorKind, Side};
use crate::panicking::caught;

/// Pieces that may wait for each thread: enough that it never waits for the next, few enough to be forgotten.
const JOBS_PER_THREAD: usize = 3;

/// What one thread does.
pub(crate) trait Work: Send + 'static {
    /// A piece of work.
    type Job: Send + 'static;

    /// Does it.
    ///
    /// # Errors
    ///
    /// It cannot be done; nothing more will be asked for.
    fn perform(&mut self, job: Self::Job) -> io::Result<()>;
}

#[derive(Debug)]
struct State<J> {
    jobs: VecDeque<J>,
    /// Threads at work.
    busy: usize,
    /// A thread failed, and why, until somebody is told.
    has_failed: bool,
    failure: Option<io::Error>,
    has_ended: bool,
}

#[derive(Debug)]
struct Queue<J> {
    state: Mutex<State<J>>,
    /// There is work, room, or nothing left to do.
    changed: Condvar,
}

/// The threads, or the one who works in their place.
#[derive(Debug)]
pub(crate) struct Workers<W: Work> {
    inline: Option<W>,
    queue: Arc<Queue<W::Job>>,
    threads: Vec<JoinHandle<()>>,
    interrupt: Interrupt,
}

impl<W: Work> Workers<W> {
    /// No thread: work is done where it is given.
    pub(crate) fn inline(work: W, interrupt: Interrupt) -> Self {
        Self { inline: Some(work), queue: Arc::new(Queue::new()), threads: Vec::new(), interrupt }
    }

    /// One thread for each of `works`, called `name` and its number. `interrupt` ends the giving.
    ///
    /// # Errors
    ///
    /// A thread cannot be started.
    pub(crate) fn start(side: Side, name: &str, works: Vec<W>, interrupt: Interrupt) -> io::Result<Self> {
        let threads = Vec::with_capacity(works.len());
        let mut workers = Self { inline: None, queue: Arc::new(Queue::new()), threads, interrupt };
        for (id, mut work) in works.into_iter().enumerate() {
            let queue = Arc::clone(&workers.queue);
            let run = move || {
                let kind = |source| Error::new(side, ErrorKind::Io { what: "", source });
                if let Err(error) = caught(side, || queue.work(&mut work).map_err(kind)) {
                    queue.fail(named(id, error));
                }
            };
            // What was started before ends with `workers`.
            workers.threads.push(thread::Builder::new().name(format!("{name}-{id}")).spawn(run)?);
        }
        Ok(workers)
    }

    /// Gives a piece of work, once there is room.
    ///
    /// # Errors
    ///
    /// A piece failed, or the migration was cancelled.
    pub(crate) fn give(&mut self, job: W::Job) -> io::Result<()> {
        self.interrupt.check()?;
        match &mut self.inline {
            Some(work) => work.perform(job),
            None => self.queue.push(job, self.threads.len() * JOBS_PER_THREAD),
        }
    }

    /// Waits until everything that was given is done.
    ///
    /// # Errors
    ///
    /// As [`Workers::give`].
    pub(crate) fn wait_idle(&self) -> io::Result<()> {
        self.interrupt.check()?;
        self.queue.wait_idle()
    }
}

impl<W: Work> Drop for Workers<W> {
    fn drop(&mut self) {
        self.queue.end();
        for thread in self.threads.drain(..) {
            // A panic in it was told as its failure.
            let _ = thread.join();
        }
    }
}

impl<J> Queue<J> {
    fn new() -> Self {
        let state = State { jobs: VecDeque::new(), busy: 0, has_failed: false, failure: None, has_ended: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<J>>) -> MutexGuard<'a, State<J>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, job: J, room: usize) -> io::Result<()> {
        let mut state = self.state();
        while state.jobs.len() >= room && !state.has_failed {
            state = self.wait(state);
        }
        state.check()?;
        state.jobs.push_back(job);
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    fn wait_idle(&self) -> io::Result<()> {
        let mut state = self.state();
        while !state.has_failed && (state.busy > 0 || !state.jobs.is_empty()) {
            state = self.wait(state);
        }
        state.check()
    }

    /// The whole of a thread.
    fn work(&self, work: &mut impl Work<Job = J>) -> io::Result<()> {
        let mut state = self.state();
        loop {
            if state.has_ended || state.has_failed {
                return Ok(());
            }
            let Some(job) = state.jobs.pop_front() else {
                state = self.wait(state);
                continue;
            };
            state.busy += 1;
            drop(state);
            self.changed.notify_all();
            work.perform(job)?;
            state = self.state();
            state.busy -= 1;
            if state.busy == 0 && state.jobs.is_empty() {
                self.changed.notify_all();
            }
        }
    }

    fn fail(&self, error: io::Error) {
        let mut state = self.state();
        if !state.has_failed && !state.has_ended {
            state.has_failed = true;
            state.failure = Some(error);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Nothing more will come; what waits is dropped.
    fn end(&self) {
        self.state().has_ended = true;
        self.changed.notify_all();
    }
}

impl<J> State<J> {
    fn check(&mut self) -> io::Result<()> {
        if !self.has_failed {
            return Ok(());
        }
        // The reason may have been told already; whoever heard it keeps it.
        Err(self.failure.take().unwrap_or_else(|| io::Error::other("another channel failed")))
    }
}

/// The failure of a thread, with its number.
fn named(id: usize, error: Error) -> io::Error {
    let text = error.to_string();
    match error.into_kind() {
        ErrorKind::Io { source, .. } if is_cancellation(&source) => source,
        ErrorKind::Io { source, .. } => io::Error::new(source.kind(), format!("multifd channel {id}: {source}")),
        _ => io::Error::other(format!("multifd channel {id}: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Adds numbers; fails at 13, panics at 14.
    struct Adder(Arc<AtomicUsize>);

    impl Work for Adder {
        type Job = usize;

        fn perform(&mut self, job: usize) -> io::Result<()> {
            assert!(job != 14, "fourteen");
            if job == 13 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.fetch_add(job, Ordering::Relaxed);
            Ok(())
        }
    }

    fn workers(threads: usize) -> (Workers<Adder>, Arc<AtomicUsize>, Interrupt) {
        let (sum, interrupt) = (Arc::new(AtomicUsize::new(0)), Interrupt::new().unwrap());
        let work = || Adder(Arc::clone(&sum));
        let workers = match threads {
            0 => Workers::inline(work(), interrupt.clone()),
            _ => {
                let works = (0..threads).map(|_| work()).collect();
                Workers::start(Side::Source, "adder", works, interrupt.clone()).unwrap()
            }
        };
        (workers, sum, interrupt)
    }

    #[test]
    fn all_work_is_done_when_nobody_is_busy() {
        for threads in [0, 1, 3] {
            let (mut workers, sum, _) = workers(threads);
            for round in 1..=20 {
                (100..200).for_each(|job| workers.give(job).unwrap());
                workers.wait_idle().unwrap();
                assert_eq!(sum.load(Ordering::Relaxed), round * (100..200).sum::<usize>(), "{threads}");
            }
        }
    }

    #[test]
    fn the_first_failure_ends_giving_and_waiting() {
        for (threads, job, text) in [(0, 13, "no storage space"), (2, 13, "channel "), (2, 14, "panicked: fourteen")] {
            let (mut workers, ..) = workers(threads);
            let given = workers.give(job);
            let error = given.and_then(|()| workers.wait_idle()).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
            if threads > 0 {
                assert!(workers.give(1).is_err() && workers.wait_idle().is_err());
            }
        }
    }

    #[test]
    fn a_cancellation_is_heard_with_the_next_piece() {
        for threads in [0, 2] {
            let (mut workers, _, interrupt) = workers(threads);
            workers.give(1).unwrap();
            interrupt.raise();
            assert!(is_cancellation(&workers.give(1).unwrap_err()));
            assert!(is_cancellation(&workers.wait_idle().unwrap_err()));
        }
    }
}
