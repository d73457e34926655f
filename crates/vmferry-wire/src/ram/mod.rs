//! The body of the `ram` section: records behind 64-bit headers.
//!
//! ```text
//! body   = *record eos
//! record = mem-size / zero-page / page / xbzrle-page / compressed-page / multifd-flush / hook
//! ```
//!
//! A header is `address | flags`; the flags live below the target page size.
//!
//! | bit | kind | follows the header |
//! |---|---|---|
//! | 0x001 | FULL | obsolete, refused |
//! | 0x002 | ZERO | \[name\], u8 fill (0) |
//! | 0x004 | MEM_SIZE | the block list ([`block_list`]); the address bits are its total |
//! | 0x008 | PAGE | \[name\], one target page |
//! | 0x010 | EOS | nothing: end of this section's body |
//! | 0x020 | CONTINUE | with a page kind: same block as the previous page record, no name |
//! | 0x040 | XBZRLE | \[name\], u8 1, u16 length, data |
//! | 0x080 | HOOK | nothing without RDMA |
//! | 0x100 | COMPRESS_PAGE | \[name\], u32 length, a zlib stream (QEMU up to 9.0) |
//! | 0x200 | MULTIFD_FLUSH | nothing |
//!
//! With CONTINUE removed, the rest must be exactly one kind. Source: `docs/spec/ram.md` sections A1 to A8. Contents of
//! pages never pass through this module: [`Record`] stops before them and says how many octets they are.

pub mod block_list;
mod record;
pub mod xbzrle;

pub use record::{BlockRef, MEM_SIZE_TOTAL_LIMIT, PageKind, PageRecord, Record, RecordHeader, RecordKind, page_header};

use crate::error::Reason;
use crate::limits::{TARGET_PAGE_BITS_MAX, TARGET_PAGE_BITS_MIN};

/// Id string of the section.
pub const RAM_IDSTR: &str = "ram";

/// The only version of the section that is read and written.
pub const RAM_VERSION: u32 = 4;

/// The size of a target page: a power of two from 1 KiB to 1 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TargetPage {
    bits: u32,
}

impl TargetPage {
    /// 4 KiB: x86, s390x, riscv64, and whatever states no other size.
    pub const KIB_4: TargetPage = TargetPage { bits: 12 };

    /// The page of 2^`bits` bytes.
    ///
    /// # Errors
    ///
    /// Fewer than 10 bits leave no room for the flags; more than 20 has no target.
    pub fn from_bits(bits: u32) -> Result<TargetPage, Reason> {
        if (TARGET_PAGE_BITS_MIN..=TARGET_PAGE_BITS_MAX).contains(&bits) {
            return Ok(TargetPage { bits });
        }
        Err(Reason::OutOfRange {
            what: "the target page size in bits",
            found: u64::from(bits),
            min: u64::from(TARGET_PAGE_BITS_MIN),
            max: u64::from(TARGET_PAGE_BITS_MAX),
        })
    }

    /// The page of `bytes` bytes.
    ///
    /// # Errors
    ///
    /// Not a power of two, or outside the limits of [`from_bits`](TargetPage::from_bits).
    pub fn from_bytes(bytes: u64) -> Result<TargetPage, Reason> {
        if bytes.is_power_of_two()
            && let Ok(page) = TargetPage::from_bits(bytes.trailing_zeros())
        {
            return Ok(page);
        }
        Err(Reason::OutOfRange {
            what: "the target page size in bytes (a power of two)",
            found: bytes,
            min: 1 << TARGET_PAGE_BITS_MIN,
            max: 1 << TARGET_PAGE_BITS_MAX,
        })
    }

    /// log2 of the size.
    pub const fn bits(self) -> u32 {
        self.bits
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        1 << self.bits
    }

    /// The size in bytes, as a length in memory.
    pub const fn usize_bytes(self) -> usize {
        1 << self.bits
    }

    /// The bits of a record header that are flags.
    pub const fn flag_mask(self) -> u64 {
        self.bytes() - 1
    }
}

impl Default for TargetPage {
    fn default() -> TargetPage {
        TargetPage::KIB_4
    }
}
