//! Load-reserved, store-conditional and the atomic memory operations.
//!
//! There is one hart, so an atomic operation is a load and a store. Unlike plain accesses they must be aligned, in RAM
//! too. Source: manual volume I, chapter 8.

use super::bus::{Bus, Width};
use super::hart::{Hart, Reservation};
use super::instruction::{Instruction, Op};
use super::registers::{low32, sign_extend32};
use super::trap::{CAUSE_LOAD_ACCESS, CAUSE_LOAD_MISALIGNED, CAUSE_STORE_ACCESS, CAUSE_STORE_MISALIGNED, Exception};

impl Hart {
    /// Executes an instruction of `A`.
    #[inline(never)]
    pub(super) fn atomic<B: Bus>(&mut self, bus: &mut B, instruction: Instruction) -> Result<(), Exception> {
        let is_double = instruction.imm != 0;
        let width = if is_double { Width::Double } else { Width::Word };
        let address = self.registers.read(instruction.rs1);
        let operand = self.registers.read(instruction.rs2);
        if address & (width.bytes() - 1) != 0 {
            let cause = if instruction.op == Op::Lr { CAUSE_LOAD_MISALIGNED } else { CAUSE_STORE_MISALIGNED };
            return Err(Exception { cause, value: address });
        }
        let result = match instruction.op {
            Op::Lr => {
                let loaded = self.load(bus, address, width, CAUSE_LOAD_ACCESS)?;
                let value = if is_double { loaded } else { sign_extend32(loaded) };
                self.reservation = Some(Reservation { address, value, is_double });
                value
            }
            Op::Sc => u64::from(!self.store_conditional(bus, address, is_double, operand)?),
            op => {
                // A fault of an AMO's load is the store's: the manual knows no other.
                let loaded = self.load(bus, address, width, CAUSE_STORE_ACCESS)?;
                let old = if is_double { loaded } else { sign_extend32(loaded) };
                let new = if is_double { combine(op, old, operand) } else { combine32(op, old, operand) };
                self.store(bus, address, width, new, CAUSE_STORE_ACCESS)?;
                old
            }
        };
        self.registers.write(instruction.rd, result);
        Ok(())
    }

    /// Whether the store took place. The reservation is gone in any case.
    fn store_conditional<B: Bus>(
        &mut self,
        bus: &mut B,
        address: u64,
        is_double: bool,
        operand: u64,
    ) -> Result<bool, Exception> {
        let Some(reservation) = self.reservation.take() else { return Ok(false) };
        if reservation.address != address || reservation.is_double != is_double {
            return Ok(false);
        }
        let width = if is_double { Width::Double } else { Width::Word };
        let loaded = self.load(bus, address, width, CAUSE_STORE_ACCESS)?;
        let value = if is_double { loaded } else { sign_extend32(loaded) };
        if value != reservation.value {
            return Ok(false);
        }
        self.store(bus, address, width, operand, CAUSE_STORE_ACCESS)?;
        Ok(true)
    }
}

fn combine(op: Op, old: u64, operand: u64) -> u64 {
    match op {
        Op::AmoAdd => old.wrapping_add(operand),
        Op::AmoXor => old ^ operand,
        Op::AmoAnd => old & operand,
        Op::AmoOr => old | operand,
        Op::AmoMin => old.cast_signed().min(operand.cast_signed()).cast_unsigned(),
        Op::AmoMax => old.cast_signed().max(operand.cast_signed()).cast_unsigned(),
        Op::AmoMinu => old.min(operand),
        Op::AmoMaxu => old.max(operand),
        _ => operand,
    }
}

/// The same on the low 32 bits; comparing sign-extended values is right for the signed forms, the unsigned ones need
/// zero-extension.
fn combine32(op: Op, old: u64, operand: u64) -> u64 {
    match op {
        Op::AmoMinu | Op::AmoMaxu => combine(op, u64::from(low32(old)), u64::from(low32(operand))),
        _ => combine(op, sign_extend32(old), sign_extend32(operand)),
    }
}
