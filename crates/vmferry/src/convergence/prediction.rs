//! What will become of a migration that has not begun: the model, run on what is known of the guest and the link.

use std::time::Duration;

use super::{Convergence, Decision, Round, Settings, ThrottleStep, to_u64};
use crate::memory::TARGET_PAGE_BYTES;

/// Rounds after which a guest is taken for one that never converges.
const ROUNDS_MAX: u32 = 1000;

/// How much memory a guest dirties in how long: bytes of different pages, by the length of the time in which they were
/// counted.
///
/// Between two points the curve is straight; behind the last it goes on as between the last two, up to all of memory. A
/// guest that rewrites a small part of its memory has a curve that flattens out.
#[derive(Debug, Clone, PartialEq)]
pub struct DirtyCurve {
    memory_bytes: f64,
    /// Seconds and bytes, both rising; the first is nothing in no time.
    points: Vec<(f64, f64)>,
}

impl DirtyCurve {
    /// The curve of a guest of `memory_bytes` through `points`: lengths of time and bytes of pages that were dirtied.
    /// Longer times cannot dirty less: where they seem to, the larger figure counts.
    #[must_use]
    pub fn new(memory_bytes: u64, points: impl IntoIterator<Item = (Duration, u64)>) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "bytes of memory")]
        let memory_bytes = memory_bytes as f64;
        #[expect(clippy::cast_precision_loss, reason = "bytes of memory")]
        let mut points: Vec<(f64, f64)> =
            points.into_iter().map(|(time, bytes)| (time.as_secs_f64(), (bytes as f64).min(memory_bytes))).collect();
        points.retain(|(seconds, _)| *seconds > 0.0);
        points.push((0.0, 0.0));
        points.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
        points.dedup_by(|later, earlier| later.0 <= earlier.0);
        let mut most = 0.0_f64;
        for point in &mut points {
            most = most.max(point.1);
            point.1 = most;
        }
        Self { memory_bytes, points }
    }

    /// Bytes of memory.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        to_u64(self.memory_bytes)
    }

    /// Bytes of pages that are dirtied in `seconds`.
    #[must_use]
    pub fn dirtied(&self, seconds: f64) -> f64 {
        let mut before = (0.0, 0.0);
        let mut slope = 0.0;
        for point in &self.points {
            if point.0 > before.0 {
                slope = (point.1 - before.1) / (point.0 - before.0);
            }
            if point.0 >= seconds {
                break;
            }
            before = *point;
        }
        (before.1 + slope * (seconds - before.0).max(0.0)).min(self.memory_bytes)
    }
}

/// What will become of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// Whether the guest will be stopped at all.
    pub converges: bool,
    /// It will be stopped because the time is up.
    pub is_overtime: bool,
    /// Rounds until then.
    pub rounds: u32,
    /// Seconds from the first page to the stop.
    pub seconds: f64,
    /// Pause for the last pages, in milliseconds; devices and the hand-over come on top.
    pub downtime_ms: f64,
    /// Per cent to which the vCPUs will be throttled.
    pub throttle_percent: u8,
}

/// Runs the model for a guest with this curve over a link of that many bytes per second.
#[must_use]
pub fn predict(curve: &DirtyCurve, bytes_per_s: f64, settings: &Settings) -> Prediction {
    let mut model = Convergence::default();
    let mut prediction = Prediction {
        converges: false,
        is_overtime: false,
        rounds: 0,
        seconds: 0.0,
        downtime_ms: f64::INFINITY,
        throttle_percent: 0,
    };
    if bytes_per_s <= 0.0 {
        return prediction;
    }
    let mut to_send = curve.memory_bytes;
    let limit_s = Duration::from_millis(settings.total_time_limit_ms).as_secs_f64();
    while prediction.rounds < ROUNDS_MAX {
        let took = to_send / bytes_per_s;
        let speed = 1.0 - f64::from(prediction.throttle_percent) / 100.0;
        if limit_s > 0.0 && prediction.seconds + took >= limit_s {
            // The round is broken off: what it did not send is dirty with what was dirtied meanwhile.
            let part = (limit_s - prediction.seconds).max(0.0);
            let left = to_send - part * bytes_per_s + curve.dirtied(part * speed);
            let downtime_ms = left.min(curve.memory_bytes) / bytes_per_s * 1000.0;
            return Prediction { is_overtime: true, seconds: limit_s, downtime_ms, ..prediction };
        }
        prediction.rounds += 1;
        prediction.seconds += took;
        let dirty = curve.dirtied(took * speed);
        #[expect(clippy::cast_precision_loss, reason = "bytes of a page")]
        let pages = |bytes: f64| to_u64(bytes / TARGET_PAGE_BYTES as f64);
        let end = Duration::try_from_secs_f64(prediction.seconds).unwrap_or(Duration::MAX);
        let round = Round {
            end,
            took: Duration::try_from_secs_f64(took).unwrap_or(Duration::MAX),
            bytes: to_u64(to_send),
            content_pages: pages(to_send),
            dirty_pages: pages(dirty),
            remaining_bytes: to_u64(dirty),
        };
        match model.round(settings, round) {
            Decision::SwitchOver => {
                let downtime_ms = dirty / bytes_per_s * 1000.0;
                return Prediction { converges: true, downtime_ms, ..prediction };
            }
            Decision::Continue { throttle: Some(ThrottleStep::Percent(percent)) } => {
                prediction.throttle_percent = percent
            }
            // What a limit on the vCPUs' own rates does is not modelled.
            Decision::Continue { throttle: None | Some(ThrottleStep::DirtyLimit(_)) } => {}
        }
        to_send = dirty;
    }
    prediction
}

