//! Write protection that asks: whoever writes to protected memory waits until this process lets it (userfaultfd, Linux
//! 5.7; of shared memory 5.19; of memory that was never populated 6.4).
//!
//! ```text
//! register ─► protect ─► a thread writes ─► it waits; next_faults tells where ─► unprotect ─► it goes on
//! ```
//!
//! Writes of the kernel wait as well, those of a hypervisor's vCPUs among them. Reads go on.
//!
//! Source: `Documentation/admin-guide/mm/userfaultfd.rst` of Linux, section "Write Protect Notifications".

#![expect(unsafe_code, reason = "userfaultfd(2) and its ioctl(2) requests")]

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use linux_raw_sys::general::{
    UFFD_API, UFFD_EVENT_PAGEFAULT, UFFD_FEATURE_PAGEFAULT_FLAG_WP, UFFD_FEATURE_WP_HUGETLBFS_SHMEM,
    UFFD_FEATURE_WP_UNPOPULATED, UFFDIO_REGISTER_MODE_WP, uffd_msg, uffdio_api, uffdio_range, uffdio_register,
    uffdio_writeprotect,
};
use linux_raw_sys::ioctl::{UFFDIO_API, UFFDIO_REGISTER, UFFDIO_UNREGISTER, UFFDIO_WAKE, UFFDIO_WRITEPROTECT};
use rustix::io::Errno;
use rustix::mm::{UserfaultfdFlags, userfaultfd};
use vm_memory::VolatileSlice;

/// `USERFAULTFD_IOC_NEW` of `include/uapi/linux/userfaultfd.h`: `_IO(0xAA, 0x00)`.
const USERFAULTFD_IOC_NEW: libc::c_ulong = 0xaa00;

/// `UFFDIO_WRITEPROTECT_MODE_WP` of the same header.
const WRITEPROTECT_MODE_WP: u64 = 1;

// `include/uapi/linux/userfaultfd.h`; the request numbers encode these sizes.
const _: () = assert!(size_of::<uffdio_api>() == 24 && size_of::<uffdio_register>() == 32);
const _: () = assert!(size_of::<uffdio_range>() == 16 && size_of::<uffdio_writeprotect>() == 24);
const _: () = assert!(size_of::<uffd_msg>() == MESSAGE_BYTES);

/// Octets of one message of the kernel: event at 0, of a fault the address at 16.
const MESSAGE_BYTES: usize = 32;

/// Messages of one read.
const MESSAGES: usize = 64;

/// What protecting memory needs of the kernel.
const FEATURES: u32 = UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_WP_UNPOPULATED;

/// Memory whose writers can be made to wait. Dropping it lets all of them go on.
///
/// Whoever protects memory serves its faults, or the writers wait for ever.
#[derive(Debug)]
pub struct Userfault {
    descriptor: OwnedFd,
    regions: Mutex<Vec<Region>>,
}

#[derive(Debug, Clone, Copy)]
struct Region {
    start: u64,
    len: u64,
}

/// A place at which somebody waits to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Number of the region, in the order in which they were registered.
    pub region: usize,
    /// Offset in it, in bytes.
    pub offset: u64,
}

impl Userfault {
    /// Prepares for [`Userfault::register`].
    ///
    /// # Errors
    ///
    /// The kernel has no userfaultfd, one without a feature that is needed, or does not give it to this process. The
    /// text says which, and what helps.
    pub fn new() -> io::Result<Self> {
        let descriptor = open()?;
        let mut api = uffdio_api { api: u64::from(UFFD_API), features: u64::from(FEATURES), ioctls: 0 };
        // SAFETY: the descriptor is open and a userfaultfd's, so the request number means a `uffdio_api`, which `api`
        // is; the kernel reads and writes it and nothing else.
        let done = unsafe { libc::ioctl(descriptor.as_raw_fd(), libc::c_ulong::from(UFFDIO_API), &raw mut api) };
        if done < 0 {
            let errno = io::Error::last_os_error();
            let text = "userfaultfd cannot protect memory that was never populated: that needs Linux 6.4";
            return Err(io::Error::new(errno.kind(), format!("{text} ({errno})")));
        }
        Ok(Self { descriptor, regions: Mutex::default() })
    }

