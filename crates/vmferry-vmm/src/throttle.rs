//! Makes a vCPU sleep a part of its time, so that a guest that dirties memory too fast can be moved.
//!
//! Throttled to `p` per cent a vCPU runs for 10 ms and then sleeps `p / (100 - p)` times as long
//! (`docs/spec/ram.md` section B9).

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// How long a vCPU runs between two sleeps.
pub(crate) const RUN: Duration = Duration::from_millis(10);

/// What the vCPUs of a machine are throttled to.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    percent: AtomicU8,
}

impl Throttle {
    /// Throttles to this percentage from now on, 0 to 99; 0 is not at all.
    pub(crate) fn set(&self, percent: u8) {
        self.percent.store(percent.min(99), Ordering::Relaxed);
    }

    /// Whether the vCPUs are throttled.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn is_on(&self) -> bool {
        self.percent.load(Ordering::Relaxed) > 0
    }

    /// How long a vCPU that has run since `since` is to sleep now, if it is.
    pub(crate) fn sleep(&self, since: Instant) -> Option<Duration> {
        let percent = u32::from(self.percent.load(Ordering::Relaxed));
        (percent > 0 && since.elapsed() >= RUN).then(|| RUN * percent / (100 - percent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sleep_is_its_part_of_the_time() {
        let throttle = Throttle::default();
        let since = Instant::now().checked_sub(RUN).unwrap();
        assert_eq!(throttle.sleep(since), None);
        for (percent, ms) in [(20, 2.5), (50, 10.0), (99, 990.0), (255, 990.0)] {
            throttle.set(percent);
            assert_eq!(throttle.sleep(since), Some(Duration::from_secs_f64(ms / 1000.0)));
        }
        assert_eq!(throttle.sleep(Instant::now()), None, "it has hardly run");
        throttle.set(0);
        assert_eq!(throttle.sleep(since), None);
    }
}