/// The smallest whole number in `1 ..= most` for which `holds`, if it holds for `most`; it holds for all above one for
/// which it holds.
#[must_use]
pub fn smallest(most: u64, holds: impl Fn(u64) -> bool) -> Option<u64> {
    if !holds(most) {
        return None;
    }
    let (mut below, mut at) = (0, most);
    while at - below > 1 {
        let middle = below + (at - below) / 2;
        if holds(middle) { at = middle } else { below = middle }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convergence::ThrottleParameters;

    const SETTINGS: Settings = Settings {
        downtime_limit_ms: 300,
        downtime_limit_max_ms: 0,
        avail_switchover_bandwidth: 0,
        throttle: None,
        dirty_limit_mb_per_s: None,
        total_time_limit_ms: 0,
    };

    fn curve() -> DirtyCurve {
        let ms = Duration::from_millis;
        DirtyCurve::new(1_000_000_000, [(ms(1000), 100_000_000), (ms(100), 20_000_000), (ms(5000), 200_000_000)])
    }

    #[test]
    fn the_curve_is_straight_between_its_points_and_ends_at_memory() {
        let curve = curve();
        for (seconds, megabytes) in [
            (0.0, 0.0),
            (0.05, 10.0),
            (0.1, 20.0),
            (0.55, 60.0),
            (1.0, 100.0),
            (3.0, 150.0),
            (9.0, 300.0),
            (1e6, 1000.0),
        ] {
            assert!((curve.dirtied(seconds) - megabytes * 1e6).abs() < 1.0, "{seconds}: {}", curve.dirtied(seconds));
        }
        let odd =
            DirtyCurve::new(100, [(Duration::from_secs(1), 50), (Duration::from_secs(2), 40), (Duration::ZERO, 9)]);
        assert!((odd.dirtied(2.0) - 50.0).abs() < 1e-9, "a longer time does not dirty less");
        assert!(DirtyCurve::new(100, []).dirtied(5.0).abs() < 1e-9);
    }

    #[test]
    fn a_fast_link_converges_and_a_slow_one_does_not_until_it_is_helped() {
        let fast = predict(&curve(), 1e9, &SETTINGS);
        assert!(fast.converges && fast.downtime_ms <= 300.0, "{fast:?}");
        let slow = predict(&curve(), 4e7, &SETTINGS);
        assert!(!slow.converges && slow.rounds == ROUNDS_MAX);
        let needed = smallest(100_000, |downtime_limit_ms| {
            predict(&curve(), 4e7, &Settings { downtime_limit_ms, ..SETTINGS }).converges
        });
        let needed = needed.unwrap();
        assert!((301..60_000).contains(&needed), "{needed}");
        let throttled = Settings { throttle: Some(ThrottleParameters::default()), ..SETTINGS };
        let helped = predict(&curve(), 4e7, &throttled);
        assert!(helped.converges && helped.throttle_percent > 0, "{helped:?}");
        assert!(!predict(&curve(), 0.0, &SETTINGS).converges);
    }

    #[test]
    fn the_end_of_the_time_is_foreseen_with_its_pause() {
        let settings = Settings { total_time_limit_ms: 30_000, ..SETTINGS };
        let prediction = predict(&curve(), 4e7, &settings);
        assert!(prediction.is_overtime && !prediction.converges && prediction.downtime_ms > 300.0, "{prediction:?}");
    }

    #[test]
    fn the_smallest_number_is_found() {
        for wanted in [1, 2, 3, 999, 1000] {
            assert_eq!(smallest(1000, |number| number >= wanted), Some(wanted));
        }
        assert_eq!(smallest(1000, |_| false), None);
    }
}
