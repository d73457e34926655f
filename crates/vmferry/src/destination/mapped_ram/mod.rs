//! Loading pages from fixed places of a file (`docs/spec/mapped-ram.md` section 4).
//!
//! ```text
//! block list:  entry -> place() -> Layout, the stream goes on behind its pages     nothing is read but entries
//! its end:     bitmaps -> PageSet -> runs -> workers -> guest memory               every entry was checked
//! ```
//!
//! | what | where |
//! |---|---|
//! | places of a block, checked | [`Layout`] |
//! | its bitmap | [`read_bitmap`] |
//! | runs of pages, cut into pieces, into guest memory | `pieces`, `reader` |
//! | runs of pages, mapped over guest memory | `mapping` |
//! | mapped memory afterwards: the file, the filling | `fill` |
//!
//! # For whoever brings pages in another way
//!
//! [`MappedRam::place`] is called for each entry and checks it; behind the list [`MappedRam::layouts`] has all of them,
//! and [`read_bitmap`] says for one which pages are in the file. [`MappedRam::load`] is the whole of reading them now.
//! A page without a bit is zero, whatever the file has at its place; `crate::mapped_ram` says when a mapping of the
//! file may rely on finding zeros there.

mod bitmap;
mod fill;
mod mapping;
mod pieces;
mod reader;

use std::sync::Arc;

use vmferry_wire::ram::block_list::MappedRamHeader;

pub(super) use self::bitmap::read_bitmap;
pub(crate) use self::fill::Restored;
use self::mapping::Mapped;
use self::pieces::pieces;
use self::reader::Reader;
use super::held::Held;
use super::reader::mismatch;
use crate::channel::{Channel, Interrupt};
use crate::control::RestoreMode;
use crate::error::{Doing as _, Error, ErrorKind, Side};
use crate::mapped_ram::file::PageFile;
use crate::mapped_ram::layout::{Layout, Misplaced};
use crate::mapped_ram::workers::Workers;
use crate::memory::RamBlock;

const DOING: &str = "reading pages from the file";

/// The file of one load, and where the blocks are in it.
#[derive(Debug)]
pub(super) struct MappedRam {
    /// The stream's own descriptor.
    file: PageFile,
    /// One more for each channel; none without multifd.
    channels: Vec<PageFile>,
    file_bytes: u64,
    /// Position in the file at which the stream starts.
    stream_start: u64,
    layouts: Vec<Layout>,
    mode: RestoreMode,
    /// What was mapped, or why nothing was.
    mapped: Option<Result<Mapped, String>>,
    interrupt: Interrupt,
}

impl MappedRam {
    /// The file that `main` has, at the start of the stream, and the channels' descriptors of it.
    ///
    /// # Errors
    ///
    /// `main` is no file.
    pub(super) fn open(main: &Channel, channels: Vec<PageFile>, mode: RestoreMode) -> Result<Self, Error> {
        const OPENING: &str = "opening the file of pages";
        Ok(Self {
            file: PageFile::of(main).doing(Side::Destination, OPENING)?,
            channels,
            file_bytes: main.file_bytes().doing(Side::Destination, OPENING)?,
            stream_start: main.position().doing(Side::Destination, OPENING)?,
            layouts: Vec::new(),
            mode,
            mapped: None,
            interrupt: main.interrupt().clone(),
        })
    }

    /// Takes the entry of block `block`, of `used_bytes` here and there, that ends at offset `entry_end` of the stream.
    /// Returns how many octets further the stream goes on.
    ///
    /// # Errors
    ///
    /// The places overlap, or lie outside the file ([`Layout::checked`]).
    pub(super) fn place(
        &mut self,
        block: usize,
        used_bytes: u64,
        header: &MappedRamHeader,
        entry_end: u64,
    ) -> Result<u64, Error> {
        let here = self.stream_start.saturating_add(entry_end);
        let layout = Layout::checked(block, used_bytes, header, here, self.file_bytes)
            .map_err(|Misplaced { what, found, accepted }| mismatch(entry_end, what, found, accepted))?;
        self.layouts.push(layout);
        Ok(layout.end().saturating_sub(here))
    }

