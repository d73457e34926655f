//! Rates over whole rounds.

use std::collections::VecDeque;
use std::time::Duration;

use crate::memory::TARGET_PAGE_BYTES;

/// Time that the rounds which count last together, at least.
pub(super) const MEASURED: Duration = Duration::from_millis(100);

/// One round, as the synchronisation at its end tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// When it ended, since the first page.
    pub end: Duration,
    /// How long it took.
    pub took: Duration,
    /// Bytes on the wire.
    pub bytes: u64,
    /// Pages with content that were sent, whole or as differences.
    pub content_pages: u64,
    /// Pages that the guest dirtied meanwhile.
    pub dirty_pages: u64,
    /// Bytes of pages that are dirty now.
    pub remaining_bytes: u64,
}

/// The last rounds.
#[derive(Debug, Clone, Default)]
pub(super) struct Rates {
    last: VecDeque<Round>,
    rounds: u64,
}

impl Rates {
    /// A round in which nothing was sent says nothing of the link.
    pub(super) fn add(&mut self, round: Round) {
        if round.bytes == 0 && round.content_pages == 0 {
            return;
        }
        self.last.push_back(round);
        self.rounds += 1;
        // The oldest is not needed where those behind it last long enough.
        while self.last.len() > 1
            && self.took() - self.last.front().map_or(Duration::ZERO, |round| round.took) >= MEASURED
        {
            self.last.pop_front();
        }
    }

    pub(super) fn rounds(&self) -> u64 {
        self.rounds
    }

    fn took(&self) -> Duration {
        self.last.iter().map(|round| round.took).sum()
    }

    /// Bytes of memory that were moved a second. A page that went as a difference counts whole: what is asked is how
    /// long the dirty pages will take.
    pub(super) fn bytes_per_s(&self) -> f64 {
        let moved = |round: &Round| round.bytes.max(round.content_pages.saturating_mul(TARGET_PAGE_BYTES));
        self.per_s(self.last.iter().map(moved).sum())
    }

    pub(super) fn dirty_pages_per_s(&self) -> f64 {
        self.per_s(self.last.iter().map(|round| round.dirty_pages).sum())
    }

    fn per_s(&self, count: u64) -> f64 {
        let took = self.took();
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        if took.is_zero() { 0.0 } else { count as f64 / took.as_secs_f64() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(ms: u64, bytes: u64) -> Round {
        let took = Duration::from_millis(ms);
        Round { end: took, took, bytes, content_pages: 0, dirty_pages: bytes / 4096, remaining_bytes: 0 }
    }

    #[test]
    fn short_rounds_count_together_and_long_ones_alone() {
        let mut rates = Rates::default();
        rates.add(round(1000, 100_000_000));
        assert_eq!(rates.bytes_per_s(), 100e6);
        rates.add(round(10, 10_000_000));
        assert_eq!(rates.bytes_per_s(), 110e6 / 1.01, "a burst does not count alone");
        rates.add(round(100, 5_000_000));
        assert_eq!(rates.bytes_per_s(), 50e6, "a whole measure does");
        assert_eq!(rates.last.len(), 1);
    }

    #[test]
    fn a_difference_counts_as_its_page() {
        let mut rates = Rates::default();
        rates.add(Round { content_pages: 1000, ..round(100, 20_000) });
        assert_eq!(rates.bytes_per_s(), 40_960_000.0);
    }
}
