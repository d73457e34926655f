//! Record headers and what stands between a header and the contents of its page.

use crate::decode::{Cursor, DecodeResult, Step, run};
use crate::error::{Reason, WireError};
use crate::limits::{COMPRESSED_PAGE_SLACK_BYTES, RAM_BYTES_LIMIT};
use crate::name::Name;
use crate::ram::TargetPage;

const FULL: u64 = 0x001;
const ZERO: u64 = 0x002;
const MEM_SIZE: u64 = 0x004;
const PAGE: u64 = 0x008;
const EOS: u64 = 0x010;
const CONTINUE: u64 = 0x020;
const XBZRLE: u64 = 0x040;
const HOOK: u64 = 0x080;
const COMPRESS_PAGE: u64 = 0x100;
const MULTIFD_FLUSH: u64 = 0x200;

/// The only encoding of an XBZRLE record.
const XBZRLE_ENCODING: u8 = 1;

/// Largest total of a block list.
pub const MEM_SIZE_TOTAL_LIMIT: u64 = RAM_BYTES_LIMIT;

/// The kinds of record, as the header's flags name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// The block list.
    MemSize,
    /// A page record.
    Page(PageKind),
    /// End of the section's body.
    Eos,
    /// RDMA control; nothing follows without RDMA.
    Hook,
    /// The reader waits for every multifd channel here.
    MultifdFlush,
}

/// How the contents of a page follow its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PageKind {
    /// No contents: every octet is zero.
    Zero,
    /// The page itself.
    Normal,
    /// A difference from what the destination has at this place.
    Xbzrle,
    /// A zlib stream.
    Compressed,
}

impl PageKind {
    const fn flag(self) -> u64 {
        match self {
            PageKind::Zero => ZERO,
            PageKind::Normal => PAGE,
            PageKind::Xbzrle => XBZRLE,
            PageKind::Compressed => COMPRESS_PAGE,
        }
    }
}

/// A record header, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// What record it is.
    pub kind: RecordKind,
    /// For pages the offset in the block in bytes, for MEM_SIZE the total; ignored in the others.
    pub address: u64,
    /// Whether the page belongs to the block of the previous page record on this channel; ignored in the others.
    pub same_block: bool,
}

impl RecordHeader {
    /// Takes a header word apart. Allocates only on refusal.
    ///
    /// # Errors
    ///
    /// Flags that are not exactly one kind once CONTINUE is removed; the obsolete kind FULL. The offset is that of the
    /// word.
    #[inline]
    pub fn decode(word: u64, page: TargetPage) -> Result<RecordHeader, WireError> {
        let flags = word & page.flag_mask();
        let kind = match flags & !CONTINUE {
            PAGE => RecordKind::Page(PageKind::Normal),
            ZERO => RecordKind::Page(PageKind::Zero),
            XBZRLE => RecordKind::Page(PageKind::Xbzrle),
            COMPRESS_PAGE => RecordKind::Page(PageKind::Compressed),
            EOS => RecordKind::Eos,
            MEM_SIZE => RecordKind::MemSize,
            HOOK => RecordKind::Hook,
            MULTIFD_FLUSH => RecordKind::MultifdFlush,
            FULL => return Err(WireError::new(0, Reason::ObsoleteRecord { what: "FULL (0x001)" })),
            flags => return Err(WireError::new(0, Reason::BadRecordFlags { flags })),
        };
        Ok(RecordHeader { kind, address: word & !page.flag_mask(), same_block: flags & CONTINUE != 0 })
    }

    /// The header word.
    #[inline]
    pub fn encode(self) -> u64 {
        match self.kind {
            RecordKind::Page(kind) => page_header(kind, self.address, self.same_block),
            RecordKind::MemSize => self.address | MEM_SIZE,
            RecordKind::Eos => EOS,
            RecordKind::Hook => self.address | HOOK,
            RecordKind::MultifdFlush => MULTIFD_FLUSH,
        }
    }
}

/// The header word of a page at `offset` bytes in its block. The block's name follows it unless `same_block`.
#[inline]
pub const fn page_header(kind: PageKind, offset: u64, same_block: bool) -> u64 {
    offset | kind.flag() | if same_block { CONTINUE } else { 0 }
}

/// The block of a page record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockRef<'a> {
    /// That of the previous page record on this channel. The memory of it crosses sections, and starts empty.
    Same,
    /// The block of this name.
    Named(&'a str),
}

/// A page record up to the contents of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRecord<'a> {
    /// Offset in the block, in bytes, a multiple of the target page.
    pub offset: u64,
    /// The block.
    pub block: BlockRef<'a>,
    /// How the contents follow.
    pub kind: PageKind,
    /// Octets of contents that follow the record.
    pub contents_bytes: u32,
}

/// A record up to what is not in this module's hands: the contents of a page, or the entries of the block list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// The block list follows, see [`block_list`](crate::ram::block_list).
    MemSize {
        /// Sum of the lengths of the blocks in it.
        total: u64,
    },
    /// A page; its contents follow.
    Page(PageRecord<'a>),
    /// End of the section's body; the footer follows.
    Eos,
    /// RDMA control, to be ignored.
    Hook,
    /// The reader waits for every multifd channel here.
    MultifdFlush,
}

