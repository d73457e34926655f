//! The ACLINT's machine timer.
//!
//! | field | since | |
//! |---|---|---|
//! | `time_delta` u64 | 3 | what is added to the clock for `mtime` |
//! | `timecmp` u64 for each hart | | `mtimecmp` |
//! | `timers` for each hart | 3 | when the interrupt comes |
//!
//! Source: streams of QEMU 7.2, 10.0 (version 1) and 11.1 (version 3), and their schema dumps.

use vmstate::VmState;
use vmstate::codecs::TimerExpiry;

/// Most harts of a timer.
pub const HARTS_MAX: usize = 4095;

/// The timer. Version 1 has the comparators only; QEMU 11.1 itself loads none but version 3.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "riscv_mtimer", version = 3, min = 1)]
pub struct MtimerImage {
    /// Harts that it serves: configuration.
    #[vmstate(local)]
    pub num_harts: u32,
    /// What is added to the clock for `mtime`, ticks.
    #[vmstate(since = 3)]
    pub time_delta: u64,
    /// `mtimecmp` of each hart, ticks.
    #[vmstate(len = num_harts, max = HARTS_MAX)]
    pub timecmp: Vec<u64>,
    /// When the interrupt of each hart comes.
    #[vmstate(since = 3, len = num_harts, max = HARTS_MAX)]
    pub timers: Vec<TimerExpiry>,
}

impl MtimerImage {
    /// The template of a timer for so many harts.
    #[must_use]
    pub fn with_harts(num_harts: u32) -> Self {
        let harts = num_harts as usize;
        Self { num_harts, time_delta: 0, timecmp: vec![0; harts], timers: vec![TimerExpiry::default(); harts] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> MtimerImage {
        let timers = vec![TimerExpiry(Some(9)), TimerExpiry(None)];
        MtimerImage { num_harts: 2, time_delta: 5, timecmp: vec![7, u64::MAX], timers }
    }

    vmstate::vmstate_tests! {
        mod mtimer_image: MtimerImage {
            props: (),
            template: MtimerImage::with_harts(2),
            samples: [sample()],
        }
    }
}
