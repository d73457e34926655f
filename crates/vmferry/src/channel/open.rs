//! Opening outgoing channels.

use std::fs::OpenOptions;
use std::io::{self, Seek as _, SeekFrom};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Channel, Descriptors, Interrupt, Uri};

/// Longest time that a TCP connection may take to be made, for each address of the host.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Opens the outgoing end of `uri`.
///
/// # Errors
///
/// Nobody listens, the file cannot be written, the descriptor is unknown, the command cannot be started.
pub(crate) fn open(uri: &Uri, descriptors: &Descriptors, interrupt: Interrupt) -> io::Result<Channel> {
    match uri {
        Uri::Unix(path) => Channel::from_fd(UnixStream::connect(path)?.into(), interrupt),
        Uri::Tcp { host, port } => Channel::from_fd(connect_tcp(host, *port)?.into(), interrupt),
        Uri::File { path, offset } => {
            let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
            // A device has no length to cut, and a pipe no position.
            if file.metadata()?.is_file() {
                file.set_len(*offset)?;
            }
            if *offset > 0 {
                file.seek(SeekFrom::Start(*offset))?;
            }
            Channel::from_fd(file.into(), interrupt)
        }
        Uri::Fd(name) => Channel::from_fd(descriptors.open(name)?, interrupt),
        Uri::Exec(command) => {
            let mut child = shell(command).stdin(Stdio::piped()).spawn()?;
            let pipe = child.stdin.take().ok_or_else(|| io::Error::other("the command has no standard input"))?;
            Ok(Channel::from_fd(OwnedFd::from(pipe), interrupt)?.with_child(child))
        }
    }
}

/// `/bin/sh -c COMMAND`, with nothing of ours but standard error.
pub(super) fn shell(command: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command);
    shell
}

fn connect_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => {
                // The last bytes of a migration are small writes, and the guest stands still while they wait.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