    /// Makes it possible to protect `memory`, which starts and ends at a page of the host and stays mapped while this
    /// lives. Returns the number of the region.
    ///
    /// # Errors
    ///
    /// The memory is of a kind that cannot be protected (a private mapping of a file, `EINVAL`), or somebody else has
    /// registered it (`EBUSY`).
    pub fn register(&self, memory: &VolatileSlice<'_, ()>) -> io::Result<usize> {
        let region = Region { start: memory.ptr_guard_mut().as_ptr().addr() as u64, len: memory.len() as u64 };
        let mut register = uffdio_register {
            range: uffdio_range { start: region.start, len: region.len },
            mode: u64::from(UFFDIO_REGISTER_MODE_WP),
            ioctls: 0,
        };
        // SAFETY: as for UFFDIO_API, with a `uffdio_register`. The range is that of a live mapping; registering changes
        // none of its bytes.
        let done = unsafe {
            libc::ioctl(self.descriptor.as_raw_fd(), libc::c_ulong::from(UFFDIO_REGISTER), &raw mut register)
        };
        if done < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut regions = self.regions();
        regions.push(region);
        Ok(regions.len() - 1)
    }

    /// Lets writers wait at `len` bytes from `offset` of a region, whole pages of the host; memory without pages is
    /// protected as well.
    ///
    /// # Errors
    ///
    /// There is no such region, or the kernel lacks memory for page tables.
    pub fn protect(&self, region: usize, offset: u64, len: u64) -> io::Result<()> {
        self.write_protect(region, offset, len, WRITEPROTECT_MODE_WP)
    }

    /// Lets writers go on, and wakes those that wait.
    ///
    /// # Errors
    ///
    /// There is no such region.
    pub fn unprotect(&self, region: usize, offset: u64, len: u64) -> io::Result<()> {
        self.write_protect(region, offset, len, 0)
    }

    /// Wakes writers that wait: those whose place is not protected any more go on, the others wait anew and are told
    /// of once more.
    ///
    /// A writer can begin to wait behind the [`Userfault::unprotect`] that should have woken it (seen of shared memory,
    /// Linux 6.18). Whoever is told of a place that was unprotected before therefore wakes it.
    ///
    /// # Errors
    ///
    /// There is no such region.
    pub fn wake(&self, region: usize, offset: u64, len: u64) -> io::Result<()> {
        let mut range = self.range(region, offset, len)?;
        // SAFETY: as for UFFDIO_API, with a `uffdio_range`; the request wakes threads and touches no memory.
        let done =
            unsafe { libc::ioctl(self.descriptor.as_raw_fd(), libc::c_ulong::from(UFFDIO_WAKE), &raw mut range) };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Where that is in this process.
    fn range(&self, region: usize, offset: u64, len: u64) -> io::Result<uffdio_range> {
        let Region { start, len: whole } = self.regions().get(region).copied().ok_or(io::ErrorKind::InvalidInput)?;
        if offset.checked_add(len).is_none_or(|end| end > whole) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(uffdio_range { start: start + offset, len })
    }

    fn write_protect(&self, region: usize, offset: u64, len: u64, mode: u64) -> io::Result<()> {
        let mut arg = uffdio_writeprotect { range: self.range(region, offset, len)?, mode };
        loop {
            // SAFETY: as for UFFDIO_API, with a `uffdio_writeprotect`. The range lies inside a registered mapping; the
            // request changes page tables and none of the bytes, and an access that it makes wait is one of this
            // process, which is what the caller asked for.
            let done = unsafe {
                libc::ioctl(self.descriptor.as_raw_fd(), libc::c_ulong::from(UFFDIO_WRITEPROTECT), &raw mut arg)
            };
            if done >= 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            // The mappings of the process are changing at this moment.
            if error.raw_os_error() != Some(libc::EAGAIN) {
                return Err(error);
            }
        }
    }

    /// Takes the faults that are there into `faults`; false if there were none. [`Userfault::as_fd`] becomes readable
    /// with the first one.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn next_faults(&self, faults: &mut Vec<Fault>) -> io::Result<bool> {
        let mut messages = [0; MESSAGES * MESSAGE_BYTES];
        let read = match rustix::io::read(&self.descriptor, &mut messages) {
            Ok(read) => read,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
            Err(errno) => return Err(errno.into()),
        };
        let regions = self.regions();
        for message in messages.get(..read).unwrap_or_default().chunks_exact(MESSAGE_BYTES) {
            let Some((event, address)) = message.first().zip(message.get(16..).and_then(<[u8]>::first_chunk)) else {
                continue;
            };
            let address = u64::from_ne_bytes(*address);
            let holds = |region: &Region| address.wrapping_sub(region.start) < region.len;
            if u32::from(*event) == UFFD_EVENT_PAGEFAULT
                && let Some((number, region)) = regions.iter().enumerate().find(|(_, region)| holds(region))
            {
                faults.push(Fault { region: number, offset: address - region.start });
            }
        }
        Ok(read > 0)
    }

