//! Exceptions and interrupts: how the hart enters a handler and leaves it.
//!
//! ```text
//!   enter: mepc = pc   mcause = interrupt << 63 | code   mtval   MPIE = MIE   MIE = 0   no reservation
//!          pc = base (+ 4 · code if vectored interrupt)
//!   mret:  pc = mepc   MIE = MPIE   MPIE = 1
//! ```
//!
//! Source: manual volume II, sections 3.1.6 to 3.1.16 and 3.3.2.

use super::csr::{MSTATUS_MIE, MSTATUS_MPIE};
use super::hart::Hart;

/// Exception codes of `mcause`.
pub(super) const CAUSE_FETCH_ACCESS: u64 = 1;
pub(super) const CAUSE_ILLEGAL: u64 = 2;
pub(super) const CAUSE_BREAKPOINT: u64 = 3;
pub(super) const CAUSE_LOAD_MISALIGNED: u64 = 4;
pub(super) const CAUSE_LOAD_ACCESS: u64 = 5;
pub(super) const CAUSE_STORE_MISALIGNED: u64 = 6;
pub(super) const CAUSE_STORE_ACCESS: u64 = 7;
pub(super) const CAUSE_ECALL_M: u64 = 11;

/// Bit of `mcause` that tells an interrupt from an exception.
const CAUSE_INTERRUPT: u64 = 1 << 63;

/// Interrupts in the order in which they are taken: external, software, timer.
const INTERRUPT_ORDER: [u64; 3] = [11, 3, 7];

/// Why an instruction did not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exception {
    pub(super) cause: u64,
    pub(super) value: u64,
}

impl Hart {
    /// The code of the interrupt to be taken now, if any.
    pub(super) fn pending_interrupt(&self) -> Option<u64> {
        if self.csrs.mstatus & MSTATUS_MIE == 0 {
            return None;
        }
        let pending = self.csrs.mip & self.csrs.mie;
        INTERRUPT_ORDER.into_iter().find(|code| pending & (1 << code) != 0)
    }

    /// Enters the handler for an exception of the instruction at `pc`; returns the handler's address.
    pub(super) fn enter_exception(&mut self, pc: u64, exception: Exception) -> u64 {
        self.enter(pc, exception.cause, exception.value);
        self.csrs.mtvec & !3
    }

    /// Enters the handler for interrupt `code` before the instruction at `pc`; returns the handler's address.
    pub(super) fn enter_interrupt(&mut self, pc: u64, code: u64) -> u64 {
        self.enter(pc, CAUSE_INTERRUPT | code, 0);
        let vectored = self.csrs.mtvec & 1 != 0;
        (self.csrs.mtvec & !3).wrapping_add(if vectored { 4 * code } else { 0 })
    }

    /// Leaves a handler; returns where to go on.
    pub(super) fn mret(&mut self) -> u64 {
        let enabled = self.csrs.mstatus & MSTATUS_MPIE != 0;
        self.csrs.mstatus &= !MSTATUS_MIE;
        if enabled {
            self.csrs.mstatus |= MSTATUS_MIE;
        }
        self.csrs.mstatus |= MSTATUS_MPIE;
        self.look = true;
        self.csrs.mepc
    }

    fn enter(&mut self, pc: u64, cause: u64, value: u64) {
        // A reservation does not live through a trap: the handler may have run anything.
        self.reservation = None;
        self.csrs.mepc = pc;
        self.csrs.mcause = cause;
        self.csrs.mtval = value;
        let enabled = self.csrs.mstatus & MSTATUS_MIE != 0;
        self.csrs.mstatus &= !(MSTATUS_MIE | MSTATUS_MPIE);
        if enabled {
            self.csrs.mstatus |= MSTATUS_MPIE;
        }
    }
}
