//! Dirty tracking by the kernel, for memory that any thread writes in any way: vhost-like workers, a hypervisor,
//! `read(2)`.
//!
//! Every page is write-protected; the first write to one costs about a microsecond and leaves a note. A synchronisation
//! takes all notes and protects again, in one call. Memory without pages costs nothing: it has no notes, and a page
//! that comes into being counts as written.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::wp_async::WpAsync;
use super::{DirtyLog, PageSet};
use crate::memory::pagemap::{Pagemap, Scan};
use crate::memory::{RamBlock, TARGET_PAGE};

/// The log of blocks that are mapped in this process, anonymous or shared memory (Linux 6.7 and later).
///
/// It sees writes through this process's mappings. It does not see those of another process that maps the same file, of
/// a device that writes to pinned memory, and memory that is given back (`MADV_DONTNEED`): whoever does that while a
/// migration runs has to tell the engine by other means.
///
/// A page that somebody only reads for the first time may count as written, in shared memory; never the other way
/// round.
#[derive(Debug)]
pub struct WriteProtectLog {
    blocks: Vec<Arc<dyn RamBlock>>,
    tracking: Mutex<Option<Tracking>>,
}

#[derive(Debug)]
struct Tracking {
    pagemap: Pagemap,
    /// Ends the protection when it is dropped.
    _protection: WpAsync,
}

impl WriteProtectLog {
    /// A log over `blocks`, in the machine's order.
    #[must_use]
    pub fn new(blocks: Vec<Arc<dyn RamBlock>>) -> Self {
        Self { blocks, tracking: Mutex::new(None) }
    }

    fn take(&self, tracking: &Tracking, mut found: impl FnMut(usize, usize, usize)) -> io::Result<()> {
        for (index, block) in self.blocks.iter().enumerate() {
            let len = usize::try_from(block.used_len()).map_err(io::Error::other)?;
            let memory = block.run(0, len).map_err(io::Error::other)?;
            tracking.pagemap.scan(&memory, Scan::TakeWritten, |start, len| {
                found(index, start / TARGET_PAGE, len.div_ceil(TARGET_PAGE));
            })?;
        }
        Ok(())
    }
}

impl DirtyLog for WriteProtectLog {
    fn start(&self) -> io::Result<()> {
        let mut place = self.tracking.lock().unwrap_or_else(PoisonError::into_inner);
        // One that an earlier migration left: a range can be registered once.
        *place = None;
        let protection = WpAsync::new()?;
        for block in &self.blocks {
            let len = usize::try_from(block.used_len()).map_err(io::Error::other)?;
            protection.register(&block.run(0, len).map_err(io::Error::other)?)?;
        }
        let tracking = Tracking { pagemap: Pagemap::open()?, _protection: protection };
        // What was written before does not matter: a migration starts with all pages to be sent.
        self.take(&tracking, |_, _, _| {})?;
        *place = Some(tracking);
        Ok(())
    }

