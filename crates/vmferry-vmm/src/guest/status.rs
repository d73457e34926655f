//! The status block that the guest keeps in its memory, for a host to read.
//!
//! Little-endian doublewords from [`STATUS_ADDRESS`] on; the offsets are in [`status_offset`].

use vm_memory::GuestAddress;

/// Where the guest keeps its status block.
pub const STATUS_ADDRESS: GuestAddress = GuestAddress(0x8000_4000);

const MAGIC: [u8; 8] = *b"FERRYSTA";

/// Offsets in the block.
#[expect(missing_docs, reason = "the fields of the struct beside it say what they are; the rest is the guest's own")]
pub mod status_offset {
    pub const MAGIC: i32 = 0;
    pub const PASS: i32 = 8;
    pub const PAGES: i32 = 16;
    pub const CHECKED: i32 = 24;
    pub const BAD: i32 = 32;
    pub const FIRST_BAD_PAGE: i32 = 40;
    pub const FIRST_BAD_EXPECTED: i32 = 48;
    pub const FIRST_BAD_FOUND: i32 = 56;
    pub const TICKS: i32 = 64;
    pub const ENTROPY_REQUESTS: i32 = 72;
    pub const LINE_GAP_NS: i32 = 80;
    pub const MAX_GAP_NS: i32 = 88;
    pub const MAX_GAP_AT_NS: i32 = 96;
    pub const LAST_STAMP_NS: i32 = 104;
    pub const MEMORY_START: i32 = 112;
    pub const MEMORY_END: i32 = 120;
    pub const PAGE: i32 = 128;
    pub const BYTES: usize = 136;
    // From here on the guest's own.
    pub const NEXT_TICK: i32 = 136;
    pub const LAST_BAD: i32 = 144;
    pub const FAULT: i32 = 152;
    pub const ENTROPY_READY: i32 = 160;
    pub const ENTROPY_SUM: i32 = 168;
    pub const VIRTIO_PAGE: i32 = 176;
}

/// What the guest has found so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GuestStatus {
    /// Passes completed.
    pub pass: u64,
    /// Pages of a pass.
    pub pages: u64,
    /// Pages checked in all completed passes.
    pub checked: u64,
    /// Pages that were not what the pass before had left, counted once a pass.
    pub bad: u64,
    /// Address of the first bad page.
    pub first_bad_page: u64,
    /// What its first wrong word should have been.
    pub first_bad_expected: u64,
    /// What it was.
    pub first_bad_found: u64,
    /// Timer ticks taken, one a millisecond.
    pub ticks: u64,
    /// Entropy requests completed.
    pub entropy_requests: u64,
    /// Longest distance between two time stamps since the last line, in nanoseconds.
    pub line_gap_ns: u64,
    /// Longest distance since the start, in nanoseconds.
    pub max_gap_ns: u64,
    /// The stamp that ended it, in nanoseconds since the epoch.
    pub max_gap_at_ns: u64,
    /// Last time stamp, in nanoseconds since the epoch.
    pub last_stamp_ns: u64,
    /// First address walked.
    pub memory_start: u64,
    /// End of the memory walked.
    pub memory_end: u64,
    /// The page that comes next, as of the last burst.
    pub page: u64,
}

impl GuestStatus {
    /// Bytes to read from [`STATUS_ADDRESS`].
    pub const BYTES: usize = status_offset::BYTES;

    /// The status in the block's bytes; `None` if they are too few or the guest has not written its magic yet.
    #[must_use]
    pub fn decode(block: &[u8]) -> Option<Self> {
        let mut words = block.get(..Self::BYTES)?.as_chunks::<8>().0.iter();
        if *words.next()? != MAGIC {
            return None;
        }
        let mut next = || words.next().map(|word| u64::from_le_bytes(*word));
        Some(Self {
            pass: next()?,
            pages: next()?,
            checked: next()?,
            bad: next()?,
            first_bad_page: next()?,
            first_bad_expected: next()?,
            first_bad_found: next()?,
            ticks: next()?,
            entropy_requests: next()?,
            line_gap_ns: next()?,
            max_gap_ns: next()?,
            max_gap_at_ns: next()?,
            last_stamp_ns: next()?,
            memory_start: next()?,
            memory_end: next()?,
            page: next()?,
        })
    }
}
