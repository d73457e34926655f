//! Channels: the transports that a stream travels over.
//!
//! Every channel is one non-blocking descriptor (two for the return direction of a socket), so that one [`Interrupt`]
//! ends a wait on a peer that hangs, whatever the transport.

mod connect;
pub mod descriptors;
pub mod interrupt;
pub mod listen;
pub(crate) mod open;
pub mod uri;
pub(crate) mod zero_copy;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::fs::{OFlags, SeekFrom};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

pub use descriptors::Descriptors;
pub use interrupt::Interrupt;
pub use listen::Listener;
pub use uri::{Uri, UriError};

use crate::memory::scattered::{Places, read_scattered};
use crate::memory::vectored::{Parts, write_vectored};

/// What a channel can promise, by its transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A socket: both directions, a return path is possible.
    Socket,
    /// A pipe: one direction.
    Pipe,
    /// A file: one direction, and nobody reads it now.
    File,
}

/// One end of an open channel.
#[derive(Debug)]
pub struct Channel {
    fd: OwnedFd,
    transport: Transport,
    interrupt: Interrupt,
    child: Option<Command>,
}

impl Channel {
    /// Wraps a descriptor; its kind is asked of the kernel.
    ///
    /// # Errors
    ///
    /// The descriptor is none that can carry a stream, or cannot be made non-blocking.
    pub fn from_fd(fd: OwnedFd, interrupt: Interrupt) -> io::Result<Self> {
        use rustix::fs::FileType;
        let transport = match FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode) {
            FileType::Socket => Transport::Socket,
            FileType::Fifo | FileType::CharacterDevice => Transport::Pipe,
            FileType::RegularFile | FileType::BlockDevice => Transport::File,
            other => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("descriptor is a {other:?}; accepted are sockets, pipes and files"),
                ));
            }
        };
        let flags = rustix::fs::fcntl_getfl(&fd)?;
        rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
        Ok(Self { fd, transport, interrupt, child: None })
    }

    fn with_child(mut self, child: Child) -> Self {
        self.child = Some(Command(child));
        self
    }

    /// What kind of transport it is.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Whether the peer can answer on it.
    #[must_use]
    pub fn has_return_direction(&self) -> bool {
        self.transport == Transport::Socket
    }

    /// What ends its waits.
    #[must_use]
    pub fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// A second handle on the same socket, for the other direction.
    ///
    /// # Errors
    ///
    /// The process has no descriptor left.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.try_clone_with(self.interrupt.clone())
    }

    /// The same, whose waits end with another interrupt.
    ///
    /// # Errors
    ///
    /// As [`Channel::try_clone`].
    pub fn try_clone_with(&self, interrupt: Interrupt) -> io::Result<Self> {
        Ok(Self { fd: self.fd.try_clone()?, transport: self.transport, interrupt, child: None })
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    ///
    /// The peer went away, the disk is full, or the interrupt was raised.
    pub fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match rustix::io::write(&self.fd, bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(rustix::io::Errno::AGAIN) => self.interrupt.wait(self.fd.as_fd(), PollFlags::OUT)?,
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// Writes all of `parts`.
    ///
    /// # Errors
    ///
    /// As [`Channel::write_all`].
    pub fn write_parts(&self, parts: &mut Parts<'_>) -> io::Result<()> {
        while !parts.is_empty() {
            match write_vectored(self.fd.as_fd(), parts) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.interrupt.wait(self.fd.as_fd(), PollFlags::OUT)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads some bytes; 0 at the end.
    ///
    /// # Errors
    ///
    /// The peer broke the connection, or the interrupt was raised.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match rustix::io::read(&self.fd, &mut *buffer) {
                Ok(read) => return Ok(read),
                Err(rustix::io::Errno::AGAIN) => self.interrupt.wait(self.fd.as_fd(), PollFlags::IN)?,
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Reads what is there, at most as much as `buffer` holds; 0 at the end, `None` if nothing is there yet.
    ///
    /// # Errors
    ///
    /// The peer broke the connection.
    pub(crate) fn read_now(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match rustix::io::read(&self.fd, &mut *buffer) {
                Ok(read) => return Ok(Some(read)),
                Err(rustix::io::Errno::AGAIN) => return Ok(None),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Fills `places` but for the last `spare` bytes, of which as many are filled as are there. Returns how many are
    /// not: more than `spare` at the end of the input.
    ///
    /// # Errors
    ///
    /// As [`Channel::read`].
    pub(crate) fn read_scattered(&self, places: &mut Places<'_>, spare: usize) -> io::Result<usize> {
        while places.bytes() > spare && self.read_some(places)? > 0 {}
        Ok(places.bytes())
    }

    /// Reads some bytes into `places`; 0 at the end.
    ///
    /// # Errors
    ///
    /// As [`Channel::read`].
    pub(crate) fn read_some(&self, places: &mut Places<'_>) -> io::Result<usize> {
        loop {
            match read_scattered(self.fd.as_fd(), places) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.interrupt.wait(self.fd.as_fd(), PollFlags::IN)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Position in the file of what is read or written next.
    ///
    /// # Errors
    ///
    /// It is no file.
    pub(crate) fn position(&self) -> io::Result<u64> {
        Ok(rustix::fs::tell(&self.fd)?)
    }

    /// Goes to a position of the file; behind its end too.
    ///
    /// # Errors
    ///
    /// It is no file.
    pub(crate) fn seek(&self, to: u64) -> io::Result<()> {
        rustix::fs::seek(&self.fd, SeekFrom::Start(to))?;
        Ok(())
    }

    /// Octets of the file, or of the device.
    ///
    /// # Errors
    ///
    /// It is no file.
    pub(crate) fn file_bytes(&self) -> io::Result<u64> {
        let here = self.position()?;
        let end = rustix::fs::seek(&self.fd, SeekFrom::End(0))?;
        self.seek(here)?;
        Ok(end)
    }

    /// Waits until there is something to read, or the end.
    pub(crate) fn wait_for_input(&self) -> io::Result<()> {
        self.interrupt.wait(self.fd.as_fd(), PollFlags::IN)
    }

    /// Ends our direction and throws away what the peer still sends, until it closes or `patience` is over.
    ///
    /// A socket that is closed with unread octets is reset, and the peer may lose our last words with it.
    pub fn linger(&self, patience: Duration) {
        if self.transport != Transport::Socket || rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Write).is_err()
        {
            return;
        }
        let deadline = Instant::now() + patience;
        let mut waste = [0; 16 << 10];
        while Instant::now() < deadline {
            match rustix::io::read(&self.fd, &mut waste) {
                Ok(0) => return,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => {
                    if self.interrupt.wait_until(self.fd.as_fd(), PollFlags::IN, Some(deadline)).is_err() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }

    /// Ends the outgoing direction: what was written is on the disk, or the command that read it has ended well.
    ///
    /// # Errors
    ///
    /// The disk failed, or the command ended with another status than 0.
    pub fn finish(self) -> io::Result<()> {
        let Self { fd, transport, interrupt, child } = self;
        if transport == Transport::File {
            rustix::fs::fdatasync(&fd)?;
        }
        drop(fd);
        let Some(mut child) = child else { return Ok(()) };
        let status = child.wait(&interrupt)?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("the command ended with {status}"))) }
    }

    /// Ends both directions at once; the peer sees a broken or closed connection.
    pub fn shut_down(&self) {
        if self.transport == Transport::Socket {
            // A peer that is gone already has nothing to be told.
            let _ = rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Both);
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A command at the other end of a pipe. It does not outlive its channel.
#[derive(Debug)]
struct Command(Child);

impl Command {
    /// Waits until it ends by itself.
    fn wait(&mut self, interrupt: &Interrupt) -> io::Result<ExitStatus> {
        let pidfd = pidfd_open(Pid::from_child(&self.0), PidfdFlags::empty())?;
        interrupt.wait(pidfd.as_fd(), PollFlags::IN)?;
        self.0.wait()
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        // Both fail only if it has ended and was waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
