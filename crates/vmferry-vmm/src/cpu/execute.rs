//! What each instruction does.
//!
//! Source: manual volume I, chapters 2, 5 and 7; volume II, section 3.3.

use super::bus::{Bus, Width};
use super::hart::Hart;
use super::instruction::{Instruction, Op};
use super::registers::{low32, sign_extend, sign_extend32};
use super::trap::{CAUSE_BREAKPOINT, CAUSE_ECALL_M, CAUSE_LOAD_ACCESS, CAUSE_STORE_ACCESS, Exception};

impl Hart {
    /// Executes one instruction at `pc`; returns the address of the next one.
    ///
    /// `steps` is the number of instructions of this run that the counters do not hold yet. On an exception no register
    /// has changed.
    #[inline(always)]
    pub(super) fn execute<B: Bus>(
        &mut self,
        bus: &mut B,
        pc: u64,
        i: Instruction,
        steps: u64,
    ) -> Result<u64, Exception> {
        let next = pc.wrapping_add(u64::from(i.length));
        let a = self.registers.read(i.rs1);
        let b = self.registers.read(i.rs2);
        let imm = i.imm();
        let value = match i.op {
            Op::Lui => imm,
            Op::Auipc => pc.wrapping_add(imm),

            Op::Jal => {
                self.registers.write(i.rd, next);
                return Ok(pc.wrapping_add(imm));
            }
            Op::Jalr => {
                self.registers.write(i.rd, next);
                return Ok(a.wrapping_add(imm) & !1);
            }
            Op::Beq => return Ok(branch(a == b, pc, imm, next)),
            Op::Bne => return Ok(branch(a != b, pc, imm, next)),
            Op::Blt => return Ok(branch(a.cast_signed() < b.cast_signed(), pc, imm, next)),
            Op::Bge => return Ok(branch(a.cast_signed() >= b.cast_signed(), pc, imm, next)),
            Op::Bltu => return Ok(branch(a < b, pc, imm, next)),
            Op::Bgeu => return Ok(branch(a >= b, pc, imm, next)),

            Op::Lb => sign_extend(self.load(bus, a.wrapping_add(imm), Width::Byte, CAUSE_LOAD_ACCESS)?, 8),
            Op::Lh => sign_extend(self.load(bus, a.wrapping_add(imm), Width::Half, CAUSE_LOAD_ACCESS)?, 16),
            Op::Lw => sign_extend32(self.load(bus, a.wrapping_add(imm), Width::Word, CAUSE_LOAD_ACCESS)?),
            Op::Ld => self.load(bus, a.wrapping_add(imm), Width::Double, CAUSE_LOAD_ACCESS)?,
            Op::Lbu => self.load(bus, a.wrapping_add(imm), Width::Byte, CAUSE_LOAD_ACCESS)?,
            Op::Lhu => self.load(bus, a.wrapping_add(imm), Width::Half, CAUSE_LOAD_ACCESS)?,
            Op::Lwu => self.load(bus, a.wrapping_add(imm), Width::Word, CAUSE_LOAD_ACCESS)?,
            Op::Sb => return self.store(bus, a.wrapping_add(imm), Width::Byte, b, CAUSE_STORE_ACCESS).map(|()| next),
            Op::Sh => return self.store(bus, a.wrapping_add(imm), Width::Half, b, CAUSE_STORE_ACCESS).map(|()| next),
            Op::Sw => return self.store(bus, a.wrapping_add(imm), Width::Word, b, CAUSE_STORE_ACCESS).map(|()| next),
            Op::Sd => return self.store(bus, a.wrapping_add(imm), Width::Double, b, CAUSE_STORE_ACCESS).map(|()| next),

            Op::Addi => a.wrapping_add(imm),
            Op::Slti => u64::from(a.cast_signed() < imm.cast_signed()),
            Op::Sltiu => u64::from(a < imm),
            Op::Xori => a ^ imm,
            Op::Ori => a | imm,
            Op::Andi => a & imm,
            Op::Slli => a << (imm & 63),
            Op::Srli => a >> (imm & 63),
            Op::Srai => (a.cast_signed() >> (imm & 63)).cast_unsigned(),
            Op::Add => a.wrapping_add(b),
            Op::Sub => a.wrapping_sub(b),
            Op::Sll => a << (b & 63),
            Op::Slt => u64::from(a.cast_signed() < b.cast_signed()),
            Op::Sltu => u64::from(a < b),
            Op::Xor => a ^ b,
            Op::Srl => a >> (b & 63),
            Op::Sra => (a.cast_signed() >> (b & 63)).cast_unsigned(),
            Op::Or => a | b,
            Op::And => a & b,

            Op::Addiw => sign_extend32(a.wrapping_add(imm)),
            Op::Slliw => sign_extend32(a << (imm & 31)),
            Op::Srliw => sign_extend32(u64::from(low32(a) >> (imm & 31))),
            Op::Sraiw => sign_extend32((sign_extend32(a).cast_signed() >> (imm & 31)).cast_unsigned()),
            Op::Addw => sign_extend32(a.wrapping_add(b)),
            Op::Subw => sign_extend32(a.wrapping_sub(b)),
            Op::Sllw => sign_extend32(a << (b & 31)),
            Op::Srlw => sign_extend32(u64::from(low32(a) >> (b & 31))),
            Op::Sraw => sign_extend32((sign_extend32(a).cast_signed() >> (b & 31)).cast_unsigned()),

            Op::Mul => a.wrapping_mul(b),
            Op::Mulh => high(i128::from(a.cast_signed()) * i128::from(b.cast_signed())),
            Op::Mulhsu => high(i128::from(a.cast_signed()) * i128::from(b)),
            Op::Mulhu => high((u128::from(a) * u128::from(b)).cast_signed()),
            Op::Mulw => sign_extend32(a.wrapping_mul(b)),
            Op::Div => divide(a, b),
            Op::Divu => a.checked_div(b).unwrap_or(u64::MAX),
            Op::Rem => remainder(a, b),
            Op::Remu => a.checked_rem(b).unwrap_or(a),
            // Sign-extended operands cannot overflow 64 bits; the result wraps as the 32-bit one does.
            Op::Divw => sign_extend32(divide(sign_extend32(a), sign_extend32(b))),
            Op::Divuw => sign_extend32(u64::from(low32(a).checked_div(low32(b)).unwrap_or(u32::MAX))),
            Op::Remw => sign_extend32(remainder(sign_extend32(a), sign_extend32(b))),
            Op::Remuw => sign_extend32(u64::from(low32(a).checked_rem(low32(b)).unwrap_or(low32(a)))),

            Op::Lr
            | Op::Sc
            | Op::AmoSwap
            | Op::AmoAdd
            | Op::AmoXor
            | Op::AmoAnd
            | Op::AmoOr
            | Op::AmoMin
            | Op::AmoMax
            | Op::AmoMinu
            | Op::AmoMaxu => return self.atomic(bus, i).map(|()| next),

            Op::Fence
            | Op::FenceI
            | Op::Ecall
            | Op::Ebreak
            | Op::Mret
            | Op::Wfi
            | Op::Csrrw
            | Op::Csrrs
            | Op::Csrrc
            | Op::Csrrwi
            | Op::Csrrsi
            | Op::Csrrci => return self.system(bus, pc, i, steps),
        };
        self.registers.write(i.rd, value);
        Ok(next)
    }

