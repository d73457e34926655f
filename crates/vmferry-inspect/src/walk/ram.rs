//! The `ram` section: pages are counted, their contents skipped.
//!
//! Source: `docs/spec/ram.md` part A; places of pages in a mapped-ram file: `docs/spec/mapped-ram.md`.

use std::collections::HashMap;

use vmferry_wire::ram::block_list::{BlockEntry, BlockList, EntryLayout, MappedRamHeader, PageSizeWord};
use vmferry_wire::ram::{BlockRef, PageKind, PageRecord, Record, TargetPage};
use vmferry_wire::{Decoded, Name};

use crate::analysis::{BlockReport, RamReport};
use crate::error::{Halt, Step, StreamFault};
use crate::pages::{PageBudget, SentPages};
use crate::reader::StreamReader;
use crate::walk::Walk;

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
    has_multifd_flush: bool,
    entries: Option<Vec<BlockEntry>>,
    blocks: Vec<Block>,
    by_name: HashMap<Name, usize>,
    /// Block of the previous page record.
    pub(super) current: Option<usize>,
    /// Offset of the previous page record in its block.
    pub(super) last_offset: u64,
    page_budget: PageBudget,
}

struct Block {
    used_bytes: u64,
    normal_pages: u64,
    zero_pages: u64,
    xbzrle_pages: u64,
    compressed_pages: u64,
    sent: SentPages,
    /// Pages that are told once for all: every page of a mapped-ram block.
    placed_pages: u64,
}

impl Block {
    fn count(&mut self, kind: PageKind) {
        let pages = match kind {
            PageKind::Zero => &mut self.zero_pages,
            PageKind::Normal => &mut self.normal_pages,
            PageKind::Xbzrle => &mut self.xbzrle_pages,
            PageKind::Compressed => &mut self.compressed_pages,
        };
        *pages = pages.saturating_add(1);
    }

    fn distinct_pages(&self) -> u64 {
        self.sent.distinct().max(self.placed_pages)
    }
}

impl RamWalk {
    pub(super) fn new() -> RamWalk {
        RamWalk {
            page: TargetPage::KIB_4,
            is_page_assumed: false,
            is_mapped: false,
            has_guest_addresses: false,
            is_postcopy_advised: false,
            is_started: false,
            is_ended: false,
            has_multifd_flush: false,
            entries: None,
            blocks: Vec::new(),
            by_name: HashMap::new(),
            current: None,
            last_offset: 0,
            page_budget: PageBudget::new(),
        }
    }

    pub(super) fn has_xbzrle(&self) -> bool {
        self.blocks.iter().any(|block| block.xbzrle_pages > 0)
    }

    pub(super) fn has_compressed(&self) -> bool {
        self.blocks.iter().any(|block| block.compressed_pages > 0)
    }

    /// Whether pages are on other channels: told by flush records since QEMU 8.1, before by contents that never came.
    pub(super) fn is_multifd(&self, is_whole: bool) -> bool {
        let has_contents = self.blocks.iter().any(|block| block.normal_pages > 0) || self.has_xbzrle();
        let is_elsewhere = is_whole && !has_contents && !self.is_mapped && !self.has_guest_addresses;
        self.has_multifd_flush || (is_elsewhere && self.missing_pages() > 0)
    }

    /// Pages of the blocks that were never sent.
    pub(super) fn missing_pages(&self) -> u64 {
        let pages = |block: &Block| block.used_bytes.div_ceil(self.page.bytes());
        self.blocks
            .iter()
            .fold(0, |sum: u64, block| sum.saturating_add(pages(block).saturating_sub(block.distinct_pages())))
    }

