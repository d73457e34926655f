//! How long a vCPU sleeps each time that its dirty ring is full, so that it comes to dirty what it may.
//!
//! With `current` and `quota` in MiB per second, and `full` the microseconds in which the fastest rate fills a ring:
//!
//! | case, the first that applies | change of the sleep |
//! |---|---|
//! | the two differ by [`TOLERANCE_MB_PER_S`] or less | none |
//! | `current` is 0 | to 0 |
//! | they differ by `s` per cent of the larger one, `s` > 50 | `full * s / (100 - s)`, more or less |
//! | else | `full / 10`, more or less |
//!
//! and never more than [`SLEEP_MAX`] times `full`.
//!
//! Source: `docs/spec/ram.md` section B9.

/// A rate that is this near to its quota, in MiB per second, is left alone.
pub const TOLERANCE_MB_PER_S: u64 = 25;

/// Longest sleep, in times that a ring takes to fill.
pub const SLEEP_MAX: u64 = 99;

/// Difference, in per cent of the larger one, up to which the sleep changes by small steps.
const SMALL_PERCENT: u64 = 50;

/// Microseconds in which `rate_mb_per_s` fills a ring of pages of `ring_bytes`; 0 if nothing was dirtied yet.
#[must_use]
pub fn ring_full_us(ring_bytes: u64, rate_mb_per_s: u64) -> u64 {
    (ring_bytes >> 20).saturating_mul(1_000_000).checked_div(rate_mb_per_s).unwrap_or(0)
}

/// The sleep from now on, in microseconds, after a period with `before` in which the vCPU dirtied `current`.
#[must_use]
pub fn sleep_us(before: u64, current: u64, quota: u64, full_us: u64) -> u64 {
    let difference = current.abs_diff(quota);
    if difference <= TOLERANCE_MB_PER_S {
        return before;
    }
    if current == 0 {
        return 0;
    }
    let percent = u128::from(difference) * 100 / u128::from(current.max(quota).max(1));
    // Below 100: a quota of 0 is no limit.
    let percent = u64::try_from(percent).unwrap_or(99).min(99);
    let step = if percent > SMALL_PERCENT { full_us.saturating_mul(percent) / (100 - percent) } else { full_us / 10 };
    let changed = if quota < current { before.saturating_add(step) } else { before.saturating_sub(step) };
    changed.min(full_us.saturating_mul(SLEEP_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: u64 = 100_000;

    #[test]
    fn a_rate_near_its_quota_changes_nothing() {
        for (current, quota) in [(10, 35), (35, 10), (0, 25), (100, 100)] {
            assert_eq!(sleep_us(777, current, quota, FULL), 777, "{current} {quota}");
        }
    }

    #[test]
    fn a_far_one_is_met_at_once_and_a_nearer_one_by_steps() {
        // 90 per cent too much: nine times the filling is slept.
        assert_eq!(sleep_us(0, 1000, 100, FULL), 900_000);
        assert_eq!(sleep_us(900_000, 100, 1000, FULL), 0);
        assert_eq!(sleep_us(500, 150, 100, FULL), 10_500);
        assert_eq!(sleep_us(50_000, 100, 150, FULL), 40_000);
        assert_eq!(sleep_us(5000, 100, 150, FULL), 0, "no less than none");
        assert_eq!(sleep_us(5000, 0, 26, FULL), 0);
    }

    #[test]
    fn a_sleep_has_an_end() {
        assert_eq!(sleep_us(u64::MAX, 1000, 1, FULL), 99 * FULL);
        assert_eq!(sleep_us(0, u64::MAX, 1, u64::MAX), u64::MAX);
        assert_eq!(sleep_us(1, u64::MAX, u64::MAX - 1, FULL), 1);
        assert_eq!(sleep_us(0, 100, 0, FULL), 9_900_000, "as if one were left");
    }

    #[test]
    fn the_time_to_fill_a_ring_is_that_of_the_fastest_rate() {
        // 4096 entries, as `qemu-10.0` reported it for 69 MB/s: 231884 us.
        assert_eq!(ring_full_us(16 << 20, 69), 231_884);
        assert_eq!(ring_full_us(16 << 20, 109), 146_788);
        assert_eq!(ring_full_us(16 << 20, 0), 0);
        assert_eq!(ring_full_us(u64::MAX, 1), ((u64::MAX >> 20) * 1_000_000));
    }
}
