//! Vectored output of headers and guest pages without copying either.
//!
//! `std::io::IoSlice` holds a `&[u8]`, which guest memory must never be; this module passes address and length to
//! `writev(2)` instead.

#![expect(unsafe_code, reason = "writev(2) over raw guest pointers")]

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use vm_memory::VolatileSlice;

/// Most parts of one [`write_vectored`] call: Linux's IOV_MAX (`include/uapi/linux/uio.h`, UIO_MAXIOV).
pub const PARTS_MAX: usize = 1024;

/// A list of memory ranges that are written one behind the other.
#[derive(Default)]
pub struct Parts<'a> {
    ranges: Vec<libc::iovec>,
    /// First range that is not written out yet.
    next: usize,
    bytes: usize,
    lifetime: PhantomData<VolatileSlice<'a, ()>>,
}

impl fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("ranges", &self.len()).field("bytes", &self.bytes).finish()
    }
}

impl<'a> Parts<'a> {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self { ranges: Vec::with_capacity(PARTS_MAX), next: 0, bytes: 0, lifetime: PhantomData }
    }

    /// Appends bytes of our own.
    pub fn push_bytes(&mut self, bytes: &'a [u8]) {
        // `iovec` is shared with readv(2), hence `*mut`; writev(2) only reads through it.
        self.push(bytes.as_ptr().cast_mut(), bytes.len());
    }

    /// Appends guest memory.
    pub fn push_guest(&mut self, memory: &VolatileSlice<'a, ()>) {
        self.push(memory.ptr_guard().as_ptr().cast_mut(), memory.len());
    }

    fn push(&mut self, base: *mut u8, len: usize) {
        if len > 0 {
            self.ranges.push(libc::iovec { iov_base: base.cast(), iov_len: len });
            self.bytes += len;
        }
    }

    /// Ranges that are not written out yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ranges.len() - self.next
    }

    /// Whether everything is written out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that are not written out yet.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Drops the first `written` bytes.
    fn advance(&mut self, mut written: usize) {
        self.bytes = self.bytes.saturating_sub(written);
        while let Some(range) = self.ranges.get_mut(self.next) {
            if written < range.iov_len {
                range.iov_base = range.iov_base.cast::<u8>().wrapping_add(written).cast();
                range.iov_len -= written;
                return;
            }
            written -= range.iov_len;
            self.next += 1;
        }
    }
}

/// Writes as much of `parts` as the descriptor takes at once, and drops it from the list.
///
/// # Errors
///
/// Those of `writev(2)`; a would-block of a non-blocking descriptor among them.
pub fn write_vectored(fd: BorrowedFd<'_>, parts: &mut Parts<'_>) -> io::Result<usize> {
    let ranges = parts.ranges.get(parts.next..).unwrap_or_default();
    let count = libc::c_int::try_from(ranges.len().min(PARTS_MAX)).unwrap_or(libc::c_int::MAX);
    // SAFETY: `fd` is open for the call. `ranges` has at least `count` entries. Each entry was made from a live slice
    // or volatile slice of lifetime 'a, which `parts` carries, so the memory is mapped; `advance` only moves an entry's
    // start forward within its length. The kernel only reads it; that a guest may write it meanwhile is allowed: the
    // kernel copies whatever it finds.
    let written = unsafe { libc::writev(fd.as_raw_fd(), ranges.as_ptr(), count) };
    let written = usize::try_from(written).map_err(|_| io::Error::last_os_error())?;
    parts.advance(written);
    Ok(written)
}

/// Writes as much of `parts` as the file takes at once, from position `at` on, and drops it from the list. The
/// descriptor's own position stays what it is.
///
/// # Errors
///
/// Those of `pwritev(2)`.
pub(crate) fn write_vectored_at(fd: BorrowedFd<'_>, parts: &mut Parts<'_>, at: u64) -> io::Result<usize> {
    let ranges = parts.ranges.get(parts.next..).unwrap_or_default();
    let count = libc::c_int::try_from(ranges.len().min(PARTS_MAX)).unwrap_or(libc::c_int::MAX);
    let at = libc::off_t::try_from(at).map_err(io::Error::other)?;
    // SAFETY: `fd` is open for the call; `ranges` has at least `count` entries, whose memory is as `write_vectored`
    // says. With O_DIRECT the device reads the memory itself, and has done so when the call returns.
    let written = unsafe { libc::pwritev(fd.as_raw_fd(), ranges.as_ptr(), count, at) };
    let written = usize::try_from(written).map_err(|_| io::Error::last_os_error())?;
    parts.advance(written);
    Ok(written)
}

/// Sends as much of `parts` as the socket takes at once, with the flags of `sendmsg(2)`, and drops it from the list.
///
/// # Errors
///
/// Those of `sendmsg(2)`; a would-block of a non-blocking socket among them.
pub(crate) fn send_vectored(fd: BorrowedFd<'_>, parts: &mut Parts<'_>, flags: libc::c_int) -> io::Result<usize> {
    let ranges = parts.ranges.get(parts.next..).unwrap_or_default();
    // SAFETY: all fields of `msghdr` are integers and pointers, for which zeros are valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    // sendmsg(2) only reads through it.
    message.msg_iov = ranges.as_ptr().cast_mut();
    message.msg_iovlen = ranges.len().min(PARTS_MAX) as _;
    // SAFETY: `fd` is open for the call; `message` has `msg_iovlen` entries of `ranges`, and neither address nor
    // control data. The entries' memory is as `write_vectored` says. With MSG_ZEROCOPY the kernel goes on reading
    // behind the call: it holds references to the pages themselves, so that they outlive even their mapping.
    let sent = unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, flags) };
    let sent = usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
    parts.advance(sent);
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_short_write_goes_on_where_it_stopped() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let blocks: Vec<Vec<u8>> =
            (0..700_u32).map(|i| vec![u8::try_from(i % 251).unwrap(); 1 + (i as usize * 37) % 5000]).collect();
        let mut parts = Parts::new();
        blocks.iter().for_each(|block| parts.push_bytes(block));
        let expected: Vec<u8> = blocks.concat();
        assert_eq!(parts.bytes(), expected.len());
        let mut received = Vec::new();
        let mut buffer = [0; 3000];
        while !parts.is_empty() {
            match write_vectored(ours.as_fd(), &mut parts) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let got = theirs.read(&mut buffer).unwrap();
                    received.extend_from_slice(&buffer[..got]);
                }
                Err(error) => panic!("{error}"),
            }
        }
        drop(ours);
        theirs.read_to_end(&mut received).unwrap();
        assert!(received == expected, "the bytes arrive in order and once");
    }
}
