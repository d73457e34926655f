//! RAM blocks: the list of them, what was counted, and the report on them.
//!
//! Source: `docs/spec/ram.md` section A4.

use vmferry_wire::ram::PageKind;
use vmferry_wire::ram::block_list::{BlockEntry, BlockList, EntryLayout, PageSizeWord};

use crate::analysis::{BlockReport, PageBytes, RamReport};
use crate::error::{Halt, Step, StreamFault};
use crate::pages::{PageBudget, SentPages};
use crate::reader::StreamReader;
use crate::walk::Walk;
use crate::walk::bodies::DIRTY_BITMAP_IDSTR;
use crate::walk::mapped_ram::PlacedPages;
use crate::walk::ram::RamWalk;

/// What was counted of one block.
pub(super) struct Block {
    pub(super) used_bytes: u64,
    normal_pages: u64,
    zero_pages: u64,
    xbzrle_pages: u64,
    compressed_pages: u64,
    /// What the pages took, by kind.
    bytes: PageBytes,
    pub(super) sent: SentPages,
    /// Pages that are told once for all: every page of a mapped-ram block, or of a file of shared memory.
    placed_pages: u64,
}

impl Block {
    fn new(used_bytes: u64, budget: PageBudget) -> Block {
        Block {
            used_bytes,
            normal_pages: 0,
            zero_pages: 0,
            xbzrle_pages: 0,
            compressed_pages: 0,
            bytes: PageBytes::default(),
            sent: SentPages::new(budget),
            placed_pages: 0,
        }
    }

    /// Counts a page that took so many octets.
    #[inline]
    pub(super) fn count(&mut self, kind: PageKind, bytes: u64) {
        let (pages, taken) = match kind {
            PageKind::Zero => (&mut self.zero_pages, &mut self.bytes.zero),
            PageKind::Normal => (&mut self.normal_pages, &mut self.bytes.normal),
            PageKind::Xbzrle => (&mut self.xbzrle_pages, &mut self.bytes.xbzrle),
            PageKind::Compressed => (&mut self.compressed_pages, &mut self.bytes.compressed),
        };
        *pages = pages.saturating_add(1);
        *taken = taken.saturating_add(bytes);
    }

    /// Counts contents of pages that come together, apart from the pages.
    pub(super) fn count_contents(&mut self, bytes: u64) {
        self.bytes.normal = self.bytes.normal.saturating_add(bytes);
    }

    fn distinct_pages(&self) -> u64 {
        self.sent.distinct().max(self.placed_pages)
    }

    /// Whether no page of it was in the stream.
    fn is_untouched(&self) -> bool {
        self.distinct_pages() == 0
    }
}

impl RamWalk {
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

