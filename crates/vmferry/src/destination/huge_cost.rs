//! Whether huge pages are worth it here, told by what the last ones cost.
//!
//! Where memory is at hand, 512 pages in one are cheaper than one by one. A virtual host whose hypervisor takes free
//! memory back (page reporting) gives small pages that were in use a moment ago, and huge ones that it has to fetch
//! first: ten times dearer. So both are timed. A huge page that cost too much is followed by small ones for a while,
//! and for twice as long each time that the next try costs too much again.

use std::time::Duration;

use crate::memory::TARGET_PAGE;
use crate::memory::populate::HUGE_PAGE_BYTES;

/// How many times what its small pages would have cost a huge page may cost. The thread may be put aside for a moment
/// while it is timed; what this is about is a factor of ten.
const TOLERANCE: u32 = 3;

/// Huge pages that are passed over after one that was dear: at first, and at most.
const PASSES_FIRST: u32 = 8;
const PASSES_MOST: u32 = 512;

/// What populating cost.
#[derive(Debug)]
pub(super) struct HugeCost {
    /// Of a small page, a moving average.
    small_ns: Option<u64>,
    /// Huge pages that will be passed over.
    passes: u32,
    /// How many will be after the next dear one.
    next_passes: u32,
    tolerance: u32,
}

impl Default for HugeCost {
    fn default() -> Self {
        Self { small_ns: None, passes: 0, next_passes: PASSES_FIRST, tolerance: TOLERANCE }
    }
}

impl HugeCost {
    /// Whether the next huge page may be one; asked once for each.
    pub(super) fn allows(&mut self) -> bool {
        let allows = self.passes == 0;
        self.passes = self.passes.saturating_sub(1);
        allows
    }

    /// Notes what populating `bytes` in small pages cost.
    pub(super) fn small(&mut self, bytes: usize, took: Duration) {
        let pages = u128::try_from(bytes / TARGET_PAGE).unwrap_or(u128::MAX).max(1);
        let page_ns = u64::try_from(took.as_nanos() / pages).unwrap_or(u64::MAX);
        self.small_ns = Some(match self.small_ns {
            // Weighted so that one interrupted call counts for little.
            Some(average) => (average - average / 8).saturating_add(page_ns / 8),
            None => page_ns,
        });
    }

    /// Notes what populating one huge page cost.
    pub(super) fn huge(&mut self, took: Duration) {
        const PAGES: u64 = (HUGE_PAGE_BYTES / TARGET_PAGE) as u64;
        let Some(small_ns) = self.small_ns else { return };
        let limit_ns = small_ns.saturating_mul(PAGES).saturating_mul(u64::from(self.tolerance));
        if took.as_nanos() > u128::from(limit_ns) {
            self.passes = self.next_passes;
            self.next_passes = self.next_passes.saturating_mul(2).min(PASSES_MOST);
        } else {
            self.next_passes = PASSES_FIRST;
        }
    }

    /// One that finds nothing dear.
    #[cfg(test)]
    pub(super) fn blind() -> Self {
        Self { tolerance: u32::MAX, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small pages cost 250 ns.
    fn used_to_small() -> HugeCost {
        let mut cost = HugeCost::default();
        cost.small(64 * TARGET_PAGE, Duration::from_nanos(64 * 250));
        cost
    }

    /// How many are passed over until the next may be huge.
    fn passed_over(cost: &mut HugeCost) -> usize {
        std::iter::repeat_with(|| cost.allows()).take_while(|allows| !allows).count()
    }

    #[test]
    fn dear_huge_pages_are_tried_less_and_less_often() {
        let mut cost = used_to_small();
        let passed: Vec<usize> = std::iter::repeat_with(|| {
            cost.huge(Duration::from_millis(5));
            passed_over(&mut cost)
        })
        .take(8)
        .collect();
        assert_eq!(passed, [8, 16, 32, 64, 128, 256, 512, 512]);
    }

    #[test]
    fn cheap_ones_are_taken_always_and_forgive() {
        let mut cost = used_to_small();
        cost.huge(Duration::from_millis(5));
        assert_eq!(passed_over(&mut cost), 8);
        cost.huge(Duration::from_micros(300));
        assert_eq!(passed_over(&mut cost), 0);
        cost.huge(Duration::from_millis(5));
        assert_eq!(passed_over(&mut cost), 8, "as at first");
    }

    #[test]
    fn one_interrupted_call_does_not_make_small_pages_dear() {
        let mut cost = used_to_small();
        cost.small(64 * TARGET_PAGE, Duration::from_nanos(64 * 250 * 10));
        cost.huge(Duration::from_millis(5));
        assert_eq!(passed_over(&mut cost), 8);
    }
}
