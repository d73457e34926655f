//! The `ram` section: records, one after the other.
//!
//! Blocks and what is counted of them are in `blocks.rs`, contents of pages in `contents.rs`, mapped-ram in
//! `mapped_ram.rs`, pages of other channels in `multifd.rs` and `preempt.rs`. Source: `docs/spec/ram.md` part A.

use std::collections::HashMap;
use std::path::PathBuf;

use vmferry_wire::ram::block_list::BlockEntry;
use vmferry_wire::ram::{BlockRef, PageKind, PageRecord, Record, TargetPage};
use vmferry_wire::{Decoded, Name};

use crate::Options;
use crate::error::{Halt, Step, StreamFault};
use crate::pages::PageBudget;
use crate::ram_files::RamFiles;
use crate::reader::StreamReader;
use crate::walk::blocks::Block;
use crate::walk::multifd::Multifd;

/// RAM of the stream so far.
pub(super) struct RamWalk {
    pub(super) page: TargetPage,
    /// Whether nothing has told the page size yet.
    pub(super) is_page_assumed: bool,
    pub(super) is_mapped: bool,
    pub(super) has_guest_addresses: bool,
    pub(super) is_postcopy_advised: bool,
    pub(super) is_started: bool,
    pub(super) is_ended: bool,
    pub(super) has_multifd_flush: bool,
    pub(super) has_big_endian_bitmaps: bool,
    /// Where the stream starts in its file, which is where places of mapped-ram count from.
    pub(super) stream_offset: u64,
    pub(super) entries: Option<Vec<BlockEntry>>,
    pub(super) blocks: Vec<Block>,
    pub(super) by_name: HashMap<Name, usize>,
    /// Block of the previous page record.
    pub(super) current: Option<usize>,
    /// Offset of the previous page record in its block.
    pub(super) last_offset: u64,
    pub(super) page_budget: PageBudget,
    /// Where contents go, if they are wanted.
    pub(super) files: Option<RamFiles>,
    /// Files with the contents of blocks that are not in the stream.
    pub(super) shared: Vec<(String, PathBuf)>,
    /// A page that is being made.
    pub(super) scratch: Vec<u8>,
    /// Pages that postcopy discards, and pages that came since.
    pub(super) discarded_pages: u64,
    pub(super) pages_since_discard: u64,
    /// Pages that came on multifd channels.
    pub(super) channel_pages: u64,
    /// What is odd, with its place in the main channel.
    pub(super) oddities: Vec<(u64, String)>,
}

impl RamWalk {
    pub(super) fn new(options: &Options) -> RamWalk {
        RamWalk {
            page: TargetPage::KIB_4,
            is_page_assumed: false,
            is_mapped: false,
            has_guest_addresses: false,
            is_postcopy_advised: false,
            is_started: false,
            is_ended: false,
            has_multifd_flush: false,
            has_big_endian_bitmaps: options.has_big_endian_bitmaps,
            stream_offset: options.stream_offset,
            entries: None,
            blocks: Vec::new(),
            by_name: HashMap::new(),
            current: None,
            last_offset: 0,
            page_budget: PageBudget::new(),
            files: options.extract_ram.as_deref().map(RamFiles::new),
            shared: options.shared_ram.clone(),
            scratch: Vec::new(),
            discarded_pages: 0,
            pages_since_discard: 0,
            channel_pages: 0,
            oddities: Vec::new(),
        }
    }

