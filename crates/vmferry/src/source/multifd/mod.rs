//! Sending pages on channels of their own (`docs/spec/multifd.md`).
//!
//! ```text
//!  scan ── runs ──► packets ──► queue ─┬─► channel 0 ─► socket       main channel: START … flush   PART flush   END flush
//!                                      └─► channel 1 ─► socket                            ▲            ▲           ▲
//!                                                                    each channel:      SYNC  …      SYNC  …     SYNC
//! ```
//!
//! Two versions of a page must be separated by a sync, and pages by one from the devices. New machine types sync at the
//! end of each round ([`FlushRule::Rounds`]); those of QEMU up to 8.0 at the end of each section of RAM
//! ([`FlushRule::Sections`]), without a record that says so.
//!
//! Whatever fails on one channel ends all of them, and the wait of the migration's thread, by the alarm that they
//! share. Every thread has ended before the migration's status is final.

mod compress;
mod connect;
mod parts;
mod queue;
mod writer;

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use vmferry_wire::ram::Record;

use self::compress::Compressor;
use self::queue::{Counts, Job, Queue};
use self::writer::Writer;
use crate::channel::zero_copy::ZeroCopy;
use crate::channel::{Channel, Interrupt};
use crate::control::{Parameters, ZeroPageDetection};
use crate::dirty::DirtyLog;
use crate::error::{Error, ErrorKind, Side};
use crate::memory::zero::is_zero;
use crate::memory::{TARGET_PAGE, TARGET_PAGE_BYTES};
use crate::panicking::caught;
use crate::source::ram::NamedBlock;
use crate::source::runs::{Run, Runs};

pub(crate) use connect::{Connections, connect, refusal};

/// Pages that one packet holds: what fits 512 KiB.
const PAGES_PER_PACKET: usize = 128;

/// When all channels meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlushRule {
    /// At the end of each round, which a record on the main channel says. Machine types since 8.1.
    Rounds,
    /// At the end of each section of RAM. Machine types up to 8.0.
    Sections,
}

/// The channels of one migration.
#[derive(Debug)]
pub(crate) struct Multifd {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
    /// Ends all waits of the channels, and of the main channel's writes.
    alarm: Interrupt,
    /// What ends the waits of the migration as a whole.
    pub(super) interrupt: Interrupt,
    blocks: Arc<[NamedBlock]>,
    pub(super) rule: FlushRule,
    detection: ZeroPageDetection,
    /// Pages that do not fill a packet yet.
    pending: Option<Job>,
    pending_pages: usize,
    /// Pages were taken that no sync stands behind.
    is_unsynced: bool,
    /// Block of the last record on the main channel.
    named: Option<usize>,
}

/// What one part has for the main channel.
pub(super) struct Part {
    /// Pages that were taken.
    pub(super) pages: u64,
    /// Of these, zero pages that are records on the main channel.
    pub(super) zero_pages: u64,
    /// The records.
    pub(super) records: Vec<u8>,
}

impl Multifd {
    /// Starts the threads of `channels`.
    ///
    /// # Errors
    ///
    /// A thread cannot be started.
    pub(super) fn start(
        channels: Vec<Channel>,
        (alarm, interrupt): (Interrupt, Interrupt),
        blocks: Vec<NamedBlock>,
        rule: FlushRule,
        (parameters, has_zero_copy): (Parameters, bool),
    ) -> io::Result<Self> {
        let mut multifd = Self {
            queue: Arc::new(Queue::new(channels.len())),
            threads: Vec::with_capacity(channels.len()),
            alarm,
            interrupt,
            blocks: blocks.into(),
            rule,
            detection: parameters.zero_page_detection,
            pending: None,
            pending_pages: 0,
            is_unsynced: false,
            named: None,
        };
        for (id, channel) in channels.into_iter().enumerate() {
            // What was started before ends with `multifd`.
            let zero_copy = has_zero_copy.then(|| ZeroCopy::enable(&channel)).transpose()?;
            multifd.spawn(id, channel, zero_copy, parameters)?;
        }
        Ok(multifd)
    }

