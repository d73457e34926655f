//! Pages that come by mapping the file over guest memory, instead of reading it.
//!
//! ```text
//! bits:      111111 0 1111 00000000000000000000 11 0 111
//! mappings:  [ one mapping ]    anonymous       [ one  ]     a short run of zeros is mapped as well
//! cleared:         ^                              ^          unless the file has a hole there
//! ```
//!
//! Each mapping is an area of its own for the kernel, which gives a process 65530 by default and looks through them at
//! each fault: so short runs of zero pages are mapped with their neighbours. What the file has at the place of a zero
//! page means nothing (`docs/spec/mapped-ram.md` section 1): where it is not a hole the page is cleared, which reads it
//! first.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Instant;

use rustix::fs::{FlockOperation, SeekFrom, flock};
use rustix::io::Errno;

use super::super::held::Held;
use super::read_bitmap;
use crate::control::Restore;
use crate::dirty::PageSet;
use crate::mapped_ram::file::PageFile;
use crate::mapped_ram::layout::Layout;
use crate::memory::{RamBlock, TARGET_PAGE, TARGET_PAGE_BYTES};
use crate::shared::ms_since;

/// Shortest run of zero pages that is left out of a mapping: 256 KiB.
const GAP_PAGES: usize = 64;

/// Most mappings of one load: a small part of the 65530 that a process has by default, and some 5 ms of work.
const MAPPINGS_LIMIT: usize = 2048;

const ZERO_PAGE: [u8; TARGET_PAGE] = [0; TARGET_PAGE];

/// Consecutive pages: first and count.
type Run = (usize, usize);

/// Guest memory that is mapped from a file.
#[derive(Debug)]
pub(in crate::destination) struct Mapped {
    /// Open and locked, so that nobody who asks writes it.
    pub(in crate::destination) file: File,
    /// Number of the block, first page and count of each mapping.
    pub(in crate::destination) runs: Vec<(usize, usize, usize)>,
    pub(in crate::destination) account: Restore,
    pub(in crate::destination) normal_pages: u64,
    pub(in crate::destination) zero_pages: u64,
}

/// Maps the pages of all blocks from `file`. Where it fails, what was mapped already may stay: it can be read over.
///
/// # Errors
///
/// The file or a block cannot be mapped; another process writes the file; it ends early.
pub(super) fn map(
    file: &PageFile,
    layouts: &[Layout],
    blocks: &[Arc<dyn RamBlock>],
    held: &Held,
) -> io::Result<Mapped> {
    let begun = Instant::now();
    let own = file.reopen_to_map()?;
    lock(&own)?;
    let file_bytes = own.metadata()?.len();
    let mut mapped =
        Mapped { file: own, runs: Vec::new(), account: Restore::default(), normal_pages: 0, zero_pages: 0 };
    let most = (MAPPINGS_LIMIT / layouts.len().max(1)).max(1);
    for layout in layouts {
        let Some(block) = blocks.get(layout.block()) else { continue };
        if layout.end() > file_bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let pages = read_bitmap(file, layout)?;
        mapped.normal_pages += pages.count();
        mapped.zero_pages += layout.pages() as u64 - pages.count();
        held.clear_others(layout.block(), &**block, &pages).map_err(io::Error::other)?;
        for (first, count) in plan(&pages, most) {
            let (offset, len) = (first as u64 * TARGET_PAGE_BYTES, count * TARGET_PAGE);
            block.map_private(offset, len, mapped.file.as_fd(), layout.place(first)).map_err(|error| {
                let text = format!("the RAM block '{}' cannot be mapped from the file: {error}", block.name());
                io::Error::new(error.kind(), text)
            })?;
            mapped.runs.push((layout.block(), first, count));
            mapped.account.mapped_bytes += len as u64;
            mapped.account.cleared_pages += clear_gaps(&**block, &mapped.file, layout, &pages, (first, count))?;
        }
    }
    mapped.account.mappings = mapped.runs.len();
    mapped.account.map_ms = ms_since(begun);
    Ok(mapped)
}

