//! The block list: entries behind a MEM_SIZE record until their lengths sum to its total.
//!
//! | size | field | present |
//! |---|---|---|
//! | 1 + n | name of the block | always |
//! | 8 | used length in bytes | always |
//! | 8 | page size of the block | with postcopy, for blocks of huge pages ([`PageSizeWord`]) |
//! | 8 | guest physical address | with `x-ignore-shared` |
//! | 28 | mapped-ram header | with `mapped-ram` ([`MappedRamHeader`]) |
//!
//! There is no count. Source: `docs/spec/ram.md` section A4, `docs/spec/mapped-ram.md` section 1.
//!
//! Differs from QEMU, which checks none of these: lengths that overshoot the total, blocks of no octets, names given
//! twice and more than [`BLOCK_COUNT_LIMIT`] blocks are refused.

use std::collections::HashSet;

use crate::decode::{Cursor, DecodeResult, Step, run};
use crate::error::{Reason, WireError};
use crate::limits::{BLOCK_COUNT_LIMIT, RAM_BYTES_LIMIT};
use crate::name::Name;
use crate::ram::{RecordHeader, RecordKind, TargetPage};

/// Whether the page size of a block stands in its entry. The two sides of a migration decide it on their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PageSizeWord {
    /// It does not.
    #[default]
    Absent,
    /// It does: the block's page size differs from the ordinary one, and postcopy was advised.
    Present,
    /// Told from the octets, for a reader without blocks of its own: no name is empty and no record header has flags 0,
    /// so an eight-octet word whose first octet and low twelve bits are zero is a page size.
    Detect,
}

/// Which optional words an entry has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryLayout {
    /// The block's page size.
    pub page_size: PageSizeWord,
    /// The guest physical address, with capability `x-ignore-shared`.
    pub guest_address: bool,
    /// The mapped-ram header, with capability `mapped-ram`.
    pub mapped_ram: bool,
}

/// Where a block's pages are in the file, with capability `mapped-ram`.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 4 | version, 1 |
/// | 4 | 8 | target page size |
/// | 12 | 8 | position of the bitmap |
/// | 20 | 8 | position of the pages |
///
/// Positions are absolute in the file. Source: `docs/spec/mapped-ram.md` section 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MappedRamHeader {
    /// The unit of the bitmap, in bytes.
    pub page_bytes: u64,
    /// Position of the bitmap in the file.
    pub bitmap_offset: u64,
    /// Position of the block's pages in the file; the stream goes on behind them.
    pub pages_offset: u64,
}

impl MappedRamHeader {
    /// The only version.
    pub const VERSION: u32 = 1;

    /// Octets of the header.
    pub const BYTES: usize = 28;

    fn decode(c: &mut Cursor<'_>, page: TargetPage) -> Step<MappedRamHeader> {
        let version = c.u32()?;
        c.expect("the version of the mapped-ram header", u64::from(version), u64::from(Self::VERSION), 4)?;
        let page_bytes = c.u64()?;
        c.expect("the page size of the mapped-ram header", page_bytes, page.bytes(), 8)?;
        Ok(MappedRamHeader { page_bytes, bitmap_offset: c.u64()?, pages_offset: c.u64()? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&Self::VERSION.to_be_bytes());
        out.extend_from_slice(&self.page_bytes.to_be_bytes());
        out.extend_from_slice(&self.bitmap_offset.to_be_bytes());
        out.extend_from_slice(&self.pages_offset.to_be_bytes());
    }
}

/// One block of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockEntry {
    /// The block's id.
    pub name: Name,
    /// Bytes in use.
    pub used_bytes: u64,
    /// Page size of the block in bytes, if it stands in the stream.
    pub page_bytes: Option<u64>,
    /// Guest physical address, if it stands in the stream.
    pub guest_address: Option<u64>,
    /// Place of the pages in the file, if it stands in the stream.
    pub mapped_ram: Option<MappedRamHeader>,
}

impl BlockEntry {
    /// Decodes one entry. `page` is the target page.
    ///
    /// # Errors
    ///
    /// A malformed name, a length over [`RAM_BYTES_LIMIT`], a page size that is not a power of two from the target page
    /// up, a mapped-ram header of another version or page size.
    pub fn decode(input: &[u8], layout: EntryLayout, page: TargetPage) -> DecodeResult<BlockEntry> {
        run(input, |c| {
            let name = c.name("RAM block")?;
            let used_bytes = c.u64()?;
            if used_bytes > RAM_BYTES_LIMIT {
                let what = "the length of the RAM block";
                let reason = Reason::OutOfRange { what, found: used_bytes, min: 1, max: RAM_BYTES_LIMIT };
                return Err(c.refuse_back(8, reason));
            }
            let has_page_size = match layout.page_size {
                PageSizeWord::Absent => false,
                PageSizeWord::Present => true,
                PageSizeWord::Detect => detect_page_size(*c, layout.guest_address)?,
            };
            let page_bytes = if has_page_size { Some(page_size(c, page)?) } else { None };
            let guest_address = if layout.guest_address { Some(c.u64()?) } else { None };
            let mapped_ram = if layout.mapped_ram { Some(MappedRamHeader::decode(c, page)?) } else { None };
            Ok(BlockEntry { name, used_bytes, page_bytes, guest_address, mapped_ram })
        })
    }

