//! Auto-converge: how much of their time the vCPUs are made to sleep. With a dirty limit in its place, when that
//! begins.
//!
//! | a period of at least a second in which | leads to |
//! |---|---|
//! | less was dirtied than the trigger's part of what was sent | nothing |
//! | more was, for the second time | `cpu-throttle-initial`, and then more each time; or the dirty limit |
//!
//! Source: `docs/spec/ram.md` section B9.

use std::time::Duration;

use super::rates::Round;
use crate::memory::TARGET_PAGE_BYTES;

/// Shortest period that is judged.
const PERIOD: Duration = Duration::from_secs(1);

/// Bad periods that lead to more throttling. Good ones between them do not count.
const BAD_PERIODS: u32 = 2;

/// The parameters of auto-converge, in per cent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThrottleParameters {
    /// `throttle-trigger-threshold`, 1 to 100, default 50: what may be dirtied, of what was sent in the same time.
    pub trigger_percent: u64,
    /// `cpu-throttle-initial`, 1 to 99, default 20.
    pub initial_percent: u64,
    /// `cpu-throttle-increment`, 1 to 99, default 10.
    pub increment_percent: u64,
    /// `cpu-throttle-tailslow`, default off: near the end only as much more as the rates ask for.
    pub is_tail_slow: bool,
    /// `max-cpu-throttle`, `cpu-throttle-initial` to 99, default 99.
    pub max_percent: u64,
}

impl Default for ThrottleParameters {
    fn default() -> Self {
        Self { trigger_percent: 50, initial_percent: 20, increment_percent: 10, is_tail_slow: false, max_percent: 99 }
    }
}

impl ThrottleParameters {
    /// The first parameter that is outside its range: what it is, and what is accepted.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let Self { trigger_percent, initial_percent, increment_percent, is_tail_slow: _, max_percent } = *self;
        [
            ("throttle-trigger-threshold", trigger_percent, 1, 100),
            ("cpu-throttle-initial", initial_percent, 1, 99),
            ("cpu-throttle-increment", increment_percent, 1, 99),
            ("max-cpu-throttle", max_percent, initial_percent, 99),
        ]
        .into_iter()
        .find(|(_, found, from, to)| !(from..=to).contains(&found))
        .map(|(name, found, from, to)| format!("{name} is {found} per cent; accepted are {from} to {to}"))
    }
}

/// How the vCPUs are throttled from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottleStep {
    /// They sleep this percentage of their time.
    Percent(u8),
    /// Each may dirty so much, in MiB per second.
    DirtyLimit(u64),
}

/// What the vCPUs are throttled to, and the period that is being judged.
#[derive(Debug, Clone, Default)]
pub struct Throttle {
    percent: u64,
    limit_mb_per_s: Option<u64>,
    bad_periods: u32,
    took: Duration,
    dirty_bytes: u64,
    sent_bytes: u64,
}

impl Throttle {
    /// A round ended; how to throttle from now on, if that changes: by the dirty limit, if there is one.
    pub fn round(
        &mut self,
        parameters: &ThrottleParameters,
        limit_mb_per_s: Option<u64>,
        round: &Round,
    ) -> Option<ThrottleStep> {
        self.took += round.took;
        self.dirty_bytes = self.dirty_bytes.saturating_add(round.dirty_pages.saturating_mul(TARGET_PAGE_BYTES));
        self.sent_bytes = self.sent_bytes.saturating_add(round.bytes);
        if self.took <= PERIOD {
            return None;
        }
        let (dirty, sent) = (self.dirty_bytes, self.sent_bytes);
        let limit = sent.saturating_mul(parameters.trigger_percent) / 100;
        (self.took, self.dirty_bytes, self.sent_bytes) = (Duration::ZERO, 0, 0);
        self.bad_periods += u32::from(dirty > limit);
        if dirty <= limit || self.bad_periods < BAD_PERIODS {
            return None;
        }
        self.bad_periods = 0;
        if let Some(wanted) = limit_mb_per_s {
            return (self.limit_mb_per_s.replace(wanted) != Some(wanted)).then_some(ThrottleStep::DirtyLimit(wanted));
        }
        let before = self.percent;
        let wanted = if before == 0 {
            parameters.initial_percent
        } else {
            before.saturating_add(increment(parameters, before, limit, dirty))
        };
        self.percent = wanted.min(parameters.max_percent).clamp(1, 99);
        (self.percent != before).then(|| ThrottleStep::Percent(u8::try_from(self.percent).unwrap_or(99)))
    }

