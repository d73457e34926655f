//! Dirty tracking for CPUs that are programs: their stores mark the bitmap of the mapping.

use std::io;
use std::sync::Arc;

use rustix::thread::{MembarrierCommand, membarrier};
use vm_memory::MmapRegion;

use super::{DirtyBitmap, DirtyLog, PageSet};
use crate::memory::MappedBlock;

/// The log of mappings that are written through `vm-memory` by threads of this process.
///
/// # Ordering
///
/// A writer stores, then tests the mark (see [`DirtyBitmap`]). Its store may still sit in a store buffer while the test
/// already saw the old mark; if the mark is then taken and the page read, the store is in neither. `sync` therefore
/// takes all marks first and then makes every thread of the process pass a full barrier (`membarrier(2)`,
/// PRIVATE_EXPEDITED, Linux 4.14): a test before the barrier has its store visible after it, a test behind it sees the
/// cleared mark and sets it again. Writers pay nothing for this.
#[derive(Debug)]
pub struct SoftDirtyLog {
    regions: Vec<Arc<MmapRegion<DirtyBitmap>>>,
}

impl SoftDirtyLog {
    /// A log over `blocks`, in the machine's order.
    #[must_use]
    pub fn new<'a>(blocks: impl IntoIterator<Item = &'a MappedBlock>) -> Self {
        Self { regions: blocks.into_iter().map(|block| Arc::clone(block.region())).collect() }
    }
}

impl DirtyLog for SoftDirtyLog {
    fn start(&self) -> io::Result<()> {
        membarrier(MembarrierCommand::RegisterPrivateExpedited)?;
        for region in &self.regions {
            for index in 0..region.bitmap().word_count() {
                // What was dirty before does not matter: a migration starts with all pages to be sent.
                let _ = region.bitmap().take_word(index);
            }
        }
        Ok(membarrier(MembarrierCommand::PrivateExpedited)?)
    }

    fn stop(&self) {}

    fn sync(&self, pages: &mut [PageSet]) -> io::Result<u64> {
        let mut dirty = 0;
        for (region, set) in self.regions.iter().zip(pages) {
            for index in 0..region.bitmap().word_count() {
                let bits = region.bitmap().take_word(index);
                if bits != 0 {
                    dirty += set.merge_word(index, bits);
                }
            }
        }
        membarrier(MembarrierCommand::PrivateExpedited)?;
        Ok(dirty)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use vm_memory::{Bytes as _, VolatileMemory as _};

    use super::*;
    use crate::memory::RamBlock as _;

    /// The engine's promise, raced: a copy kept up to date by sync-then-read must equal the memory once the writer is
    /// done and one more sync was made.
    #[test]
    fn no_write_escapes_a_racing_sync() {
        const PAGES: usize = 16;
        const BYTES: usize = PAGES * 4096;
        let block = MappedBlock::new("ram", BYTES).unwrap();
        let log = SoftDirtyLog::new([&block]);
        log.start().unwrap();
        let done = AtomicBool::new(false);
        let mut copy = vec![0_u8; BYTES];
        let mut sets = [PageSet::new(PAGES)];
        let copy_dirty = |sets: &mut [PageSet; 1], copy: &mut [u8]| {
            log.sync(sets).unwrap();
            while let Some((page, count)) = sets[0].take_run(0, PAGES) {
                let range = page * 4096..(page + count) * 4096;
                block.read(range.start as u64, &mut copy[range]).unwrap();
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                let memory = block.region().as_volatile_slice();
                for i in 0..2_000_000_u64 {
                    let at = usize::try_from(i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20).unwrap() % (BYTES / 8) * 8;
                    memory.store(i, at, Ordering::Relaxed).unwrap();
                }
                done.store(true, Ordering::Release);
            });
            while !done.load(Ordering::Acquire) {
                copy_dirty(&mut sets, &mut copy);
            }
        });
        copy_dirty(&mut sets, &mut copy);
        let mut memory = vec![0; BYTES];
        block.read(0, &mut memory).unwrap();
        assert!(copy == memory, "the copy lacks a write");
    }
}
