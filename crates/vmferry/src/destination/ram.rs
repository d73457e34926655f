//! Loading RAM: records become pages of the local blocks (`docs/spec/ram.md` A13 lists what is checked).

use std::ops::Range;
use std::sync::Arc;

use vmferry_wire::Decoded;
use vmferry_wire::ram::block_list::{BlockEntry, BlockList, EntryLayout};
use vmferry_wire::ram::{BlockRef, PageKind, Record, TargetPage, page_header};
use vmstate::Input;

use super::reader::{next, read_error};
use crate::error::{Attribute as _, Error, ErrorKind, Side};
use crate::memory::populate::populate;
use crate::memory::zero::is_zero;
use crate::memory::{RamBlock, TARGET_PAGE, TARGET_PAGE_BYTES};

const ZERO_PAGE: [u8; TARGET_PAGE] = [0; TARGET_PAGE];

/// Octets of a page record that names no block.
const HEADER_OCTETS: usize = 8;

/// Takes the bodies of the `ram` section.
#[derive(Debug)]
pub(super) struct RamLoader {
    blocks: Vec<Arc<dyn RamBlock>>,
    /// The list came and fits.
    listed: bool,
    /// Block of the last page record; its memory crosses sections.
    current: Option<usize>,
    /// Block and offsets of the run that was populated last.
    populated: (usize, Range<u64>),
    /// Pages taken: with content, of zeros.
    pub(super) normal_pages: u64,
    pub(super) zero_pages: u64,
}

/// What to do behind a record's header.
enum Next {
    Blocks(u64),
    Page { block: usize, offset: u64, kind: PageKind },
    End,
    Nothing,
}

impl RamLoader {
    pub(super) fn new(blocks: &[Arc<dyn RamBlock>]) -> Self {
        Self {
            blocks: blocks.to_vec(),
            listed: false,
            current: None,
            populated: (0, 0..0),
            normal_pages: 0,
            zero_pages: 0,
        }
    }

    /// Whether the block list was seen.
    pub(super) fn is_listed(&self) -> bool {
        self.listed
    }

    /// Loads one body, up to its end record.
    pub(super) fn load(&mut self, input: &mut Input<'_>) -> Result<(), Error> {
        loop {
            match self.next_record(input)? {
                Next::Blocks(total) => self.read_list(input, total)?,
                Next::Page { block, offset, kind } => self.read_page(input, block, offset, kind)?,
                Next::End => return Ok(()),
                Next::Nothing => {}
            }
        }
    }

    fn next_record(&mut self, input: &mut Input<'_>) -> Result<Next, Error> {
        let start = input.offset();
        let mut wanted = 8;
        loop {
            let octets = input.peek(wanted).map_err(|error| read_error(error, start))?;
            if octets.len() < wanted {
                return Err(Error::new(Side::Destination, ErrorKind::Truncated { offset: start }));
            }
            match Record::decode(octets, TargetPage::KIB_4).map_err(|error| error.at(start)).at(Side::Destination)? {
                Decoded::NeedMore { total } => wanted = total.max(wanted + 1),
                Decoded::Complete { value, used } => {
                    let next = self.classify(value, start)?;
                    input.consume(used);
                    return Ok(next);
                }
            }
        }
    }

    fn classify(&mut self, record: Record<'_>, offset: u64) -> Result<Next, Error> {
        let page = match record {
            Record::MemSize { total } => return Ok(Next::Blocks(total)),
            Record::Eos => return Ok(Next::End),
            Record::Hook | Record::MultifdFlush => return Ok(Next::Nothing),
            Record::Page(page) => page,
        };
        if !self.listed {
            return Err(mismatch(offset, "a page record", "before the list of RAM blocks", "behind it"));
        }
        let block = match page.block {
            BlockRef::Named(name) => self
                .find(name)
                .ok_or_else(|| mismatch(offset, "the RAM block of a page", format!("'{name}'"), self.names()))?,
            BlockRef::Same => self
                .current
                .ok_or_else(|| mismatch(offset, "the first page record", "without the name of a block", "with it"))?,
        };
        self.current = Some(block);
        if !matches!(page.kind, PageKind::Normal | PageKind::Zero) {
            return Err(mismatch(
                offset,
                "a page record",
                format!("of kind {:?}", page.kind),
                "normal and zero pages: turn xbzrle and compress off at the source",
            ));
        }
        Ok(Next::Page { block, offset: page.offset, kind: page.kind })
    }