impl<'a> Record<'a> {
    /// Decodes a record. No allocation; a page of the same block costs one read of eight octets.
    ///
    /// # Errors
    ///
    /// What [`RecordHeader::decode`] refuses; a malformed block name; a fill octet other than 0 (QEMU 7.2 and older
    /// accept one, but nothing ever sent one); another XBZRLE encoding than 1; contents longer than the kind allows.
    #[inline]
    pub fn decode(input: &'a [u8], page: TargetPage) -> DecodeResult<Record<'a>> {
        run(input, |c| {
            let header = RecordHeader::decode(c.u64()?, page)?;
            Ok(match header.kind {
                RecordKind::Page(kind) => Record::Page(decode_page(c, kind, header, page)?),
                RecordKind::MemSize => {
                    if header.address > MEM_SIZE_TOTAL_LIMIT {
                        let what = "the total of the RAM block list";
                        let reason =
                            Reason::OutOfRange { what, found: header.address, min: 0, max: MEM_SIZE_TOTAL_LIMIT };
                        return Err(c.refuse_back(8, reason));
                    }
                    Record::MemSize { total: header.address }
                }
                RecordKind::Eos => Record::Eos,
                RecordKind::Hook => Record::Hook,
                RecordKind::MultifdFlush => Record::MultifdFlush,
            })
        })
    }

    /// Appends the end of a section's body.
    pub fn encode_eos(out: &mut Vec<u8>) {
        out.extend_from_slice(&EOS.to_be_bytes());
    }

    /// Appends a record that makes the reader wait for every multifd channel.
    pub fn encode_multifd_flush(out: &mut Vec<u8>) {
        out.extend_from_slice(&MULTIFD_FLUSH.to_be_bytes());
    }

    /// Appends the record of a zero page. `name` is given if the block is not that of the previous page record.
    pub fn encode_zero_page(out: &mut Vec<u8>, offset: u64, name: Option<&Name>) {
        encode_page_head(out, PageKind::Zero, offset, name);
        out.push(0);
    }

    /// Appends the record of a page whose contents the caller sends next.
    pub fn encode_normal_page(out: &mut Vec<u8>, offset: u64, name: Option<&Name>) {
        encode_page_head(out, PageKind::Normal, offset, name);
    }

    /// Appends the record of a page whose `length` octets of XBZRLE data the caller sends next.
    pub fn encode_xbzrle_page(out: &mut Vec<u8>, offset: u64, name: Option<&Name>, length: u16) {
        encode_page_head(out, PageKind::Xbzrle, offset, name);
        out.push(XBZRLE_ENCODING);
        out.extend_from_slice(&length.to_be_bytes());
    }
}

fn encode_page_head(out: &mut Vec<u8>, kind: PageKind, offset: u64, name: Option<&Name>) {
    out.extend_from_slice(&page_header(kind, offset, name.is_none()).to_be_bytes());
    if let Some(name) = name {
        name.encode(out);
    }
}

#[inline]
fn decode_page<'a>(c: &mut Cursor<'a>, kind: PageKind, header: RecordHeader, page: TargetPage) -> Step<PageRecord<'a>> {
    let block = if header.same_block { BlockRef::Same } else { BlockRef::Named(c.name_text("RAM block")?) };
    let page_bytes = u32::try_from(page.bytes()).unwrap_or(u32::MAX);
    let contents_bytes = match kind {
        PageKind::Normal => page_bytes,
        PageKind::Zero => {
            let fill = c.u8()?;
            c.expect("the fill octet of a zero page", u64::from(fill), 0, 1)?;
            0
        }
        PageKind::Xbzrle => {
            let encoding = c.u8()?;
            c.expect("the encoding of an XBZRLE page", u64::from(encoding), u64::from(XBZRLE_ENCODING), 1)?;
            let length = u32::from(c.u16()?);
            check_length(c, 2, "the length of an XBZRLE page", length, page_bytes)?
        }
        PageKind::Compressed => {
            let length = c.u32()?;
            let limit = page_bytes.saturating_add(COMPRESSED_PAGE_SLACK_BYTES);
            check_length(c, 4, "the length of a compressed page", length, limit)?
        }
    };
    Ok(PageRecord { offset: header.address, block, kind, contents_bytes })
}

