//! Pages go from the channel straight into guest memory, where it can be told ahead where they belong.
//!
//! ```text
//! stream:   … N 3 ‖ N 4 ‖ N 5 ‖ N 6 ‖ E                 N: the header of a page with content; E: anything else
//! readv:            h0 page 4  h1 page 5  h2 page 6  h3 page 7
//! found:            ✓          ✓          ✓          ✗  what was read into page 7 goes back in front of the stream,
//!                                                       and page 7 is zero, as it was
//! ```
//!
//! Behind a run of consecutive pages the next ones are expected to follow, and are read as if they did: headers into
//! an array, contents into guest memory. Each header is checked before anything is made of what stands behind it.
//! What was read to the wrong place is taken out of it again; so only pages are filled ahead of their headers that hold
//! nothing yet, which are zero for certain ([`Held`]), and never one outside the block. At most as many are expected
//! as came in a row before.
//!
//! Differs from the general way in nothing that can be seen: the same octets are consumed, and every record that is
//! not the expected one, malformed ones among them, is left to it, at its offset.

use std::sync::Arc;

use vmferry_wire::ram::{PageKind, page_header};
use vmstate::Input;

use super::held::Held;
use super::reader::io_error;
use crate::channel::Channel;
use crate::error::{Attribute as _, Error, Side};
use crate::memory::scattered::Places;
use crate::memory::{OutOfBlock, RamBlock, TARGET_PAGE, TARGET_PAGE_BYTES};

/// Octets of the header of a page in the block of the one before.
const HEADER_OCTETS: usize = 8;
/// Octets of the record of such a page.
const RECORD_OCTETS: usize = HEADER_OCTETS + TARGET_PAGE;
/// Most pages that are expected at once. What was read of them for nothing fits the reader's window.
const PAGES_MAX: usize = 60;
/// Pages in a row behind which more are expected.
const PAGES_MIN: usize = 8;
/// Octets that the reader's window takes at once while pages are read past it: little more than the elements between
/// two runs of pages, the record of one of which ends a row of its kind.
const AHEAD_OCTETS: usize = 64;

type Header = [u8; HEADER_OCTETS];

/// The pages that came last.
#[derive(Debug)]
pub(super) struct Direct {
    channel: Arc<Channel>,
    block: usize,
    /// Offset of the page that comes next if the row goes on.
    next: u64,
    /// Pages of the row.
    row: usize,
    /// Pages with content in this section so far, and in the one before, behind which it ended.
    section: usize,
    last_section: usize,
    /// Pages that were read past the window.
    pages: u64,
}

impl Direct {
    /// Reads past the window of a reader of `channel`.
    pub(super) fn new(channel: Arc<Channel>) -> Self {
        Self { channel, block: 0, next: 0, row: 0, section: 0, last_section: 0, pages: 0 }
    }

    /// A page with content arrived at `offset`.
    pub(super) fn arrived(&mut self, block: usize, offset: u64) {
        if block != self.block || offset != self.next {
            self.row = 0;
        }
        self.went_on(block, offset, 1);
    }

    /// Pages that were read past the window.
    pub(super) fn pages(&self) -> u64 {
        self.pages
    }

    fn went_on(&mut self, block: usize, offset: u64, pages: usize) {
        self.block = block;
        self.next = offset.saturating_add(pages as u64 * TARGET_PAGE_BYTES);
        self.row = self.row.saturating_add(pages);
        self.section = self.section.saturating_add(pages);
    }

    /// Something other than a page with content arrived.
    pub(super) fn interrupted(&mut self) {
        self.row = 0;
    }

    /// The section ended; the row may go on in the next one.
    pub(super) fn section_ended(&mut self) {
        self.last_section = std::mem::take(&mut self.section);
    }

    /// Reads the pages that stand next, if they are the expected ones; how many there were. None if the window has a
    /// whole record.
    ///
    /// # Errors
    ///
    /// The channel broke, or the block is shorter than it said.
    pub(super) fn read(
        &mut self,
        input: &mut Input<'_>,
        blocks: &[Arc<dyn RamBlock>],
        held: &Held,
    ) -> Result<usize, Error> {
        if input.buffered().len() >= RECORD_OCTETS {
            return Ok(0);
        }
        let block = blocks.get(self.block).filter(|_| self.row >= PAGES_MIN);
        let empty = block.map_or(0, |block| self.empty(&**block, held));
        input.limit_ahead(if empty > 0 { AHEAD_OCTETS } else { usize::MAX });
        let expected = self.until_the_section_ends(empty);
        let Some(block) = block.filter(|_| expected > 0 && is_start_of(input.buffered(), header(self.next))) else {
            return Ok(0);
        };
        held.populate(self.block, &**block, self.next..self.next.saturating_add((expected * TARGET_PAGE) as u64));
        let mut row = Row::new(&**block, self.next, expected);
        row.begin(input.buffered()).at(Side::Destination)?;
        let whole = loop {
            let read = row.read(&self.channel, input.offset())?;
            // At the end of the stream the general way says where in a record that is.
            if let Some(whole) = row.whole(read == 0) {
                break whole;
            }
        };
        let ahead = row.take_back(whole).at(Side::Destination)?;
        input.passed((whole * RECORD_OCTETS) as u64, &ahead);
        held.arrive(self.block, self.next, whole * TARGET_PAGE);
        self.went_on(self.block, self.next, whole);
        self.pages = self.pages.saturating_add(whole as u64);
        Ok(whole)
    }

