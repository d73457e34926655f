//! A decoded instruction: what the decode cache holds and the interpreter executes.

/// Operation. The names are the manual's mnemonics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Op {
    Lui,
    Auipc,
    Jal,
    Jalr,
    Beq,
    Bne,
    Blt,
    Bge,
    Bltu,
    Bgeu,
    Lb,
    Lh,
    Lw,
    Ld,
    Lbu,
    Lhu,
    Lwu,
    Sb,
    Sh,
    Sw,
    Sd,
    Addi,
    Slti,
    Sltiu,
    Xori,
    Ori,
    Andi,
    Slli,
    Srli,
    Srai,
    Add,
    Sub,
    Sll,
    Slt,
    Sltu,
    Xor,
    Srl,
    Sra,
    Or,
    And,
    Addiw,
    Slliw,
    Srliw,
    Sraiw,
    Addw,
    Subw,
    Sllw,
    Srlw,
    Sraw,
    Mul,
    Mulh,
    Mulhsu,
    Mulhu,
    Div,
    Divu,
    Rem,
    Remu,
    Mulw,
    Divw,
    Divuw,
    Remw,
    Remuw,
    /// Atomics; `imm` is 0 for `.W` and 1 for `.D`.
    Lr,
    Sc,
    AmoSwap,
    AmoAdd,
    AmoXor,
    AmoAnd,
    AmoOr,
    AmoMin,
    AmoMax,
    AmoMinu,
    AmoMaxu,
    Fence,
    FenceI,
    Ecall,
    Ebreak,
    Mret,
    Wfi,
    /// CSR access; `imm` is the number of the register, `rs1` the source register.
    Csrrw,
    Csrrs,
    Csrrc,
    /// CSR access with `rs1` as the immediate value.
    Csrrwi,
    Csrrsi,
    Csrrci,
}

/// A decoded instruction. Fields that the operation does not use are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) op: Op,
    pub(super) rd: u8,
    pub(super) rs1: u8,
    pub(super) rs2: u8,
    /// Bytes in memory: 2 or 4.
    pub(super) length: u8,
    /// Immediate, sign-extended; for `lui` and `auipc` already shifted.
    pub(super) imm: i32,
}

impl Instruction {
    /// The immediate as an operand.
    #[inline(always)]
    pub(super) const fn imm(self) -> u64 {
        (self.imm as i64).cast_unsigned()
    }
}
