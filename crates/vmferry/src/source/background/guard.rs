//! Memory of one instant, while the guest that it belongs to writes it.
//!
//! ```text
//!   guest     writes page 7: waits                          goes on
//!   guard                     takes 7, copies it, unprotects ┘ ──► queue ──┐
//!   scan      takes 0..4, copies them, unprotects ─────────────────────────┴─► stream
//! ```
//!
//! A page is taken exactly once, under one lock, by the scan or for a writer that waits; whoever took it copies it and
//! lifts its protection. A writer waits for a copy of a few pages, never for the channel, but where the copies that
//! wait to be sent have reached [`QUEUE_BYTES_LIMIT`].

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::event::PollFlags;

use crate::channel::Interrupt;
use crate::dirty::PageSet;
use crate::error::Side;
use crate::memory::populated::perhaps_populated;
use crate::memory::userfault::{Fault, Userfault};
use crate::memory::{Backing, RamBlock, TARGET_PAGE, TARGET_PAGE_BYTES};
use crate::panicking::caught;

/// Most bytes of copies that wait to be sent: beyond it the guest waits for the channel.
const QUEUE_BYTES_LIMIT: usize = 64 << 20;

/// Pages that are copied for one writer, those of the aligned group that its page is in: a guest that writes in order
/// waits once for all of them.
const GROUP_PAGES: usize = 8;

/// Most pages of one step of the scan. They are copied while they are protected, so it is short.
const SCAN_PAGES: usize = 128;

/// Most pages of one step over memory that was never populated.
const SCAN_EMPTY_PAGES: usize = 1 << 14;

/// Pages that the kernel is asked about at once: 256 MiB of memory.
const STRETCH_PAGES: usize = 1 << 16;

/// Consecutive pages of one block as they were at the instant.
#[derive(Debug, Default)]
pub(super) struct SavedRun {
    /// Number of the block, in the machine's order.
    pub(super) block: usize,
    /// First page.
    pub(super) first: usize,
    /// How many, at least one.
    pub(super) count: usize,
    /// Their bytes; empty if they are all zero and were not read.
    pub(super) bytes: Vec<u8>,
}

/// Protected memory, and the thread that serves those who write it. Dropping it ends the protection: whoever waits goes
/// on.
#[derive(Debug)]
pub(super) struct Guard {
    inner: Arc<Inner>,
    thread: Option<JoinHandle<()>>,
    /// Which pages were populated at the instant, of blocks of anonymous memory.
    populated: Vec<Option<PageSet>>,
    /// Block and page at which the scan goes on.
    position: (usize, usize),
    stretch: Option<Stretch>,
}

/// What the kernel said of shared memory, of the pages from `base` on. A page that is still to be taken is what it was
/// at the instant, so it may be asked late.
#[derive(Debug)]
struct Stretch {
    block: usize,
    base: usize,
    populated: PageSet,
}

#[derive(Debug)]
struct Inner {
    blocks: Vec<Arc<dyn RamBlock>>,
    userfault: Userfault,
    stop: Interrupt,
    /// Most bytes of copies that wait to be sent, but for one group.
    queue_bytes_limit: usize,
    state: Mutex<State>,
    /// A copy was queued or taken, or the end has come.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// Pages that nobody took yet, one set a block.
    waiting: Vec<PageSet>,
    /// Copies that were made for writers.
    queue: VecDeque<SavedRun>,
    queue_bytes: usize,
    /// Copies that are being made for writers.
    copying: usize,
    /// Why nobody serves writers any more.
    failure: Option<String>,
    ends: bool,
}

impl Guard {
    /// Prepares to protect `blocks`; nothing is protected yet, and the guest may run.
    ///
    /// # Errors
    ///
    /// The kernel cannot, or does not let this process, or a block is of a kind that cannot be protected. The text says
    /// which.
    pub(super) fn prepare(blocks: &[Arc<dyn RamBlock>]) -> io::Result<Self> {
        Self::with_limit(blocks, QUEUE_BYTES_LIMIT)
    }

