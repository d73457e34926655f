//! Control and status registers of a hart with machine mode only.
//!
//! | number | name | here |
//! |---|---|---|
//! | 0x300 | mstatus | MIE (3), MPIE (7); MPP (12..11) is always 3 |
//! | 0x301 | misa | RV64 A C I M, writes are ignored |
//! | 0x304, 0x344 | mie, mip | bits 3, 7, 11; mip shows the lines and cannot be written |
//! | 0x305 | mtvec | base and mode; a write of a reserved mode is ignored |
//! | 0x323–0x33f | mhpmevent | always 0 |
//! | 0x340–0x343 | mscratch, mepc, mcause, mtval | mepc is even |
//! | 0xb00, 0xb02 | mcycle, minstret | both count instructions |
//! | 0xf11–0xf14 | mvendorid, marchid, mimpid, mhartid | 0 except mhartid |
//!
//! Every other number is an illegal instruction; so is a write to a number whose top two bits are 11.
//! Source: manual volume II, chapter 2 and section 3.1.

use super::hart::Hart;

/// `mstatus`: interrupts are enabled.
pub(super) const MSTATUS_MIE: u64 = 1 << 3;
/// `mstatus`: what [`MSTATUS_MIE`] was before the trap.
pub(super) const MSTATUS_MPIE: u64 = 1 << 7;
/// `mstatus`: the mode before the trap, always machine mode.
const MSTATUS_MPP: u64 = 3 << 11;

/// `mie`, `mip`: software, timer and external interrupt of machine mode.
pub(super) const MIP_MSIP: u64 = 1 << 3;
pub(super) const MIP_MTIP: u64 = 1 << 7;
pub(super) const MIP_MEIP: u64 = 1 << 11;
const MIE_MASK: u64 = MIP_MSIP | MIP_MTIP | MIP_MEIP;

/// `misa`: 64 bits, A, C, I, M.
const MISA: u64 = 2 << 62 | 1 | 1 << 2 | 1 << 8 | 1 << 12;

/// The registers that hold something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Csrs {
    /// Interrupt enable and its stack; only MIE and MPIE are kept.
    pub mstatus: u64,
    /// Enabled interrupts.
    pub mie: u64,
    /// Interrupt lines as last seen.
    pub mip: u64,
    /// Trap vector.
    pub mtvec: u64,
    /// The handler's own.
    pub mscratch: u64,
    /// Where the trap was taken.
    pub mepc: u64,
    /// Why.
    pub mcause: u64,
    /// With which address or instruction.
    pub mtval: u64,
    /// Instructions begun, and what the guest has written.
    pub mcycle: u64,
    /// Instructions retired, and what the guest has written.
    pub minstret: u64,
    /// Number of the hart.
    pub mhartid: u64,
}

/// The number does not exist, or cannot be written.
pub(super) struct NoSuchCsr;

impl Csrs {
    /// Makes every register hold only what the guest could have put there; used on values that come from an image.
    #[must_use]
    pub fn legalized(mut self) -> Self {
        self.mstatus &= MSTATUS_MIE | MSTATUS_MPIE;
        self.mie &= MIE_MASK;
        self.mip &= MIE_MASK;
        self.mtvec &= !2;
        self.mepc &= !1;
        self
    }
}

impl Hart {
    /// Reads a register; `steps` instructions of this run are not in the counters yet.
    pub(super) fn read_csr(&self, number: u16, steps: u64) -> Result<u64, NoSuchCsr> {
        let csrs = &self.csrs;
        Ok(match number {
            0x300 => csrs.mstatus | MSTATUS_MPP,
            0x301 => MISA,
            0x304 => csrs.mie,
            0x305 => csrs.mtvec,
            0x340 => csrs.mscratch,
            0x341 => csrs.mepc,
            0x342 => csrs.mcause,
            0x343 => csrs.mtval,
            0x344 => csrs.mip,
            0xb00 => csrs.mcycle.wrapping_add(steps),
            0xb02 => csrs.minstret.wrapping_add(steps),
            0xf14 => csrs.mhartid,
            0x323..=0x33f | 0xf11..=0xf13 => 0,
            _ => return Err(NoSuchCsr),
        })
    }

    /// Writes a register; `steps` as for [`Hart::read_csr`].
    pub(super) fn write_csr(&mut self, number: u16, value: u64, steps: u64) -> Result<(), NoSuchCsr> {
        let csrs = &mut self.csrs;
        match number {
            0x300 => csrs.mstatus = value & (MSTATUS_MIE | MSTATUS_MPIE),
            0x304 => csrs.mie = value & MIE_MASK,
            0x305 if value & 2 == 0 => csrs.mtvec = value,
            0x340 => csrs.mscratch = value,
            0x341 => csrs.mepc = value & !1,
            0x342 => csrs.mcause = value,
            0x343 => csrs.mtval = value,
            // The writing instruction itself is not counted: the next one reads what was written.
            0xb00 => csrs.mcycle = value.wrapping_sub(steps).wrapping_sub(1),
            0xb02 => csrs.minstret = value.wrapping_sub(steps).wrapping_sub(1),
            0x301 | 0x305 | 0x323..=0x33f | 0x344 => {}
            _ => return Err(NoSuchCsr),
        }
        // An interrupt may have become possible.
        self.look = true;
        Ok(())
    }
}
