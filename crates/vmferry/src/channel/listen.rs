//! Waiting for incoming channels.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use rustix::event::PollFlags;

use super::open::shell;
use super::{Channel, Descriptors, Interrupt, Transport, Uri, connect};

/// The incoming end of an address, before its channel is there.
#[derive(Debug)]
pub struct Listener {
    kind: Kind,
    interrupt: Interrupt,
}

#[derive(Debug)]
enum Kind {
    Unix { listener: UnixListener, path: SocketFile },
    Tcp(TcpListener),
    Ready(Box<Channel>),
}

impl Listener {
    /// Listens, or opens what needs no peer.
    ///
    /// A Unix socket whose path exists and that nobody listens on is replaced, as QEMU does.
    ///
    /// # Errors
    ///
    /// The address is in use, the file does not exist, the descriptor is unknown, the command cannot be started.
    pub fn bind(uri: &Uri, descriptors: &Descriptors, interrupt: Interrupt) -> io::Result<Self> {
        let kind = match uri {
            Uri::Unix(path) => {
                let listener = bind_unix(path)?;
                listener.set_nonblocking(true)?;
                Kind::Unix { listener, path: SocketFile(path.clone()) }
            }
            Uri::Tcp { host, port } => {
                let listener = bind_tcp(host, *port)?;
                listener.set_nonblocking(true)?;
                Kind::Tcp(listener)
            }
            Uri::File { path, offset } => {
                let mut file = open_file(path)?;
                if *offset > 0 {
                    file.seek(SeekFrom::Start(*offset))?;
                }
                Kind::Ready(Box::new(Channel::from_fd(file.into(), interrupt.clone())?))
            }
            Uri::Fd(name) => Kind::Ready(Box::new(Channel::from_fd(descriptors.open(name)?, interrupt.clone())?)),
            Uri::Exec(command) => {
                let mut child = shell(command).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
                let pipe = child.stdout.take().ok_or_else(|| io::Error::other("the command has no standard output"))?;
                let channel = Channel::from_fd(OwnedFd::from(pipe), interrupt.clone())?.with_child(child);
                Kind::Ready(Box::new(channel))
            }
        };
        Ok(Self { kind, interrupt })
    }

    /// The address that is listened on, with the port that the kernel chose; `None` where nothing listens.
    #[must_use]
    pub fn local_uri(&self) -> Option<Uri> {
        match &self.kind {
            Kind::Unix { path, .. } => Some(Uri::Unix(path.0.clone())),
            Kind::Tcp(listener) => {
                let address = listener.local_addr().ok()?;
                Some(Uri::Tcp { host: address.ip().to_string(), port: address.port() })
            }
            Kind::Ready(_) => None,
        }
    }

    /// A connection that is there already, whose waits `interrupt` ends; `None` if there is none, or what was opened
    /// needs no peer.
    ///
    /// # Errors
    ///
    /// The kernel refused.
    pub(crate) fn accept_now(&self, interrupt: &Interrupt) -> io::Result<Option<Channel>> {
        let accepted = match &self.kind {
            Kind::Unix { listener, .. } => accept_now(|| listener.accept())?.map(|(stream, _)| OwnedFd::from(stream)),
            Kind::Tcp(listener) => match accept_now(|| listener.accept())? {
                Some((stream, _)) => {
                    connect::set_tcp_options(&stream)?;
                    Some(stream.into())
                }
                None => None,
            },
            Kind::Ready(_) => None,
        };
        accepted.map(|fd| Channel::from_fd(fd, interrupt.clone())).transpose()
    }

    /// Waits until there is a connection, or something to read on one of `channels`.
    ///
    /// # Errors
    ///
    /// As [`Interrupt::wait_until`].
    pub(crate) fn wait_with<'a>(
        &'a self,
        channels: impl Iterator<Item = &'a Channel>,
        interrupt: &Interrupt,
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        let own = match &self.kind {
            Kind::Unix { listener, .. } => Some(listener.as_fd()),
            Kind::Tcp(listener) => Some(listener.as_fd()),
            Kind::Ready(_) => None,
        };
        interrupt.wait_any(own.into_iter().chain(channels.map(Channel::as_fd)), PollFlags::IN, deadline)
    }

    /// What ends its waits.
    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Waits for the peer, and stops listening.
    ///
    /// # Errors
    ///
    /// The interrupt was raised, or the kernel refused.
    pub fn accept(self) -> io::Result<Channel> {
        let Self { kind, interrupt } = self;
        match kind {
            // One migration, one connection: the name is free for the next as soon as it is there.
            Kind::Unix { listener, path: _path } => {
                let (stream, _) = wait_for_peer(&listener, &interrupt, UnixListener::accept)?;
                Channel::from_fd(stream.into(), interrupt)
            }
            Kind::Tcp(listener) => {
                let (stream, _) = wait_for_peer(&listener, &interrupt, TcpListener::accept)?;
                connect::set_tcp_options(&stream)?;
                Channel::from_fd(stream.into(), interrupt)
            }
            Kind::Ready(channel) => {
                // A named pipe is at its end until a writer has come.
                if channel.transport() == Transport::Pipe {
                    channel.wait_for_input()?;
                }
                Ok(*channel)
            }
        }
    }
}

/// The name of a Unix socket, which goes when nobody listens there any more.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Accepts a connection, if there is one; one that is gone again is forgotten.
fn accept_now<T>(accept: impl Fn() -> io::Result<T>) -> io::Result<Option<T>> {
    loop {
        match accept() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {}
            other => return other.map(Some),
        }
    }
}

/// Waits for a connection; one that is gone again before it was accepted is forgotten.
fn wait_for_peer<L: AsFd, T>(
    listener: &L,
    interrupt: &Interrupt,
    accept: impl Fn(&L) -> io::Result<T>,
) -> io::Result<T> {
    use io::ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
    loop {
        interrupt.wait(listener.as_fd(), PollFlags::IN)?;
        match accept(listener) {
            Err(error) if matches!(error.kind(), WouldBlock | ConnectionAborted | Interrupted) => {}
            other => return other,
        }
    }
}

/// An empty host is any address of both families, or, on a host without IPv6, of IPv4.
fn bind_tcp(host: &str, port: u16) -> io::Result<TcpListener> {
    if !host.is_empty() {
        return TcpListener::bind((host, port));
    }
    TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).or_else(|error| {
        if error.kind() == io::ErrorKind::AddrInUse {
            return Err(error);
        }
        TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
    })
}

/// Opens a file; of a named pipe it does not wait for the writer.
fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && !connect::is_bound(path)? => {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        other => other,
    }
}
