//! When the guest is stopped for its last pages: a model of rounds, without clock and without I/O.
//!
//! ```text
//!   round:  [ pages of the round are sent ] synchronisation -> what is dirty now
//!                                               |
//!            measured over whole rounds:        v
//!            bandwidth, dirty rate      remaining / bandwidth <= downtime limit ?  --yes--> switch over
//!                                               | no
//!                     +-------------------------+----------------------------+
//!                     v                         v                            v
//!               throttle the vCPUs      allow a longer pause          time is up: cancel,
//!               (auto-converge)         (bounded ramp, if stalled)    or stop and finish
//! ```
//!
//! Rates are taken over whole rounds that last a tenth of a second together, never over a piece of one: a window that
//! happens to see an empty socket buffer, or a pause by the rate limit, says nothing of the link. Before the first
//! round has ended they are those of what was sent so far.
//!
//! Source: `docs/spec/ram.md` sections B7 to B9. Differs from QEMU: there the bandwidth is that of the last 100 ms.

mod prediction;
mod rates;
mod throttle;

pub use prediction::{DirtyCurve, Prediction, predict, smallest};
pub use rates::Round;
pub use throttle::{Throttle, ThrottleParameters, ThrottleStep};

use std::time::Duration;

use self::rates::Rates;

/// Rounds in a row that bring no progress before the guest is called stalled.
const STALLED_ROUNDS: u32 = 3;

/// A round brings progress if it leaves less than this part of the best one before, in per cent.
const PROGRESS_PERCENT: u64 = 90;

/// Longest time without a synchronisation while the vCPUs may be throttled: the throttle sees nothing meanwhile.
const SYNC_PATIENCE: Duration = Duration::from_secs(5);

/// What becomes of a migration that takes longer than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OvertimeAction {
    /// It ends, and the guest stays.
    #[default]
    Cancel,
    /// The guest is stopped and the rest is sent, however long that takes.
    Pause,
}

/// What the model goes by; all of it may change while a migration runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Longest pause that is aimed at, in milliseconds.
    pub downtime_limit_ms: u64,
    /// Longest pause that a stalled guest is given in the end, in milliseconds; no more than `downtime_limit_ms` is no
    /// ramp.
    pub downtime_limit_max_ms: u64,
    /// Bytes per second that the last pages will have; 0 is to be measured.
    pub avail_switchover_bandwidth: u64,
    /// How the vCPUs are throttled, if they may be.
    pub throttle: Option<ThrottleParameters>,
    /// What each vCPU may dirty once the guest does not converge, in MiB per second, if that is how it is throttled.
    pub dirty_limit_mb_per_s: Option<u64>,
    /// Longest time before the guest is stopped, in milliseconds; 0 is any.
    pub total_time_limit_ms: u64,
}

/// What to do after a synchronisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// What is dirty fits into the pause: stop the guest.
    SwitchOver,
    /// Another round.
    Continue {
        /// Throttle the vCPUs like this from now on; `None` leaves it.
        throttle: Option<ThrottleStep>,
    },
}

/// The model of one migration.
#[derive(Debug, Clone)]
pub struct Convergence {
    rates: Rates,
    throttle: Throttle,
    /// Fewest bytes that a synchronisation left.
    best_bytes: u64,
    /// Rounds since then.
    rounds_since_best: u32,
    /// How often the pause that is allowed was doubled.
    doublings: u32,
    last_sync: Duration,
    remaining_bytes: u64,
}

impl Default for Convergence {
    fn default() -> Self {
        Self {
            rates: Rates::default(),
            throttle: Throttle::default(),
            best_bytes: u64::MAX,
            rounds_since_best: 0,
            doublings: 0,
            last_sync: Duration::ZERO,
            remaining_bytes: 0,
        }
    }
}

impl Convergence {
    /// Bytes of memory that can be sent within the pause that is allowed now: what is left of a round need not be more
    /// than this to look whether the guest can be stopped. `now` and `bytes` are the time and what was sent since the
    /// round began.
    #[must_use]
    pub fn threshold_bytes(&self, settings: &Settings, now: Duration, bytes: u64) -> u64 {
        self.fits(settings, self.bandwidth(settings, now, bytes))
    }