    /// Appends the entry, with the optional words that it has.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let BlockEntry { name, used_bytes, page_bytes, guest_address, mapped_ram } = self;
        name.encode(out);
        out.extend_from_slice(&used_bytes.to_be_bytes());
        for word in [page_bytes, guest_address].into_iter().flatten() {
            out.extend_from_slice(&word.to_be_bytes());
        }
        if let Some(header) = mapped_ram {
            header.encode(out);
        }
    }
}

fn page_size(c: &mut Cursor<'_>, page: TargetPage) -> Step<u64> {
    let bytes = c.u64()?;
    if bytes.is_power_of_two() && bytes >= page.bytes() {
        return Ok(bytes);
    }
    let what = "the page size of the RAM block (a power of two)";
    let reason = Reason::OutOfRange { what, found: bytes, min: page.bytes(), max: RAM_BYTES_LIMIT };
    Err(c.refuse_back(8, reason))
}

/// Looks ahead: behind the last optional word stands a name or a record header, neither of which looks like a page size
/// or an address of a page.
fn detect_page_size(mut c: Cursor<'_>, guest_address: bool) -> Step<bool> {
    if guest_address {
        c.u64()?;
    }
    let word = c.u64()?;
    Ok(word >> 56 == 0 && word & 0xfff == 0)
}

/// The list while it is read or written: counts what is listed against the total.
#[derive(Clone, Debug)]
pub struct BlockList {
    total: u64,
    listed: u64,
    names: HashSet<Name>,
    entries: Vec<BlockEntry>,
}

impl BlockList {
    /// An empty list that a MEM_SIZE record of `total` bytes announced.
    pub fn announced(total: u64) -> BlockList {
        BlockList { total, listed: 0, names: HashSet::new(), entries: Vec::new() }
    }

    /// Whether the entries sum to the total, so that the list has ended.
    pub fn is_complete(&self) -> bool {
        self.listed == self.total
    }

    /// Takes the next entry.
    ///
    /// # Errors
    ///
    /// The entry has no octets, overshoots the total, repeats a name, or is one too many.
    pub fn push(&mut self, entry: BlockEntry) -> Result<(), WireError> {
        let refused = |reason| Err(WireError::new(0, reason));
        if entry.used_bytes == 0 {
            return refused(Reason::EmptyBlock { name: entry.name.to_string() });
        }
        let listed = self.listed.saturating_add(entry.used_bytes);
        if listed > self.total {
            return refused(Reason::BlockListOvershoot { listed, total: self.total });
        }
        if self.entries.len() >= BLOCK_COUNT_LIMIT {
            let max = u64::try_from(BLOCK_COUNT_LIMIT).unwrap_or(u64::MAX);
            let what = "the number of RAM blocks";
            return refused(Reason::OutOfRange { what, found: max.saturating_add(1), min: 0, max });
        }
        if !self.names.insert(entry.name.clone()) {
            return refused(Reason::Repeated { what: "RAM block", name: entry.name.to_string() });
        }
        self.listed = listed;
        self.entries.push(entry);
        Ok(())
    }

    /// The entries so far, in stream order.
    pub fn entries(&self) -> &[BlockEntry] {
        &self.entries
    }

    /// The entries, in stream order.
    pub fn into_entries(self) -> Vec<BlockEntry> {
        self.entries
    }

