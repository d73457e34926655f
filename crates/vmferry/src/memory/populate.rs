//! Giving memory its pages before it is written, many at a time.
//!
//! The first write to a page of anonymous memory costs an exception, and a walk of the page tables with its locks; a run
//! of pages that is populated by one call pays for the walk once. Nothing else changes: the bytes stay what they are.
//! Huge pages would save more where memory is at hand, but each populates 512 pages for the sake of one, and a virtual
//! host whose hypervisor takes free huge pages back pays for getting them again.

#![expect(unsafe_code, reason = "madvise(2) over raw guest pointers")]

use rustix::mm::{Advice, madvise};
use vm_memory::VolatileSlice;

/// Populates `memory` for writing (`MADV_POPULATE_WRITE`, Linux 5.14).
///
/// Advice: where the kernel does not know it or has no memory left, the writes that follow do the same page by page, or
/// fail as they would have.
pub fn populate(memory: &VolatileSlice<'_, ()>) {
    let start = memory.ptr_guard_mut();
    // SAFETY: madvise(2) asks that the range be mapped, or it returns ENOMEM; it is, for the slice's lifetime. rustix
    // asks that the advice break nobody's view of the memory: populating allocates pages with the bytes that a read
    // would have found, and neither moves nor changes any. An address that is not that of a page is refused with EINVAL.
    let advised = unsafe { madvise(start.as_ptr().cast(), memory.len(), Advice::LinuxPopulateWrite) };
    if let Err(errno) = advised {
        tracing::trace!(%errno, "memory is populated as it is written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{MappedBlock, RamBlock as _, TARGET_PAGE};

    #[test]
    fn bytes_stay_what_they_are() {
        let block = MappedBlock::new("ram", 16 * TARGET_PAGE).unwrap();
        block.write(5 * 4096 + 7, b"here").unwrap();
        populate(&block.run(0, 16 * TARGET_PAGE).unwrap());
        let mut bytes = vec![0xff; 16 * TARGET_PAGE];
        block.read(0, &mut bytes).unwrap();
        let mut expected = vec![0; 16 * TARGET_PAGE];
        expected[5 * 4096 + 7..][..4].copy_from_slice(b"here");
        assert!(bytes == expected);
    }

    #[test]
    fn what_is_not_whole_pages_is_left_alone() {
        let block = MappedBlock::new("ram", 2 * TARGET_PAGE).unwrap();
        populate(&block.run(8, TARGET_PAGE).unwrap());
        let mut byte = [0xff];
        block.read(8, &mut byte).unwrap();
        assert_eq!(byte, [0]);
    }
}
