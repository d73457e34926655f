//! File descriptors that travel beside the octets of a QMP socket (`SCM_RIGHTS`), for `getfd`.
//!
//! Source: `docs/spec/control.md` section 2.5; `unix(7)`. A descriptor may come with any octet before the end of the
//! `getfd` that takes it; some clients send it with a space of its own. Those that came wait in order.
//!
//! Differs from QEMU: there a later batch closes one that nobody took. Here the oldest is taken first, so that several
//! descriptors may be sent ahead of several `getfd`.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

/// Descriptors of one client that may wait for `getfd`.
pub const WAITING_LIMIT: usize = 16;

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
}
