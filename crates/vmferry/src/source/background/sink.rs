//! Where saved pages go: into the stream, or to fixed places of its file.

use std::io;

use super::guard::SavedRun;
use super::records::Records;
use crate::channel::Channel;
use crate::error::{Doing as _, Error, Side};
use crate::mapped_ram::file::PageFile;
use crate::memory::TARGET_PAGE_BYTES;
use crate::source::mapped_ram::Places;
use crate::source::mapped_ram::parts::write_places;
use crate::source::ram::{NamedBlock, Sent};
use crate::source::runs::Run;

/// Takes saved pages.
#[derive(Debug)]
pub(super) enum Sink {
    /// As records of the stream.
    Records(Records),
    /// Without them (`docs/spec/mapped-ram.md`).
    Places { file: PageFile, places: Places },
}

impl Sink {
    pub(super) fn records(blocks: Vec<NamedBlock>) -> Self {
        Self::Records(Records::new(blocks))
    }

    /// Writes `head` and the block list with its places; also returns how many octets that took.
    ///
    /// # Errors
    ///
    /// The channel is no file, or cannot be written.
    pub(super) fn places(
        channel: &Channel,
        blocks: &[NamedBlock],
        head: Vec<u8>,
        detects_zero: bool,
    ) -> Result<(Self, u64), Error> {
        let (layouts, octets) = write_places(channel, blocks, head)?;
        let file = PageFile::of(channel).doing(Side::Source, "opening the file of pages")?;
        Ok((Self::Places { file, places: Places::new(blocks, &layouts, detects_zero) }, octets))
    }

    /// Writes all pages of `run`.
    ///
    /// # Errors
    ///
    /// The channel's or the file's.
    pub(super) fn write(&mut self, channel: &Channel, run: &SavedRun) -> io::Result<Sent> {
        match self {
            Self::Records(records) => records.write(channel, run),
            Self::Places { file, places } => {
                let SavedRun { block, first, count, bytes } = run;
                let never_populated = bytes.is_empty();
                places.write_copies(
                    file,
                    Run { block: *block, first: *first, count: *count, never_populated },
                    bytes,
                )?;
                let (normal_pages, zero_pages) = places.take_counts();
                Ok(Sent { normal_pages, zero_pages, bytes: normal_pages * TARGET_PAGE_BYTES, ..Sent::default() })
            }
        }
    }

    /// No page comes any more: says which are there. Returns how many octets that took.
    ///
    /// # Errors
    ///
    /// The file's.
    pub(super) fn end(&self) -> io::Result<u64> {
        match self {
            Self::Records(_) => Ok(0),
            Self::Places { file, places } => places.write_bitmaps(file),
        }
    }
}
