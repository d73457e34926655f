//! Subsections of CPUs of the A profile, and of all.
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `cpu/vfp` 3 | `vfp.zregs[0].d` to `vfp.zregs[31].d` u64 × 2; `vfp.xregs[0]` u32; `vfp.xregs` u32 × 14; `fpscr` fpscr | the CPU has floating point |
//! | `cpu/thumb2ee` 1 | `teecr`, `teehbr` u32 | it has ThumbEE |
//! | `cpu/sve` 1 | `vfp.zregs` `cpu/sve/zreg_hi` × 32; `vfp.pregs` `cpu/sve/preg` × 17 | it has vectors of any length (SVE) |
//! | `cpu/irq-line-state` 1 | `irq_line_state` u32 | always |
//! | `cpu/wfxt-timer` 1 | `wfxt_timer` timer | it may wait with a time-out; from 10.0 on |
//! | `cpu/fpmr` 1 | `vfp.fpmr` u64 | it has formats of 8 bits; in 11.1 |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`virt` of aarch64 with `cortex-a57`, `max` and `cortex-a15`,
//! `mps2-an385`).

use vmstate::VmState;
use vmstate::codecs::TimerExpiry;

use crate::arm::cpu::Fpscr;

/// Floating point and vectors of 128 bits.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/vfp", version = 3)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct VfpImage {
    #[vmstate(name = "env.vfp.zregs[0].d")]
    pub z0: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[1].d")]
    pub z1: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[2].d")]
    pub z2: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[3].d")]
    pub z3: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[4].d")]
    pub z4: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[5].d")]
    pub z5: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[6].d")]
    pub z6: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[7].d")]
    pub z7: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[8].d")]
    pub z8: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[9].d")]
    pub z9: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[10].d")]
    pub z10: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[11].d")]
    pub z11: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[12].d")]
    pub z12: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[13].d")]
    pub z13: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[14].d")]
    pub z14: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[15].d")]
    pub z15: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[16].d")]
    pub z16: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[17].d")]
    pub z17: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[18].d")]
    pub z18: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[19].d")]
    pub z19: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[20].d")]
    pub z20: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[21].d")]
    pub z21: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[22].d")]
    pub z22: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[23].d")]
    pub z23: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[24].d")]
    pub z24: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[25].d")]
    pub z25: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[26].d")]
    pub z26: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[27].d")]
    pub z27: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[28].d")]
    pub z28: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[29].d")]
    pub z29: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[30].d")]
    pub z30: [u64; 2],
    #[vmstate(name = "env.vfp.zregs[31].d")]
    pub z31: [u64; 2],
    #[vmstate(name = "env.vfp.xregs[0]")]
    pub xregs_0: u32,
    #[vmstate(name = "env.vfp.xregs")]
    pub xregs: [u32; 14],
    pub fpscr: Fpscr,
}

/// ThumbEE.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/thumb2ee", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct Thumb2eeImage {
    #[vmstate(name = "env.teecr")]
    pub teecr: u32,
    #[vmstate(name = "env.teehbr")]
    pub teehbr: u32,
}

/// What longer vectors have beyond 128 bits.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/sve", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct SveImage {
    #[vmstate(name = "env.vfp.zregs")]
    pub zregs: [SveVectorImage; 32],
    #[vmstate(name = "env.vfp.pregs")]
    pub pregs: [SvePredicateImage; 17],
}

/// A vector.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/sve/zreg_hi", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct SveVectorImage {
    pub d: [u64; 14],
}

/// A predicate.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/sve/preg", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct SvePredicateImage {
    pub p: [u64; 4],
}

/// Levels of the interrupt lines.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/irq-line-state", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct IrqLineStateImage {
    #[vmstate(name = "env.irq_line_state")]
    pub irq_line_state: u32,
}

/// A wait with a time-out.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/wfxt-timer", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct WfxtTimerImage {
    pub wfxt_timer: TimerExpiry,
}

/// Mode of formats of 8 bits.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/fpmr", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct FpmrImage {
    #[vmstate(name = "env.vfp.fpmr")]
    pub fpmr: u64,
}