/// Tells writers of our own kind that the file is in use; whoever writes it now is found out.
fn lock(file: &File) -> io::Result<()> {
    match flock(file, FlockOperation::NonBlockingLockShared) {
        Err(Errno::WOULDBLOCK) => {
            Err(io::Error::new(io::ErrorKind::ResourceBusy, "the file is being written: wait for the end of that"))
        }
        // A file system without locks.
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Which runs of pages to map, at most `most`: those with a bit, joined where the gap between them is short.
fn plan(pages: &PageSet, most: usize) -> Vec<Run> {
    let mut runs = joined(runs_of(pages), GAP_PAGES);
    let mut gap = GAP_PAGES;
    while runs.len() > most.max(1) {
        gap *= 2;
        runs = joined(runs, gap);
    }
    runs
}

fn runs_of(pages: &PageSet) -> Vec<Run> {
    let (mut runs, mut page) = (Vec::new(), 0);
    while page < pages.pages() {
        let count = pages.run_of_one_kind(page, usize::MAX).max(1);
        if pages.contains(page) {
            runs.push((page, count));
        }
        page += count;
    }
    runs
}

/// Joins runs with less than `gap` pages between them.
fn joined(runs: Vec<Run>, gap: usize) -> Vec<Run> {
    let mut joined: Vec<Run> = Vec::new();
    for (first, count) in runs {
        match joined.last_mut() {
            Some((start, len)) if first - (*start + *len) < gap => *len = first + count - *start,
            _ => joined.push((first, count)),
        }
    }
    joined
}

/// Clears the pages of a mapped run that have no bit, where the file has something; returns how many.
fn clear_gaps(
    block: &dyn RamBlock,
    file: &File,
    layout: &Layout,
    pages: &PageSet,
    (first, count): Run,
) -> io::Result<u64> {
    let (mut page, end, mut cleared) = (first, first + count, 0);
    // The file has a hole from the place of page `page` up to that of this one.
    let mut data_from = first;
    while page < end {
        let len = pages.run_of_one_kind(page, end - page).max(1);
        if !pages.contains(page) {
            for page in page..page + len {
                if page >= data_from {
                    data_from = next_data(file, layout, page);
                }
                if page >= data_from {
                    block.write(page as u64 * TARGET_PAGE_BYTES, &ZERO_PAGE).map_err(io::Error::other)?;
                    cleared += 1;
                }
            }
        }
        page += len;
    }
    Ok(cleared)
}

/// The first page from `page` on at whose place the file is not a hole; `page` itself where that cannot be told.
fn next_data(file: &File, layout: &Layout, page: usize) -> usize {
    match rustix::fs::seek(file, SeekFrom::Data(layout.place(page))) {
        Ok(at) => page + usize::try_from((at.saturating_sub(layout.place(page))) / TARGET_PAGE_BYTES).unwrap_or(0),
        // A hole up to the end of the file.
        Err(Errno::NXIO) => usize::MAX,
        Err(_) => page,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(runs: &[Run], pages: usize) -> PageSet {
        let mut set = PageSet::new(pages);
        for (first, count) in runs {
            set.add_range(*first, *count);
        }
        set
    }

    #[test]
    fn short_gaps_are_mapped_and_long_ones_are_not() {
        let pages = set(&[(0, 10), (10 + GAP_PAGES - 1, 5), (500, 1), (501 + GAP_PAGES, 7)], 1000);
        assert_eq!(plan(&pages, 100), [(0, 14 + GAP_PAGES), (500, 1), (501 + GAP_PAGES, 7)]);
        assert_eq!(plan(&set(&[], 1000), 100), []);
        assert_eq!(plan(&set(&[(0, 1000)], 1000), 100), [(0, 1000)]);
    }

    #[test]
    fn however_many_gaps_there_are_the_mappings_have_a_limit() {
        let runs: Vec<Run> = (0..1000).map(|run| (run * 100, 1)).collect();
        let pages = set(&runs, 100_000);
        let plan = plan(&pages, 10);
        assert!((1..=10).contains(&plan.len()), "{plan:?}");
        let covers = |page: usize| plan.iter().any(|(first, count)| (*first..first + count).contains(&page));
        assert!(runs.iter().all(|(page, _)| covers(*page)), "{plan:?}");
    }
}
