//! The high precision event timer.
//!
//! | field of `hpet` 2 | since | |
//! |---|---|---|
//! | `config`, `isr`, `hpet_counter` u64 | | |
//! | `num_timers_save` u8 | 2 | in QEMU 5.2 and 7.2 `num_timers` |
//! | `timer`, one `hpet_timer` 1 for each | | |
//!
//! | fields of `hpet_timer` 1 | |
//! |---|---|
//! | `tn` u8; `config`, `cmp`, `fsb`, `period` u64; `wrap_flag` u8 | |
//! | `qemu_timer` timer | ns of the virtual clock |
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `hpet/rtc_irq_level` 1 | `rtc_irq_level` u8 | the clock's interrupt is pending, which the timer has taken over |
//! | `hpet/offset` 1 | `hpet_offset` u64 | the counter runs |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`pc`, `q35`), and their schema dumps: 11.1 loads version 2 only.

use vmstate::VmState;
use vmstate::codecs::TimerExpiry;

/// Most timers that one has.
pub const TIMERS_MAX: usize = 32;

/// The timer. The template of a machine has as many as the board says, which is 3.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "hpet", version = 2, min = 1)]
pub struct HpetImage {
    /// General configuration.
    pub config: u64,
    /// Interrupts that are pending.
    pub isr: u64,
    /// The counter.
    pub hpet_counter: u64,
    /// How many timers follow.
    #[vmstate(since = 2, name = "num_timers_save")]
    pub num_timers: u8,
    /// The timers.
    #[vmstate(len = num_timers, max = TIMERS_MAX)]
    pub timer: Vec<HpetTimerImage>,
    /// The clock's interrupt.
    #[vmstate(subsection)]
    pub rtc_irq_level: Option<RtcIrqLevelImage>,
    /// Between the counter and the virtual clock.
    #[vmstate(subsection)]
    pub offset: Option<OffsetImage>,
}

impl HpetImage {
    /// The template of a machine with so many timers, at most [`TIMERS_MAX`].
    #[must_use]
    pub fn with_timers(num_timers: u8) -> Self {
        let timer = vec![HpetTimerImage::default(); usize::from(num_timers).min(TIMERS_MAX)];
        Self { num_timers, timer, ..Self::default() }
    }
}

/// One of its timers.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "hpet_timer", version = 1)]
pub struct HpetTimerImage {
    /// Its number.
    pub tn: u8,
    /// Configuration and capabilities.
    pub config: u64,
    /// What the counter is compared with.
    pub cmp: u64,
    /// Where the message of its interrupt goes.
    pub fsb: u64,
    /// Period, in ticks; 0 if it comes once.
    pub period: u64,
    /// Whether the counter will have wrapped.
    pub wrap_flag: u8,
    /// When it comes.
    pub qemu_timer: TimerExpiry,
}

/// The clock's interrupt.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "hpet/rtc_irq_level", version = 1)]
pub struct RtcIrqLevelImage {
    /// Its level.
    pub rtc_irq_level: u8,
}

/// Between the counter and the virtual clock.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "hpet/offset", version = 1)]
pub struct OffsetImage {
    /// What is added to the clock, ns.
    pub hpet_offset: u64,
}
