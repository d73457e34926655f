//! Which pages go next: the scan over the dirty pages of all blocks, in runs.
//!
//! ```text
//! dirty pages:   ####..##########      the scan goes round the blocks
//! a stretch:         ##########        first pass only: cleared in the log, then looked up in the kernel's tables
//! runs:              zzz##zzzzz        z: never populated, zero without being read
//! ```
//!
//! The order is what makes a page that is not read a zero page for certain: its mark in the log is cleared first, then
//! the kernel is asked. A write before the question is seen in the answer; one behind it is in the log.

use std::io;
use std::sync::Arc;

use super::ram::NamedBlock;
use crate::dirty::{DirtyLog, PageSet};
use crate::memory::populated::perhaps_populated;
use crate::memory::{RamBlock, TARGET_PAGE_BYTES};

/// Pages that the kernel is asked about at once: 256 MiB of memory.
const STRETCH_PAGES: usize = 1 << 16;

/// Consecutive dirty pages of one block, which were taken out of the set and cleared in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// Number of the block, in the machine's order.
    pub(crate) block: usize,
    /// First page.
    pub(crate) first: usize,
    /// How many, at least one.
    pub(crate) count: usize,
    /// The pages were never populated: zero, and better not read.
    pub(crate) never_populated: bool,
}

/// The scan.
#[derive(Debug)]
pub(crate) struct Runs {
    blocks: Vec<Arc<dyn RamBlock>>,
    /// What is still to be sent, one set a block.
    dirty: Vec<PageSet>,
    /// Bytes of the blocks, as the destination was told.
    lengths: Vec<u64>,
    /// Blocks that are not sent, whatever is written to them.
    ignored: Vec<bool>,
    /// Block and page at which the scan goes on.
    position: (usize, usize),
    /// Times that the scan came to the end of the last block.
    passes: u64,
    stretch: Option<Stretch>,
}

/// Pages that were taken out of the set and not given out yet.
#[derive(Debug)]
struct Stretch {
    block: usize,
    /// Number of the page that is 0 in `populated`.
    base: usize,
    /// First page, from `base` on, that was not given out.
    next: usize,
    count: usize,
    populated: PageSet,
}

impl Runs {
    /// A scan of `blocks` with every page dirty, but for those of which `ignored` says that they are not sent.
    #[must_use]
    pub(crate) fn new(blocks: &[NamedBlock], ignored: &[bool]) -> Self {
        let ignored: Vec<bool> = (0..blocks.len()).map(|index| ignored.get(index) == Some(&true)).collect();
        let blocks: Vec<_> = blocks.iter().map(|(_, block)| Arc::clone(block)).collect();
        let dirty = |(block, is_ignored): (&Arc<dyn RamBlock>, &bool)| {
            let mut pages = PageSet::new(usize::try_from(block.used_len() / TARGET_PAGE_BYTES).unwrap_or(0));
            if !is_ignored {
                pages.fill();
            }
            pages
        };
        let dirty = blocks.iter().zip(&ignored).map(dirty).collect();
        let lengths = blocks.iter().map(|block| block.used_len()).collect();
        Self { dirty, lengths, ignored, blocks, position: (0, 0), passes: 0, stretch: None }
    }

    /// Pages still to be sent.
    #[must_use]
    pub(crate) fn remaining_pages(&self) -> u64 {
        let held = self.stretch.as_ref().map_or(0, |stretch| stretch.count - stretch.next);
        self.dirty.iter().map(PageSet::count).sum::<u64>() + held as u64
    }

    /// Whether every page was given out at least once.
    #[must_use]
    pub(crate) fn is_first_pass_over(&self) -> bool {
        self.passes > 0 && self.stretch.is_none()
    }

    /// Takes new dirty pages out of `log`; how many there were.
    ///
    /// # Errors
    ///
    /// The log failed.
    pub(crate) fn synchronise(&mut self, log: &dyn DirtyLog) -> io::Result<u64> {
        // Of what is dirty again now, the kernel's answer is no longer true.
        if let Some(Stretch { block, base, next, count, .. }) = self.stretch.take()
            && let Some(dirty) = self.dirty.get_mut(block)
        {
            dirty.add_range(base + next, count - next);
            self.position = (block, base + next);
            // The scan may have gone round meanwhile, but not past these pages.
            self.passes = 0;
        }
        if let Some((block, before)) =
            self.blocks.iter().zip(&self.lengths).find(|(block, len)| block.used_len() != **len)
        {
            return Err(resized(&**block, *before));
        }
        let found = log.sync(&mut self.dirty)?;
        let mut of_ignored = 0;
        for (set, _) in self.dirty.iter_mut().zip(&self.ignored).filter(|(_, is_ignored)| **is_ignored) {
            of_ignored += set.count();
            set.remove_range(0, set.pages());
        }
        Ok(found.saturating_sub(of_ignored))
    }