    /// Reads the entries that follow the total of a block list.
    pub(super) fn block_list(&mut self, reader: &mut StreamReader<'_>, total: u64) -> Step<()> {
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
            let refused = |error| Halt::wire(entry_at, error);
            if let Some(header) = entry.mapped_ram {
                // The pages follow at once: the block must be known to be a new one before they are stored.
                list.push(entry.clone()).map_err(refused)?;
                placed.push(self.mapped_pages(reader, &entry, header)?);
            } else {
                list.push(entry).map_err(refused)?;
            }
        }
        let entries = list.into_entries();
        match &self.entries {
            None => self.take_blocks(at, entries, &placed),
            Some(known) if *known == entries => Ok(()),
            Some(_) => Err(Halt::malformed(at, StreamFault::BlockListChanged)),
        }
    }

    fn take_blocks(&mut self, at: u64, entries: Vec<BlockEntry>, placed: &[PlacedPages]) -> Step<()> {
        for (i, entry) in entries.iter().enumerate() {
            self.by_name.insert(entry.name.clone(), i);
            let mut block = Block::new(entry.used_bytes, self.page_budget.clone());
            if let Some(placed) = placed.get(i) {
                block.placed_pages = entry.used_bytes.div_ceil(self.page.bytes());
                block.normal_pages = placed.normal;
                block.bytes.normal = placed.normal.saturating_mul(self.page.bytes()).min(entry.used_bytes);
                block.zero_pages = block.placed_pages.saturating_sub(placed.normal);
            }
            self.blocks.push(block);
        }
        if let Some(files) = self.files.as_mut().filter(|_| !self.is_mapped) {
            for entry in &entries {
                files.add(at, entry, self.page)?;
            }
        }
        self.entries = Some(entries);
        self.take_shared(at)
    }

    /// Takes the blocks whose contents are in files beside the stream.
    fn take_shared(&mut self, at: u64) -> Step<()> {
        let page_bytes = self.page.bytes();
        for (name, path) in std::mem::take(&mut self.shared) {
            let Some(index) = self.block_index(&name) else {
                self.oddities.push((at, format!("--shared-ram: the stream has no RAM block {name:?}")));
                continue;
            };
            if let Some(files) = &mut self.files {
                files.copy_from(index, &path)?;
            }
            if let Some(block) = self.blocks.get_mut(index) {
                block.placed_pages = block.used_bytes.div_ceil(page_bytes);
            }
        }
        Ok(())
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
            bytes: block.bytes,
            distinct_pages: block.sent.distinct().max(if self.is_mapped { block.placed_pages } else { 0 }),
        });
        RamReport { page_bytes, blocks: blocks.collect() }
    }

    /// Blocks of which the stream has nothing, by name.
    fn untouched_blocks(&self) -> Vec<String> {
        let entries = self.entries.iter().flatten().zip(&self.blocks);
        entries.filter(|(_, block)| block.is_untouched()).map(|(entry, _)| format!("{:?}", &*entry.name)).collect()
    }
}

impl Walk<'_> {
    /// Puts what was counted into the report, and what is odd about it.
    pub(super) fn ram_report(&mut self, end: u64) {
        self.analysis.ram = self.ram.report();
        for (offset, text) in std::mem::take(&mut self.ram.oddities) {
            self.warn(offset, text);
        }
        if self.ram.blocks.iter().any(|block| !block.sent.is_complete()) {
            let text = "so much RAM that distinct_pages is a lower bound".to_owned();
            self.warn(end, text);
        }
        if !self.analysis.end.eof {
            return;
        }
        if self.ram.has_guest_addresses {
            let untouched = self.ram.untouched_blocks();
            if !untouched.is_empty() {
                let text = format!(
                    "RAM is not in this stream but in shared memory: {} (its file is taken by --shared-ram)",
                    untouched.join(", ")
                );
                self.warn(end, text);
            }
            return;
        }
        self.warn_missing(end);
    }

    /// Puts the bitmaps into the report of their section.
    pub(super) fn dirty_bitmaps_report(&mut self, end: u64) {
        let state = self.dirty_bitmaps.state(self.analysis.end.eof.then_some(end));
        let mut sections = self.analysis.sections.iter_mut();
        if let Some(report) = sections.find(|section| section.name == DIRTY_BITMAP_IDSTR) {
            report.state = state;
        }
        for (offset, text) in std::mem::take(&mut self.dirty_bitmaps.oddities) {
            self.warn(offset, text);
        }
    }

    fn warn_missing(&mut self, end: u64) {
        let missing = self.ram.missing_pages();
        if missing > 0 {
            let why = if self.ram.is_multifd(true) && !self.multifd.is_given() {
                "they are on multifd channels, which were not given"
            } else {
                "the guest does not have them (unplugged, or given back), or they are on another channel"
            };
            let text = format!("{missing} pages of RAM are not in this stream: {why}");
            // A guest that gave pages back has none; multifd channels have them all.
            if self.ram.is_multifd(true) {
                self.analysis.missing_ram.push(text.clone());
            }
            self.warn(end, text);
        }
        let (discarded, sent) = (self.ram.discarded_pages, self.ram.pages_since_discard);
        if let Some(missing) = discarded.checked_sub(sent).filter(|missing| *missing > 0) {
            let why = if self.preempt_is_given() { "they did not come" } else { "is there a preempt channel?" };
            let text = format!("{missing} pages that were discarded for postcopy were not sent again: {why}");
            self.analysis.missing_ram.push(text.clone());
            self.warn(end, text);
        }
    }
}
