//! Asynchronous write protection of memory (userfaultfd with `UFFD_FEATURE_WP_ASYNC`, Linux 6.7).
//!
//! The first write to a protected page is noted by the kernel, which lifts the protection by itself: nobody is asked,
//! and no thread waits. [`Pagemap::scan`](crate::memory::pagemap::Pagemap::scan) takes the notes and protects again.
//!
//! Source: `Documentation/admin-guide/mm/userfaultfd.rst` of Linux, section "Write Protect Notifications".

#![expect(unsafe_code, reason = "userfaultfd(2) and its ioctl(2) requests")]

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use linux_raw_sys::general::{
    UFFD_API, UFFD_FEATURE_WP_ASYNC, UFFD_FEATURE_WP_HUGETLBFS_SHMEM, UFFDIO_REGISTER_MODE_WP, uffdio_api,
    uffdio_range, uffdio_register,
};
use linux_raw_sys::ioctl::{UFFDIO_API, UFFDIO_REGISTER};
use rustix::io::Errno;
use rustix::mm::{UserfaultfdFlags, userfaultfd};
use vm_memory::VolatileSlice;

/// `UFFD_USER_MODE_ONLY` of `include/uapi/linux/userfaultfd.h`: what a process without privileges may ask for. Writes
/// by the kernel are noted with it as well, since a note asks nobody.
const USER_MODE_ONLY: u32 = 1;

// `include/uapi/linux/userfaultfd.h`.
const _: () = assert!(size_of::<uffdio_api>() == 24 && size_of::<uffdio_register>() == 32);

/// Memory whose writes are noted; the notes end with it.
#[derive(Debug)]
pub struct WpAsync {
    descriptor: OwnedFd,
}

impl WpAsync {
    /// Prepares for [`WpAsync::register`].
    ///
    /// # Errors
    ///
    /// The kernel has no userfaultfd, or one without the feature (`EINVAL`).
    pub fn new() -> io::Result<Self> {
        let flags = UserfaultfdFlags::CLOEXEC | UserfaultfdFlags::NONBLOCK;
        // SAFETY: userfaultfd(2) makes a descriptor and touches no memory. rustix marks it unsafe because memory that
        // is registered may be filled by whoever holds it: this module only registers for asynchronous write
        // protection, with which the kernel never asks for bytes.
        let descriptor = match unsafe { userfaultfd(flags) } {
            Err(Errno::PERM) => {
                // SAFETY: as above, with one flag more.
                unsafe { userfaultfd(flags | UserfaultfdFlags::from_bits_retain(USER_MODE_ONLY)) }
            }
            other => other,
        }?;
        let mut api = uffdio_api {
            api: u64::from(UFFD_API),
            features: u64::from(UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_HUGETLBFS_SHMEM),
            ioctls: 0,
        };
        // SAFETY: the descriptor is open and a userfaultfd's, so the request number means a `uffdio_api`, which `api`
        // is; the kernel reads and writes it and nothing else.
        let done = unsafe { libc::ioctl(descriptor.as_raw_fd(), libc::c_ulong::from(UFFDIO_API), &raw mut api) };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(Self { descriptor }) }
    }

    /// Lets writes to `memory` be noted once it is protected. It starts and ends at a page of the host, and is unmapped
    /// no earlier than this is dropped, or nothing is noted of what takes its place.
    ///
    /// # Errors
    ///
    /// The memory is of a kind that cannot be protected: a private mapping of a file, for instance.
    pub fn register(&self, memory: &VolatileSlice<'_, ()>) -> io::Result<()> {
        let mut register = uffdio_register {
            range: uffdio_range { start: memory.ptr_guard_mut().as_ptr().addr() as u64, len: memory.len() as u64 },
            mode: u64::from(UFFDIO_REGISTER_MODE_WP),
            ioctls: 0,
        };
        // SAFETY: as for UFFDIO_API, with a `uffdio_register`. The range is that of a live mapping; registering changes
        // none of its bytes, and no access to it ever waits, since the descriptor has the asynchronous feature.
        let done = unsafe {
            libc::ioctl(self.descriptor.as_raw_fd(), libc::c_ulong::from(UFFDIO_REGISTER), &raw mut register)
        };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
