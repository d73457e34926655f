//! The Goldfish real-time clock.
//!
//! | field | |
//! |---|---|
//! | `tick_offset_vmstate` u64 | offset to the virtual clock, ns: what old releases read |
//! | `alarm_next` u64 | ns |
//! | `alarm_running`, `irq_pending`, `irq_enabled`, `time_high` u32 | |
//! | `tick_offset` u64 | since 3: offset to the clock that the machine is set to use for its RTC, ns |
//!
//! Source: streams of QEMU 5.2 (version 2) and 7.2, 10.0, 11.1 (version 3), and their schema dumps.

use vmstate::VmState;

/// The clock.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "goldfish_rtc", version = 3, min = 0)]
pub struct GoldfishRtcImage {
    /// Offset to the virtual clock, ns.
    pub tick_offset_vmstate: u64,
    /// When the alarm rings, ns.
    pub alarm_next: u64,
    /// Whether it is armed.
    pub alarm_running: u32,
    /// Whether it rang.
    pub irq_pending: u32,
    /// Whether it may interrupt.
    pub irq_enabled: u32,
    /// Upper half of the time that was read last.
    pub time_high: u32,
    /// Offset to the clock of the RTC, ns.
    #[vmstate(since = 3)]
    pub tick_offset: u64,
}