    /// Whether a synchronisation is due though the round has not ended.
    #[must_use]
    pub fn wants_sync(&self, settings: &Settings, now: Duration) -> bool {
        settings.throttle.is_some() && self.rates.rounds() > 0 && now.saturating_sub(self.last_sync) >= SYNC_PATIENCE
    }

    /// Whether the migration has taken longer than it may.
    #[must_use]
    pub fn is_overtime(&self, settings: &Settings, now: Duration) -> bool {
        settings.total_time_limit_ms > 0 && now >= Duration::from_millis(settings.total_time_limit_ms)
    }

    /// A round ended with a synchronisation.
    pub fn round(&mut self, settings: &Settings, round: Round) -> Decision {
        self.last_sync = round.end;
        self.remaining_bytes = round.remaining_bytes;
        self.rates.add(round);
        let fits = self.fits(settings, self.bandwidth(settings, round.end, 0));
        if round.remaining_bytes <= fits {
            return Decision::SwitchOver;
        }
        if round.remaining_bytes < self.best_bytes.saturating_mul(PROGRESS_PERCENT) / 100 {
            self.best_bytes = round.remaining_bytes;
            self.rounds_since_best = 0;
        } else {
            self.rounds_since_best = self.rounds_since_best.saturating_add(1);
        }
        let limit = settings.dirty_limit_mb_per_s;
        let throttle = settings.throttle.and_then(|parameters| self.throttle.round(&parameters, limit, &round));
        let can_throttle = settings.throttle.is_some_and(|parameters| !self.throttle.is_exhausted(&parameters, limit));
        if self.is_stalled() && !can_throttle && self.limit_ms(settings) < settings.downtime_limit_max_ms {
            self.doublings += 1;
            // The longer pause gets its own rounds to prove itself.
            self.rounds_since_best = 0;
        }
        Decision::Continue { throttle }
    }

    /// Whether the last rounds brought no progress.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.rounds_since_best >= STALLED_ROUNDS
    }

    /// The pause that is allowed now, in milliseconds: the limit, doubled as often as the guest stalled.
    #[must_use]
    pub fn limit_ms(&self, settings: &Settings) -> u64 {
        let most = settings.downtime_limit_max_ms.max(settings.downtime_limit_ms);
        let doubled = settings.downtime_limit_ms.max(u64::from(self.doublings > 0)) << self.doublings.min(40);
        doubled.min(most)
    }

    /// The pause that would be if the guest were stopped now, in milliseconds; `None` before there is a measure.
    #[must_use]
    pub fn expected_downtime_ms(&self, settings: &Settings) -> Option<u64> {
        let bandwidth = self.bandwidth(settings, Duration::ZERO, 0);
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        (bandwidth > 0.0).then(|| to_u64(self.remaining_bytes as f64 * 1000.0 / bandwidth))
    }

    /// Pages that the guest dirties a second, over the last whole rounds.
    #[must_use]
    pub fn dirty_pages_per_s(&self) -> f64 {
        self.rates.dirty_pages_per_s()
    }

    /// Bytes a second.
    fn bandwidth(&self, settings: &Settings, now: Duration, bytes: u64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        match settings.avail_switchover_bandwidth {
            0 if self.rates.rounds() > 0 => self.rates.bytes_per_s(),
            // A burst into empty buffers would say anything.
            0 if now < rates::MEASURED => 0.0,
            0 => bytes as f64 / now.as_secs_f64(),
            given => given as f64,
        }
    }

    fn fits(&self, settings: &Settings, bandwidth: f64) -> u64 {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds up to 2 000 000")]
        to_u64(bandwidth * self.limit_ms(settings) as f64 / 1000.0)
    }
}

/// A figure as an integer; negative ones and NaN become 0, too large ones the maximum.
fn to_u64(figure: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, which is meant")]
    let integer = figure as u64;
    integer
}

#[cfg(test)]
mod simulation;
