//! SiFive's pulse-width modulator.
//!
//! | field | |
//! |---|---|
//! | `timer` × 4 | when each comparator matches |
//! | `tick_offset` u64 | ticks of the clock at the counter's zero |
//! | `pwmcfg` u32, `pwmcmp` u32 × 4 | registers |
//!
//! Source: streams of QEMU 7.2, 10.0 and 11.1 (`sifive_u`); 5.2 has no such device.

use vmstate::VmState;
use vmstate::codecs::TimerExpiry;

/// The modulator.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "sifive-pwm", version = 1)]
pub struct SifivePwmImage {
    /// When each comparator matches.
    pub timer: [TimerExpiry; 4],
    /// Ticks of the clock at the counter's zero.
    pub tick_offset: u64,
    /// Configuration.
    pub pwmcfg: u32,
    /// Comparators.
    pub pwmcmp: [u32; 4],
}
