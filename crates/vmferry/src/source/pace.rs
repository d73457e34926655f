//! How fast the source sends, and how fast it may.
//!
//! Formulas: `docs/spec/ram.md` B8. Counters are refreshed once a window of at least 100 ms; the rate limit applies to
//! each window, so a change acts at once.

use std::time::{Duration, Instant};

/// Length of a window.
pub(crate) const WINDOW: Duration = Duration::from_millis(100);

/// Windows a second.
const WINDOWS_PER_SECOND: u64 = 10;

/// Bytes and pages against time.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    window_start: Instant,
    bytes: u64,
    pages: u64,
    bandwidth: f64,
    pages_per_second: f64,
    /// The window that the rate limit looks at, and what was sent in it. One of its own: figures that are asked for
    /// early must not free new bytes.
    limit_start: Instant,
    limit_bytes: u64,
}

impl Pace {
    /// Starts the first window.
    #[must_use]
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            window_start: now,
            bytes: 0,
            pages: 0,
            bandwidth: 0.0,
            pages_per_second: 0.0,
            limit_start: now,
            limit_bytes: 0,
        }
    }

    /// Counts what was sent.
    pub(crate) fn sent(&mut self, bytes: u64, pages: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.limit_bytes = self.limit_bytes.saturating_add(bytes);
        self.pages = self.pages.saturating_add(pages);
    }

    /// Ends the window if it is old enough, or if `early` asks for a figure now. Returns whether it ended.
    pub(crate) fn refresh(&mut self, now: Instant, early: bool) -> bool {
        let elapsed = now.saturating_duration_since(self.window_start);
        // Before there is any figure a rough one is better than none; later a short window would only measure buffers.
        let shortest = match (early, self.bandwidth > 0.0) {
            (true, false) => Duration::ZERO,
            (true, true) => Duration::from_millis(5),
            (false, _) => WINDOW,
        };
        if elapsed < shortest || elapsed.is_zero() {
            return false;
        }
        #[expect(clippy::cast_precision_loss, reason = "rates; 2^53 bytes in one window do not happen")]
        let (bytes, pages) = (self.bytes as f64, self.pages as f64);
        self.bandwidth = bytes / elapsed.as_secs_f64();
        self.pages_per_second = pages / elapsed.as_secs_f64();
        self.window_start = now;
        self.bytes = 0;
        self.pages = 0;
        true
    }

    /// Bytes per second in the last window; 0 before the first one ended.
    #[must_use]
    pub(crate) fn bandwidth(&self) -> f64 {
        self.bandwidth
    }

    /// Pages per second in the last window.
    #[must_use]
    pub(crate) fn pages_per_second(&self) -> f64 {
        self.pages_per_second
    }

    /// Bytes that may still be sent in this window under `max_bandwidth` bytes per second (0: unlimited).
    #[must_use]
    pub(crate) fn allowance(&mut self, now: Instant, max_bandwidth: u64) -> u64 {
        if now.saturating_duration_since(self.limit_start) >= WINDOW {
            self.limit_start = now;
            self.limit_bytes = 0;
        }
        match max_bandwidth {
            0 => u64::MAX,
            limit => (limit / WINDOWS_PER_SECOND).max(1).saturating_sub(self.limit_bytes),
        }
    }

    /// Time until the next window.
    #[must_use]
    pub(crate) fn rest_of_window(&self, now: Instant) -> Duration {
        WINDOW.saturating_sub(now.saturating_duration_since(self.limit_start))
    }
}

/// A figure as an integer; negative ones and NaN become 0, too large ones the maximum.
pub(crate) fn to_u64(figure: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, which is meant")]
    let integer = figure as u64;
    integer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_after_a_tenth_of_a_second() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        pace.sent(50_000_000, 12_000);
        assert!(!pace.refresh(start + Duration::from_millis(99), false), "the window is not over");
        assert!(pace.refresh(start + Duration::from_millis(500), false));
        assert_eq!(to_u64(pace.bandwidth()), 100_000_000);
        assert_eq!(to_u64(pace.pages_per_second()), 24_000);
    }

    #[test]
    fn the_limit_holds_for_each_window_whatever_figures_are_asked_for() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert_eq!(pace.allowance(start, 0), u64::MAX);
        assert_eq!(pace.allowance(start, 1000), 100);
        pace.sent(70, 0);
        assert_eq!(pace.allowance(start, 1000), 30);
        pace.sent(70, 0);
        assert!(pace.refresh(start + Duration::from_millis(40), true), "a figure is asked for early");
        assert_eq!(pace.allowance(start + Duration::from_millis(40), 1000), 0);
        assert_eq!(pace.rest_of_window(start + Duration::from_millis(40)), Duration::from_millis(60));
        assert_eq!(pace.allowance(start + Duration::from_millis(100), 1000), 100);
    }
}
