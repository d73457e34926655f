//! Which pages of a block may hold something, learnt from the kernel without touching them.
//!
//! Even reading a page that was never written populates it with the kernel's page of zeros and its page tables, and
//! costs an exception. An answer is of the moment: a page that is written afterwards is in the dirty log, if that was
//! started before.

use std::io;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::pagemap::{Pagemap, Scan};
use super::{Backing, RamBlock, TARGET_PAGE, TARGET_PAGE_BYTES};
use crate::dirty::PageSet;

/// The pages of `block` that may hold something; all others are zero.
///
/// # Errors
///
/// As [`populated_from`].
pub fn populated(block: &dyn RamBlock) -> io::Result<PageSet> {
    populated_from(block, 0, usize::try_from(block.used_len() / TARGET_PAGE_BYTES).map_err(io::Error::other)?)
}

/// The pages of `first .. first + count` that may hold something, numbered from `first`; all others are zero.
///
/// # Errors
///
/// The block has no such pages, or the kernel cannot tell: no `PAGEMAP_SCAN` (before Linux 6.7), no holes in the file.
/// Then every page may.
pub fn populated_from(block: &dyn RamBlock, first: usize, count: usize) -> io::Result<PageSet> {
    let mut pages = PageSet::new(count);
    let offset = (first as u64).saturating_mul(TARGET_PAGE_BYTES);
    let memory = block.run(offset, count.saturating_mul(TARGET_PAGE)).map_err(io::Error::other)?;
    match block.backing() {
        Backing::Unknown => pages.fill(),
        Backing::Anonymous => Pagemap::open()?.scan(&memory, Scan::Populated, |start, len| {
            pages.add_range(start / TARGET_PAGE, len.div_ceil(TARGET_PAGE));
        })?,
        Backing::Shared { file, offset: start, .. } => {
            let start = start.saturating_add(offset);
            let end = start.saturating_add(memory.len() as u64);
            let mut at = start;
            while at < end {
                let data = match rustix::fs::seek(file, SeekFrom::Data(at)) {
                    Ok(data) => data,
                    // A hole up to the end.
                    Err(Errno::NXIO) => break,
                    Err(errno) => return Err(errno.into()),
                };
                at = rustix::fs::seek(file, SeekFrom::Hole(data))?;
                let from = data.saturating_sub(start) / TARGET_PAGE_BYTES;
                let behind = at.saturating_sub(start).div_ceil(TARGET_PAGE_BYTES);
                let page = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
                pages.add_range(page(from), page(behind.saturating_sub(from)));
            }
        }
    }
    block.add_overlaid(first, &mut pages);
    Ok(pages)
}

/// [`populated_from`]; every page where it cannot be told.
#[must_use]
pub fn perhaps_populated(block: &dyn RamBlock, first: usize, count: usize) -> PageSet {
    populated_from(block, first, count).unwrap_or_else(|error| {
        tracing::debug!(block = block.name(), %error, "which pages are populated is not to be told");
        let mut pages = PageSet::new(count);
        pages.fill();
        pages
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MappedBlock;

    /// Whether the kernel can tell at all.
    fn is_told() -> bool {
        let told = populated(&MappedBlock::new("probe", 4096).unwrap());
        if let Err(error) = &told {
            println!("skipped: the kernel does not tell which pages are populated: {error}");
        }
        told.is_ok()
    }

    fn pages_of(set: &PageSet) -> Vec<usize> {
        (0..set.pages()).filter(|page| set.contains(*page)).collect()
    }

    #[test]
    fn what_was_written_is_populated_and_nothing_else() {
        if !is_told() {
            return;
        }
        let block = MappedBlock::new("ram", 64 << 20).unwrap();
        assert_eq!(populated(&block).unwrap().count(), 0);
        for page in [0, 1, 2, 700, 16383] {
            block.write(page * 4096 + 5, &[1]).unwrap();
        }
        // Reading leaves the page of zeros behind, which does not count.
        block.read(900 * 4096, &mut [0; 8192]).unwrap();
        assert_eq!(pages_of(&populated(&block).unwrap()), [0, 1, 2, 700, 16383]);
        assert_eq!(populated(&block).unwrap().count(), 5, "looking populates nothing");
    }

    #[test]
    fn more_ranges_than_one_call_answers_are_all_found() {
        if !is_told() {
            return;
        }
        let block = MappedBlock::new("ram", 32 << 20).unwrap();
        let written: Vec<usize> = (0..8192).step_by(3).collect();
        for page in &written {
            block.write(*page as u64 * 4096, &[1]).unwrap();
        }
        assert_eq!(pages_of(&populated(&block).unwrap()), written);
        let part: Vec<usize> = (3000..3100).filter(|page| page % 3 == 0).map(|page| page - 3000).collect();
        assert_eq!(pages_of(&populated_from(&block, 3000, 100).unwrap()), part);
    }

    #[test]
    fn holes_of_a_shared_file_are_not_populated() {
        let file = rustix::fs::memfd_create("ram", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&file, 8 << 20).unwrap();
        let block = MappedBlock::shared("ram", file.into(), 1 << 20, 4 << 20, false).unwrap();
        assert_eq!(populated(&block).unwrap().count(), 0);
        block.write(3 * 4096, &[1]).unwrap();
        block.write((4 << 20) - 1, &[1]).unwrap();
        assert_eq!(pages_of(&populated(&block).unwrap()), [3, 1023]);
        assert_eq!(pages_of(&populated_from(&block, 1, 10).unwrap()), [2]);
        populated_from(&block, 1000, 25).unwrap_err();
    }
}