    /// Ends all protection and wakes whoever waits; afterwards nothing is registered.
    pub fn release(&self) {
        let count = self.regions().len();
        for number in 0..count {
            // Unregistering wakes nobody who waits to write.
            let whole = self.regions().get(number).map_or(0, |region| region.len);
            if let Err(error) = self.unprotect(number, 0, whole) {
                tracing::debug!(%error, "memory could not be unprotected");
            }
        }
        for Region { start, len } in std::mem::take(&mut *self.regions()) {
            let mut range = uffdio_range { start, len };
            // SAFETY: as for UFFDIO_API, with a `uffdio_range`, which names a registered mapping; the request changes
            // none of its bytes.
            let done = unsafe {
                libc::ioctl(self.descriptor.as_raw_fd(), libc::c_ulong::from(UFFDIO_UNREGISTER), &raw mut range)
            };
            if done < 0 {
                // The memory is gone, or the descriptor's end will do it.
                tracing::debug!(error = %io::Error::last_os_error(), "memory could not be unregistered");
            }
        }
    }

    fn regions(&self) -> MutexGuard<'_, Vec<Region>> {
        self.regions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Userfault {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for Userfault {
    fn drop(&mut self) {
        self.release();
    }
}

/// One whose faults of the kernel's own accesses wait as well, which a hypervisor's are.
fn open() -> io::Result<OwnedFd> {
    let flags = UserfaultfdFlags::CLOEXEC | UserfaultfdFlags::NONBLOCK;
    // SAFETY: userfaultfd(2) makes a descriptor and touches no memory. rustix marks it unsafe because memory that is
    // registered may be filled by whoever holds it: this module registers for write protection alone, with which
    // nothing is ever filled.
    match unsafe { userfaultfd(flags) } {
        Ok(descriptor) => Ok(descriptor),
        Err(Errno::PERM) => open_device(flags).map_err(|error| {
            let help = "the process needs CAP_SYS_PTRACE, or access to /dev/userfaultfd, or the host \
                        vm.unprivileged_userfaultfd=1";
            io::Error::new(io::ErrorKind::PermissionDenied, format!("userfaultfd is not permitted: {help} ({error})"))
        }),
        Err(Errno::NOSYS) => {
            Err(io::Error::new(io::ErrorKind::Unsupported, "this kernel has no userfaultfd (CONFIG_USERFAULTFD)"))
        }
        Err(errno) => Err(errno.into()),
    }
}

fn open_device(flags: UserfaultfdFlags) -> io::Result<OwnedFd> {
    let device = OpenOptions::new().read(true).write(true).custom_flags(libc::O_CLOEXEC).open("/dev/userfaultfd")?;
    // SAFETY: the descriptor is open and the device's, whose one request takes flags by value and no memory.
    let made = unsafe { libc::ioctl(device.as_raw_fd(), USERFAULTFD_IOC_NEW, libc::c_ulong::from(flags.bits())) };
    if made < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(made) })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;
    use crate::memory::{MappedBlock, RamBlock as _};

