//! The virtual clock.
//!
//! | image | section, version | fields |
//! |---|---|---|
//! | [`TimerImage`], [`Timer5Image`] | `timer` 2 | `cpu_ticks_offset` i64, 8 unused, `cpu_clock_offset` i64 (since 2) |
//!
//! With `-icount`, where guest time is a number of instructions, subsections follow:
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `timer/icount` 1 | `qemu_icount_bias`, `qemu_icount` i64 | always |
//! | `timer/icount/warp_timer` 1 | `vm_clock_warp_start` i64, `icount_warp_timer` timer | the clock may run ahead of a guest that sleeps |
//! | `timer/icount/timers` 1 | `icount_rt_timer`, `icount_vm_timer` timer | `shift=auto` |
//! | `timer/icount/shift` 2 | `icount_time_shift` i16, `last_delta` i64 | `shift=auto` |
//! | `timer/icount/shift` 1 | `icount_time_shift` i16 | `shift=auto` in 5.2 |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`virt` of riscv64 with each form of `-icount`, `microvm`).

use vmstate::VmState;
use vmstate::codecs::TimerExpiry;

/// Clocks of the whole machine. It loads what QEMU 5.2 sends too, and sends what later ones load.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "timer", version = 2, min = 1)]
pub struct TimerImage {
    /// What is added to the host's cycle counter.
    pub cpu_ticks_offset: i64,
    /// Once a second offset.
    #[vmstate(unused = 8)]
    pub unused: (),
    /// What is added to the host's clock for the virtual clock, ns.
    #[vmstate(since = 2)]
    pub cpu_clock_offset: i64,
    /// Time as a number of instructions.
    #[vmstate(subsection)]
    pub icount: Option<IcountImage>,
}

/// Time as a number of instructions.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "timer/icount", version = 1)]
pub struct IcountImage {
    /// What is added to it, ns.
    pub qemu_icount_bias: i64,
    /// Instructions so far.
    pub qemu_icount: i64,
    /// Sleep that is skipped.
    #[vmstate(subsection)]
    pub warp_timer: Option<WarpTimerImage>,
    /// Adjustment of the speed: when.
    #[vmstate(subsection)]
    pub timers: Option<AdjustTimersImage>,
    /// Adjustment of the speed: how much.
    #[vmstate(subsection)]
    pub shift: Option<ShiftImage>,
}

/// Sleep that is skipped.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "timer/icount/warp_timer", version = 1)]
pub struct WarpTimerImage {
    /// When it began, ns; −1: the guest does not sleep.
    pub vm_clock_warp_start: i64,
    /// When it ends.
    pub icount_warp_timer: TimerExpiry,
}

/// When the speed is adjusted.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "timer/icount/timers", version = 1)]
pub struct AdjustTimersImage {
    /// By the host's clock.
    pub icount_rt_timer: TimerExpiry,
    /// By the guest's.
    pub icount_vm_timer: TimerExpiry,
}

/// How many ns an instruction takes, as a power of two.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "timer/icount/shift", version = 2, min = 1)]
pub struct ShiftImage {
    /// The power.
    pub icount_time_shift: i16,
    /// How far guest and host were apart when it was last adjusted, ns.
    #[vmstate(since = 2)]
    pub last_delta: i64,
}

/// Clocks of the whole machine as QEMU 5.2 sends them: the speed's subsection has its version 1 on the wire.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "timer", version = 2, min = 1)]
pub struct Timer5Image {
    /// What is added to the host's cycle counter.
    pub cpu_ticks_offset: i64,
    /// Once a second offset.
    #[vmstate(unused = 8)]
    pub unused: (),
    /// What is added to the host's clock for the virtual clock, ns.
    #[vmstate(since = 2)]
    pub cpu_clock_offset: i64,
    /// Time as a number of instructions.
    #[vmstate(subsection)]
    pub icount: Option<Icount5Image>,
}

/// Time as a number of instructions, in QEMU 5.2.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "timer/icount", version = 1)]
pub struct Icount5Image {
    /// What is added to it, ns.
    pub qemu_icount_bias: i64,
    /// Instructions so far.
    pub qemu_icount: i64,
    /// Sleep that is skipped.
    #[vmstate(subsection)]
    pub warp_timer: Option<WarpTimerImage>,
    /// Adjustment of the speed: when.
    #[vmstate(subsection)]
    pub timers: Option<AdjustTimersImage>,
    /// Adjustment of the speed: how much.
    #[vmstate(subsection)]
    pub shift: Option<Shift5Image>,
}

/// How many ns an instruction takes, as a power of two, in QEMU 5.2.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "timer/icount/shift", version = 1)]
pub struct Shift5Image {
    /// The power.
    pub icount_time_shift: i16,
}
