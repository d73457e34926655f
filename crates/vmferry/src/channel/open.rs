//! Opening outgoing channels.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Command, Stdio};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::{Channel, Descriptors, Interrupt, Uri, connect};

/// Opens the outgoing end of `uri`.
///
/// # Errors
///
/// Nobody listens, the file cannot be written, the descriptor is unknown, the command cannot be started.
pub(crate) fn open(uri: &Uri, descriptors: &Descriptors, interrupt: Interrupt) -> io::Result<Channel> {
    match uri {
        Uri::Unix(path) => Channel::from_fd(connect::unix(path, &interrupt)?, interrupt),
        Uri::Tcp { host, port } => Channel::from_fd(connect::tcp(host, *port, &interrupt)?, interrupt),
        Uri::File { path, offset } => {
            let mut options = OpenOptions::new();
            // What the guest has in memory is nobody else's to read (docs/spec/mapped-ram.md section 5).
            options.write(true).create(true).truncate(false).mode(0o600);
            // A pipe that nobody reads is refused, instead of waiting for a reader.
            let mut file = options.custom_flags(libc::O_NONBLOCK).open(path)?;
            // A device has no length to cut, and a pipe no position.
            if file.metadata()?.is_file() {
                lock(&file)?;
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

/// Takes a file for writing, unless a guest runs from it: it would find other memory, or die at the cut.
fn lock(file: &File) -> io::Result<()> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "the file is in use: a guest that was restored by mapping it runs from it, or it is being written",
        )),
        // A file system without locks.
        Ok(()) | Err(_) => Ok(()),
    }
}

/// `/bin/sh -c COMMAND`, with nothing of ours but standard error.
pub(super) fn shell(command: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command);
    shell
}