    /// Takes the next run, and clears its pages in `log`: they are about to be read. It has at most `longest` pages, or
    /// `longest_unread` if they were never populated.
    ///
    /// # Errors
    ///
    /// The log failed.
    pub(crate) fn next_run(
        &mut self,
        log: &dyn DirtyLog,
        longest: usize,
        longest_unread: usize,
    ) -> io::Result<Option<Run>> {
        if let Some(run) = self.stretch.as_mut().and_then(|stretch| stretch.next_run(longest, longest_unread)) {
            return Ok(Some(run));
        }
        self.stretch = None;
        if !self.seek() {
            return Ok(None);
        }
        let first_pass = self.passes == 0;
        let Some((block, first, count)) = self.take(if first_pass { STRETCH_PAGES } else { longest }) else {
            return Ok(None);
        };
        log.clear(block, first, count)?;
        let Some(memory) = self.blocks.get(block).filter(|_| first_pass) else {
            return Ok(Some(Run { block, first, count, never_populated: false }));
        };
        let populated = perhaps_populated(&**memory, first, count);
        let stretch = self.stretch.insert(Stretch { block, base: first, next: 0, count, populated });
        Ok(stretch.next_run(longest, longest_unread))
    }

    /// Moves to a block that has dirty pages at or behind the position; false if none has.
    fn seek(&mut self) -> bool {
        let blocks = self.dirty.len();
        // One block more than there are: the scan may have begun in the middle of one.
        for _ in 0..=blocks {
            let (index, page) = self.position;
            if self.dirty.get(index).is_some_and(|set| set.has_from(page)) {
                return true;
            }
            let wraps = index + 1 >= blocks;
            self.passes += u64::from(wraps);
            self.position = (if wraps { 0 } else { index + 1 }, 0);
        }
        false
    }

    /// Takes dirty pages of the present block out of its set: block, first page, count.
    fn take(&mut self, longest: usize) -> Option<(usize, usize, usize)> {
        let (index, page) = self.position;
        let (first, count) = self.dirty.get_mut(index)?.take_run(page, longest)?;
        self.position = (index, first + count);
        Some((index, first, count))
    }
}

/// What a stream cannot express: the list of the blocks stands at its start (`docs/spec/ram.md` section A11).
#[cold]
fn resized(block: &dyn RamBlock, before: u64) -> io::Error {
    let (name, now) = (block.name(), block.used_len());
    io::Error::other(format!(
        "RAM block '{name}' was resized from {before:#x} to {now:#x} bytes while the guest was moved: move it again"
    ))
}