    fn read_page(&mut self, input: &mut Input<'_>, index: usize, offset: u64, kind: PageKind) -> Result<(), Error> {
        let Some(block) = self.blocks.get(index) else { return Ok(()) };
        if offset >= block.used_len() {
            return Err(mismatch(
                input.offset(),
                "the offset of a page",
                format!("{offset:#x} in block '{}'", block.name()),
                format!("below its length of {:#x}", block.used_len()),
            ));
        }
        if kind == PageKind::Zero {
            self.zero_pages += 1;
            let memory = block.run(offset, TARGET_PAGE).at(Side::Destination)?;
            if !is_zero(&memory) {
                memory.copy_from(&ZERO_PAGE);
            }
            return Ok(());
        }
        self.normal_pages += 1;
        let (populated_block, populated) = &self.populated;
        if *populated_block != index || !populated.contains(&offset) {
            let len = run_ahead(input.buffered(), offset);
            // A run that leaves its block is refused page by page, with its place in the stream.
            if let Ok(memory) = block.run(offset, len) {
                populate(&memory);
            }
            self.populated = (index, offset..offset.saturating_add(len as u64));
        }
        let start = input.offset();
        let page = input.peek(TARGET_PAGE).map_err(|error| read_error(error, start))?;
        if page.len() < TARGET_PAGE {
            return Err(Error::new(Side::Destination, ErrorKind::Truncated { offset: start + page.len() as u64 }));
        }
        block.write(offset, page).at(Side::Destination)?;
        input.consume(TARGET_PAGE);
        Ok(())
    }

    /// Reads the list and compares it with the local blocks: every one of them, none else, equal lengths.
    ///
    /// Differs from QEMU: it accepts a list that lacks a local block, and one that comes twice.
    fn read_list(&mut self, input: &mut Input<'_>, total: u64) -> Result<(), Error> {
        let start = input.offset();
        let mut list = BlockList::announced(total);
        while !list.is_complete() {
            let at = input.offset();
            let entry = next(input, |octets| BlockEntry::decode(octets, EntryLayout::default(), TargetPage::KIB_4))?;
            let local = self
                .find(entry.name.as_str())
                .and_then(|index| self.blocks.get(index))
                .ok_or_else(|| mismatch(at, "a RAM block", format!("'{}'", entry.name.as_str()), self.names()))?;
            if entry.used_bytes != local.used_len() {
                return Err(mismatch(
                    at,
                    "the length of a RAM block",
                    format!("{:#x} for '{}'", entry.used_bytes, local.name()),
                    format!("{:#x}: start both ends with the same --memory", local.used_len()),
                ));
            }
            list.push(entry).map_err(|error| error.at(at)).at(Side::Destination)?;
        }
        let listed =
            |block: &&Arc<dyn RamBlock>| list.entries().iter().any(|entry| entry.name.as_str() == block.name());
        if let Some(missing) = self.blocks.iter().find(|block| !listed(block)) {
            return Err(mismatch(
                start,
                "the list of RAM blocks",
                "without a block that is here",
                format!("with '{}'", missing.name()),
            ));
        }
        self.listed = true;
        Ok(())
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.blocks.iter().position(|block| block.name() == name)
    }

    fn names(&self) -> String {
        self.blocks.iter().map(|block| format!("'{}'", block.name())).collect::<Vec<_>>().join(", ")
    }
}

/// Bytes of the run of pages with content that starts with the page at `offset`, as far as the headers of those behind it
/// are in `ahead`, which starts with the first page's content. No page is in it that is not about to be written.
fn run_ahead(ahead: &[u8], offset: u64) -> usize {
    let mut len = TARGET_PAGE;
    let mut next = offset;
    for record in ahead.get(TARGET_PAGE..).unwrap_or_default().chunks(HEADER_OCTETS + TARGET_PAGE) {
        next = next.wrapping_add(TARGET_PAGE_BYTES);
        if record.first_chunk() != Some(&page_header(PageKind::Normal, next, true).to_be_bytes()) {
            break;
        }
        len += TARGET_PAGE;
    }
    len
}

#[cold]
fn mismatch(offset: u64, what: &'static str, found: impl Into<String>, accepted: impl Into<String>) -> Error {
    let (found, accepted) = (found.into(), accepted.into());
    Error::new(Side::Destination, ErrorKind::Mismatch { offset, what, found, accepted })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page's content, then records of the pages at `offsets`.
    fn stream(offsets: &[u64]) -> Vec<u8> {
        let mut octets = vec![1; TARGET_PAGE];
        for offset in offsets {
            octets.extend_from_slice(&page_header(PageKind::Normal, *offset, true).to_be_bytes());
            octets.extend_from_slice(&[2; TARGET_PAGE]);
        }
        octets
    }

    #[test]
    fn a_run_ends_where_the_next_page_is_not_the_next_one() {
        assert_eq!(run_ahead(&stream(&[0x6000, 0x7000, 0x9000]), 0x5000), 3 * TARGET_PAGE);
        let mut zero = stream(&[0x6000]);
        zero.extend_from_slice(&page_header(PageKind::Zero, 0x7000, true).to_be_bytes());
        assert_eq!(run_ahead(&zero, 0x5000), 2 * TARGET_PAGE);
    }

    #[test]
    fn a_run_is_told_from_what_is_there() {
        let octets = stream(&[0x6000, 0x7000]);
        for cut in 0..octets.len() {
            let headers = [2 * HEADER_OCTETS + 2 * TARGET_PAGE, HEADER_OCTETS + TARGET_PAGE];
            let whole = headers.iter().filter(|end| cut >= **end).count();
            assert_eq!(run_ahead(&octets[..cut], 0x5000), (1 + whole) * TARGET_PAGE, "{cut}");
        }
        assert_eq!(run_ahead(&[], u64::MAX - 4095), TARGET_PAGE);
    }
}
