//! The pages that the kernel shares through a vCPU's descriptor, as atomics.
//!
//! | page | what | source |
//! |---|---|---|
//! | 0 | `struct kvm_run`, of which byte 1 is `immediate_exit` | `include/uapi/linux/kvm.h`, Linux 4.13 |
//! | 64 … | the dirty ring (`KVM_DIRTY_LOG_PAGE_OFFSET` on x86) | the same, Linux 5.11 |
//!
//! `kvm-ioctls` maps page 0 for the thread that runs the vCPU. The mapping here is a second one, for those who want the
//! vCPU to stop; the ring is mapped by nobody else.

#![expect(unsafe_code, reason = "mmap(2) of a vCPU's descriptor; kvm-ioctls offers no shared view of these pages")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU32};
use std::{ptr, slice};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Bytes of a page of the mapping's offsets.
const PAGE: u64 = 4096;

/// Pages of a vCPU's descriptor.
#[derive(Debug)]
pub(crate) struct VcpuMapping {
    /// Start of a mapping of `bytes` bytes that lives until this is dropped.
    start: NonNull<AtomicU32>,
    bytes: usize,
}

// SAFETY: the pages are reached through atomics only, which threads may share.
unsafe impl Send for VcpuMapping {}
// SAFETY: as above.
unsafe impl Sync for VcpuMapping {}

impl VcpuMapping {
    /// Maps `bytes` bytes from page `first_page` of `vcpu` on.
    pub(crate) fn new(vcpu: &impl AsRawFd, first_page: u64, bytes: usize) -> io::Result<Self> {
        // SAFETY: the descriptor is open, since `vcpu` owns it and is borrowed for longer than this borrow is used.
        let fd = unsafe { BorrowedFd::borrow_raw(vcpu.as_raw_fd()) };
        let flags = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: the address is left to the kernel, so no mapping of the process is touched. The pages are shared with
        // the kernel alone: whatever this process reads and writes there goes through the atomics that this type lends.
        let start = unsafe { mmap(ptr::null_mut(), bytes, flags.0, flags.1, fd, first_page * PAGE) }?;
        // mmap(2) does not map page 0 unless asked to.
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { start, bytes })
    }

    /// The pages as words.
    pub(crate) fn words(&self) -> &[AtomicU32] {
        // SAFETY: the mapping has `bytes` bytes, is aligned to a page and lives as long as `self`. An AtomicU32 has the
        // layout of a u32, of which every bit pattern is valid, and may be written by others, here the kernel.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.bytes / size_of::<AtomicU32>()) }
    }

    /// `immediate_exit` of `struct kvm_run`; `None` if page 0 was not mapped.
    pub(crate) fn immediate_exit(&self) -> Option<&AtomicU8> {
        const IMMEDIATE_EXIT: usize = std::mem::offset_of!(kvm_bindings::kvm_run, immediate_exit);
        const { assert!(IMMEDIATE_EXIT == 1) };
        if IMMEDIATE_EXIT >= self.bytes {
            return None;
        }
        // SAFETY: the offset lies inside the mapping (checked above), which lives as long as `self`; an AtomicU8 has
        // the layout of a u8 and no alignment. The word that the byte is part of is never borrowed as one of `words`
        // for this page: who maps page 0 asks for this byte only.
        Some(unsafe { &*self.start.as_ptr().cast::<AtomicU8>().add(IMMEDIATE_EXIT) })
    }
}

impl Drop for VcpuMapping {
    fn drop(&mut self) {
        // SAFETY: the range is exactly the mapping that `new` made; nobody else unmaps it, and what was lent of it was
        // borrowed from `self`.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
        if let Err(errno) = unmapped {
            tracing::debug!(%errno, "pages of a vCPU stay mapped");
        }
    }
}
