//! Connecting sockets without a wait that nothing can end.
//!
//! A connection may take long: a host that does not answer, a listener whose queue is full. Each wait here ends with
//! the channel's interrupt. Only the resolver's look-up of a host name does not; it has limits of its own.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, sockopt};

use super::Interrupt;

/// Longest time that a TCP connection may take to be made, for each address of the host.
const TCP_TIMEOUT: Duration = Duration::from_secs(20);

/// Time between two attempts at a Unix socket whose queue is full; the kernel has no event for it.
const RETRY: Duration = Duration::from_millis(20);

/// A silent connection is asked for a sign of life after this time, ...
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// ... so often ...
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// ... and so many times: an end that waits for a host that died learns of it within a minute.
const KEEPALIVE_PROBES: u32 = 3;

const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

pub(super) fn unix(path: &Path, interrupt: &Interrupt) -> io::Result<OwnedFd> {
    let address = SocketAddrUnix::new(path)?;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None)?;
    loop {
        match connect(&socket, &address) {
            Ok(()) => return Ok(socket),
            Err(Errno::AGAIN) => interrupt.pause(RETRY)?,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Whether a socket of a living process is bound to `path`.
///
/// A stream connection would be accepted as the peer that is awaited there; one of another type is refused in a
/// way that tells.
pub(super) fn is_bound(path: &Path) -> io::Result<bool> {
    let address = SocketAddrUnix::new(path)?;
    let probe = socket_with(AddressFamily::UNIX, SocketType::DGRAM, FLAGS, None)?;
    Ok(connect(&probe, &address) != Err(Errno::CONNREFUSED))
}

pub(super) fn tcp(host: &str, port: u16, interrupt: &Interrupt) -> io::Result<OwnedFd> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match tcp_to(&address, interrupt) {
            Err(error) if !super::interrupt::is_cancellation(&error) => last = error,
            other => return other,
        }
    }
    Err(last)
}

fn tcp_to(address: &SocketAddr, interrupt: &Interrupt) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, FLAGS, None)?;
    match connect(&socket, address) {
        Ok(()) => {}
        // Interrupted by a signal it goes on by itself, too.
        Err(Errno::INPROGRESS | Errno::INTR) => {
            interrupt.wait_until(socket.as_fd(), PollFlags::OUT, Some(Instant::now() + TCP_TIMEOUT))?;
            sockopt::socket_error(&socket)??;
        }
        Err(errno) => return Err(errno.into()),
    }
    set_tcp_options(&socket)?;
    Ok(socket)
}

/// What both ends of a TCP connection set.
pub(super) fn set_tcp_options(socket: impl AsFd) -> io::Result<()> {
    // The last bytes of a migration are small writes, and the guest stands still while they wait.
    sockopt::set_tcp_nodelay(&socket, true)?;
    sockopt::set_tcp_keepidle(&socket, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(&socket, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(&socket, KEEPALIVE_PROBES)?;
    Ok(sockopt::set_socket_keepalive(&socket, true)?)
}
