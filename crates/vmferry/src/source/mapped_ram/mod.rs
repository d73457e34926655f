//! Sending pages to fixed places of a file (`docs/spec/mapped-ram.md`).
//!
//! ```text
//!  set-up                     while the guest runs           guest stopped
//!  entries, gaps ──► file     runs ──► workers ──► places    last runs, then bitmaps ──► file, END ──► stream
//! ```
//!
//! A page that is dirtied again overwrites its place; one that became zero loses its bit and its place. Two versions of
//! a page must not be written at the same time, so the workers are waited for before the dirty log is asked
//! ([`MappedRam::wait`]), as multifd channels are. Without multifd the migration's thread writes itself.
//!
//! # For whoever sends other pages
//!
//! [`parts::write_places`] writes the block list; [`place_blocks`](crate::source::Driver::place_blocks) makes the
//! [`MappedRam`] as well; [`MappedRam::give`] takes a [`Run`] of pages that are to be read from guest memory;
//! [`MappedRam::write_bitmaps`] ends it. [`Places`] alone has the bitmaps: it writes one run to a file, for a thread of
//! one's own.
//!
//! # A failure
//!
//! A disk that is full or broken ends the migration, and the guest runs on at the source. What was written stays:
//! octets before the stream are somebody else's, and the file may be a device. It cannot be taken for a whole one,
//! since it ends before the end of its stream; on a device, where an older stream may follow, an octet that begins no
//! section is written there first.

mod bitmap;
pub(in crate::source) mod parts;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use self::bitmap::Bitmap;
use crate::channel::{Channel, Interrupt, Transport};
use crate::error::Side;
use crate::mapped_ram::file::PageFile;
use crate::mapped_ram::layout::Layout;
use crate::mapped_ram::workers::{Work, Workers};
use crate::memory::zero::is_zero;
use crate::memory::{RamBlock, TARGET_PAGE, TARGET_PAGE_BYTES};
use crate::source::ram::NamedBlock;
use crate::source::runs::Run;

/// Most pages of one run that is given: 1 MiB.
pub(in crate::source) const PAGES_PER_RUN: usize = 256;

/// The files of one migration: one a channel, or the one of the stream.
#[derive(Debug)]
pub(crate) struct PageFiles {
    pub(crate) files: Vec<PageFile>,
    /// Each file is a channel's, with a thread of its own.
    pub(crate) are_channels: bool,
}

impl PageFiles {
    /// `channels`, or, where there are none, the file of the stream.
    ///
    /// # Errors
    ///
    /// `main` is no file that has places.
    pub(crate) fn of(channels: Vec<PageFile>, main: &Channel) -> io::Result<Self> {
        if main.transport() != Transport::File {
            let text = "mapped-ram needs a file, which has places for pages, and this is none";
            return Err(io::Error::new(io::ErrorKind::NotSeekable, text));
        }
        let are_channels = !channels.is_empty();
        let files = if are_channels { channels } else { vec![PageFile::of(main)?] };
        Ok(Self { files, are_channels })
    }
}

/// Where the pages of all blocks go, and which are there.
#[derive(Debug)]
pub(crate) struct Places {
    blocks: Vec<(Arc<dyn RamBlock>, Layout, Bitmap)>,
    detects_zero: bool,
    normal_pages: AtomicU64,
    zero_pages: AtomicU64,
}

impl Places {
    /// Places of `blocks`, in the machine's order, with nothing in them. Without `detects_zero` every page is written.
    #[must_use]
    pub(crate) fn new(blocks: &[NamedBlock], layouts: &[Layout], detects_zero: bool) -> Self {
        let placed = blocks.iter().zip(layouts);
        let blocks = placed.map(|((_, block), layout)| (Arc::clone(block), *layout, Bitmap::new(layout.pages())));
        Self { blocks: blocks.collect(), detects_zero, normal_pages: AtomicU64::new(0), zero_pages: AtomicU64::new(0) }
    }

    /// Writes the pages of `run` that hold something to their places in `file`, and clears those of the others.
    ///
    /// Of one page, no two calls may run at the same time.
    ///
    /// # Errors
    ///
    /// The disk is full or failed, or a block is shorter than it said.
    pub(crate) fn write(&self, file: &PageFile, run: Run) -> io::Result<()> {
        let Some((block, layout, _)) = self.blocks.get(run.block) else { return Ok(()) };
        let memory = |first: usize, count: usize| {
            block.run(first as u64 * TARGET_PAGE_BYTES, count * TARGET_PAGE).map_err(io::Error::other)
        };
        self.place(
            file,
            run,
            |page| Ok(self.detects_zero && (run.never_populated || is_zero(&memory(page, 1)?))),
            |first, count| file.write_memory(&memory(first, count)?, layout.place(first)),
        )
    }

