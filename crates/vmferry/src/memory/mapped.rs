//! RAM blocks over `vm-memory`'s mappings.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use vm_memory::mmap::MmapRegionError;
use vm_memory::{FileOffset, MmapRegion, VolatileMemory, VolatileSlice};

use vmstate::Refused;

use super::overlay::map_private;
use super::words::words;
use super::{Backing, OutOfBlock, RamBlock, TARGET_PAGE, TARGET_PAGE_BYTES};
use crate::dirty::{DirtyBitmap, PageSet};

/// Guest memory whose stores mark a dirty bitmap: anonymous, or a shared mapping of a file.
///
/// Stores of the guest go through [`MappedBlock::region`] and mark; the engine's own [`RamBlock::write`] does not.
/// Memory that was never written is not populated and reads as zero.
#[derive(Debug, Clone)]
pub struct MappedBlock {
    name: Arc<str>,
    region: Arc<MmapRegion<DirtyBitmap>>,
    /// The file has a name, so that another process can map it.
    is_named: bool,
    /// Pages that a file was mapped over, if any.
    overlaid: Arc<Mutex<Option<PageSet>>>,
    guest_address: u64,
    /// Of a block that can be resized.
    resizing: Option<Arc<Resizing>>,
}

/// How long a block is now, and who is told.
struct Resizing {
    used: AtomicU64,
    tell: Box<dyn Fn(u64) + Send + Sync>,
}

impl std::fmt::Debug for Resizing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resizing").field("used", &self.used).finish_non_exhaustive()
    }
}

impl MappedBlock {
    /// Maps `bytes` of zeroed memory, a multiple of [`TARGET_PAGE_BYTES`].
    ///
    /// # Errors
    ///
    /// The kernel refused the mapping, or `bytes` is zero.
    pub fn new(name: impl Into<Arc<str>>, bytes: usize) -> Result<Self, MmapRegionError> {
        let bytes = bytes.next_multiple_of(super::TARGET_PAGE);
        Ok(Self {
            name: name.into(),
            region: Arc::new(MmapRegion::new(bytes)?),
            is_named: false,
            overlaid: Arc::default(),
            guest_address: 0,
            resizing: None,
        })
    }

    /// Maps `bytes` of `file` from `offset` on, shared; both are multiples of [`TARGET_PAGE_BYTES`]. `is_named` says
    /// that the destination can map the same file, so that `x-ignore-shared` may leave the block out.
    ///
    /// # Errors
    ///
    /// The kernel refused the mapping, the file is too short, or `bytes` is zero.
    pub fn shared(
        name: impl Into<Arc<str>>,
        file: File,
        offset: u64,
        bytes: usize,
        is_named: bool,
    ) -> Result<Self, MmapRegionError> {
        let region = MmapRegion::from_file(FileOffset::new(file, offset), bytes.next_multiple_of(super::TARGET_PAGE))?;
        Ok(Self {
            name: name.into(),
            region: Arc::new(region),
            is_named,
            overlaid: Arc::default(),
            guest_address: 0,
            resizing: None,
        })
    }

    /// Maps `bytes` of zeroed memory, a multiple of [`TARGET_PAGE_BYTES`], that has a descriptor (`memfd_create(2)`)
    /// and can be mapped by others.
    ///
    /// # Errors
    ///
    /// The kernel refused the memory, or `bytes` is zero.
    pub fn memfd(name: impl Into<Arc<str>>, bytes: usize) -> io::Result<Self> {
        let (name, bytes) = (name.into(), bytes.next_multiple_of(super::TARGET_PAGE));
        let memory = memfd_create(&*name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&memory, bytes as u64)?;
        // Whoever maps it relies on its length.
        fcntl_add_seals(&memory, SealFlags::SHRINK | SealFlags::GROW)?;
        Self::shared(name, memory.into(), 0, bytes, false).map_err(io::Error::other)
    }

    /// The same block, seen by the guest from this address on.
    #[must_use]
    pub fn at(self, guest_address: u64) -> Self {
        Self { guest_address, ..self }
    }

    /// The same block, of which the guest uses `used` bytes at first, up to its length. `tell` is called with the exact
    /// number when a migration brings another one. For a block that is in no slot or table of a fixed length.
    #[must_use]
    pub fn resizeable(self, used: u64, tell: impl Fn(u64) + Send + Sync + 'static) -> Self {
        let used = used.next_multiple_of(TARGET_PAGE_BYTES).min(self.region.size() as u64);
        let resizing = Resizing { used: AtomicU64::new(used), tell: Box::new(tell) };
        Self { resizing: Some(Arc::new(resizing)), ..self }
    }

