//! Loading RAM: records become pages of the local blocks (`docs/spec/ram.md` A13 lists what is checked).

use std::sync::Arc;

use vmferry_wire::Decoded;
use vmferry_wire::ram::block_list::{BlockEntry, BlockList, EntryLayout};
use vmferry_wire::ram::{BlockRef, PageKind, Record, TargetPage, page_header, xbzrle};
use vmstate::Input;

use super::arrival::Arrival;
use super::direct::Direct;
use super::held::Held;
use super::inflate::Inflate;
use super::mapped_ram::{MappedRam, Restored};
use super::multifd::Multifd;
use super::reader::{mismatch, next, read_error};
use crate::channel::Channel;
use crate::error::{Attribute as _, Error, ErrorKind, Side};
use crate::memory::{RamBlock, TARGET_PAGE, TARGET_PAGE_BYTES};

/// Octets of the record of a zero page that names no block.
const ZERO_RECORD_OCTETS: usize = 9;

/// What is accepted of a block that is ignored here.
pub(super) const IGNORED: &str =
    "none of a block that is a shared file here (x-ignore-shared): let the source have it in the same file";

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
    /// Takes pages past the window.
    direct: Option<Direct>,
    /// Pages of each block that may hold something.
    held: Arc<Held>,
    inflate: Inflate,
    /// The channels on which pages come.
    pub(super) multifd: Option<Multifd>,
    /// The file that the pages are in.
    mapped_ram: Option<MappedRam>,
    /// Whether records say where the channels meet, or the end of each section; known behind the first section.
    flush_records: Option<bool>,
    has_flush_record: bool,
    /// Pages taken: with content, of zeros.
    pub(super) normal_pages: u64,
    pub(super) zero_pages: u64,
}

/// Where pages come from.
pub(super) enum Pages {
    /// The main stream, which this channel has, and nobody else writes to memory.
    Stream(Arc<Channel>),
    /// Channels beside it.
    Channels(Multifd),
    /// Fixed places of the file that the main stream is in.
    File(MappedRam),
}

/// What to do behind a record's header.
enum Next {
    Blocks(u64),
    Page { block: usize, offset: u64, kind: PageKind, octets: u32 },
    Flush,
    End,
    Nothing,
}

impl RamLoader {
    /// A loader of `blocks`.
    pub(super) fn new(blocks: &[Arc<dyn RamBlock>], held: Arc<Held>, pages: Pages) -> Self {
        let (direct, multifd, mapped_ram) = match pages {
            Pages::Stream(main) => (Some(Direct::new(main)), None, None),
            Pages::Channels(multifd) => (None, Some(multifd), None),
            Pages::File(mapped_ram) => (None, None, Some(mapped_ram)),
        };
        Self {
            blocks: blocks.to_vec(),
            listed: false,
            current: None,
            arrival: Arrival::default(),
            direct,
            held,
            inflate: Inflate::default(),
            multifd,
            mapped_ram,
            flush_records: None,
            has_flush_record: false,
            normal_pages: 0,
            zero_pages: 0,
        }
    }

    /// What was mapped from a file of pages, or why nothing was; `None` if nothing was to be.
    pub(super) fn take_restored(&mut self) -> Option<Restored> {
        self.mapped_ram.as_mut()?.take_restored(&self.blocks)
    }

    /// Whether the block list was seen.
    pub(super) fn is_listed(&self) -> bool {
        self.listed
    }

    /// Pages that were read from the channel past the reader's window.
    pub(super) fn pages_read_directly(&self) -> u64 {
        self.direct.as_ref().map_or(0, Direct::pages)
    }

    /// Has all pages go through the reader's window.
    #[cfg(test)]
    pub(super) fn read_nothing_directly(&mut self) {
        self.direct = None;
    }

    /// Checks, at the end of the stream, that no block was left out which has its memory here alone.
    ///
    /// Differs from QEMU: there the guest finds such a block empty.
    pub(super) fn finish(&self, offset: u64) -> Result<(), Error> {
        match self.held.missing().and_then(|index| self.blocks.get(index)) {
            Some(block) => Err(mismatch(
                offset,
                "the end of the stream",
                format!("without a page of block '{}', which is no shared file here", block.name()),
                "behind its pages: the source ignored it (x-ignore-shared); let it be a shared file at both ends, or at none",
            )),
            None => Ok(()),
        }
    }

