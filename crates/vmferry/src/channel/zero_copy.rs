//! Sending guest memory to a TCP socket without a copy in the kernel (`MSG_ZEROCOPY`, Linux 4.14).
//!
//! The kernel keeps the pages and tells on the socket's error queue when it is done with each call, and whether it
//! copied after all (Documentation/networking/msg_zerocopy.rst of the kernel). A page that the guest writes meanwhile
//! may arrive torn; it is dirty again then.

#![expect(unsafe_code, reason = "sendmsg(2) over raw guest pointers, and the socket's error queue")]

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};

use rustix::event::PollFlags;

use super::Channel;
use crate::memory::vectored::{Parts, send_vectored};

/// Origin and code of an entry of the error queue (`include/uapi/linux/errqueue.h`, Linux 4.14).
const ORIGIN_ZEROCOPY: u8 = 5;
/// The kernel copied after all.
const CODE_COPIED: u8 = 1;

/// What is under way on one socket.
#[derive(Debug, Default)]
pub(crate) struct ZeroCopy {
    /// Calls that the kernel has not told about.
    under_way: u64,
    has_copied: bool,
}

impl ZeroCopy {
    /// Turns it on for the socket of `channel`.
    ///
    /// # Errors
    ///
    /// The socket is none of TCP, or the kernel does not know it.
    pub(crate) fn enable(channel: &Channel) -> io::Result<Self> {
        let on: libc::c_int = 1;
        let len = libc::socklen_t::try_from(size_of_val(&on)).unwrap_or_default();
        // SAFETY: the descriptor is open for the call; the option's value is a live c_int of that length, only read.
        let result = unsafe {
            libc::setsockopt(
                channel.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ZEROCOPY,
                (&raw const on).cast(),
                len,
            )
        };
        if result == 0 { Ok(Self::default()) } else { Err(io::Error::last_os_error()) }
    }