fn check_length(c: &Cursor<'_>, back: u64, what: &'static str, length: u32, limit: u32) -> Step<u32> {
    if length <= limit {
        return Ok(length);
    }
    let reason = Reason::OutOfRange { what, found: u64::from(length), min: 0, max: u64::from(limit) };
    Err(c.refuse_back(back, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE_4K: TargetPage = TargetPage::KIB_4;

    fn kind_of(word: u64) -> Result<RecordKind, Reason> {
        RecordHeader::decode(word, PAGE_4K).map(|header| header.kind).map_err(|error| error.reason().clone())
    }

    #[test]
    fn flags_that_are_not_exactly_one_kind_are_refused() {
        // docs/spec/ram.md section A2: PAGE|ZERO, EOS|PAGE, 0 and 0x400 are errors.
        for flags in [PAGE | ZERO, EOS | PAGE, 0, 0x400, CONTINUE, MEM_SIZE | PAGE] {
            assert_eq!(kind_of(flags), Err(Reason::BadRecordFlags { flags: flags & !CONTINUE }));
        }
        assert_eq!(kind_of(FULL), Err(Reason::ObsoleteRecord { what: "FULL (0x001)" }));
    }

    #[test]
    fn address_and_continue_of_an_end_record_are_ignored() {
        assert_eq!(kind_of(0x1234_5000 | EOS), Ok(RecordKind::Eos));
        assert_eq!(kind_of(EOS | CONTINUE), Ok(RecordKind::Eos));
        assert_eq!(kind_of(0x1000 | MEM_SIZE | CONTINUE), Ok(RecordKind::MemSize));
    }

    #[test]
    fn every_flag_word_is_decoded_as_the_table_says() {
        let mut accepted = 0;
        for flags in 0..0x1000_u64 {
            if let Ok(header) = RecordHeader::decode(0x7000 | flags, PAGE_4K) {
                assert_eq!(header.address, 0x7000);
                assert_eq!(header.same_block, flags & CONTINUE != 0);
                assert_eq!((flags & !CONTINUE).count_ones(), 1);
                accepted += 1;
            }
        }
        // Eight kinds, each with and without CONTINUE.
        assert_eq!(accepted, 16);
    }

    #[test]
    fn with_a_small_page_the_flags_end_at_its_size() {
        let page = TargetPage::from_bits(10).unwrap();
        let header = RecordHeader::decode(0x400 | PAGE, page).unwrap();
        assert_eq!((header.kind, header.address), (RecordKind::Page(PageKind::Normal), 0x400));
    }

    #[test]
    fn verified_page_records_are_read() {
        // docs/spec/ram.md section A4.
        let octets = b"\0\0\0\0\0\0\0\x08\x03ram";
        let expected =
            PageRecord { offset: 0, block: BlockRef::Named("ram"), kind: PageKind::Normal, contents_bytes: 4096 };
        assert_eq!(Record::decode(octets, PAGE_4K).unwrap().complete().unwrap(), (Record::Page(expected), 12));
        let octets = b"\0\0\0\0\0\0\x10\x22\0";
        let expected = PageRecord { offset: 0x1000, block: BlockRef::Same, kind: PageKind::Zero, contents_bytes: 0 };
        assert_eq!(Record::decode(octets, PAGE_4K).unwrap().complete().unwrap(), (Record::Page(expected), 9));
        let octets = b"\0\0\0\0\0\0\0\x60\x01\0\x07\0\x01\xd6\x80\x10\x01\x82";
        let expected = PageRecord { offset: 0, block: BlockRef::Same, kind: PageKind::Xbzrle, contents_bytes: 7 };
        assert_eq!(Record::decode(octets, PAGE_4K).unwrap().complete().unwrap(), (Record::Page(expected), 11));
    }

    #[test]
    fn encoded_page_records_are_what_is_read() {
        let name = Name::new("ram", "RAM block").unwrap();
        let mut out = Vec::new();
        Record::encode_normal_page(&mut out, 0, Some(&name));
        assert_eq!(out, b"\0\0\0\0\0\0\0\x08\x03ram");
        out.clear();
        Record::encode_zero_page(&mut out, 0x1000, None);
        assert_eq!(out, b"\0\0\0\0\0\0\x10\x22\0");
        out.clear();
        Record::encode_xbzrle_page(&mut out, 0, None, 7);
        assert_eq!(out, b"\0\0\0\0\0\0\0\x60\x01\0\x07");
        out.clear();
        Record::encode_eos(&mut out);
        assert_eq!(out, b"\0\0\0\0\0\0\0\x10");
        out.clear();
        Record::encode_multifd_flush(&mut out);
        assert_eq!(out, b"\0\0\0\0\0\0\x02\0");
    }

    #[test]
    fn a_fill_other_than_zero_is_refused() {
        let error = Record::decode(b"\0\0\0\0\0\0\x10\x22\x55", PAGE_4K).unwrap_err();
        assert_eq!(error.offset(), 8);
    }

    #[test]
    fn lengths_over_a_page_are_refused() {
        assert!(Record::decode(b"\0\0\0\0\0\0\0\x60\x01\x10\x01", PAGE_4K).is_err());
        assert!(Record::decode(b"\0\0\0\0\0\0\0\x60\x02\0\x01", PAGE_4K).is_err());
        assert!(Record::decode(b"\0\0\0\0\0\0\x01\x20\0\0\x14\x01", PAGE_4K).is_err());
        assert!(Record::decode(b"\0\0\0\0\0\0\x01\x20\0\0\x14\0", PAGE_4K).is_ok());
    }
}