    /// The memory as words, for a CPU that marks what it stores in [`MmapRegion::bitmap`] itself.
    #[must_use]
    pub fn words(&self) -> &[AtomicU64] {
        // A mapping starts at a page and has whole pages.
        self.run(0, self.region.size()).ok().and_then(|memory| words(&memory)).unwrap_or_default()
    }

    fn overlaid(&self) -> MutexGuard<'_, Option<PageSet>> {
        self.overlaid.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The mapping, for the machine's CPUs and devices.
    #[must_use]
    pub fn region(&self) -> &Arc<MmapRegion<DirtyBitmap>> {
        &self.region
    }
}

impl RamBlock for MappedBlock {
    fn name(&self) -> &str {
        &self.name
    }

    fn used_len(&self) -> u64 {
        self.resizing.as_ref().map_or(self.max_len(), |resizing| resizing.used.load(Ordering::Acquire))
    }

    fn max_len(&self) -> u64 {
        self.region.size() as u64
    }

    fn resize(&self, bytes: u64) -> Result<(), Refused> {
        let (used, max) = (self.used_len(), self.max_len());
        // No more than memory has, so it can be rounded.
        let wanted = bytes.checked_next_multiple_of(TARGET_PAGE_BYTES).filter(|wanted| *wanted <= max);
        match (&self.resizing, wanted) {
            (None, Some(wanted)) if wanted == used => Ok(()),
            (None, _) => Err(Refused::new(format!("it has {used:#x} bytes and cannot be resized"))),
            (Some(_), None) => Err(Refused::new(format!("it can be resized up to {max:#x} bytes"))),
            (Some(resizing), Some(wanted)) => {
                resizing.used.store(wanted, Ordering::Release);
                (resizing.tell)(bytes);
                Ok(())
            }
        }
    }

    fn page_bytes(&self) -> u64 {
        TARGET_PAGE_BYTES
    }

    fn guest_address(&self) -> u64 {
        self.guest_address
    }

    fn backing(&self) -> Backing<'_> {
        self.region.file_offset().map_or(Backing::Anonymous, |from| Backing::Shared {
            file: from.file().as_fd(),
            offset: from.start(),
            is_named: self.is_named && self.overlaid().is_none(),
        })
    }

    fn map_private(&self, offset: u64, len: usize, file: BorrowedFd<'_>, at: u64) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let mut overlaid = self.overlaid();
        map_private(&self.region, start, len, file, at)?;
        let pages = overlaid.get_or_insert_with(|| PageSet::new(self.region.size() / TARGET_PAGE));
        pages.add_range(start / TARGET_PAGE, len.div_ceil(TARGET_PAGE));
        Ok(())
    }

    fn add_overlaid(&self, first: usize, pages: &mut PageSet) {
        let overlaid = self.overlaid();
        let Some(overlaid) = &*overlaid else { return };
        let (mut page, end) = (first, first.saturating_add(pages.pages()));
        while page < end {
            let count = overlaid.run_of_one_kind(page, end - page);
            if overlaid.contains(page) {
                pages.add_range(page - first, count);
            }
            page += count.max(1);
        }
    }

    fn run(&self, offset: u64, len: usize) -> Result<VolatileSlice<'_, ()>, OutOfBlock> {
        let outside = OutOfBlock { offset, len };
        let start = usize::try_from(offset).map_err(|_| outside)?;
        let tracked = self.region.get_slice(start, len).map_err(|_| outside)?;
        Ok(untracked(&tracked))
    }
}

/// The same memory without its bitmap: the engine's accesses are not the guest's.
#[expect(unsafe_code, reason = "vm-memory has no safe way to drop the bitmap of a slice")]
fn untracked<'a>(
    tracked: &VolatileSlice<'a, <DirtyBitmap as vm_memory::bitmap::WithBitmapSlice<'a>>::S>,
) -> VolatileSlice<'a, ()> {
    // SAFETY: `VolatileSlice::new` asks that the memory stays valid for 'a and that no reference to it is used
    // meanwhile. `tracked` is itself a slice of that lifetime over the same address and length, made by the region,
    // which makes the same promise; guest memory is accessed through volatile slices and atomics only.
    unsafe { VolatileSlice::new(tracked.ptr_guard_mut().as_ptr(), tracked.len()) }
}
