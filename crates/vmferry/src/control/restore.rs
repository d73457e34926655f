//! How a guest comes out of a file whose pages have fixed places, and how far that is.

use std::fmt;

/// How the pages of a file of capability `mapped-ram` get into guest memory (`x-ferry-restore`). Our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RestoreMode {
    /// All are read before the guest starts.
    #[default]
    Read,
    /// The file is mapped, and a page is read when it is touched first. The file must not change while the guest runs.
    Mapped,
    /// As `Mapped`, and a thread brings all pages in while the guest runs; after that the file may be removed or
    /// overwritten, but not cut.
    Fill,
}

impl RestoreMode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Read, Self::Mapped, Self::Fill];

    /// The word on the wire of QMP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Mapped => "mapped",
            Self::Fill => "fill",
        }
    }
}

impl fmt::Display for RestoreMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What became of a restore by mapping.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Restore {
    /// Bytes of guest memory that are mapped from the file.
    pub mapped_bytes: u64,
    /// Separate mappings.
    pub mappings: usize,
    /// Pages in them that are zero, though the file has something else at their place: they were cleared.
    pub cleared_pages: u64,
    /// Milliseconds that it took to read the bitmaps and to map.
    pub map_ms: f64,
    /// Bytes that were brought in so far by [`RestoreMode::Fill`].
    pub filled_bytes: u64,
    /// Milliseconds until all were; `None` before, or if nothing fills.
    pub fill_ms: Option<f64>,
    /// Why nothing was mapped, and everything read, or why not everything was brought in.
    pub fault: Option<String>,
}

impl Restore {
    /// Whether all pages are here, so that none is read any more.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.mapped_bytes == self.filled_bytes
    }
}