    /// Walks the body of one section, up to its end record. Where it waits for further channels, they are read so far.
    pub(super) fn body(&mut self, reader: &mut StreamReader<'_>, multifd: &mut Multifd<'_>) -> Step<()> {
        self.is_started = true;
        loop {
            if self.is_page_assumed {
                self.settle_page(reader)?;
            }
            let at = reader.position();
            let (record, used) = match Record::decode(reader.buffered(), self.page) {
                Ok(Decoded::Complete { value, used }) => (value, used),
                Ok(Decoded::NeedMore { total }) => {
                    if !reader.fill(total)? {
                        return Err(reader.truncated());
                    }
                    continue;
                }
                Err(error) => return Err(Halt::wire(at, error)),
            };
            match record {
                Record::Page(page) => {
                    let block = self.block_of(at, page, self.current)?;
                    self.current = Some(block);
                    let PageRecord { offset, kind, contents_bytes, .. } = page;
                    self.last_offset = offset;
                    reader.consume(used);
                    self.page(at, block, offset, kind, taken(used, contents_bytes))?;
                    self.contents(reader, block, offset, kind, contents_bytes)?;
                }
                Record::Eos => {
                    reader.consume(used);
                    return multifd.section_ends(self, at);
                }
                Record::MemSize { total } => {
                    reader.consume(used);
                    self.block_list(reader, total)?;
                }
                Record::MultifdFlush => {
                    self.has_multifd_flush = true;
                    reader.consume(used);
                    multifd.flush(self, at)?;
                }
                Record::Hook => reader.consume(used),
            }
        }
    }

    /// The block of a page record. `current` is that of the one before, on the same channel.
    #[inline]
    pub(super) fn block_of(&self, at: u64, page: PageRecord<'_>, current: Option<usize>) -> Step<usize> {
        match (page.block, current) {
            (BlockRef::Same, Some(index)) => Ok(index),
            (BlockRef::Same, None) => Err(Halt::malformed(at, StreamFault::ContinueFirst)),
            (BlockRef::Named(name), _) => self.find_block(at, name),
        }
    }

    /// Counts a page that took so many octets, on any channel; its place is sound afterwards.
    #[inline]
    pub(super) fn page(&mut self, at: u64, index: usize, offset: u64, kind: PageKind, bytes: u64) -> Step<()> {
        let (bits, page_bytes) = (self.page.bits(), self.page.bytes());
        let Some(block) = self.blocks.get_mut(index) else {
            return Err(Halt::malformed(at, StreamFault::PageBeforeBlockList));
        };
        // The last page of a block may reach over the block's end; its address may not.
        if offset >= block.used_bytes.next_multiple_of(page_bytes) {
            return Err(self.outside(at, index, offset));
        }
        block.count(kind, bytes);
        block.sent.insert(offset >> bits);
        self.pages_since_discard = self.pages_since_discard.saturating_add(u64::from(self.discarded_pages > 0));
        Ok(())
    }

    pub(super) fn block_index(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub(super) fn used_bytes(&self, index: usize) -> Option<u64> {
        self.blocks.get(index).map(|block| block.used_bytes)
    }

    /// Goes on with another page size; the pages so far were counted by their offsets in units of the old one.
    pub(super) fn change_page(&mut self, page: TargetPage) {
        for block in &mut self.blocks {
            block.sent.change_unit(self.page.bits(), page.bits());
        }
        self.page = page;
    }

    #[cold]
    fn outside(&self, at: u64, index: usize, page_offset: u64) -> Halt {
        let entry = self.entries.as_ref().and_then(|entries| entries.get(index));
        let block = entry.map(|entry| entry.name.to_string()).unwrap_or_default();
        let used_bytes = entry.map(|entry| entry.used_bytes).unwrap_or_default();
        Halt::malformed(at, StreamFault::PageOutsideBlock { block, page_offset, used_bytes })
    }

    pub(super) fn find_block(&self, at: u64, name: &str) -> Step<usize> {
        if self.entries.is_none() {
            return Err(Halt::malformed(at, StreamFault::PageBeforeBlockList));
        }
        let unknown = || Halt::malformed(at, StreamFault::UnknownBlock { name: name.to_owned() });
        self.block_index(name).ok_or_else(unknown)
    }
}

/// Octets of a page's record and contents.
#[inline]
pub(super) fn taken(record_bytes: usize, contents_bytes: u32) -> u64 {
    u64::try_from(record_bytes).unwrap_or(u64::MAX).saturating_add(u64::from(contents_bytes))
}