    /// Whether the kernel can do this at all, and lets this process.
    fn possible() -> Option<Userfault> {
        Userfault::new().inspect_err(|error| println!("skipped: {error}")).ok()
    }

    fn faults(userfault: &Userfault) -> Vec<Fault> {
        let mut faults = Vec::new();
        while !userfault.next_faults(&mut faults).unwrap() {
            thread::yield_now();
        }
        faults
    }

    #[test]
    fn writers_wait_and_readers_do_not_in_memory_old_and_new() {
        for shared in [false, true] {
            let Some(userfault) = possible() else { return };
            let block = if shared {
                MappedBlock::memfd("ram", 64 << 12).unwrap()
            } else {
                MappedBlock::new("ram", 64 << 12).unwrap()
            };
            block.write(0, &[1; 4096]).unwrap();
            assert_eq!(userfault.register(&block.run(0, 64 << 12).unwrap()).unwrap(), 0);
            userfault.protect(0, 0, 64 << 12).unwrap();
            // Page 0 is populated, page 40 never was.
            for page in [0_u64, 40] {
                let done = AtomicBool::new(false);
                thread::scope(|scope| {
                    scope.spawn(|| {
                        block.write(page * 4096 + 8, &[2]).unwrap();
                        done.store(true, Ordering::Release);
                    });
                    let found = faults(&userfault);
                    assert_eq!(found, [Fault { region: 0, offset: page * 4096 }], "shared: {shared}");
                    let mut byte = [9];
                    block.read(page * 4096 + 8, &mut byte).unwrap();
                    assert_eq!(byte, [u8::from(page == 0)], "what is read is what was there");
                    assert!(!done.load(Ordering::Acquire), "the writer waits");
                    userfault.unprotect(0, page * 4096, 4096).unwrap();
                });
                assert!(done.load(Ordering::Acquire));
            }
        }
    }

    #[test]
    fn release_lets_every_writer_go_on() {
        let Some(userfault) = possible() else { return };
        let block = MappedBlock::new("ram", 8 << 12).unwrap();
        userfault.register(&block.run(0, 8 << 12).unwrap()).unwrap();
        userfault.protect(0, 0, 8 << 12).unwrap();
        thread::scope(|scope| {
            for page in 0..3 {
                let block = &block;
                scope.spawn(move || block.write(page * 4096, &[1]).unwrap());
            }
            faults(&userfault);
            userfault.release();
        });
        userfault.protect(0, 0, 4096).unwrap_err();
        block.write(4096, &[3]).unwrap();
    }

    #[test]
    fn who_is_woken_too_early_waits_anew_and_is_told_of_again() {
        for shared in [false, true] {
            let Some(userfault) = possible() else { return };
            let block = if shared {
                MappedBlock::memfd("ram", 4 << 12).unwrap()
            } else {
                MappedBlock::new("ram", 4 << 12).unwrap()
            };
            userfault.register(&block.run(0, 4 << 12).unwrap()).unwrap();
            userfault.protect(0, 0, 4 << 12).unwrap();
            thread::scope(|scope| {
                scope.spawn(|| block.write(4096, &[1]).unwrap());
                for _ in 0..3 {
                    assert_eq!(faults(&userfault), [Fault { region: 0, offset: 4096 }]);
                    userfault.wake(0, 4096, 4096).unwrap();
                }
                assert_eq!(faults(&userfault).len(), 1);
                userfault.unprotect(0, 4096, 4096).unwrap();
            });
            userfault.wake(0, 4096, 4096).unwrap();
            userfault.wake(1, 0, 4096).unwrap_err();
        }
    }

    #[test]
    fn ranges_outside_are_refused() {
        let Some(userfault) = possible() else { return };
        let block = MappedBlock::new("ram", 8 << 12).unwrap();
        userfault.protect(0, 0, 4096).unwrap_err();
        userfault.register(&block.run(0, 4 << 12).unwrap()).unwrap();
        userfault.protect(0, 4 << 12, 4096).unwrap_err();
        userfault.protect(0, u64::MAX - 4095, 4096).unwrap_err();
        userfault.protect(1, 0, 4096).unwrap_err();
    }
}
