//! Receiving pages on channels of their own (`docs/spec/multifd.md`).
//!
//! | what | where |
//! |---|---|
//! | the connections are told apart by their first octets | [`gather`] |
//! | a thread a channel reads packets into guest memory | `reader` |
//! | the main stream and the channels wait for each other | `meeting` |
//!
//! Whatever fails on one channel ends all of them, and the main stream's waits, by the alarm that they share. No thread
//! touches guest memory any more before the guest starts, and all have ended before a failure is told.
//!
//! The channels are read until the source closes them: QEMU up to 8.2 may send an empty packet behind its last SYNC
//! (`docs/spec/multifd.md` section 6), and fails its migration if that finds a closed channel, although the guest is
//! here.

pub(super) mod gather;
mod inflate;
mod meeting;
mod reader;

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use vmferry_wire::multifd::HANDSHAKE_BYTES;

pub(super) use self::meeting::Alarms;
use self::meeting::Meeting;
use self::reader::{Memory, Reader};
use crate::channel::Channel;
use crate::control::MultifdCompression;
use crate::destination::held::Held;
use crate::error::{Error, Side};
use crate::memory::RamBlock;
use crate::panicking::caught;

/// Pages that so many channels may have in hand: a packet each, which is shown when its head was read. What is more
/// than a few channels hold says little about the memory behind it.
pub(super) fn in_hand_pages(channels: u8) -> u64 {
    const PAGES_PER_PACKET: u64 = 128;
    u64::from(channels.min(16)) * PAGES_PER_PACKET
}

/// The channels of one load.
#[derive(Debug)]
pub(super) struct Multifd {
    meeting: Arc<Meeting>,
    threads: Vec<JoinHandle<()>>,
}

impl Multifd {
    /// Starts the threads of `channels`, whose first packets were read.
    ///
    /// # Errors
    ///
    /// A thread cannot be started.
    pub(super) fn start(
        channels: Vec<Channel>,
        alarms: Alarms,
        blocks: &[Arc<dyn RamBlock>],
        held: &Arc<Held>,
        compression: MultifdCompression,
    ) -> io::Result<Self> {
        let meeting = Arc::new(Meeting::new(channels.len(), alarms));
        let mut multifd = Self { meeting: Arc::clone(&meeting), threads: Vec::with_capacity(channels.len()) };
        let blocks: Arc<[_]> = blocks.into();
        for (id, channel) in channels.into_iter().enumerate() {
            let memory = Memory { blocks: Arc::clone(&blocks), held: Arc::clone(held) };
            let mut reader =
                Reader::new(id, channel, HANDSHAKE_BYTES as u64, memory, Arc::clone(&meeting), compression)?;
            let meeting = Arc::clone(&meeting);
            let thread = thread::Builder::new().name(format!("multifd-recv-{id}")).spawn(move || {
                if let Err(error) = caught(Side::Destination, || reader.run()) {
                    meeting.fail(error.in_channel(id));
                    meeting.ended(id, 0);
                }
            })?;
            // What was started ends with `multifd`.
            multifd.threads.push(thread);
        }
        Ok(multifd)
    }

    /// The main stream is where all channels had a SYNC.
    ///
    /// # Errors
    ///
    /// A channel failed or ended.
    pub(super) fn meet(&self) -> Result<(), Error> {
        self.meeting.meet()
    }

    /// Why a channel failed, if one did; told once.
    pub(super) fn failure(&self) -> Option<Error> {
        self.meeting.failure()
    }

    /// Pages taken: with content, of zeros.
    pub(super) fn pages(&self) -> (u64, u64) {
        self.meeting.pages()
    }

    /// The main stream is at its end: nothing writes to guest memory any more on return.
    ///
    /// # Errors
    ///
    /// A channel failed, or took pages that no SYNC stands behind.
    pub(super) fn finish(&self) -> Result<(), Error> {
        self.meeting.load()
    }

    /// Waits until the source has closed all channels, for `patience` at most, and ends all threads.
    pub(super) fn linger(&mut self, patience: Duration) {
        if !self.threads.is_empty() && !self.meeting.wait_for_ends(patience) {
            tracing::debug!("the source keeps multifd channels open behind its end");
        }
        self.close();
    }

    /// Ends all threads.
    pub(super) fn close(&mut self) {
        self.meeting.close();
        for thread in self.threads.drain(..) {
            // A panic in it was told as its failure.
            let _ = thread.join();
        }
    }
}

impl Drop for Multifd {
    fn drop(&mut self) {
        self.close();
    }
}