    /// Pages that may be filled before their headers are known.
    fn empty(&self, block: &dyn RamBlock, held: &Held) -> usize {
        let room = block.used_len().saturating_sub(self.next) / TARGET_PAGE_BYTES;
        let most = self.row.min(PAGES_MAX).min(usize::try_from(room).unwrap_or(usize::MAX));
        held.empty_pages(self.block, self.next, most)
    }

    /// A source that fills its sections by count ends this one where it ended the last.
    fn until_the_section_ends(&self, pages: usize) -> usize {
        match self.last_section.checked_sub(self.section) {
            Some(left) => pages.min(left),
            None => pages,
        }
    }
}

/// Expected pages while they are read.
struct Row<'a> {
    block: &'a dyn RamBlock,
    /// Of the first page.
    offset: u64,
    expected: usize,
    headers: [Header; PAGES_MAX],
    /// Octets of the records that are there.
    filled: usize,
}

impl<'a> Row<'a> {
    fn new(block: &'a dyn RamBlock, offset: u64, expected: usize) -> Self {
        Self { block, offset, expected, headers: [[0; HEADER_OCTETS]; PAGES_MAX], filled: 0 }
    }

    fn page(&self, number: usize) -> u64 {
        self.offset.saturating_add(number as u64 * TARGET_PAGE_BYTES)
    }

    /// Takes the start of the first record, whose header is the expected one as far as it is there.
    fn begin(&mut self, octets: &[u8]) -> Result<(), OutOfBlock> {
        if let Some(first) = self.headers.first_mut() {
            *first = header(self.offset);
        }
        if let Some(content) = octets.get(HEADER_OCTETS..) {
            self.block.write(self.offset, content)?;
        }
        self.filled = octets.len();
        Ok(())
    }

    /// Reads what there is, at least one octet if there will be any; 0 at the end. The first record is at `start`.
    fn read(&mut self, channel: &Channel, start: u64) -> Result<usize, Error> {
        let first = self.filled / RECORD_OCTETS;
        let mut done = self.filled % RECORD_OCTETS;
        let mut places = Places::new();
        for (number, header) in self.headers.iter_mut().enumerate().take(self.expected).skip(first) {
            if let Some(header) = header.get_mut(done..) {
                places.push_bytes(header);
            }
            let content = done.saturating_sub(HEADER_OCTETS);
            let offset = self.offset.saturating_add((number * TARGET_PAGE + content) as u64);
            places.push_guest(&self.block.run(offset, TARGET_PAGE - content).at(Side::Destination)?);
            done = 0;
        }
        let at = start.saturating_add(self.filled as u64);
        let read = channel.read_some(&mut places).map_err(|error| io_error(&error, at))?;
        self.filled += read;
        Ok(read)
    }

    /// How many records are whole and expected, once nothing more can be said of the next without reading behind it.
    fn whole(&self, is_end: bool) -> Option<usize> {
        let headers = self.filled.saturating_add(TARGET_PAGE) / RECORD_OCTETS;
        let mut found = self.headers.iter().enumerate().take(headers);
        let unexpected = found.position(|(number, found)| *found != header(self.page(number)));
        let between = is_end || self.filled.is_multiple_of(RECORD_OCTETS);
        unexpected.or_else(|| between.then_some(self.filled / RECORD_OCTETS))
    }

    /// What was read behind `whole` records. The memory that it went to is as it was before: zero.
    fn take_back(&self, whole: usize) -> Result<Vec<u8>, OutOfBlock> {
        let mut octets = vec![0; self.filled.saturating_sub(whole * RECORD_OCTETS)];
        for (number, record) in octets.chunks_mut(RECORD_OCTETS).enumerate() {
            let number = whole + number;
            let (head, content) = record.split_at_mut(record.len().min(HEADER_OCTETS));
            for (place, octet) in head.iter_mut().zip(self.headers.get(number).into_iter().flatten()) {
                *place = *octet;
            }
            let memory = self.block.run(self.page(number), content.len())?;
            memory.copy_to(&mut *content);
            memory.copy_from(ZEROS.get(..content.len()).unwrap_or_default());
        }
        Ok(octets)
    }
}

const ZEROS: [u8; TARGET_PAGE] = [0; TARGET_PAGE];

/// The header of a page with content at `offset`, in the block of the page before.
fn header(offset: u64) -> Header {
    page_header(PageKind::Normal, offset, true).to_be_bytes()
}

/// Whether `octets` are the start of a record with this header.
fn is_start_of(octets: &[u8], header: Header) -> bool {
    octets.iter().zip(&header).all(|(found, expected)| found == expected)
}

#[cfg(test)]
mod tests;
