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
pub struct Interrupt {
    own: Arc<OwnedFd>,
    /// Whose interrupt ends these waits as well.
    parent: Option<Arc<OwnedFd>>,
}

impl Interrupt {
    /// A fresh one, not raised.
    ///
    /// # Errors
    ///
    /// The process has no descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Self { own: Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?), parent: None })
    }

    /// One that ends the waits of a part of the channels: it is raised by itself, or with this one.
    ///
    /// It knows this one alone, not whose child this one is.
    ///
    /// # Errors
    ///
    /// The process has no descriptor left.
    pub fn child(&self) -> io::Result<Self> {
        Ok(Self { parent: Some(Arc::clone(&self.own)), ..Self::new()? })
    }

    /// Wakes whoever waits; stays raised.
    pub fn raise(&self) {
        // Cannot fail but for an overflow of 2^64 raises, after which the counter is readable all the same.
        let _ = rustix::io::write(&*self.own, &1_u64.to_ne_bytes());
    }

    /// Whether it was raised, or the one that it is a child of.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        let parent = self.parent.as_ref().unwrap_or(&self.own);
        let mut fds = [PollFd::new(&*self.own, PollFlags::IN), PollFd::new(&**parent, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Goes on, unless it was raised.
    ///
    /// # Errors
    ///
    /// It was, as a wait would say.
    pub(crate) fn check(&self) -> io::Result<()> {
        if self.is_raised() { Err(interrupted()) } else { Ok(()) }
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
        self.wait_any([fd], wanted, deadline)
    }

    /// Waits until one of `fds` is ready for `wanted`, but not past `deadline`.
    ///
    /// # Errors
    ///
    /// As [`Interrupt::wait_until`].
    pub(crate) fn wait_any<'a>(
        &self,
        fds: impl IntoIterator<Item = BorrowedFd<'a>>,
        wanted: PollFlags,
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        let parent = self.parent.as_ref().unwrap_or(&self.own);
        let raised = [PollFd::new(&*self.own, PollFlags::IN), PollFd::new(&**parent, PollFlags::IN)];
        let mut fds: Vec<_> =
            raised.into_iter().chain(fds.into_iter().map(|fd| PollFd::from_borrowed_fd(fd, wanted))).collect();
        loop {
            let timeout = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let timeout = timeout.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
            match poll(&mut fds, timeout.as_ref()) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(errno) => return Err(errno.into()),
            }
            if fds.iter().take(2).any(|raised| !raised.revents().is_empty()) {
                return Err(interrupted());
            }
            if fds.iter().any(|fd| !fd.revents().is_empty()) {
                return Ok(());
            }
        }
    }
}

impl AsFd for Interrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.own.as_fd()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_raised_with_its_parent_and_not_the_other_way_round() {
        let parent = Interrupt::new().unwrap();
        let (first, second) = (parent.child().unwrap(), parent.child().unwrap());
        first.raise();
        assert!(first.is_raised() && !second.is_raised() && !parent.is_raised());
        assert!(is_cancellation(&first.pause(Duration::from_secs(60)).unwrap_err()));
        second.pause(Duration::from_millis(1)).unwrap();
        parent.raise();
        assert!(second.is_raised());
        assert!(is_cancellation(&second.pause(Duration::from_secs(60)).unwrap_err()));
    }
}
