//! The MC146818 real-time clock.
//!
//! | field | since | |
//! |---|---|---|
//! | `cmos_data` 128 octets | | |
//! | `cmos_index` u8 | | |
//! | 28 unused | | |
//! | `periodic_timer` timer, `next_periodic_time` i64 | | |
//! | 24 unused | | |
//! | `irq_coalesced`, `period` u32 | 2 | |
//! | `base_rtc`, `last_update` u64, `offset` i64, `update_timer` timer, `next_alarm_time` u64 | 3 | |
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `mc146818rtc/irq_reinject_on_ack_count` 1 | `irq_reinject_on_ack_count` u16 | periodic interrupts were lost and are made up for |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`microvm`), and their schema dumps: 5.2 loads version 1 and 2 too,
//! the newer ones do not.

use vmstate::VmState;
use vmstate::codecs::TimerExpiry;

use crate::arrays::Octets;

/// The clock.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "mc146818rtc", version = 3, min = 1)]
pub struct Mc146818RtcImage {
    /// Registers and memory.
    pub cmos_data: Octets<128>,
    /// The one that was selected.
    pub cmos_index: u8,
    /// Once the broken-down time.
    #[vmstate(name = "unused", unused = 28)]
    pub unused_0: (),
    /// When the periodic interrupt comes.
    pub periodic_timer: TimerExpiry,
    /// The same, ns.
    pub next_periodic_time: i64,
    /// Once timers of the seconds.
    #[vmstate(name = "unused", unused = 24)]
    pub unused_1: (),
    /// Periodic interrupts that the guest missed.
    #[vmstate(since = 2)]
    pub irq_coalesced: u32,
    /// Period in ticks of 32 768 Hz.
    #[vmstate(since = 2)]
    pub period: u32,
    /// Time at `last_update`, s.
    #[vmstate(since = 3)]
    pub base_rtc: u64,
    /// When the registers were last brought up to date, ns.
    #[vmstate(since = 3)]
    pub last_update: u64,
    /// What is added within the second, ns.
    #[vmstate(since = 3)]
    pub offset: i64,
    /// When the next second or alarm comes.
    #[vmstate(since = 3)]
    pub update_timer: TimerExpiry,
    /// When the alarm rings, ns.
    #[vmstate(since = 3)]
    pub next_alarm_time: u64,
    /// Interrupts that are made up for.
    #[vmstate(subsection)]
    pub irq_reinject_on_ack_count: Option<IrqReinjectImage>,
}

/// Interrupts that are made up for.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "mc146818rtc/irq_reinject_on_ack_count", version = 1)]
pub struct IrqReinjectImage {
    /// How many.
    pub irq_reinject_on_ack_count: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Mc146818RtcImage {
        let irq_reinject_on_ack_count = Some(IrqReinjectImage { irq_reinject_on_ack_count: 3 });
        Mc146818RtcImage {
            period: 32,
            update_timer: TimerExpiry(Some(1)),
            irq_reinject_on_ack_count,
            ..Default::default()
        }
    }

    vmstate::vmstate_tests! {
        mod mc146818rtc_image: Mc146818RtcImage {
            props: (),
            template: Mc146818RtcImage::default(),
            samples: [sample()],
        }
    }
}