    fn spawn(
        &mut self,
        id: usize,
        channel: Channel,
        zero_copy: Option<ZeroCopy>,
        parameters: Parameters,
    ) -> io::Result<()> {
        let mut writer = Writer {
            id,
            channel,
            blocks: Arc::clone(&self.blocks),
            queue: Arc::clone(&self.queue),
            detects_zero: self.detection == ZeroPageDetection::Multifd,
            compressor: Compressor::of(parameters.multifd)?,
            zero_copy,
            head: Vec::new(),
        };
        let (queue, alarm) = (Arc::clone(&self.queue), self.alarm.clone());
        let thread = thread::Builder::new().name(format!("multifd-send-{id}")).spawn(move || {
            let run = || writer.run().map_err(|source| Error::new(Side::Source, ErrorKind::Io { what: "", source }));
            if let Err(error) = caught(Side::Source, run) {
                queue.fail(named(id, error));
                alarm.raise();
            }
        })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Takes up to `longest` dirty pages from the scan and queues them.
    ///
    /// # Errors
    ///
    /// A channel or the log failed.
    pub(super) fn send(&mut self, runs: &mut Runs, log: &dyn DirtyLog, longest: usize) -> io::Result<Part> {
        let mut part = Part { pages: 0, zero_pages: 0, records: Vec::new() };
        let mut left = longest;
        while left > 0 {
            let most = left.min(PAGES_PER_PACKET);
            let Some(run) = runs.next_run(log, most, most)? else { break };
            left -= run.count;
            part.pages += run.count as u64;
            self.is_unsynced = true;
            if self.detection == ZeroPageDetection::Legacy {
                self.split(run, &mut part)?;
            } else {
                self.add(run)?;
            }
        }
        Ok(part)
    }

    /// Makes records of the zero pages of a run, and queues what is between them.
    fn split(&mut self, run: Run, part: &mut Part) -> io::Result<()> {
        let blocks = Arc::clone(&self.blocks);
        let Some((name, block)) = blocks.get(run.block) else { return Ok(()) };
        let mut first = run.first;
        for page in run.first..run.first + run.count {
            let offset = page as u64 * TARGET_PAGE_BYTES;
            if run.never_populated || is_zero(&block.run(offset, TARGET_PAGE).map_err(io::Error::other)?) {
                let named = (self.named.replace(run.block) != Some(run.block)).then_some(name);
                Record::encode_zero_page(&mut part.records, offset, named);
                part.zero_pages += 1;
                self.add(Run { first, count: page - first, ..run })?;
                first = page + 1;
            }
        }
        self.add(Run { first, count: run.first + run.count - first, ..run })
    }

    /// Adds a run to the packet that is being filled.
    fn add(&mut self, mut run: Run) -> io::Result<()> {
        if self.pending.as_ref().is_some_and(|job| job.block != run.block) {
            self.flush()?;
        }
        while run.count > 0 {
            let count = run.count.min(PAGES_PER_PACKET - self.pending_pages);
            let job = self.pending.get_or_insert_with(|| Job { block: run.block, runs: Vec::new() });
            job.runs.push(Run { count, ..run });
            self.pending_pages += count;
            run.first += count;
            run.count -= count;
            if self.pending_pages == PAGES_PER_PACKET {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Queues what does not fill a packet.
    fn flush(&mut self) -> io::Result<()> {
        self.pending_pages = 0;
        self.pending.take().map_or(Ok(()), |job| self.queue.push(job))
    }

    /// Has every channel send a SYNC behind what was taken so far. Does not wait for it.
    ///
    /// # Errors
    ///
    /// A channel failed.
    pub(super) fn request_sync(&mut self) -> io::Result<()> {
        self.flush()?;
        self.is_unsynced = false;
        self.queue.request_sync()
    }

    /// Whether pages were taken since the last sync.
    pub(super) fn is_unsynced(&self) -> bool {
        self.is_unsynced
    }

    /// Waits until the SYNCs are out, and all that stands before them.
    ///
    /// # Errors
    ///
    /// A channel failed.
    pub(super) fn wait_synced(&self) -> io::Result<()> {
        self.queue.wait_synced()
    }

    /// What was sent since this was asked last.
    pub(super) fn take_counts(&self) -> Counts {
        self.queue.take_counts()
    }

    /// Why a channel failed, if one did; told once.
    pub(super) fn failure(&self) -> Option<io::Error> {
        self.queue.failure()
    }
}

impl Drop for Multifd {
    fn drop(&mut self) {
        self.queue.end();
        // After success nobody waits; after a failure somebody may wait for a peer that does not read.
        self.alarm.raise();
        for thread in self.threads.drain(..) {
            // A panic in it was told as its failure.
            let _ = thread.join();
        }
    }
}

/// What to look for when the destination closes a connection before it has said anything.
pub(crate) fn advice() -> String {
    "if the destination does not say why: multifd and multifd-channels must be the same at both ends".to_owned()
}

/// The failure of a channel, with its number. A cancellation stays what it is.
fn named(id: usize, error: Error) -> io::Error {
    let text = error.to_string();
    let ErrorKind::Io { source, .. } = error.into_kind() else {
        return io::Error::other(format!("multifd channel {id}: {text}"));
    };
    if crate::channel::interrupt::is_cancellation(&source) {
        return source;
    }
    io::Error::new(source.kind(), format!("multifd channel {id}: {source}"))
}
