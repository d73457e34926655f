//! The source's account: rounds, rates, and where the downtime went.

use std::time::{Duration, Instant};

use super::Context;
use super::pace::{Pace, to_u64};
use super::ram::Sent;
use crate::control::{DowntimePhase, Event, MigrationInfo, RamStats, Round, Status};
use crate::convergence;
use crate::error::Error;
use crate::memory::TARGET_PAGE_BYTES;
use crate::protocol::source::{Peer, Source};
use crate::shared::ms_since;

/// Most rounds that are remembered, the latest: a guest that never converges has any number.
const ROUNDS_MAX: usize = 1024;

/// Counters of one migration.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) pace: Pace,
    started: Instant,
    ram: RamStats,
    rounds: Vec<Round>,
    round: Round,
    round_started: Instant,
    /// When the first page could leave.
    set_up: Instant,
    stopped: Option<Instant>,
    phase_started: Instant,
    phases: Vec<DowntimePhase>,
}

impl Account {
    pub(super) fn new(started: Instant) -> Self {
        Self {
            pace: Pace::new(started),
            started,
            ram: RamStats { page_size: TARGET_PAGE_BYTES, ..RamStats::default() },
            rounds: Vec::new(),
            round: Round::default(),
            round_started: started,
            set_up: started,
            stopped: None,
            phase_started: started,
            phases: Vec::new(),
        }
    }

    pub(super) fn sent_bytes(&mut self, bytes: u64) {
        self.pace.sent(bytes, 0);
        self.round.bytes += bytes;
        self.ram.transferred += bytes;
        *(if self.stopped.is_some() { &mut self.ram.downtime_bytes } else { &mut self.ram.precopy_bytes }) += bytes;
    }

    pub(super) fn sent(&mut self, sent: Sent) {
        self.sent_bytes(sent.bytes);
        self.pace.sent(0, sent.pages() - sent.unchanged_pages);
        self.round.pages_sent += sent.normal_pages + sent.xbzrle_pages;
        self.round.zero_pages += sent.zero_pages;
        self.ram.normal_pages += sent.normal_pages;
        self.ram.zero_pages += sent.zero_pages;
        self.ram.normal_bytes += sent.normal_pages * TARGET_PAGE_BYTES;
    }

    /// What of the bytes was on multifd channels, and how often the kernel copied there.
    pub(super) fn sent_on_channels(&mut self, bytes: u64, missed_zero_copy: u64) {
        self.ram.multifd_bytes += bytes;
        self.ram.missed_zero_copy += missed_zero_copy;
    }

    /// The head of the stream is out.
    pub(super) fn set_up(&mut self, context: &Context, total: u64) {
        self.ram.total = total;
        self.ram.remaining = total;
        let now = Instant::now();
        self.pace = Pace::new(now);
        self.round_started = now;
        self.set_up = now;
        let setup_time_ms = to_u64(ms_since(self.started));
        let mut info = context.shared.info();
        info.setup_time_ms = setup_time_ms;
        info.expected_downtime_ms = context.shared.parameters().downtime_limit_ms;
        self.publish(&mut info);
    }

    /// Time since the first page could leave.
    pub(super) fn since_set_up(&self) -> Duration {
        self.set_up.elapsed()
    }

    /// How long the present round takes already, and the bytes that were sent in it.
    pub(super) fn round_so_far(&self) -> (Duration, u64) {
        (self.round_started.elapsed(), self.round.bytes)
    }

    /// A dirty synchronisation took place and found `dirty` pages, and `remaining_pages` are to be sent: the round is
    /// over. Returns it; `None` for the synchronisation before the first one.
    pub(super) fn synchronised(
        &mut self,
        context: &Context,
        dirty: u64,
        remaining_pages: u64,
    ) -> Option<convergence::Round> {
        self.ram.dirty_sync_count += 1;
        let took = self.round_started.elapsed();
        let seconds = took.as_secs_f64();
        let round = convergence::Round {
            end: self.since_set_up(),
            took,
            bytes: self.round.bytes,
            content_pages: self.round.pages_sent,
            dirty_pages: dirty,
            remaining_bytes: remaining_pages.saturating_mul(TARGET_PAGE_BYTES),
        };
        let is_first = self.ram.dirty_sync_count <= 1;
        if self.ram.dirty_sync_count > 1 {
            self.round.ms = seconds * 1000.0;
            #[expect(clippy::cast_precision_loss, reason = "a rate")]
            let rate = if seconds > 0.0 { dirty as f64 / seconds } else { 0.0 };
            self.round.dirty_rate_pages_s = rate;
            self.ram.dirty_pages_rate = to_u64(rate);
            // The last synchronisation follows the one that found the rest small enough; nothing was sent between.
            if self.round.bytes > 0 {
                if self.rounds.len() >= ROUNDS_MAX {
                    self.rounds.remove(0);
                }
                self.rounds.push(self.round);
            }
            self.round = Round::default();
            self.round_started = Instant::now();
        }
        context.machine.emit(Event::MigrationPass(self.ram.dirty_sync_count));
        (!is_first).then_some(round)
    }

    /// Ends the rate window if it is over, and publishes the counters.
    pub(super) fn refresh(&mut self, context: &Context, remaining_pages: u64, early: bool) {
        if !self.pace.refresh(Instant::now(), early) {
            return;
        }
        self.ram.remaining = remaining_pages.saturating_mul(TARGET_PAGE_BYTES);
        self.ram.mbps = self.pace.bandwidth() * 8.0 / 1e6;
        self.ram.pages_per_second = to_u64(self.pace.pages_per_second());
        self.publish(&mut context.shared.info());
    }

    /// The guest is about to stop.
    pub(super) fn stopping(&mut self) {
        let now = Instant::now();
        self.stopped = Some(now);
        self.phase_started = now;
    }

    /// The guest runs again, and what is sent from here on is sent beside it: the last part of the downtime is over.
    pub(super) fn resumed(&mut self) {
        self.phase("resume");
        self.stopped = None;
    }

    /// A part of the downtime is over.
    pub(super) fn phase(&mut self, name: &'static str) {
        let ms = ms_since(self.phase_started);
        self.phase_started = Instant::now();
        self.phases.push(DowntimePhase { name, ms });
    }

    /// The protocol went from one state to another.
    pub(super) fn crossed(&mut self, from: Source, to: Source) {
        match (from, to) {
            (Source::Verdict(Peer::Ferry), Source::HandingOver) | (Source::Confirming, Source::Ending(_)) => {
                self.phase("load");
            }
            (Source::HandingOver | Source::Ending(Peer::Qemu) | Source::Verdict(Peer::Qemu), Source::Completed(_)) => {
                self.phase("handover");
            }
            _ => {}
        }
    }

    /// It is over.
    pub(super) fn finish(&mut self, context: &Context, status: Status, error: Option<&Error>) {
        if self.round.bytes > 0 {
            self.round.ms = ms_since(self.round_started);
            self.rounds.push(std::mem::take(&mut self.round));
        }
        if status == Status::Completed {
            self.ram.remaining = 0;
            self.ram.dirty_pages_rate = 0;
        }
        let downtime_ms = self.phases.iter().map(|phase| phase.ms).sum();
        let mut info = context.shared.info();
        info.downtime_ms = (status == Status::Completed).then_some(downtime_ms);
        info.downtime_phases.clone_from(&self.phases);
        info.error = error.map(ToString::to_string);
        self.publish(&mut info);
    }

    fn publish(&self, info: &mut MigrationInfo) {
        info.total_time_ms = to_u64(ms_since(self.started));
        info.ram = self.ram;
        info.rounds.clone_from(&self.rounds);
    }
}
