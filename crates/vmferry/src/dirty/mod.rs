//! Dirty tracking: which pages the guest wrote since they were last looked at.

pub mod bitmap;
pub mod pages;
pub mod soft;
pub mod wp_async;
pub mod write_protect;

pub use bitmap::DirtyBitmap;
pub use pages::PageSet;
pub use soft::SoftDirtyLog;
pub use write_protect::WriteProtectLog;

use std::io;

/// A source of dirty pages: a CPU's own bitmap, a hypervisor's log.
///
/// Between [`DirtyLog::start`] and [`DirtyLog::stop`] no write of the guest may escape it: a page that is written after
/// a [`DirtyLog::sync`] took its mark is marked for the next one, and one whose mark was taken can be read afterwards
/// with everything in it that was written before.
pub trait DirtyLog: Send + Sync {
    /// Starts tracking. What was written before is not reported, except by a log that knows nothing of a page until it
    /// is [cleared](DirtyLog::clear) for the first time: such a page may be reported as if it were dirty.
    ///
    /// # Errors
    ///
    /// The mechanism is not available.
    fn start(&self) -> io::Result<()>;

    /// Stops tracking.
    fn stop(&self);

    /// Takes what became dirty since the last call, and adds it to `pages`, one set for each block in the machine's
    /// order. Returns how many pages were newly dirty in the log, whether or not they were in the set already.
    ///
    /// # Errors
    ///
    /// The mechanism failed.
    fn sync(&self, pages: &mut [PageSet]) -> io::Result<u64>;

    /// Tells the log that pages `first .. first + count` of block `block`, in the machine's order, are about to be
    /// read.
    ///
    /// A log whose [`DirtyLog::sync`] already arms the pages it takes has nothing to do here. One that postpones that,
    /// because protecting memory against writes holds the guest up, does it now, for a piece of memory around these
    /// pages at a time; until then it goes on reporting them, so a reader who never calls this loses no write, but
    /// reads pages again that have not changed.
    ///
    /// # Errors
    ///
    /// The mechanism failed, or the block or its pages do not exist.
    fn clear(&self, block: usize, first: usize, count: usize) -> io::Result<()> {
        let _ = (block, first, count);
        Ok(())
    }
}
