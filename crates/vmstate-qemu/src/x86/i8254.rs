//! The 8254 interval timer.
//!
//! | field | since | |
//! |---|---|---|
//! | `channels[0].irq_disabled` u32 | 3 | whether the HPET has taken over channel 0 |
//! | `channels`, three of `pit channel` 2 | 2 | |
//! | `channels[0].next_transition_time` i64 | | ns of the virtual clock; −1: none |
//!
//! | `pit channel` 2 | |
//! |---|---|
//! | `count` i32, `latched_count` u16 | |
//! | `count_latched`, `status_latched`, `status`, `read_state`, `write_state`, `write_latch`, `rw_mode`, `mode`, `bcd`, `gate` u8 | |
//! | `count_load_time`, `next_transition_time` i64 | ns of the virtual clock |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`microvm`), and their schema dumps.

use vmstate::VmState;

/// The timer.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "i8254", version = 3, min = 2)]
pub struct PitImage {
    /// Whether the HPET has taken over channel 0.
    #[vmstate(since = 3, name = "channels[0].irq_disabled")]
    pub irq_disabled: u32,
    /// The channels.
    #[vmstate(since = 2)]
    pub channels: [PitChannelImage; 3],
    /// When the output of channel 0 changes next, ns; −1 for never.
    #[vmstate(name = "channels[0].next_transition_time")]
    pub next_transition_time: i64,
}

/// A channel.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "pit channel", version = 2)]
#[expect(missing_docs, reason = "registers, by their names in QEMU")]
pub struct PitChannelImage {
    pub count: i32,
    pub latched_count: u16,
    pub count_latched: u8,
    pub status_latched: u8,
    pub status: u8,
    pub read_state: u8,
    pub write_state: u8,
    pub write_latch: u8,
    pub rw_mode: u8,
    pub mode: u8,
    pub bcd: u8,
    pub gate: u8,
    pub count_load_time: i64,
    pub next_transition_time: i64,
}
