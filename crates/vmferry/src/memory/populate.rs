//! Giving memory its pages before it is written, many at a time.
//!
//! The first write to a page of anonymous memory costs an exception, and a walk of the page tables with its locks. A
//! run of pages that is populated by one call ([`populate`]) pays for the walk once; a huge page ([`prefer_huge`]) pays
//! once for 512. The bytes stay what they are.

#![expect(unsafe_code, reason = "madvise(2) over raw guest pointers")]

use std::io;

use rustix::io::Errno;
use rustix::mm::{Advice, madvise};
use vm_memory::VolatileSlice;

/// Bytes of a huge page: the reach of one entry of the second level of page tables, on x86-64, and on AArch64 and
/// RISC-V with 4 KiB pages.
pub const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Populates `memory` for writing (`MADV_POPULATE_WRITE`, Linux 5.14).
///
/// Advice: where the kernel does not know it or has no memory left, the writes that follow do the same page by page, or
/// fail as they would have.
pub fn populate(memory: &VolatileSlice<'_, ()>) {
    advise(memory, Advice::LinuxPopulateWrite);
}

/// Gives `memory` pages of its own, with what they hold: of a file that is mapped privately, nothing is looked up any
/// more (`MADV_POPULATE_WRITE`).
///
/// # Errors
///
/// The kernel does not know it (before Linux 5.14), has no memory left, or the file was cut (`EFAULT`).
pub fn detach(memory: &VolatileSlice<'_, ()>) -> io::Result<()> {
    loop {
        match try_advise(memory, Advice::LinuxPopulateWrite) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// Lets the kernel give `memory` huge pages when it is written (`MADV_HUGEPAGE`, Linux 2.6.38).
///
/// The first write to a huge page populates all of it: for memory that will be written densely. Advice, as
/// [`populate`].
pub fn prefer_huge(memory: &VolatileSlice<'_, ()>) {
    advise(memory, Advice::LinuxHugepage);
}

fn advise(memory: &VolatileSlice<'_, ()>, advice: Advice) {
    if let Err(errno) = try_advise(memory, advice) {
        tracing::trace!(%errno, ?advice, "memory is populated as it is written");
    }
}

fn try_advise(memory: &VolatileSlice<'_, ()>, advice: Advice) -> Result<(), Errno> {
    let start = memory.ptr_guard_mut();
    // SAFETY: madvise(2) asks that the range be mapped, or it returns ENOMEM; it is, for the slice's lifetime. rustix
    // asks that the advice break nobody's view of the memory: both kinds that come here decide when and in which sizes
    // pages are allocated, with the bytes that a read would have found, and change none. An address that is not that of
    // a page is refused (EINVAL).
    unsafe { madvise(start.as_ptr().cast(), memory.len(), advice) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{MappedBlock, RamBlock as _, TARGET_PAGE};

    #[test]
    fn bytes_stay_what_they_are() {
        let block = MappedBlock::new("ram", 2 * HUGE_PAGE_BYTES).unwrap();
        block.write(5 * 4096 + 7, b"here").unwrap();
        let all = block.run(0, 2 * HUGE_PAGE_BYTES).unwrap();
        prefer_huge(&all);
        populate(&all);
        let mut bytes = vec![0xff; 2 * HUGE_PAGE_BYTES];
        block.read(0, &mut bytes).unwrap();
        let mut expected = vec![0; 2 * HUGE_PAGE_BYTES];
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