    /// Walks the body of one section, up to its end record.
    pub(super) fn body(&mut self, reader: &mut StreamReader<'_>) -> Step<()> {
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
                    self.page(at, page)?;
                    let contents = page.contents_bytes;
                    reader.consume(used);
                    if contents > 0 {
                        reader.skip(u64::from(contents))?;
                    }
                }
                Record::Eos => {
                    reader.consume(used);
                    return Ok(());
                }
                Record::MemSize { total } => {
                    reader.consume(used);
                    self.block_list(reader, total)?;
                }
                Record::MultifdFlush => {
                    self.has_multifd_flush = true;
                    reader.consume(used);
                }
                Record::Hook => reader.consume(used),
            }
        }
    }

    #[inline]
    fn page(&mut self, at: u64, page: PageRecord<'_>) -> Step<()> {
        let index = match (page.block, self.current) {
            (BlockRef::Same, Some(index)) => index,
            (BlockRef::Same, None) => return Err(Halt::malformed(at, StreamFault::ContinueFirst)),
            (BlockRef::Named(name), _) => self.find_block(at, name)?,
        };
        self.current = Some(index);
        self.last_offset = page.offset;
        let bits = self.page.bits();
        let page_bytes = self.page.bytes();
        let Some(block) = self.blocks.get_mut(index) else {
            return Err(Halt::malformed(at, StreamFault::PageBeforeBlockList));
        };
        // The last page of a block may reach over the block's end; its address may not.
        if page.offset >= block.used_bytes.next_multiple_of(page_bytes) {
            return Err(self.outside(at, index, page.offset));
        }
        block.count(page.kind);
        block.sent.insert(page.offset >> bits);
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

    fn find_block(&self, at: u64, name: &str) -> Step<usize> {
        if self.entries.is_none() {
            return Err(Halt::malformed(at, StreamFault::PageBeforeBlockList));
        }
        let unknown = || Halt::malformed(at, StreamFault::UnknownBlock { name: name.to_owned() });
        self.block_index(name).ok_or_else(unknown)
    }

    fn block_list(&mut self, reader: &mut StreamReader<'_>, total: u64) -> Step<()> {
        let at = reader.position();
        let layout = EntryLayout {
            page_size: if self.is_postcopy_advised { PageSizeWord::Detect } else { PageSizeWord::Absent },
            guest_address: self.has_guest_addresses,
            mapped_ram: self.is_mapped,
        };
        let mut list = BlockList::announced(total);
        let mut placed = Vec::new();
        while !list.is_complete() {
            let entry_at = reader.position();
            let page = self.page;
            let entry = reader.decode(|octets| BlockEntry::decode(octets, layout, page))?;
            if let Some(header) = entry.mapped_ram {
                placed.push(self.mapped_pages(reader, &entry, header)?);
            }
            list.push(entry).map_err(|error| Halt::wire(entry_at, error))?;
        }
        let entries = list.into_entries();
        match &self.entries {
            None => self.take_blocks(entries, &placed),
            Some(known) if *known == entries => {}
            Some(_) => return Err(Halt::malformed(at, StreamFault::BlockListChanged)),
        }
        Ok(())
    }

    fn take_blocks(&mut self, entries: Vec<BlockEntry>, placed: &[u64]) {
        for (i, entry) in entries.iter().enumerate() {
            let normal_pages = placed.get(i).copied().unwrap_or_default();
            let pages = entry.used_bytes.div_ceil(self.page.bytes());
            let placed_pages = if entry.mapped_ram.is_some() { pages } else { 0 };
            self.by_name.insert(entry.name.clone(), i);
            self.blocks.push(Block {
                used_bytes: entry.used_bytes,
                normal_pages,
                zero_pages: placed_pages.saturating_sub(normal_pages),
                xbzrle_pages: 0,
                compressed_pages: 0,
                sent: SentPages::new(self.page_budget.clone()),
                placed_pages,
            });
        }
        self.entries = Some(entries);
    }

    /// Counts the pages of a mapped-ram block and goes on behind them.
    fn mapped_pages(&self, reader: &mut StreamReader<'_>, entry: &BlockEntry, header: MappedRamHeader) -> Step<u64> {
        let overlap = |what, found, least| {
            let block = entry.name.to_string();
            Halt::malformed(reader.position(), StreamFault::MappedRamOverlap { block, what, found, least })
        };
        let pages = entry.used_bytes.div_ceil(self.page.bytes());
        let bitmap_bytes = pages.div_ceil(64).saturating_mul(8);
        let gap = header.bitmap_offset.checked_sub(reader.position());
        let gap = gap.ok_or_else(|| overlap("bitmap", header.bitmap_offset, reader.position()))?;
        let bitmap_end = header.bitmap_offset.saturating_add(bitmap_bytes);
        let rest = header.pages_offset.checked_sub(bitmap_end);
        let rest = rest.ok_or_else(|| overlap("pages", header.pages_offset, bitmap_end))?;
        reader.skip(gap)?;
        let mut set = 0_u64;
        for _ in 0..bitmap_bytes / 8 {
            set = set.saturating_add(u64::from(u64::from_ne_bytes(reader.array()?).count_ones()));
        }
        reader.skip(rest.saturating_add(entry.used_bytes))?;
        Ok(set.min(pages))
    }

    fn report(&self) -> RamReport {
        let page_bytes = self.page.bytes();
        let entries = self.entries.iter().flatten();
        let blocks = entries.zip(&self.blocks).map(|(entry, block)| BlockReport {
            id: entry.name.to_string(),
            used_bytes: entry.used_bytes,
            page_bytes: entry.page_bytes.unwrap_or(page_bytes),
            normal_pages: block.normal_pages,
            zero_pages: block.zero_pages,
            xbzrle_pages: block.xbzrle_pages,
            compressed_pages: block.compressed_pages,
            distinct_pages: block.distinct_pages(),
        });
        RamReport { page_bytes, blocks: blocks.collect() }
    }
}

impl Walk<'_> {
    /// Puts what was counted into the report, and what is odd about it.
    pub(super) fn ram_report(&mut self, end: u64) {
        self.analysis.ram = self.ram.report();
        if self.ram.blocks.iter().any(|block| !block.sent.is_complete()) {
            let text = "so much RAM that distinct_pages is a lower bound".to_owned();
            self.warn(end, text);
        }
        let missing = self.ram.missing_pages();
        if missing == 0 || !self.analysis.end.eof || self.ram.has_guest_addresses {
            return;
        }
        let why = if self.ram.is_multifd(true) {
            "they are on multifd channels, which are not read"
        } else {
            "the guest does not have them (unplugged, or given back), or they are on another channel"
        };
        self.warn(end, format!("{missing} pages of RAM are not in this stream: {why}"));
    }
}
