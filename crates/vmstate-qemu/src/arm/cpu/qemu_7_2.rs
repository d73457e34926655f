//! The CPU as QEMU 7.2 sends it.
//!
//! `regs` u32 × 16; `xregs` u64 × 32; `pc` u64; `cpsr` cpsr; `spsr` u32; `banked_spsr` u64 × 8; `banked_r13`,
//! `banked_r14` u32 × 8; `usr_regs`, `fiq_regs` u32 × 5; `elr_el`, `sp_el` u64 × 4; `cpreg_vmstate_array_len` i32,
//! bounded; `cpreg_vmstate_indexes`, `cpreg_vmstate_values` u64 for each; `exclusive_addr`, `exclusive_val`,
//! `exclusive_high` u64; 8 unused; `exception.syndrome`, `exception.fsr` u32; `exception.vaddress` u64; `gt_timer[0]`,
//! `gt_timer[1]` timer; `power_state` powered_off.
//!
//! Subsections: `cpu/vfp`, `cpu/m`, `cpu/thumb2ee`, `cpu/pmsav7-rnr`, `cpu/pmsav7`, `cpu/sve`, `cpu/irq-line-state`.
//!
//! Source: streams of QEMU 7.2 (`virt` of aarch64 with `cortex-a57`, `max` and `cortex-a15`, `mps2-an385`).

use vmstate::VmState;
use vmstate::codecs::TimerExpiry;

use crate::arm::cpu::extensions::{IrqLineStateImage, SveImage, Thumb2eeImage, VfpImage};
use crate::arm::cpu::m_profile::MProfileImage;
use crate::arm::cpu::protection::{Pmsav7Image, Pmsav7RnrImage};
use crate::arm::cpu::{CPREGS_MAX, Cpsr, PoweredOff};

/// A CPU.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu", version = 22)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct CpuImage {
    #[vmstate(name = "env.regs")]
    pub regs: [u32; 16],
    #[vmstate(name = "env.xregs")]
    pub xregs: [u64; 32],
    #[vmstate(name = "env.pc")]
    pub pc: u64,
    pub cpsr: Cpsr,
    #[vmstate(name = "env.spsr")]
    pub spsr: u32,
    #[vmstate(name = "env.banked_spsr")]
    pub banked_spsr: [u64; 8],
    #[vmstate(name = "env.banked_r13")]
    pub banked_r13: [u32; 8],
    #[vmstate(name = "env.banked_r14")]
    pub banked_r14: [u32; 8],
    #[vmstate(name = "env.usr_regs")]
    pub usr_regs: [u32; 5],
    #[vmstate(name = "env.fiq_regs")]
    pub fiq_regs: [u32; 5],
    #[vmstate(name = "env.elr_el")]
    pub elr_el: [u64; 4],
    #[vmstate(name = "env.sp_el")]
    pub sp_el: [u64; 4],
    #[vmstate(le)]
    pub cpreg_vmstate_array_len: i32,
    #[vmstate(len = cpreg_vmstate_array_len, max = CPREGS_MAX)]
    pub cpreg_vmstate_indexes: Vec<u64>,
    #[vmstate(len = cpreg_vmstate_array_len, max = CPREGS_MAX)]
    pub cpreg_vmstate_values: Vec<u64>,
    #[vmstate(name = "env.exclusive_addr")]
    pub exclusive_addr: u64,
    #[vmstate(name = "env.exclusive_val")]
    pub exclusive_val: u64,
    #[vmstate(name = "env.exclusive_high")]
    pub exclusive_high: u64,
    #[vmstate(unused = 8)]
    pub unused: (),
    #[vmstate(name = "env.exception.syndrome")]
    pub syndrome: u32,
    #[vmstate(name = "env.exception.fsr")]
    pub fsr: u32,
    #[vmstate(name = "env.exception.vaddress")]
    pub vaddress: u64,
    #[vmstate(name = "gt_timer[0]")]
    pub gt_timer_phys: TimerExpiry,
    #[vmstate(name = "gt_timer[1]")]
    pub gt_timer_virt: TimerExpiry,
    pub power_state: PoweredOff,
    /// Sent by a CPU with floating point.
    #[vmstate(subsection)]
    pub vfp: Option<VfpImage>,
    /// Sent by a CPU of the M profile.
    #[vmstate(subsection)]
    pub m: Option<MProfileImage>,
    /// Sent by a CPU with ThumbEE.
    #[vmstate(subsection)]
    pub thumb2ee: Option<Thumb2eeImage>,
    /// Sent by a CPU of the M profile with regions.
    #[vmstate(subsection)]
    pub pmsav7_rnr: Option<Pmsav7RnrImage>,
    /// Sent by a CPU with regions, version 7.
    #[vmstate(subsection)]
    pub pmsav7: Option<Pmsav7Image>,
    /// Sent by a CPU with longer vectors.
    #[vmstate(subsection)]
    pub sve: Option<SveImage>,
    /// Levels of the interrupt lines.
    #[vmstate(subsection)]
    pub irq_line_state: Option<IrqLineStateImage>,
}

impl CpuImage {
    /// The template of a CPU with so many system registers: no more are accepted.
    #[must_use]
    pub fn with_registers(count: i32) -> Self {
        let registers = vec![0; usize::try_from(count).unwrap_or(0)];
        Self {
            cpreg_vmstate_array_len: count,
            cpreg_vmstate_indexes: registers.clone(),
            cpreg_vmstate_values: registers,
            ..Self::default()
        }
    }
}
