//! File descriptors that travel beside the octets of a QMP socket (`SCM_RIGHTS`), for `getfd`.
//!
//! Source: `docs/spec/control.md` section 2.5; `unix(7)`. A descriptor may come with any octet before the end of the
//! `getfd` that takes it; some clients send it with a space of its own. Those that came wait in order.
//!
//! Differs from QEMU: there a later batch closes one that nobody took. Here the oldest is taken first, so that several
//! descriptors may be sent ahead of several `getfd`.

use std::collections::{HashMap, VecDeque};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

use crate::error::CommandError;

/// Descriptors of one client that may wait for `getfd`.
pub const WAITING_LIMIT: usize = 16;

/// Named descriptors that a machine keeps.
pub const NAMED_LIMIT: usize = 64;

/// Longest name of a descriptor, in bytes.
pub const NAME_LIMIT: usize = 255;

/// Descriptors that came from one client and were not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    descriptors: VecDeque<OwnedFd>,
}

/// More than [`WAITING_LIMIT`] came; all were closed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

impl Waiting {
    /// Reads octets into `buffer`, and keeps the descriptors that come with them. 0 is the end.
    ///
    /// # Errors
    /// Those of the system; a signal is none.
    pub(crate) fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        buffer: &mut [u8],
    ) -> Result<(usize, Result<(), TooMany>), Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(WAITING_LIMIT))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            match recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, RecvFlags::CMSG_CLOEXEC) {
                Err(Errno::INTR) => {}
                other => break other?,
            }
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        // With the flag the kernel has closed those that did not fit.
        if received.flags.contains(ReturnFlags::CTRUNC) || self.descriptors.len() > WAITING_LIMIT {
            self.descriptors.clear();
            return Ok((received.bytes, Err(TooMany)));
        }
        Ok((received.bytes, Ok(())))
    }

    /// The descriptor that has waited longest.
    pub(crate) fn take(&mut self) -> Option<OwnedFd> {
        self.descriptors.pop_front()
    }
}

/// Sends all of `octets`, with `descriptor` beside the first.
///
/// # Errors
/// Those of the system; a signal is none.
pub(crate) fn send_with_descriptor(
    socket: BorrowedFd<'_>,
    octets: &[u8],
    descriptor: BorrowedFd<'_>,
) -> Result<(), Errno> {
    let rights = [descriptor];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    // The space is made for exactly this message.
    if !control.push(SendAncillaryMessage::ScmRights(&rights)) {
        return Err(Errno::NOBUFS);
    }
    let mut rest = octets;
    while !rest.is_empty() {
        match sendmsg(socket, &[IoSlice::new(rest)], &mut control, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
            Ok(sent) => {
                rest = rest.get(sent..).unwrap_or_default();
                control.clear();
            }
        }
    }
    Ok(())
}

/// Descriptors by name, from `getfd` to the `fd:` address that uses them.
///
/// A machine keeps one of these behind [`Monitor::register_fd`](crate::Monitor::register_fd) and
/// [`Monitor::close_fd`](crate::Monitor::close_fd).
///
/// **limits** [`NAMED_LIMIT`] descriptors.
#[derive(Debug, Default)]
pub struct NamedDescriptors {
    table: Mutex<HashMap<String, OwnedFd>>,
}

impl NamedDescriptors {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps `descriptor`; closes one that was kept under the same name.
    ///
    /// # Errors
    /// [`NAMED_LIMIT`] others are kept.
    pub fn register(&self, name: &str, descriptor: OwnedFd) -> Result<(), CommandError> {
        let mut table = self.table();
        if table.len() >= NAMED_LIMIT && !table.contains_key(name) {
            let text = format!("{NAMED_LIMIT} file descriptors are kept already; close one with 'closefd'");
            return Err(CommandError::generic(text));
        }
        table.insert(name.to_owned(), descriptor);
        Ok(())
    }

    /// Closes the descriptor kept under `name`.
    ///
    /// # Errors
    /// There is none.
    pub fn close(&self, name: &str) -> Result<(), CommandError> {
        self.take(name).map(drop)
    }

    /// Takes the descriptor kept under `name` out, as an `fd:NAME` address does.
    ///
    /// # Errors
    /// There is none.
    pub fn take(&self, name: &str) -> Result<OwnedFd, CommandError> {
        let taken = self.table().remove(name);
        taken.ok_or_else(|| CommandError::generic(format!("no file descriptor is named '{name}'; use 'getfd' first")))
    }

    fn table(&self) -> MutexGuard<'_, HashMap<String, OwnedFd>> {
        // A panic elsewhere leaves the map usable: each change is one call.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Seek, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    fn null() -> OwnedFd {
        File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn a_descriptor_comes_with_its_octets_and_is_the_same_file() {
        let (near, far) = UnixStream::pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"content").unwrap();
        send_with_descriptor(near.as_fd(), b"request", file.as_fd()).unwrap();

        let mut waiting = Waiting::default();
        let mut buffer = [0; 64];
        assert_eq!(waiting.receive(far.as_fd(), &mut buffer), Ok((7, Ok(()))));
        let mut received = File::from(waiting.take().unwrap());
        received.rewind().unwrap();
        let mut content = String::new();
        received.read_to_string(&mut content).unwrap();
        assert_eq!(content, "content");
        assert!(waiting.take().is_none());
    }

    #[test]
    fn more_descriptors_than_the_limit_are_all_closed() {
        let (near, far) = UnixStream::pair().unwrap();
        let mut waiting = Waiting::default();
        let mut buffer = [0; 1];
        for _ in 0..WAITING_LIMIT {
            send_with_descriptor(near.as_fd(), b" ", null().as_fd()).unwrap();
            assert_eq!(waiting.receive(far.as_fd(), &mut buffer), Ok((1, Ok(()))));
        }
        send_with_descriptor(near.as_fd(), b" ", null().as_fd()).unwrap();
        assert_eq!(waiting.receive(far.as_fd(), &mut buffer), Ok((1, Err(TooMany))));
        assert!(waiting.take().is_none());
    }

    #[test]
    fn the_end_of_the_stream_is_zero_octets() {
        let (near, far) = UnixStream::pair().unwrap();
        drop(near);
        assert_eq!(Waiting::default().receive(far.as_fd(), &mut [0; 8]), Ok((0, Ok(()))));
    }

    #[test]
    fn a_table_replaces_takes_and_is_limited() {
        let table = NamedDescriptors::new();
        for number in 0..NAMED_LIMIT {
            table.register(&format!("fd{number}"), null()).unwrap();
        }
        assert!(table.register("one-more", null()).unwrap_err().desc.contains("64"));
        table.register("fd0", null()).unwrap();
        table.take("fd0").unwrap();
        assert!(table.close("fd0").unwrap_err().desc.contains("'fd0'"));
        table.register("one-more", null()).unwrap();
    }
}