    /// Loads one body, up to its end record.
    pub(super) fn load(&mut self, input: &mut Input<'_>) -> Result<(), Error> {
        loop {
            if let Some(direct) = &mut self.direct {
                let pages = direct.read(input, &self.blocks, &self.held)?;
                self.normal_pages += pages as u64;
                if pages > 0 {
                    continue;
                }
            }
            match self.next_record(input)? {
                Next::Blocks(total) => self.read_list(input, total)?,
                Next::Page { block, offset, kind, octets } => self.read_page(input, block, offset, kind, octets)?,
                Next::Flush => self.flush(input.offset())?,
                Next::End => return self.end_section(input.offset()),
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
        if self.mapped_ram.is_some() && !matches!(record, Record::MemSize { .. } | Record::Eos) {
            let accepted = "none but the list of RAM blocks: with mapped-ram, pages have places in the file";
            return Err(mismatch(offset, "a record of RAM", "of pages", accepted));
        }
        let page = match record {
            Record::MemSize { .. } if self.mapped_ram.is_some() && self.listed => {
                return Err(mismatch(offset, "a second list of RAM blocks", "with mapped-ram", "one"));
            }
            Record::MemSize { total } => return Ok(Next::Blocks(total)),
            Record::Eos => return Ok(Next::End),
            Record::MultifdFlush => return Ok(Next::Flush),
            Record::Hook => return Ok(Next::Nothing),
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
        if self.held.is_ignored(block) {
            let name = self.blocks.get(block).map_or("", |block| block.name());
            return Err(mismatch(offset, "a page record", format!("of block '{name}'"), IGNORED));
        }
        self.current = Some(block);
        Ok(Next::Page { block, offset: page.offset, kind: page.kind, octets: page.contents_bytes })
    }

    /// Waits for the channels.
    ///
    /// Differs from QEMU: without multifd it passes over the record, and would miss every page.
    fn flush(&mut self, offset: u64) -> Result<(), Error> {
        self.has_flush_record = true;
        let Some(multifd) = &self.multifd else {
            let accepted = "none: turn multifd on at both ends, or off";
            return Err(mismatch(offset, "a record", "one that waits for multifd channels", accepted));
        };
        if !self.listed {
            return Err(mismatch(offset, "a multifd flush", "before the list of RAM blocks", "behind it"));
        }
        multifd.meet()
    }

    /// Where no records say so, the channels meet at the end of each section.
    ///
    /// Differs from QEMU: there the machine type says which rule is in force. A source of the newer rule has a record
    /// in its first section, one of the older rule never has any.
    fn end_section(&mut self, offset: u64) -> Result<(), Error> {
        self.direct.iter_mut().for_each(Direct::section_ended);
        let has_records = *self.flush_records.get_or_insert(self.has_flush_record);
        if self.multifd.is_some() && !has_records { self.flush(offset) } else { Ok(()) }
    }

    fn read_page(
        &mut self,
        input: &mut Input<'_>,
        index: usize,
        offset: u64,
        kind: PageKind,
        octets: u32,
    ) -> Result<(), Error> {
        let Some(block) = self.blocks.get(index) else { return Ok(()) };
        if offset >= block.used_len() {
            return Err(mismatch(
                input.offset(),
                "the offset of a page",
                format!("{offset:#x} in block '{}'", block.name()),
                format!("below its length of {:#x}", block.used_len()),
            ));
        }
        match (kind, &mut self.direct) {
            (PageKind::Normal, Some(direct)) => direct.arrived(index, offset),
            (_, Some(direct)) => direct.interrupted(),
            (_, None) => {}
        }
        match kind {
            PageKind::Zero => {
                self.clear_page(index, offset)?;
                return self.read_zero_pages(input, index);
            }
            PageKind::Normal => self.arrival.page(index, &**block, offset, input.buffered(), &self.held),
            PageKind::Xbzrle | PageKind::Compressed => {}
        }
        self.normal_pages += 1;
        self.held.arrive(index, offset, TARGET_PAGE);
        let start = input.offset();
        let wanted = usize::try_from(octets).unwrap_or(usize::MAX);
        let data = input.peek(wanted).map_err(|error| read_error(error, start))?;
        if data.len() < wanted {
            return Err(Error::new(Side::Destination, ErrorKind::Truncated { offset: start + data.len() as u64 }));
        }
        match kind {
            PageKind::Xbzrle => {
                let mut page = [0; TARGET_PAGE];
                block.read(offset, &mut page).at(Side::Destination)?;
                xbzrle::apply(data, &mut page).map_err(|error| error.at(start)).at(Side::Destination)?;
                block.write(offset, &page).at(Side::Destination)?;
            }
            PageKind::Compressed => {
                let page = self.inflate.page(data).map_err(|found| {
                    mismatch(start, "the zlib stream of a compressed page", found, "one that is whole and makes a page")
                })?;
                block.write(offset, page).at(Side::Destination)?;
            }
            PageKind::Normal | PageKind::Zero => block.write(offset, data).at(Side::Destination)?,
        }
        input.consume(wanted);
        Ok(())
    }

    fn clear_page(&mut self, index: usize, offset: u64) -> Result<(), Error> {
        self.zero_pages += 1;
        let Some(block) = self.blocks.get(index) else { return Ok(()) };
        self.held.clear(index, &**block, offset)
    }

    /// Takes the zero pages of the same block that stand next in the window, as many as are whole: a guest that uses
    /// little of its memory sends millions. What is anything else is left to the general way.
    fn read_zero_pages(&mut self, input: &mut Input<'_>, index: usize) -> Result<(), Error> {
        let Some(used) = self.blocks.get(index).map(|block| block.used_len()) else { return Ok(()) };
        const ZERO: u64 = page_header(PageKind::Zero, 0, true);
        let mut octets = 0;
        for record in input.buffered().chunks_exact(ZERO_RECORD_OCTETS) {
            let Some((word, [0])) = record.split_first_chunk() else { break };
            let offset = u64::from_be_bytes(*word) ^ ZERO;
            if !offset.is_multiple_of(TARGET_PAGE_BYTES) || offset >= used {
                break;
            }
            self.clear_page(index, offset)?;
            octets += ZERO_RECORD_OCTETS;
        }
        input.consume(octets);
        Ok(())
    }

    /// Reads the list and compares it with the local blocks: every one of them, none else, lengths that they can have.
    ///
    /// Differs from QEMU: it accepts a list that lacks a local block, and one that comes twice.
    fn read_list(&mut self, input: &mut Input<'_>, total: u64) -> Result<(), Error> {
        let start = input.offset();
        let mut list = BlockList::announced(total);
        let layout = EntryLayout {
            mapped_ram: self.mapped_ram.is_some(),
            guest_address: self.held.ignores_shared(),
            ..EntryLayout::default()
        };
        while !list.is_complete() {
            let at = input.offset();
            let entry = next(input, |octets| BlockEntry::decode(octets, layout, TargetPage::KIB_4))?;
            let (index, local) = self
                .find(entry.name.as_str())
                .and_then(|index| Some((index, self.blocks.get(index)?)))
                .ok_or_else(|| mismatch(at, "a RAM block", format!("'{}'", entry.name.as_str()), self.names()))?;
            if entry.used_bytes != local.used_len() && local.max_len() == local.used_len() {
                return Err(mismatch(
                    at,
                    "the length of a RAM block",
                    format!("{:#x} for '{}'", entry.used_bytes, local.name()),
                    format!("{:#x}: start both ends with the same --memory", local.used_len()),
                ));
            }
            if let Some(found) = entry.guest_address
                && self.held.is_ignored(index)
                && found != local.guest_address()
            {
                return Err(mismatch(
                    at,
                    "the guest address of a RAM block that both ends share",
                    format!("{found:#x} for '{}'", local.name()),
                    format!("{:#x}", local.guest_address()),
                ));
            }
            let (used_bytes, header) = (entry.used_bytes, entry.mapped_ram);
            list.push(entry).map_err(|error| error.at(at)).at(Side::Destination)?;
            // The length at the source wins, and its owner here learns the exact one (docs/spec/ram.md section A4).
            local.resize(used_bytes).map_err(|refused| {
                let found = format!("{used_bytes:#x} for '{}'", local.name());
                mismatch(at, "the length of a RAM block", found, format!("up to {:#x}: {refused}", local.max_len()))
            })?;
            if let (Some(mapped_ram), Some(header)) = (&mut self.mapped_ram, header) {
                let behind = mapped_ram.place(index, used_bytes, &header, input.offset())?;
                let at = input.offset();
                input.skip(usize::try_from(behind).unwrap_or(usize::MAX)).map_err(|error| read_error(error, at))?;
            }
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
        self.held.learn(&self.blocks);
        if let Some(mapped_ram) = &mut self.mapped_ram {
            (self.normal_pages, self.zero_pages) = mapped_ram.load(&self.blocks, &self.held)?;
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