    /// Places of the blocks, in the order of the list.
    pub(super) fn layouts(&self) -> &[Layout] {
        &self.layouts
    }

    /// What was mapped, with its filling begun if it is to be filled; or why nothing was. `None` if nothing was to be.
    pub(super) fn take_restored(&mut self, blocks: &[Arc<dyn RamBlock>]) -> Option<Restored> {
        Some(match self.mapped.take()? {
            Ok(mapped) => Restored::start(mapped, blocks, self.mode == RestoreMode::Fill),
            Err(fault) => Restored::not_mapped(fault),
        })
    }

    /// Maps the pages of all blocks, if they are to be mapped; `None` if they have to be read.
    fn map(&mut self, blocks: &[Arc<dyn RamBlock>], held: &Held) -> Result<Option<(u64, u64)>, Error> {
        if self.mode == RestoreMode::Read {
            return Ok(None);
        }
        match mapping::map(&self.file, &self.layouts, blocks, held) {
            Ok(mapped) => {
                let pages = (mapped.normal_pages, mapped.zero_pages);
                self.mapped = Some(Ok(mapped));
                Ok(Some(pages))
            }
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(self.failed(error)),
            Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => Err(self.failed(error)),
            Err(error) => {
                tracing::warn!(%error, "the file is read, since it cannot be mapped");
                self.mapped = Some(Err(error.to_string()));
                Ok(None)
            }
        }
    }

    /// Brings the pages of all blocks into guest memory; returns how many there were, and how many are zero.
    ///
    /// # Errors
    ///
    /// The file ends early or cannot be read, or the load was cancelled.
    pub(super) fn load(&mut self, blocks: &[Arc<dyn RamBlock>], held: &Held) -> Result<(u64, u64), Error> {
        if let Some(pages) = self.map(blocks, held)? {
            return Ok(pages);
        }
        let channels = std::mem::take(&mut self.channels);
        let interrupt = self.interrupt.clone();
        let mut readers: Vec<_> = channels.into_iter().map(|file| Reader::new(file, blocks)).collect();
        let mut workers = if readers.is_empty() {
            let file = self.file.try_clone().doing(Side::Destination, DOING)?;
            Workers::inline(Reader::new(file, blocks), interrupt)
        } else {
            Workers::start(Side::Destination, "multifd-recv", std::mem::take(&mut readers), interrupt)
                .doing(Side::Destination, "starting the multifd channels")?
        };
        let (mut normal_pages, mut zero_pages) = (0, 0);
        for layout in self.layouts() {
            let Some(block) = blocks.get(layout.block()) else { continue };
            let pages = read_bitmap(&self.file, layout).map_err(|error| self.failed(error))?;
            normal_pages += pages.count();
            zero_pages += layout.pages() as u64 - pages.count();
            for piece in pieces(&**block, layout, &pages) {
                workers.give(piece).map_err(|error| self.failed(error))?;
            }
            // What the file has at their places may be left from before.
            held.clear_others(layout.block(), &**block, &pages)?;
        }
        workers.wait_idle().map_err(|error| self.failed(error))?;
        Ok((normal_pages, zero_pages))
    }

    /// A read that failed: where the stream was cut, as an end of the stream.
    fn failed(&self, error: std::io::Error) -> Error {
        if error.kind() == std::io::ErrorKind::UnexpectedEof {
            let offset = self.file_bytes.saturating_sub(self.stream_start);
            return Error::new(Side::Destination, ErrorKind::Truncated { offset });
        }
        Err::<(), _>(error)
            .doing(Side::Destination, DOING)
            .err()
            .unwrap_or_else(|| Error::new(Side::Destination, ErrorKind::State("a read failed".to_owned())))
    }
}
