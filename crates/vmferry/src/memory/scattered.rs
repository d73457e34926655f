//! Vectored input into guest pages without a copy between.
//!
//! `std::io::IoSliceMut` holds a `&mut [u8]`, which guest memory must never be; this module passes address and length
//! to `readv(2)` instead.

#![expect(unsafe_code, reason = "readv(2) into raw guest pointers")]

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use vm_memory::VolatileSlice;

use super::vectored::PARTS_MAX;

/// A list of memory ranges that are filled one behind the other.
#[derive(Default)]
pub struct Places<'a> {
    ranges: Vec<libc::iovec>,
    /// First range that is not full yet.
    next: usize,
    bytes: usize,
    lifetime: PhantomData<(VolatileSlice<'a, ()>, &'a mut [u8])>,
}

impl fmt::Debug for Places<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places").field("ranges", &self.ranges.len()).field("bytes", &self.bytes).finish()
    }
}

impl<'a> Places<'a> {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends bytes of our own.
    pub fn push_bytes(&mut self, bytes: &'a mut [u8]) {
        self.push(bytes.as_mut_ptr(), bytes.len());
    }

    /// Appends guest memory.
    pub fn push_guest(&mut self, memory: &VolatileSlice<'a, ()>) {
        self.push(memory.ptr_guard_mut().as_ptr(), memory.len());
    }

    fn push(&mut self, base: *mut u8, len: usize) {
        if len > 0 {
            self.ranges.push(libc::iovec { iov_base: base.cast(), iov_len: len });
            self.bytes += len;
        }
    }

    /// Bytes that are not filled yet.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Drops the first `filled` bytes.
    fn advance(&mut self, mut filled: usize) {
        self.bytes = self.bytes.saturating_sub(filled);
        while let Some(range) = self.ranges.get_mut(self.next) {
            if filled < range.iov_len {
                range.iov_base = range.iov_base.cast::<u8>().wrapping_add(filled).cast();
                range.iov_len -= filled;
                return;
            }
            filled -= range.iov_len;
            self.next += 1;
        }
    }
}

/// Reads as much into `places` as the descriptor has at once, and drops what is filled from the list; 0 at the end of
/// the input.
///
/// # Errors
///
/// Those of `readv(2)`; a would-block of a non-blocking descriptor among them.
pub fn read_scattered(fd: BorrowedFd<'_>, places: &mut Places<'_>) -> io::Result<usize> {
    let ranges = places.ranges.get(places.next..).unwrap_or_default();
    let count = libc::c_int::try_from(ranges.len().min(PARTS_MAX)).unwrap_or(libc::c_int::MAX);
    // SAFETY: `fd` is open for the call. `ranges` has at least `count` entries. Each entry was made from a live mutable
    // slice, which nobody else holds for 'a, or from a volatile slice of lifetime 'a; `places` carries both lifetimes,
    // so the memory is mapped and writable; `advance` only moves an entry's start forward within its length. The kernel
    // writes only there. Guest memory is accessed by others through volatile slices and atomics only, so that bytes may
    // change under them.
    let filled = unsafe { libc::readv(fd.as_raw_fd(), ranges.as_ptr(), count) };
    let filled = usize::try_from(filled).map_err(|_| io::Error::last_os_error())?;
    places.advance(filled);
    Ok(filled)
}

/// Reads as much into `places` as the file has at once, from position `at` on, and drops what is filled from the list;
/// 0 at the end of the file. The descriptor's own position stays what it is.
///
/// # Errors
///
/// Those of `preadv(2)`.
pub(crate) fn read_scattered_at(fd: BorrowedFd<'_>, places: &mut Places<'_>, at: u64) -> io::Result<usize> {
    let ranges = places.ranges.get(places.next..).unwrap_or_default();
    let count = libc::c_int::try_from(ranges.len().min(PARTS_MAX)).unwrap_or(libc::c_int::MAX);
    let at = libc::off_t::try_from(at).map_err(io::Error::other)?;
    // SAFETY: `fd` is open for the call; `ranges` has at least `count` entries, whose memory is as `read_scattered`
    // says. With O_DIRECT the device writes the memory itself, and has done so when the call returns.
    let filled = unsafe { libc::preadv(fd.as_raw_fd(), ranges.as_ptr(), count, at) };
    let filled = usize::try_from(filled).map_err(|_| io::Error::last_os_error())?;
    places.advance(filled);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::memory::{MappedBlock, RamBlock as _};

    #[test]
    fn a_short_read_goes_on_where_it_stopped() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let octets: Vec<u8> = (0..20_000_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let block = MappedBlock::new("ram", 16 << 12).unwrap();
        let (mut head, mut tail) = ([0; 100], [0; 200]);
        let (first, second) = (block.run(8192, 12_288).unwrap(), block.run(0, 4096).unwrap());
        let mut places = Places::new();
        places.push_bytes(&mut head);
        places.push_guest(&first);
        places.push_guest(&second);
        places.push_bytes(&mut tail);
        let total = places.bytes();
        let mut filled = 0;
        for part in octets[..total].chunks(3001) {
            ours.write_all(part).unwrap();
            filled += read_scattered(theirs.as_fd(), &mut places).unwrap();
        }
        assert_eq!((filled, places.bytes()), (total, 0));
        let mut pages = vec![0; 12_288 + 4096];
        block.read(8192, &mut pages[..12_288]).unwrap();
        block.read(0, &mut pages[12_288..]).unwrap();
        assert!([&head[..], &pages, &tail].concat() == octets[..total]);
        drop(ours);
        let mut more = [0; 8];
        let mut places = Places::new();
        places.push_bytes(&mut more);
        assert_eq!(read_scattered(theirs.as_fd(), &mut places).unwrap(), 0, "the end");
    }
}