    /// Appends a MEM_SIZE record and these entries.
    pub fn encode(entries: &[BlockEntry], out: &mut Vec<u8>) {
        let total = entries.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.used_bytes));
        Self::encode_total(total, out);
        for entry in entries {
            entry.encode(out);
        }
    }

    /// Appends a MEM_SIZE record, behind which entries of `total` bytes are to follow.
    pub fn encode_total(total: u64, out: &mut Vec<u8>) {
        let header = RecordHeader { kind: RecordKind::MemSize, address: total, same_block: false };
        out.extend_from_slice(&header.encode().to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, used_bytes: u64) -> BlockEntry {
        let name = Name::new(name, "RAM block").unwrap();
        BlockEntry { name, used_bytes, page_bytes: None, guest_address: None, mapped_ram: None }
    }

    #[test]
    fn the_verified_list_is_written() {
        // docs/spec/ram.md section A4, offset 0x22 of the example.
        let mut out = Vec::new();
        BlockList::encode(&[entry("ram", 0x10_0000)], &mut out);
        assert_eq!(out, b"\0\0\0\0\0\x10\0\x04\x03ram\0\0\0\0\0\x10\0\0");
    }

    #[test]
    fn without_ram_the_list_has_no_entries() {
        let mut out = Vec::new();
        BlockList::encode(&[], &mut out);
        assert_eq!(out, b"\0\0\0\0\0\0\0\x04");
        assert!(BlockList::announced(0).is_complete());
    }

    #[test]
    fn a_page_size_word_is_told_from_what_follows() {
        let layout = EntryLayout { page_size: PageSizeWord::Detect, ..EntryLayout::default() };
        let page = TargetPage::KIB_4;
        // docs/spec/ram.md section A4: "m0", 24 MiB, 2 MiB pages; then the next block's entry.
        let octets = b"\x02m0\0\0\0\0\x01\x80\0\0\0\0\0\0\0\x20\0\0\x06pc.ram\0\0";
        let (read, used) = BlockEntry::decode(octets, layout, page).unwrap().complete().unwrap();
        assert_eq!((read.page_bytes, used), (Some(0x20_0000), 19));
        // Without the word a record header follows at the list's end.
        let octets = b"\x02m0\0\0\0\0\x01\x80\0\0\0\0\0\0\0\0\0\x10";
        let (read, used) = BlockEntry::decode(octets, layout, page).unwrap().complete().unwrap();
        assert_eq!((read.page_bytes, used), (None, 11));
        // With a guest address the second word decides.
        let layout = EntryLayout { guest_address: true, ..layout };
        let octets = b"\x02m0\0\0\0\0\x01\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10";
        let (read, _) = BlockEntry::decode(octets, layout, page).unwrap().complete().unwrap();
        assert_eq!((read.page_bytes, read.guest_address), (None, Some(0)));
        let octets = b"\x02m0\0\0\0\0\x01\x80\0\0\0\0\0\0\0\x20\0\0\0\0\0\0\0\0\0\0";
        let (read, _) = BlockEntry::decode(octets, layout, page).unwrap().complete().unwrap();
        assert_eq!((read.page_bytes, read.guest_address), (Some(0x20_0000), Some(0)));
    }

    #[test]
    fn the_verified_mapped_ram_header_is_read_and_written() {
        // docs/spec/mapped-ram.md section 1.
        let octets = b"\x03ram\0\0\0\0\0\x10\0\0\0\0\0\x01\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\0\x81\0\0\0\0\0\x10\0\0";
        let layout = EntryLayout { mapped_ram: true, ..EntryLayout::default() };
        let (read, used) = BlockEntry::decode(octets, layout, TargetPage::KIB_4).unwrap().complete().unwrap();
        let header = MappedRamHeader { page_bytes: 0x1000, bitmap_offset: 0x81, pages_offset: 0x10_0000 };
        assert_eq!((read.mapped_ram, used), (Some(header), octets.len()));
        let mut out = Vec::new();
        read.encode(&mut out);
        assert_eq!(out, octets);
        let wrong_page = TargetPage::from_bits(13).unwrap();
        assert!(BlockEntry::decode(octets, layout, wrong_page).is_err());
    }

    #[test]
    fn lengths_that_overshoot_the_total_are_refused() {
        let mut list = BlockList::announced(0x3000);
        list.push(entry("a", 0x2000)).unwrap();
        assert!(!list.is_complete());
        let error = list.push(entry("b", 0x2000)).unwrap_err();
        assert_eq!(error.reason(), &Reason::BlockListOvershoot { listed: 0x4000, total: 0x3000 });
        list.push(entry("b", 0x1000)).unwrap();
        assert!(list.is_complete());
    }

    #[test]
    fn empty_and_repeated_blocks_are_refused() {
        let mut list = BlockList::announced(0x3000);
        list.push(entry("a", 0x1000)).unwrap();
        assert!(matches!(list.push(entry("b", 0)).unwrap_err().reason(), Reason::EmptyBlock { .. }));
        assert!(matches!(list.push(entry("a", 0x1000)).unwrap_err().reason(), Reason::Repeated { .. }));
    }

    #[test]
    fn too_many_blocks_are_refused() {
        let mut list = BlockList::announced(u64::MAX >> 8);
        for i in 0..BLOCK_COUNT_LIMIT {
            list.push(entry(&format!("b{i}"), 1)).unwrap();
        }
        assert!(matches!(list.push(entry("last", 1)).unwrap_err().reason(), Reason::OutOfRange { .. }));
    }
}
