//! Waiting for incoming channels.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Stdio;

use rustix::event::PollFlags;

use super::open::shell;
use super::{Channel, Descriptors, Interrupt, Uri};

/// The incoming end of an address, before its channel is there.
#[derive(Debug)]
pub struct Listener {
    kind: Kind,
    interrupt: Interrupt,
}

#[derive(Debug)]
enum Kind {
    Unix { listener: UnixListener, path: PathBuf },
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
                Kind::Unix { listener, path: path.clone() }
            }
            Uri::Tcp { host, port } => {
                let host = if host.is_empty() { "::" } else { host };
                let listener = TcpListener::bind((host, *port))?;
                listener.set_nonblocking(true)?;
                Kind::Tcp(listener)
            }
            Uri::File { path, offset } => {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(*offset))?;
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
            Kind::Unix { path, .. } => Some(Uri::Unix(path.clone())),
            Kind::Tcp(listener) => {
                let address = listener.local_addr().ok()?;
                Some(Uri::Tcp { host: address.ip().to_string(), port: address.port() })
            }
            Kind::Ready(_) => None,
        }
    }

    /// Waits for the peer, and stops listening.
    ///
    /// # Errors
    ///
    /// The interrupt was raised, or the kernel refused.
    pub fn accept(self) -> io::Result<Channel> {
        let Self { kind, interrupt } = self;
        match kind {
            Kind::Unix { listener, path } => {
                interrupt.wait(listener.as_fd(), PollFlags::IN)?;
                let (stream, _) = listener.accept()?;
                // One migration, one connection: the name is free for the next.
                let _ = std::fs::remove_file(path);
                Channel::from_fd(stream.into(), interrupt)
            }
            Kind::Tcp(listener) => {
                interrupt.wait(listener.as_fd(), PollFlags::IN)?;
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                Channel::from_fd(stream.into(), interrupt)
            }
            Kind::Ready(channel) => Ok(*channel),
        }
    }
}

fn bind_unix(path: &PathBuf) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error)
            if error.kind() == io::ErrorKind::AddrInUse && std::os::unix::net::UnixStream::connect(path).is_err() =>
        {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        other => other,
    }
}
