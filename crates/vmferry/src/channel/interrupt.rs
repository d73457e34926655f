//! A way out of a read or write that a peer never answers.

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// Ends every wait on the channels that share it, now and later.
#[derive(Debug, Clone)]
pub struct Interrupt(Arc<OwnedFd>);

impl Interrupt {
    /// A fresh one, not raised.
    ///
    /// # Errors
    ///
    /// The process has no descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)))
    }

    /// Wakes whoever waits; stays raised.
    pub fn raise(&self) {
        // Cannot fail but for an overflow of 2^64 raises, after which the counter is readable all the same.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }

    /// Whether it was raised.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        let mut fds = [PollFd::new(&*self.0, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Waits for `time`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Interrupted`] if the interrupt was raised; those of `poll(2)`.
    pub fn pause(&self, time: Duration) -> io::Result<()> {
        match self.wait_until(self.as_fd(), PollFlags::empty(), Some(Instant::now() + time)) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(()),
            other => other,
        }
    }

    /// Waits until `fd` is ready for `wanted`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Interrupted`] if the interrupt was raised; those of `poll(2)`.
    pub fn wait(&self, fd: BorrowedFd<'_>, wanted: PollFlags) -> io::Result<()> {
        self.wait_until(fd, wanted, None)
    }

    /// As [`Interrupt::wait`], but not past `deadline`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] at the deadline, and those of [`Interrupt::wait`].
    pub fn wait_until(&self, fd: BorrowedFd<'_>, wanted: PollFlags, deadline: Option<Instant>) -> io::Result<()> {
        loop {
            let timeout = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let timeout = timeout.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
            let mut fds = [PollFd::new(&fd, wanted), PollFd::new(&*self.0, PollFlags::IN)];
            match poll(&mut fds, timeout.as_ref()) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(errno) => return Err(errno.into()),
            }
            let [ours, interrupt] = &fds;
            if !interrupt.revents().is_empty() {
                return Err(interrupted());
            }
            if !ours.revents().is_empty() {
                return Ok(());
            }
        }
    }
}

impl AsFd for Interrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The marker inside the error of a wait that was interrupted on purpose.
#[derive(Debug)]
struct Cancellation;

impl fmt::Display for Cancellation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the migration was cancelled")
    }
}

impl Error for Cancellation {}

fn interrupted() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, Cancellation)
}

/// Whether `error` comes from a raised [`Interrupt`], and not from the kernel.
pub(crate) fn is_cancellation(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Cancellation>())
}
