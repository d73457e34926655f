//! Where a stream comes from: a file that can be read from any place, or a pipe.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use crate::window::Window;

/// A reader that can also be positioned.
pub trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

/// The octets of a stream's main channel, from its first octet on.
pub enum Source<'a> {
    /// Can be read from any place: the description is found first, at the end, and nothing is kept.
    Seekable(Box<dyn ReadSeek + 'a>),
    /// Comes once and in order: what cannot be walked before the description arrives is kept in an unlinked file.
    Pipe(Box<dyn Read + 'a>),
}

impl<'a> Source<'a> {
    /// A source over octets in memory.
    pub fn from_octets(octets: &'a [u8]) -> Source<'a> {
        Source::Seekable(Box::new(io::Cursor::new(octets)))
    }

    /// A source that reads `input` once.
    pub fn pipe(input: impl Read + 'a) -> Source<'a> {
        Source::Pipe(Box::new(input))
    }

    /// A source in a file, from a position on.
    ///
    /// # Errors
    ///
    /// The operating system's, on seeking.
    pub fn at(file: impl Read + Seek + 'a, offset: u64) -> io::Result<Source<'a>> {
        Ok(Source::Seekable(Box::new(Window::new(file, offset)?)))
    }

    /// Opens a file; what is not a regular file (a FIFO, a device) becomes a pipe.
    ///
    /// # Errors
    ///
    /// The operating system's, on opening.
    pub fn open(path: &Path) -> io::Result<Source<'static>> {
        let file = File::open(path)?;
        if file.metadata()?.is_file() { Ok(Source::Seekable(Box::new(file))) } else { Ok(Source::Pipe(Box::new(file))) }
    }
}

impl std::fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Source::Seekable(_) => "Source::Seekable",
            Source::Pipe(_) => "Source::Pipe",
        })
    }
}

/// Hears how far the reading is.
pub trait Progress {
    /// `bytes` of the stream are read; `total` is its length, if that is known.
    fn read(&mut self, bytes: u64, total: Option<u64>);
}

/// Nobody hears.
impl Progress for () {
    fn read(&mut self, _bytes: u64, _total: Option<u64>) {}
}
