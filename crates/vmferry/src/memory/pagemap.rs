//! The kernel's scan of its own page tables: which pages of a mapping have a property (`PAGEMAP_SCAN`, Linux 6.7).
//!
//! One call walks any length of memory, skips what has no page tables, and answers in ranges. It costs nothing for
//! memory that was never touched, and a few nanoseconds a page otherwise.
//!
//! Source: `Documentation/admin-guide/mm/pagemap.rst` of Linux, section "Pagemap Scan IOCTL".

#![expect(unsafe_code, reason = "an ioctl(2) with a structure of addresses")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

use linux_raw_sys::general::{
    PAGE_IS_PFNZERO, PAGE_IS_PRESENT, PAGE_IS_SWAPPED, PAGE_IS_WRITTEN, PM_SCAN_CHECK_WPASYNC, PM_SCAN_WP_MATCHING,
    page_region, pm_scan_arg,
};
use vm_memory::VolatileSlice;

/// `PAGEMAP_SCAN` of `include/uapi/linux/fs.h`: `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: libc::c_ulong = 0xc060_6610;

// The layout that the number above encodes the size of.
const _: () = assert!(size_of::<pm_scan_arg>() == 0x60 && size_of::<page_region>() == 24);

/// Ranges of one call.
const RANGES: usize = 512;

/// What to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    /// Pages that hold something: present or swapped out, and not the kernel's page of zeros.
    Populated,
    /// Pages that were written since they were protected, which protects them again in the same step. The memory must
    /// be registered for asynchronous write protection ([`crate::dirty::wp_async`]).
    TakeWritten,
}

/// The page tables of this process.
#[derive(Debug)]
pub struct Pagemap {
    file: File,
}

impl Pagemap {
    /// Opens them.
    ///
    /// # Errors
    ///
    /// There is no `/proc`, or the process may not read it.
    pub fn open() -> io::Result<Self> {
        Ok(Self { file: File::open("/proc/self/pagemap")? })
    }

    /// Calls `found` with the start and length, in bytes from the start of `memory`, of each range of pages that has
    /// what `scan` looks for, in order. `memory` starts and ends at a page of the host.
    ///
    /// # Errors
    ///
    /// The kernel does not know the call (`ENOTTY`), or the memory is not registered (`EPERM`).
    pub fn scan(
        &self,
        memory: &VolatileSlice<'_, ()>,
        scan: Scan,
        mut found: impl FnMut(usize, usize),
    ) -> io::Result<()> {
        let zero = u64::from(PAGE_IS_PFNZERO);
        let held = u64::from(PAGE_IS_PRESENT | PAGE_IS_SWAPPED);
        let written = u64::from(PAGE_IS_WRITTEN);
        let start = memory.ptr_guard().as_ptr().addr() as u64;
        let end = start.saturating_add(memory.len() as u64);
        let mut ranges = [page_region { start: 0, end: 0, categories: 0 }; RANGES];
        let mut arg = pm_scan_arg {
            size: size_of::<pm_scan_arg>() as u64,
            flags: 0,
            start,
            end,
            walk_end: start,
            vec: ranges.as_mut_ptr().expose_provenance() as u64,
            vec_len: RANGES as u64,
            max_pages: 0,
            // Inverted and asked for: the page of zeros is left out. What was never touched has no category at all.
            category_inverted: zero,
            category_mask: zero,
            category_anyof_mask: held,
            return_mask: held,
        };
        if scan == Scan::TakeWritten {
            arg.flags = u64::from(PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC);
            // Without `held`, memory without pages counts as written once, and gets page tables for its protection.
            (arg.category_mask, arg.return_mask) = (zero | written, written);
        }
        while arg.start < end {
            // SAFETY: the descriptor is open for the call and is that of a pagemap, so the request number means the
            // structure whose size is asserted above; `arg` is one, and its `vec` and `vec_len` name `ranges`, which
            // lives and is not borrowed otherwise. The kernel writes both, within these bounds. It reads and changes
            // page tables only: the scanned bytes stay what they are, and a protection that it sets is lifted by the
            // kernel itself at the next write, since PM_SCAN_CHECK_WPASYNC refuses memory where somebody would be
            // asked.
            let count = unsafe { libc::ioctl(self.file.as_raw_fd(), PAGEMAP_SCAN, &raw mut arg) };
            let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
            for range in ranges.iter().take(count) {
                let (from, to) = (range.start.saturating_sub(start), range.end.saturating_sub(start));
                if let (Ok(from), Ok(len)) = (usize::try_from(from), usize::try_from(to.saturating_sub(from))) {
                    found(from, len);
                }
            }
            if arg.walk_end <= arg.start {
                return Err(io::Error::other("the scan of page tables makes no progress"));
            }
            arg.start = arg.walk_end;
        }
        Ok(())
    }
}
