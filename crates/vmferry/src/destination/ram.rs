//! Loading RAM: records become pages of the local blocks (`docs/spec/ram.md` A13 lists what is checked).

use std::sync::Arc;

use vmferry_wire::Decoded;
use vmferry_wire::ram::block_list::{BlockEntry, BlockList, EntryLayout};
use vmferry_wire::ram::{BlockRef, PageKind, Record, TargetPage};
use vmstate::Input;

use super::arrival::Arrival;
use super::reader::{mismatch, next, read_error};
use crate::error::{Attribute as _, Error, ErrorKind, Side};
use crate::memory::zero::is_zero;
use crate::memory::{RamBlock, TARGET_PAGE};

const ZERO_PAGE: [u8; TARGET_PAGE] = [0; TARGET_PAGE];

/// Takes the bodies of the `ram` section.
#[derive(Debug)]
pub(super) struct RamLoader {
    blocks: Vec<Arc<dyn RamBlock>>,
    /// The list came and fits.
    listed: bool,
    /// Block of the last page record; its memory crosses sections.
    current: Option<usize>,
    /// Prepares memory for the pages that come.
    arrival: Arrival,
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
            arrival: Arrival::default(),
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
        self.arrival.page(index, &**block, offset, input.buffered());
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
