//! Guest memory as the engine sees it: named blocks, copied in and out, never referenced.
//!
//! The guest writes its memory while it is sent, so no `&[u8]` to it exists anywhere: bytes are copied with volatile
//! accesses, scanned as relaxed atomics ([`zero`]), or handed to the kernel as address and length ([`vectored`]).

pub mod ignored;
pub mod mapped;
mod overlay;
pub mod pagemap;
pub mod populate;
pub mod populated;
pub mod release;
pub mod scattered;
pub mod userfault;
pub mod vectored;
pub mod words;
pub mod zero;

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;

use vm_memory::VolatileSlice;
use vmstate::Refused;

use crate::dirty::PageSet;

pub use mapped::MappedBlock;

/// Bytes of a target page: what one page record of the stream carries (`docs/spec/ram.md` A2).
pub const TARGET_PAGE_BYTES: u64 = 4096;

/// [`TARGET_PAGE_BYTES`] as a length in memory.
pub const TARGET_PAGE: usize = 4096;

/// An access that does not lie inside its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfBlock {
    /// Offset in the block, in bytes.
    pub offset: u64,
    /// Length of the access, in bytes.
    pub len: usize,
}

impl fmt::Display for OutOfBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at {:#x} do not lie inside the RAM block", self.len, self.offset)
    }
}

impl Error for OutOfBlock {}

/// Where the memory of a block comes from.
#[derive(Debug, Clone, Copy)]
pub enum Backing<'a> {
    /// Not to be told: any page may hold something.
    Unknown,
    /// Anonymous memory: what was never written is zero.
    Anonymous,
    /// A shared mapping of a file from `offset` on, in bytes: its holes are zero.
    Shared {
        /// The file, a memfd or one of a file system.
        file: BorrowedFd<'a>,
        /// Offset in the file at which the block starts.
        offset: u64,
        /// The file has a name, so that another process can map it as well.
        is_named: bool,
    },
}

/// A named block of guest RAM.
///
/// All offsets and lengths are bytes from the start of the block. The bytes may change under every access.
pub trait RamBlock: Send + Sync + fmt::Debug {
    /// Id of the block in the stream, 1 to 255 octets (`docs/spec/ram.md` A10).
    fn name(&self) -> &str;

    /// Bytes that the guest uses and that are sent; a multiple of [`TARGET_PAGE_BYTES`].
    fn used_len(&self) -> u64;

    /// Most bytes that the guest may come to use, [`RamBlock::used_len`] or more; that is the memory that is mapped.
    fn max_len(&self) -> u64 {
        self.used_len()
    }

    /// Lets the guest use `bytes` from now on, which need not be a multiple of a page; [`RamBlock::used_len`] is the
    /// multiple above it. This is how a destination takes over the length at the source, before any page comes, and the
    /// owner of the block is told by it. Called with the present length as well.
    ///
    /// # Errors
    ///
    /// The block has one length only, or `bytes` are more than [`RamBlock::max_len`].
    fn resize(&self, bytes: u64) -> Result<(), Refused> {
        let used = self.used_len();
        if bytes.next_multiple_of(TARGET_PAGE_BYTES) == used {
            return Ok(());
        }
        Err(Refused::new(format!("the block has {used:#x} bytes and cannot be resized")))
    }

    /// Bytes of the page size that backs the block.
    fn page_bytes(&self) -> u64 {
        TARGET_PAGE_BYTES
    }

    /// Where the guest sees the block. Both ends must have a block at the same place whose pages are not sent, since
    /// its memory is a file that both map (`x-ignore-shared`).
    fn guest_address(&self) -> u64 {
        0
    }

    /// What memory of the block holds that was never written: decides what need not be read. It is not asked of pages
    /// that a file was mapped over ([`RamBlock::add_overlaid`]).
    fn backing(&self) -> Backing<'_> {
        Backing::Unknown
    }

    /// Maps `len` bytes of `file` from position `at` on in place of the block's memory from `offset` on, privately: the
    /// guest finds the file's bytes there, and what it writes is its own. All three are whole pages of the host.
    ///
    /// # Errors
    ///
    /// The block's memory cannot be replaced, which is so unless a block says otherwise; or the kernel refused.
    fn map_private(&self, offset: u64, len: usize, file: BorrowedFd<'_>, at: u64) -> io::Result<()> {
        let _ = (offset, len, file, at);
        Err(io::Error::new(io::ErrorKind::Unsupported, "its memory cannot be replaced by a file's"))
    }

    /// Adds to `pages`, which are numbered from page `first` of the block on, those that a file was mapped over: each
    /// may hold something, though it was never written here.
    fn add_overlaid(&self, first: usize, pages: &mut PageSet) {
        let _ = (first, pages);
    }

    /// The memory `offset .. offset + len`, for copies and for vectored I/O.
    ///
    /// # Errors
    ///
    /// The range does not lie inside the block.
    fn run(&self, offset: u64, len: usize) -> Result<VolatileSlice<'_, ()>, OutOfBlock>;

    /// Copies from the block to `out`.
    ///
    /// # Errors
    ///
    /// The range does not lie inside the block.
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), OutOfBlock> {
        self.run(offset, out.len())?.copy_to(out);
        Ok(())
    }

    /// Copies `bytes` to the block without marking them dirty: this is how an incoming migration writes.
    ///
    /// # Errors
    ///
    /// The range does not lie inside the block.
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), OutOfBlock> {
        self.run(offset, bytes.len())?.copy_from(bytes);
        Ok(())
    }
}