impl Stretch {
    fn next_run(&mut self, longest: usize, longest_unread: usize) -> Option<Run> {
        let never_populated = !self.populated.contains(self.next);
        let longest = if never_populated { longest_unread } else { longest };
        let count = self.populated.run_of_one_kind(self.next, longest.min(self.count - self.next));
        let run = Run { block: self.block, first: self.base + self.next, count, never_populated };
        self.next += count;
        (count > 0).then_some(run)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use vmferry_wire::Name;

    use super::*;
    use crate::memory::MappedBlock;

    /// A log whose marks the test sets.
    #[derive(Default)]
    struct Marks {
        dirty: Mutex<Vec<(usize, usize)>>,
        cleared: Mutex<Vec<(usize, usize, usize)>>,
    }

    impl DirtyLog for Marks {
        fn start(&self) -> io::Result<()> {
            Ok(())
        }

        fn stop(&self) {}

        fn sync(&self, pages: &mut [PageSet]) -> io::Result<u64> {
            let marks = std::mem::take(&mut *self.dirty.lock().unwrap());
            Ok(marks.iter().map(|(block, page)| pages[*block].add_range(*page, 1)).sum())
        }

        fn clear(&self, block: usize, first: usize, count: usize) -> io::Result<()> {
            self.cleared.lock().unwrap().push((block, first, count));
            Ok(())
        }
    }

    fn runs_of(pages: &[usize]) -> (Runs, Vec<MappedBlock>) {
        runs_of_some(pages, &[])
    }

    fn runs_of_some(pages: &[usize], ignored: &[bool]) -> (Runs, Vec<MappedBlock>) {
        let names = ["a", "b", "c"];
        let blocks: Vec<_> =
            pages.iter().zip(names).map(|(pages, name)| MappedBlock::new(name, pages * 4096).unwrap()).collect();
        let named = |block: &MappedBlock| -> NamedBlock {
            (Name::new(block.name(), "RAM block").unwrap(), Arc::new(block.clone()))
        };
        (Runs::new(&blocks.iter().map(named).collect::<Vec<_>>(), ignored), blocks)
    }

    fn next(runs: &mut Runs, log: &Marks, longest: usize) -> Option<(usize, usize, usize, bool)> {
        runs.next_run(log, longest, longest).unwrap().map(|run| (run.block, run.first, run.count, run.never_populated))
    }

    #[test]
    fn the_first_pass_tells_what_was_never_populated() {
        let (mut runs, blocks) = runs_of(&[100, 50]);
        blocks[0].write(10 * 4096, &[1; 8192]).unwrap();
        let log = Marks::default();
        let seen: Vec<_> = std::iter::from_fn(|| next(&mut runs, &log, 64)).collect();
        let expected = [(0, 0, 10, true), (0, 10, 2, false), (0, 12, 64, true), (0, 76, 24, true), (1, 0, 50, true)];
        assert_eq!(seen, expected);
        assert_eq!(*log.cleared.lock().unwrap(), [(0, 0, 100), (1, 0, 50)]);
        assert!(runs.is_first_pass_over());
        assert_eq!(runs.remaining_pages(), 0);
        log.dirty.lock().unwrap().extend([(1, 3), (1, 4)]);
        assert_eq!(runs.synchronise(&log).unwrap(), 2);
        assert_eq!(next(&mut runs, &log, 64), Some((1, 3, 2, false)), "later passes read everything");
    }

    #[test]
    fn what_is_written_behind_the_question_is_asked_for_again_after_a_synchronisation() {
        let (mut runs, blocks) = runs_of(&[100]);
        let log = Marks::default();
        assert_eq!(next(&mut runs, &log, 20), Some((0, 0, 20, true)));
        blocks[0].write(50 * 4096, &[1]).unwrap();
        log.dirty.lock().unwrap().push((0, 50));
        assert_eq!(runs.remaining_pages(), 80);
        runs.synchronise(&log).unwrap();
        assert_eq!(runs.remaining_pages(), 80, "nothing is lost and nothing twice");
        assert_eq!(next(&mut runs, &log, 99), Some((0, 20, 30, true)));
        assert_eq!(next(&mut runs, &log, 99), Some((0, 50, 1, false)));
        assert_eq!(next(&mut runs, &log, 99), Some((0, 51, 49, true)));
        assert_eq!(next(&mut runs, &log, 99), None);
    }

    #[test]
    fn the_scan_goes_round_and_ends() {
        let (mut runs, _blocks) = runs_of(&[10, 10, 10]);
        let log = Marks::default();
        while next(&mut runs, &log, 7).is_some() {}
        log.dirty.lock().unwrap().extend([(2, 9), (0, 0)]);
        runs.synchronise(&log).unwrap();
        let seen: Vec<_> = std::iter::from_fn(|| next(&mut runs, &log, 7)).collect();
        assert_eq!(seen, [(0, 0, 1, false), (2, 9, 1, false)]);
    }

    #[test]
    fn a_block_that_is_ignored_is_never_scanned() {
        let (mut runs, _blocks) = runs_of_some(&[10, 10, 10], &[false, true]);
        let log = Marks::default();
        assert_eq!(runs.remaining_pages(), 20);
        let seen: Vec<_> = std::iter::from_fn(|| next(&mut runs, &log, 10)).collect();
        assert_eq!(seen, [(0, 0, 10, true), (2, 0, 10, true)]);
        log.dirty.lock().unwrap().extend([(1, 3), (2, 4), (1, 9)]);
        assert_eq!(runs.synchronise(&log).unwrap(), 1);
        assert_eq!(next(&mut runs, &log, 10), Some((2, 4, 1, false)));
        assert_eq!(next(&mut runs, &log, 10), None);
    }
}