    fn with_limit(blocks: &[Arc<dyn RamBlock>], queue_bytes_limit: usize) -> io::Result<Self> {
        let userfault = Userfault::new()?;
        for block in blocks {
            register(&userfault, &**block)?;
        }
        let pages = |block: &Arc<dyn RamBlock>| {
            let mut pages = PageSet::new(page_number(block.used_len()));
            pages.fill();
            pages
        };
        let state = State {
            waiting: blocks.iter().map(pages).collect(),
            queue: VecDeque::new(),
            queue_bytes: 0,
            copying: 0,
            failure: None,
            ends: false,
        };
        let inner = Arc::new(Inner {
            blocks: blocks.to_vec(),
            userfault,
            stop: Interrupt::new()?,
            queue_bytes_limit,
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let served = Arc::clone(&inner);
        let thread = thread::Builder::new().name("write-faults".to_owned()).spawn(move || served.serve())?;
        Ok(Self { inner, thread: Some(thread), populated: Vec::new(), position: (0, 0), stretch: None })
    }

    /// Protects all memory: this is the instant. The guest stands still.
    ///
    /// # Errors
    ///
    /// The kernel lacks memory for page tables.
    pub(super) fn protect(&mut self) -> io::Result<()> {
        for (index, block) in self.inner.blocks.iter().enumerate() {
            // The kernel's answer does not tell protected memory that was never populated from memory that was.
            let is_anonymous = matches!(block.backing(), Backing::Anonymous);
            let populated = is_anonymous.then(|| perhaps_populated(&**block, 0, page_number(block.used_len())));
            self.populated.push(populated);
            self.inner.userfault.protect(index, 0, block.used_len())?;
        }
        Ok(())
    }

    /// Pages that nobody took yet, and those whose copies wait.
    pub(super) fn remaining_pages(&self) -> u64 {
        let state = self.inner.state();
        state.waiting.iter().map(PageSet::count).sum::<u64>() + (state.queue_bytes / TARGET_PAGE) as u64
    }

    /// The next pages: copies that were made for writers first, since they hold memory; else those at which the scan
    /// goes on. `None` when every page was given out. `spare` is a buffer for the copy.
    ///
    /// # Errors
    ///
    /// Nobody serves writers any more, or the kernel failed.
    pub(super) fn next(&mut self, spare: Vec<u8>) -> io::Result<Option<SavedRun>> {
        let inner = Arc::clone(&self.inner);
        let mut state = inner.state();
        loop {
            if let Some(failure) = &state.failure {
                return Err(io::Error::other(failure.clone()));
            }
            if let Some(run) = state.queue.pop_front() {
                state.queue_bytes -= run.bytes.len();
                inner.changed.notify_all();
                return Ok(Some(run));
            }
            if state.waiting.iter().any(|pages| pages.count() > 0) {
                drop(state);
                if let Some(run) = self.scan(spare)? {
                    return Ok(Some(run));
                }
                // What was left was taken for writers meanwhile.
                return self.next(Vec::new());
            }
            if state.copying == 0 {
                return Ok(None);
            }
            state = inner.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes and copies the pages at which the scan goes on; `None` behind the last one.
    fn scan(&mut self, buffer: Vec<u8>) -> io::Result<Option<SavedRun>> {
        loop {
            let (index, page) = self.position;
            let inner = Arc::clone(&self.inner);
            let Some(block) = inner.blocks.get(index) else { return Ok(None) };
            if page >= page_number(block.used_len()) {
                self.position = (index + 1, 0);
                continue;
            }
            let (is_populated, longest) = self.kind_from(index, &**block, page);
            let longest = longest.min(if is_populated { SCAN_PAGES } else { SCAN_EMPTY_PAGES });
            let taken = inner.state().waiting.get_mut(index).and_then(|pages| {
                // Within the stretch of one kind, whatever was taken of it already.
                pages.take_run_below(page, page + longest)
            });
            let Some((first, count)) = taken else {
                self.position = (index, page + longest);
                continue;
            };
            self.position = (index, first + count);
            let mut run = SavedRun { block: index, first, count, bytes: buffer };
            run.bytes.clear();
            if is_populated {
                inner.copy(&mut run)?;
            }
            inner.unprotect(&run)?;
            return Ok(Some(run));
        }
    }

    /// Whether `page` may hold something, and for how many pages from it on that is so.
    fn kind_from(&mut self, index: usize, block: &dyn RamBlock, page: usize) -> (bool, usize) {
        if let Some(Some(populated)) = self.populated.get(index) {
            return (populated.contains(page), populated.run_of_one_kind(page, STRETCH_PAGES).max(1));
        }
        let stretch = match self.stretch.take() {
            Some(stretch) if stretch.block == index && page - stretch.base < stretch.populated.pages() => stretch,
            _ => {
                let count = (page_number(block.used_len()) - page).min(STRETCH_PAGES);
                Stretch { block: index, base: page, populated: perhaps_populated(block, page, count) }
            }
        };
        let Stretch { base, populated, .. } = self.stretch.insert(stretch);
        (populated.contains(page - *base), populated.run_of_one_kind(page - *base, STRETCH_PAGES).max(1))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.inner.state().ends = true;
        self.inner.changed.notify_all();
        self.inner.stop.raise();
        // First, so that the guest does not wait for the thread.
        self.inner.userfault.release();
        if let Some(thread) = self.thread.take() {
            // It catches panics.
            let _ = thread.join();
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The whole of the thread: however it ends, nobody waits for it afterwards.
    fn serve(&self) {
        let served = caught(Side::Source, || Ok(self.serve_faults())).map_or_else(
            |panic| Some(panic.to_string()),
            |served| served.err().map(|error| format!("serving the guest's writes: {error}")),
        );
        if let Some(failure) = served.filter(|_| !self.state().ends) {
            self.state().failure.get_or_insert(failure);
            self.changed.notify_all();
        }
        self.userfault.release();
    }

    fn serve_faults(&self) -> io::Result<()> {
        let mut faults = Vec::new();
        loop {
            if let Err(error) = self.stop.wait(self.userfault.as_fd(), PollFlags::IN) {
                return if self.state().ends { Ok(()) } else { Err(error) };
            }
            self.userfault.next_faults(&mut faults)?;
            for fault in faults.drain(..) {
                self.serve_fault(fault)?;
            }
        }
    }

    /// Copies the group of the page that somebody wants to write, as far as nobody took it, and lets him go on. If the
    /// page was taken, whoever took it unprotects it, but may have done so before its writer began to wait.
    fn serve_fault(&self, fault: Fault) -> io::Result<()> {
        let page = page_number(fault.offset);
        let group = page - page % GROUP_PAGES;
        let mut state = self.state();
        while state.queue_bytes >= self.queue_bytes_limit && !state.ends {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let mut runs = Vec::new();
        if let Some(pages) = state.waiting.get_mut(fault.region).filter(|pages| pages.contains(page)) {
            let mut from = group;
            while let Some((first, count)) = pages.take_run_below(from, group + GROUP_PAGES) {
                runs.push(SavedRun { block: fault.region, first, count, bytes: Vec::new() });
                from = first + count;
            }
        }
        state.copying += runs.len();
        let ends = state.ends;
        drop(state);
        if runs.is_empty() && !ends {
            return self.userfault.wake(fault.region, page as u64 * TARGET_PAGE_BYTES, TARGET_PAGE_BYTES);
        }
        for mut run in runs {
            let copied = self.copy(&mut run).and_then(|()| self.unprotect(&run));
            let mut state = self.state();
            state.copying -= 1;
            match copied {
                Ok(()) => {
                    state.queue_bytes += run.bytes.len();
                    state.queue.push_back(run);
                }
                // At the end nothing is registered any more.
                Err(_) if state.ends => return Ok(()),
                Err(error) => {
                    state.failure = Some(format!("copying a page that the guest writes: {error}"));
                    self.changed.notify_all();
                    return Err(error);
                }
            }
            self.changed.notify_all();
        }
        Ok(())
    }

    fn copy(&self, run: &mut SavedRun) -> io::Result<()> {
        let block = self.blocks.get(run.block).ok_or(io::ErrorKind::InvalidInput)?;
        run.bytes.resize(run.count * TARGET_PAGE, 0);
        block.read(run.first as u64 * TARGET_PAGE_BYTES, &mut run.bytes).map_err(io::Error::other)
    }

    fn unprotect(&self, run: &SavedRun) -> io::Result<()> {
        let (first, count) = (run.first as u64, run.count as u64);
        self.userfault.unprotect(run.block, first * TARGET_PAGE_BYTES, count * TARGET_PAGE_BYTES)
    }
}

/// Whether the memory of `blocks` can be protected.
///
/// # Errors
///
/// As [`Guard::prepare`].
pub(crate) fn probe(blocks: &[Arc<dyn RamBlock>]) -> io::Result<()> {
    let userfault = Userfault::new()?;
    blocks.iter().try_for_each(|block| register(&userfault, &**block))
}

fn register(userfault: &Userfault, block: &dyn RamBlock) -> io::Result<()> {
    let refused = |error: io::Error| {
        let text = format!("the RAM block '{}' cannot be protected against writes: {error}", block.name());
        io::Error::new(error.kind(), text)
    };
    if block.page_bytes() != TARGET_PAGE_BYTES {
        let text = format!("its pages have {} bytes; accepted are {TARGET_PAGE_BYTES}", block.page_bytes());
        return Err(refused(io::Error::new(io::ErrorKind::Unsupported, text)));
    }
    let len = usize::try_from(block.used_len()).map_err(io::Error::other)?;
    let memory = block.run(0, len).map_err(io::Error::other)?;
    userfault.register(&memory).map(drop).map_err(refused)
}

fn page_number(offset: u64) -> usize {
    usize::try_from(offset / TARGET_PAGE_BYTES).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::memory::MappedBlock;

    const PAGES: usize = 64;

    /// Memory of which each page holds its number, protected, with room in the queue for one group; `None` where this
    /// is not possible.
    fn guarded(is_shared: bool) -> Option<(Arc<dyn RamBlock>, Guard)> {
        let block = if is_shared {
            MappedBlock::memfd("ram", PAGES * TARGET_PAGE).unwrap()
        } else {
            MappedBlock::new("ram", PAGES * TARGET_PAGE).unwrap()
        };
        for page in 0..PAGES {
            block.write((page * TARGET_PAGE) as u64, &[u8::try_from(page + 1).unwrap(); TARGET_PAGE]).unwrap();
        }
        let block: Arc<dyn RamBlock> = Arc::new(block);
        let prepared = Guard::with_limit(&[Arc::clone(&block)], GROUP_PAGES * TARGET_PAGE);
        let mut guard = prepared.inspect_err(|error| println!("skipped: {error}")).ok()?;
        guard.protect().unwrap();
        Some((block, guard))
    }

    /// Writes all pages; says so when it is through.
    fn write_all(block: &dyn RamBlock, is_done: &AtomicBool) {
        for page in 0..PAGES {
            block.write((page * TARGET_PAGE) as u64, &[0xff; TARGET_PAGE]).unwrap();
        }
        is_done.store(true, Ordering::Release);
    }

    fn wait_until_full(guard: &Guard) {
        while guard.inner.state().queue_bytes < guard.inner.queue_bytes_limit {
            thread::yield_now();
        }
    }

    #[test]
    fn a_full_queue_holds_writers_up_and_the_end_lets_them_go() {
        for is_shared in [false, true] {
            let Some((block, guard)) = guarded(is_shared) else { return };
            let is_done = AtomicBool::new(false);
            thread::scope(|scope| {
                scope.spawn(|| write_all(&*block, &is_done));
                wait_until_full(&guard);
                assert!(!is_done.load(Ordering::Acquire), "the second group waits for room");
                // As an attempt that is cancelled, or whose reader went away.
                drop(guard);
            });
            assert!(is_done.load(Ordering::Acquire));
        }
    }

    #[test]
    fn pages_come_as_they_were_through_a_full_queue() {
        for is_shared in [false, true] {
            let Some((block, mut guard)) = guarded(is_shared) else { return };
            let is_done = AtomicBool::new(false);
            let mut found = vec![0; PAGES];
            thread::scope(|scope| {
                scope.spawn(|| write_all(&*block, &is_done));
                wait_until_full(&guard);
                while let Some(run) = guard.next(Vec::new()).unwrap() {
                    for (page, bytes) in (run.first..).zip(run.bytes.chunks_exact(TARGET_PAGE)) {
                        assert!(found[page] == 0 && bytes.iter().all(|byte| *byte == bytes[0]), "page {page}");
                        found[page] = bytes[0];
                    }
                }
            });
            assert!((1..).zip(&found).all(|(number, found)| number == *found), "{found:?}");
        }
    }
}