    fn stop(&self) {
        *self.tracking.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn sync(&self, pages: &mut [PageSet]) -> io::Result<u64> {
        let place = self.tracking.lock().unwrap_or_else(PoisonError::into_inner);
        let tracking = place.as_ref().ok_or_else(|| io::Error::other("the dirty log was not started"))?;
        let mut dirty = 0;
        self.take(tracking, |index, first, count| {
            if let Some(set) = pages.get_mut(index) {
                dirty += set.add_range(first, count);
            }
        })?;
        Ok(dirty)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use vm_memory::{Bytes as _, VolatileMemory as _};

    use super::*;
    use crate::memory::MappedBlock;

    /// Whether the kernel can do this at all.
    fn is_possible() -> bool {
        let made = WpAsync::new();
        if let Err(error) = &made {
            println!("skipped: no asynchronous write protection: {error}");
        }
        made.is_ok()
    }

    fn log_of(blocks: &[&MappedBlock]) -> WriteProtectLog {
        WriteProtectLog::new(blocks.iter().map(|block| Arc::new((*block).clone()) as Arc<dyn RamBlock>).collect())
    }

    fn dirty(log: &WriteProtectLog, blocks: &[&MappedBlock]) -> Vec<Vec<usize>> {
        let pages = |block: &&MappedBlock| usize::try_from(block.used_len()).unwrap() / TARGET_PAGE;
        let mut sets: Vec<PageSet> = blocks.iter().map(|block| PageSet::new(pages(block))).collect();
        let counted = log.sync(&mut sets).unwrap();
        assert_eq!(counted, sets.iter().map(PageSet::count).sum::<u64>());
        sets.iter().map(|set| (0..set.pages()).filter(|page| set.contains(*page)).collect()).collect()
    }

    fn none() -> Vec<usize> {
        Vec::new()
    }

    fn memfd(bytes: usize) -> MappedBlock {
        let file = rustix::fs::memfd_create("ram", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&file, bytes as u64).unwrap();
        MappedBlock::shared("shared", file.into(), 0, bytes, false).unwrap()
    }

    #[test]
    fn writes_are_seen_once_in_pages_old_and_new_and_reads_never() {
        if !is_possible() {
            return;
        }
        let (block, shared) = (MappedBlock::new("ram", 16 << 20).unwrap(), memfd(4 << 20));
        let blocks = [&block, &shared];
        for page in 0..100 {
            block.write(page * 4096, &[1]).unwrap();
            shared.write(page * 4096, &[1]).unwrap();
        }
        let log = log_of(&blocks);
        log.start().unwrap();
        assert_eq!(dirty(&log, &blocks), [none(), none()], "clean after the start");
        block.write(7 * 4096, &[2]).unwrap();
        block.write(3000 * 4096, &[2]).unwrap();
        shared.write(99 * 4096, &[2]).unwrap();
        block.read(2000 * 4096, &mut [0; 4096]).unwrap();
        assert_eq!(dirty(&log, &blocks), [vec![7, 3000], vec![99]]);
        assert_eq!(dirty(&log, &blocks), [none(), none()]);
        block.write(2000 * 4096, &[2]).unwrap();
        block.write(3000 * 4096, &[3]).unwrap();
        assert_eq!(dirty(&log, &blocks), [vec![2000, 3000], none()], "a page that was read, and one again");
        log.stop();
        log.sync(&mut []).unwrap_err();
        block.write(7 * 4096, &[4]).unwrap();
        log.start().unwrap();
        assert_eq!(dirty(&log, &blocks), [none(), none()], "a second migration starts afresh");
    }

    #[test]
    fn what_the_kernel_writes_is_seen() {
        if !is_possible() {
            return;
        }
        let block = MappedBlock::new("ram", 1 << 20).unwrap();
        block.write(0, &[1; 8192]).unwrap();
        let log = log_of(&[&block]);
        log.start().unwrap();
        let (mut there, here) = UnixStream::pair().unwrap();
        there.write_all(&[9; 100]).unwrap();
        let mut memory = block.run(4096, 100).unwrap();
        vm_memory::ReadVolatile::read_exact_volatile(&mut { here }, &mut memory).unwrap();
        assert_eq!(dirty(&log, &[&block]), [vec![1]]);
    }

    #[test]
    fn the_log_leaves_unpopulated_memory_unpopulated() {
        if !is_possible() {
            return;
        }
        let block = MappedBlock::new("ram", 64 << 20).unwrap();
        block.write(5 * 4096, &[1]).unwrap();
        let log = log_of(&[&block]);
        log.start().unwrap();
        block.write(6 * 4096, &[1]).unwrap();
        let _ = dirty(&log, &[&block]);
        let _ = dirty(&log, &[&block]);
        assert_eq!(crate::memory::populated::populated(&block).unwrap().count(), 2);
    }

    /// The engine's promise, raced: a copy kept up to date by sync-then-read must equal the memory once the writer is
    /// done and one more sync was made.
    #[test]
    fn no_write_escapes_a_racing_sync() {
        const PAGES: usize = 64;
        const BYTES: usize = PAGES * 4096;
        if !is_possible() {
            return;
        }
        let block = MappedBlock::new("ram", BYTES).unwrap();
        let log = log_of(&[&block]);
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
                for i in 0..400_000_u64 {
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