    #[inline(never)]
    fn system<B: Bus>(&mut self, bus: &mut B, pc: u64, i: Instruction, steps: u64) -> Result<u64, Exception> {
        let next = pc.wrapping_add(u64::from(i.length));
        match i.op {
            Op::FenceI => self.cache.clear(),
            Op::Ecall => return Err(Exception { cause: CAUSE_ECALL_M, value: 0 }),
            Op::Ebreak => return Err(Exception { cause: CAUSE_BREAKPOINT, value: pc }),
            Op::Mret => return Ok(self.mret()),
            Op::Wfi => {
                self.waiting = true;
                self.look = true;
            }
            // One hart, every access in order: there is nothing to do.
            Op::Fence => {}
            _ => self.csr_instruction(i, steps).ok_or(()).map_err(|()| self.illegal_instruction(bus, pc))?,
        }
        Ok(next)
    }

    /// `None` is an illegal instruction, with nothing changed.
    fn csr_instruction(&mut self, i: Instruction, steps: u64) -> Option<()> {
        let number = (i.imm() & 0xfff) as u16;
        let is_immediate = matches!(i.op, Op::Csrrwi | Op::Csrrsi | Op::Csrrci);
        let operand = if is_immediate { u64::from(i.rs1) } else { self.registers.read(i.rs1) };
        let old = self.read_csr(number, steps).ok()?;
        let new = match i.op {
            Op::Csrrw | Op::Csrrwi => Some(operand),
            // Setting or clearing through x0 (or no bits) does not write at all, and so may name a read-only register.
            _ if i.rs1 == 0 => None,
            Op::Csrrs | Op::Csrrsi => Some(old | operand),
            _ => Some(old & !operand),
        };
        if let Some(new) = new {
            if number >> 10 == 3 {
                return None;
            }
            self.write_csr(number, new, steps).ok()?;
        }
        self.registers.write(i.rd, old);
        Some(())
    }
}

#[inline(always)]
const fn branch(taken: bool, pc: u64, imm: u64, next: u64) -> u64 {
    if taken { pc.wrapping_add(imm) } else { next }
}

#[inline(always)]
const fn high(product: i128) -> u64 {
    ((product.cast_unsigned() >> 64) & u64::MAX as u128) as u64
}

/// Signed division: by 0 gives -1, and the smallest number by -1 gives itself.
fn divide(a: u64, b: u64) -> u64 {
    if b == 0 { u64::MAX } else { a.cast_signed().wrapping_div(b.cast_signed()).cast_unsigned() }
}

/// Signed remainder: by 0 gives the dividend, and the smallest number by -1 gives 0.
fn remainder(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { a.cast_signed().wrapping_rem(b.cast_signed()).cast_unsigned() }
}
