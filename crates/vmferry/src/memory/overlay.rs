//! Parts of a file in place of parts of guest memory, privately: a page is read when it is touched first, and a write
//! makes it this process's own. The file stays what it is.
//!
//! Whoever maps a file relies on it. A page that was not touched yet has what the file has when it is; one that is
//! behind the end of a file that was cut kills the process (SIGBUS).

#![expect(unsafe_code, reason = "mmap(2) over an address of guest memory")]

use std::io;
use std::os::fd::BorrowedFd;

use rustix::mm::{MapFlags, ProtFlags, mmap};
use vm_memory::MmapRegion;

use crate::dirty::DirtyBitmap;

/// Maps `len` bytes of `file` from position `at` on in place of those of `region` from `offset` on; all three are
/// multiples of the host's page.
///
/// # Errors
///
/// The range does not lie inside the region, something is no multiple of the host's page (`EINVAL`), the file cannot be
/// mapped, or the process has too many mappings (`ENOMEM`).
pub(super) fn map_private(
    region: &MmapRegion<DirtyBitmap>,
    offset: usize,
    len: usize,
    file: BorrowedFd<'_>,
    at: u64,
) -> io::Result<()> {
    let is_inside = offset.checked_add(len).is_some_and(|end| end <= region.size());
    if !is_inside || len == 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // A length that is none would be rounded up, beyond the range.
    let page = host_page_bytes();
    if [offset as u64, len as u64, at].iter().any(|number| !number.is_multiple_of(page)) {
        let text = format!("pages of this host have {page} bytes: {len} bytes at {at} of the file are not whole ones");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let address = region.as_ptr().wrapping_add(offset);
    let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
    // SAFETY: MAP_FIXED replaces what is mapped in the range. It lies inside `region` (checked above), which owns its
    // mapping, so nothing but guest memory is replaced; the kernel does it in one step, so the range is mapped,
    // readable and writable throughout, and unmapped with the region as before. All access to guest memory in this
    // process is volatile or by atomics, whose bytes may change at any time.
    let mapped = unsafe { mmap(address.cast(), len, ProtFlags::READ | ProtFlags::WRITE, flags, file, at) };
    mapped.map(drop).map_err(io::Error::from)
}

/// Bytes of a page of the host.
fn host_page_bytes() -> u64 {
    // SAFETY: sysconf(3) takes a number and returns one.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    // No page is as large as that: nothing is mapped where it is not told.
    u64::try_from(bytes).unwrap_or(1 << 63)
}