    /// Whether the vCPUs are throttled as much as they may be.
    #[must_use]
    pub fn is_exhausted(&self, parameters: &ThrottleParameters, limit_mb_per_s: Option<u64>) -> bool {
        match limit_mb_per_s {
            Some(wanted) => self.limit_mb_per_s == Some(wanted),
            None => self.percent >= parameters.max_percent.clamp(1, 99),
        }
    }
}

/// How much more.
fn increment(parameters: &ThrottleParameters, percent: u64, limit: u64, dirty: u64) -> u64 {
    if !parameters.is_tail_slow {
        return parameters.increment_percent;
    }
    let now = 100_u64.saturating_sub(percent);
    let ideal = u128::from(now) * u128::from(limit) / u128::from(dirty.max(1));
    let ideal = u64::try_from(ideal).unwrap_or(u64::MAX);
    now.saturating_sub(ideal).min(parameters.increment_percent)
}

#[cfg(test)]
mod tests {
    use super::ThrottleStep::{DirtyLimit, Percent};
    use super::*;

    fn round(sent_mb: u64, dirty_mb: u64) -> Round {
        let took = Duration::from_millis(1100);
        let dirty_pages = dirty_mb * 1_000_000 / 4096;
        Round { end: took, took, bytes: sent_mb * 1_000_000, content_pages: 0, dirty_pages, remaining_bytes: 1 << 30 }
    }

    #[test]
    fn two_bad_periods_throttle_whatever_lies_between() {
        let (mut throttle, parameters) = (Throttle::default(), ThrottleParameters::default());
        assert_eq!(throttle.round(&parameters, None, &round(100, 60)), None);
        assert_eq!(throttle.round(&parameters, None, &round(100, 40)), None);
        assert_eq!(throttle.round(&parameters, None, &round(100, 60)), Some(Percent(20)));
        assert_eq!(throttle.round(&parameters, None, &round(100, 60)), None);
        assert_eq!(throttle.round(&parameters, None, &round(100, 60)), Some(Percent(30)));
    }

    #[test]
    fn short_rounds_are_judged_together() {
        let (mut throttle, parameters) = (Throttle::default(), ThrottleParameters::default());
        let short = Round { took: Duration::from_millis(100), ..round(10, 9) };
        let steps: Vec<usize> = (1..=33).filter(|_| throttle.round(&parameters, None, &short).is_some()).collect();
        assert_eq!(steps, [22], "eleven rounds are a period");
    }

    #[test]
    fn it_ends_at_the_maximum() {
        let mut throttle = Throttle::default();
        let parameters =
            ThrottleParameters { initial_percent: 50, increment_percent: 30, max_percent: 75, ..Default::default() };
        let steps: Vec<ThrottleStep> =
            (0..10).filter_map(|_| throttle.round(&parameters, None, &round(1, 100))).collect();
        assert_eq!(steps, [Percent(50), Percent(75)]);
        assert!(throttle.is_exhausted(&parameters, None));
    }

    #[test]
    fn a_dirty_limit_is_one_step_and_a_new_one_another() {
        let (mut throttle, parameters) = (Throttle::default(), ThrottleParameters::default());
        let mut steps = |limit| {
            let steps: Vec<_> = (0..6).map(|_| throttle.round(&parameters, Some(limit), &round(1, 100))).collect();
            assert!(throttle.is_exhausted(&parameters, Some(limit)) && !throttle.is_exhausted(&parameters, Some(77)));
            steps
        };
        assert_eq!(steps(5), [None, Some(DirtyLimit(5)), None, None, None, None]);
        assert_eq!(steps(9), [None, Some(DirtyLimit(9)), None, None, None, None]);
    }

    #[test]
    fn a_slow_tail_takes_only_what_the_rates_ask_for() {
        let parameters = ThrottleParameters { is_tail_slow: true, ..Default::default() };
        // 40 of 100 run; to be at the limit, 50 of the 55 that are dirtied, 36 may.
        assert_eq!(increment(&parameters, 60, 50, 55), 4);
        assert_eq!(increment(&parameters, 60, 50, 500), 10, "no more than the increment");
    }

    #[test]
    fn parameters_outside_their_ranges_are_named() {
        let good = ThrottleParameters::default();
        assert_eq!(good.fault(), None);
        for (bad, name) in [
            (ThrottleParameters { trigger_percent: 0, ..good }, "throttle-trigger-threshold is 0"),
            (ThrottleParameters { initial_percent: 100, ..good }, "cpu-throttle-initial is 100"),
            (ThrottleParameters { increment_percent: 0, ..good }, "cpu-throttle-increment is 0"),
            (ThrottleParameters { initial_percent: 60, max_percent: 59, ..good }, "max-cpu-throttle is 59"),
        ] {
            assert!(bad.fault().unwrap().starts_with(name));
        }
    }
}