    /// Writes copies of pages, as [`Places::write`] does: `bytes` has those of `run`, or nothing if all are zero.
    ///
    /// # Errors
    ///
    /// The disk is full or failed.
    pub(in crate::source) fn write_copies(&self, file: &PageFile, run: Run, bytes: &[u8]) -> io::Result<()> {
        let Some((_, layout, _)) = self.blocks.get(run.block) else { return Ok(()) };
        let copies = |first: usize, count: usize| {
            let from = (first - run.first) * TARGET_PAGE;
            bytes.get(from..from + count * TARGET_PAGE).unwrap_or_default()
        };
        self.place(
            file,
            run,
            |page| Ok(copies(page, 1).iter().all(|octet| *octet == 0) && (self.detects_zero || bytes.is_empty())),
            |first, count| file.write_octets(copies(first, count), layout.place(first)),
        )
    }

    /// Has the pages of `run` that are not `is_empty` written, first page and count of each run, and the others
    /// cleared.
    fn place(
        &self,
        file: &PageFile,
        run: Run,
        is_empty: impl Fn(usize) -> io::Result<bool>,
        write: impl Fn(usize, usize) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some((_, layout, bitmap)) = self.blocks.get(run.block) else { return Ok(()) };
        let end = run.first.saturating_add(run.count);
        let (mut first, mut next) = (run.first, run.first);
        let mut kind = is_empty(first)?;
        while first < end {
            next += 1;
            let next_kind = if next < end { is_empty(next)? } else { !kind };
            if next_kind == kind {
                continue;
            }
            let count = next - first;
            if kind {
                self.zero_pages.fetch_add(count as u64, Ordering::Relaxed);
                for (first, count) in bitmap.clear(first, count) {
                    file.clear(layout.place(first), count as u64 * TARGET_PAGE_BYTES)?;
                }
            } else {
                write(first, count)?;
                bitmap.set(first, count);
                self.normal_pages.fetch_add(count as u64, Ordering::Relaxed);
            }
            (first, kind) = (next, next_kind);
        }
        Ok(())
    }

    /// Writes the bitmaps to their places in `file`, which is no direct one; how many octets these are. No page may be
    /// written any more.
    ///
    /// # Errors
    ///
    /// The disk is full or failed.
    pub(crate) fn write_bitmaps(&self, file: &PageFile) -> io::Result<u64> {
        let mut octets = 0;
        for (_, layout, bitmap) in &self.blocks {
            file.write_octets(&bitmap.octets(), layout.bitmap_offset())?;
            octets += layout.bitmap_bytes();
        }
        Ok(octets)
    }

    /// Pages written and pages of zeros since this was asked last.
    pub(in crate::source) fn take_counts(&self) -> (u64, u64) {
        (self.normal_pages.swap(0, Ordering::Relaxed), self.zero_pages.swap(0, Ordering::Relaxed))
    }
}

/// What becomes of a file that could not be written whole.
pub(in crate::source) fn advice() -> String {
    "the file is left as it is, incomplete: no destination loads it".to_owned()
}

/// Writes runs to one file.
#[derive(Debug)]
struct Writer {
    file: PageFile,
    places: Arc<Places>,
}

impl Work for Writer {
    type Job = Run;

    fn perform(&mut self, run: Run) -> io::Result<()> {
        self.places.write(&self.file, run)
    }
}

/// The pages of one migration on their way to the file.
#[derive(Debug)]
pub(crate) struct MappedRam {
    places: Arc<Places>,
    workers: Workers<Writer>,
    /// Pages are written by channels.
    has_channels: bool,
}

impl MappedRam {
    /// Starts the channels, if there are any. `interrupt` ends the giving.
    ///
    /// # Errors
    ///
    /// A thread cannot be started.
    pub(crate) fn start(files: PageFiles, places: Places, interrupt: Interrupt) -> io::Result<Self> {
        let PageFiles { files, are_channels } = files;
        let places = Arc::new(places);
        let mut writers: Vec<_> = files.into_iter().map(|file| Writer { file, places: Arc::clone(&places) }).collect();
        let workers = match writers.pop() {
            Some(only) if !are_channels => Workers::inline(only, interrupt),
            last => {
                writers.extend(last);
                Workers::start(Side::Source, "multifd-send", writers, interrupt)?
            }
        };
        Ok(Self { places, workers, has_channels: are_channels })
    }

    /// Has the pages of a run written, at most [`PAGES_PER_RUN`] if they are to be read.
    ///
    /// # Errors
    ///
    /// A write failed, this one or one before it; or the migration was cancelled.
    pub(crate) fn give(&mut self, run: Run) -> io::Result<()> {
        self.workers.give(run)
    }

    /// Waits until every run that was given is written.
    ///
    /// # Errors
    ///
    /// As [`MappedRam::give`].
    pub(crate) fn wait(&self) -> io::Result<()> {
        self.workers.wait_idle()
    }

    /// Waits for the last page and writes the bitmaps; how many octets these are.
    ///
    /// # Errors
    ///
    /// As [`MappedRam::give`].
    pub(crate) fn write_bitmaps(&self, file: &PageFile) -> io::Result<u64> {
        self.wait()?;
        self.places.write_bitmaps(file)
    }
}