    /// Writes all of `parts`, whose memory stays mapped until [`ZeroCopy::finish`] has returned.
    ///
    /// # Errors
    ///
    /// As [`Channel::write_parts`]; the process may not lock as much memory as one call has.
    pub(crate) fn write_parts(&mut self, channel: &Channel, parts: &mut Parts<'_>) -> io::Result<()> {
        while !parts.is_empty() {
            self.hear(channel.as_fd())?;
            match send_vectored(channel.as_fd(), parts, libc::MSG_ZEROCOPY | libc::MSG_NOSIGNAL) {
                Ok(_) => self.under_way += 1,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    channel.interrupt().wait(channel.as_fd(), PollFlags::OUT)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The memory that may be locked is used up; what is under way gives some back.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) && self.under_way > 0 => {
                    self.wait(channel)?
                }
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    let text = format!("{error}: zero-copy-send needs more locked memory (ulimit -l)");
                    return Err(io::Error::new(error.kind(), text));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits until the kernel is done with all that was written; whether it copied any of it since the last time.
    ///
    /// # Errors
    ///
    /// The peer went away, or the interrupt was raised.
    pub(crate) fn finish(&mut self, channel: &Channel) -> io::Result<bool> {
        self.hear(channel.as_fd())?;
        while self.under_way > 0 {
            self.wait(channel)?;
        }
        Ok(std::mem::take(&mut self.has_copied))
    }

    fn wait(&mut self, channel: &Channel) -> io::Result<()> {
        // The error queue shows as an error, which is always waited for.
        channel.interrupt().wait(channel.as_fd(), PollFlags::empty())?;
        let before = self.under_way;
        self.hear(channel.as_fd())?;
        if self.under_way == before {
            // It is a real error, or the end of the connection.
            rustix::net::sockopt::socket_error(channel.as_fd())??;
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    }

    /// Takes what the kernel has told so far.
    fn hear(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        while self.under_way > 0
            && let Some(Done { calls, copied }) = next_done(fd)?
        {
            self.under_way = self.under_way.saturating_sub(calls);
            self.has_copied |= copied;
        }
        Ok(())
    }
}

/// What the kernel is done with.
struct Done {
    calls: u64,
    copied: bool,
}

/// Room for one control message of the error queue: its header, the error, and the address behind it.
const CONTROL_BYTES: usize = 128;

/// The next entry of the socket's error queue, if there is one.
fn next_done(fd: BorrowedFd<'_>) -> io::Result<Option<Done>> {
    /// Aligned as control messages are.
    #[repr(align(8))]
    struct Control([u8; CONTROL_BYTES]);

    let mut control = Control([0; CONTROL_BYTES]);
    // SAFETY: all fields of `msghdr` are integers and pointers, for which zeros are valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = CONTROL_BYTES as _;
    // SAFETY: the descriptor is open for the call. `message` names no address and no data, and a control buffer of
    // `msg_controllen` live, writable octets; the kernel writes only there and into `message`.
    let received = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT) };
    if received < 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) };
    }
    // SAFETY: `message` was filled by the call above; CMSG_FIRSTHDR gives null or a header that lies in its buffer,
    // which lives and is aligned for it. CMSG_DATA points at what follows; `cmsg_len` says how much, which is
    // compared with the structure before that is read, unaligned, from octets that the kernel wrote.
    let error = unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        let wanted = libc::CMSG_LEN(u32::try_from(size_of::<libc::sock_extended_err>()).unwrap_or(u32::MAX));
        if header.is_null() || ((*header).cmsg_len as u64) < u64::from(wanted) {
            return Err(io::Error::other("an entry of the socket's error queue has no error"));
        }
        libc::CMSG_DATA(header).cast::<libc::sock_extended_err>().read_unaligned()
    };
    if error.ee_errno != 0 || error.ee_origin != ORIGIN_ZEROCOPY {
        return Err(io::Error::from_raw_os_error(i32::try_from(error.ee_errno).unwrap_or(libc::EIO)));
    }
    // Numbers of calls, the first and the last, which wrap.
    let calls = u64::from(error.ee_data.wrapping_sub(error.ee_info)) + 1;
    Ok(Some(Done { calls, copied: error.ee_code == CODE_COPIED }))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;
    use crate::channel::Interrupt;
    use crate::memory::{MappedBlock, RamBlock as _};

    #[test]
    fn octets_arrive_in_order_and_the_kernel_tells_when_it_is_done() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut theirs, _) = listener.accept().unwrap();
        let channel = Channel::from_fd(ours.into(), Interrupt::new().unwrap()).unwrap();
        let mut zero_copy = ZeroCopy::enable(&channel).unwrap();
        let block = MappedBlock::new("ram", 4 << 20).unwrap();
        let octets: Vec<u8> = (0..4 << 20_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
        block.write(0, &octets).unwrap();
        let reader = thread::spawn(move || {
            let mut received = Vec::new();
            theirs.read_to_end(&mut received).unwrap();
            received
        });
        for offset in (0..4_u64 << 20).step_by(512 << 10) {
            let memory = block.run(offset, 512 << 10).unwrap();
            let mut parts = Parts::new();
            parts.push_guest(&memory);
            zero_copy.write_parts(&channel, &mut parts).unwrap();
        }
        // Over loopback the kernel copies; elsewhere it may not.
        let copied = zero_copy.finish(&channel).unwrap();
        println!("copied: {copied}");
        assert_eq!(zero_copy.under_way, 0);
        assert!(!zero_copy.finish(&channel).unwrap(), "told once");
        channel.shut_down();
        assert!(reader.join().unwrap() == octets);
    }

    #[test]
    fn a_unix_socket_has_no_such_thing() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let channel = Channel::from_fd(ours.into(), Interrupt::new().unwrap()).unwrap();
        assert!(ZeroCopy::enable(&channel).is_err());
    }
}
