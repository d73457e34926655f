//! From 32-bit instruction words to [`Instruction`]s.
//!
//! | opcode (bits 6..0) | what | format |
//! |---|---|---|
//! | 0x03, 0x23 | loads, stores | I, S |
//! | 0x13, 0x1b | operations with an immediate, the same on 32 bits | I |
//! | 0x33, 0x3b | operations on registers and `M`, the same on 32 bits | R |
//! | 0x0f | `fence`, `fence.i` | I |
//! | 0x2f | `A` | R |
//! | 0x17, 0x37 | `auipc`, `lui` | U |
//! | 0x63, 0x67, 0x6f | branches, `jalr`, `jal` | B, I, J |
//! | 0x73 | system | I |
//!
//! Source: manual volume I, chapters 2, 5, 7, 8, 9 and 24; volume II, chapter 3.

use super::instruction::{Instruction, Op};

/// Decodes a word whose low two bits are 11; `None` is an illegal instruction.
pub(super) fn decode(word: u32) -> Option<Instruction> {
    match word & 0x7f {
        0x03 => load(word),
        0x0f => fence(word),
        0x13 => immediate(word),
        0x17 => Some(u_type(Op::Auipc, word)),
        0x1b => immediate_word(word),
        0x23 => store(word),
        0x2f => atomic(word),
        0x33 => register(word),
        0x37 => Some(u_type(Op::Lui, word)),
        0x3b => register_word(word),
        0x63 => branch(word),
        0x67 if funct3(word) == 0 => Some(i_type(Op::Jalr, word)),
        0x6f => Some(Instruction { imm: j_imm(word), ..base(Op::Jal, rd(word), 0, 0) }),
        0x73 => system(word),
        _ => None,
    }
}

fn load(word: u32) -> Option<Instruction> {
    let op = match funct3(word) {
        0 => Op::Lb,
        1 => Op::Lh,
        2 => Op::Lw,
        3 => Op::Ld,
        4 => Op::Lbu,
        5 => Op::Lhu,
        6 => Op::Lwu,
        _ => return None,
    };
    Some(i_type(op, word))
}

fn store(word: u32) -> Option<Instruction> {
    let op = match funct3(word) {
        0 => Op::Sb,
        1 => Op::Sh,
        2 => Op::Sw,
        3 => Op::Sd,
        _ => return None,
    };
    let imm = ((word.cast_signed() >> 25) << 5) | ((word >> 7) & 31).cast_signed();
    Some(Instruction { imm, ..base(op, 0, rs1(word), rs2(word)) })
}

fn branch(word: u32) -> Option<Instruction> {
    let op = match funct3(word) {
        0 => Op::Beq,
        1 => Op::Bne,
        4 => Op::Blt,
        5 => Op::Bge,
        6 => Op::Bltu,
        7 => Op::Bgeu,
        _ => return None,
    };
    let imm = ((word.cast_signed() >> 31) << 12)
        | (((word >> 7) & 1) << 11).cast_signed()
        | (((word >> 25) & 0x3f) << 5).cast_signed()
        | (((word >> 8) & 0xf) << 1).cast_signed();
    Some(Instruction { imm, ..base(op, 0, rs1(word), rs2(word)) })
}

fn immediate(word: u32) -> Option<Instruction> {
    let op = match (funct3(word), word >> 26) {
        (0, _) => Op::Addi,
        (2, _) => Op::Slti,
        (3, _) => Op::Sltiu,
        (4, _) => Op::Xori,
        (6, _) => Op::Ori,
        (7, _) => Op::Andi,
        (1, 0) => return Some(shift(Op::Slli, word, 63)),
        (5, 0) => return Some(shift(Op::Srli, word, 63)),
        (5, 0x10) => return Some(shift(Op::Srai, word, 63)),
        _ => return None,
    };
    Some(i_type(op, word))
}

fn immediate_word(word: u32) -> Option<Instruction> {
    match (funct3(word), funct7(word)) {
        (0, _) => Some(i_type(Op::Addiw, word)),
        (1, 0) => Some(shift(Op::Slliw, word, 31)),
        (5, 0) => Some(shift(Op::Srliw, word, 31)),
        (5, 0x20) => Some(shift(Op::Sraiw, word, 31)),
        _ => None,
    }
}

fn register(word: u32) -> Option<Instruction> {
    let op = match (funct7(word), funct3(word)) {
        (0x00, 0) => Op::Add,
        (0x20, 0) => Op::Sub,
        (0x00, 1) => Op::Sll,
        (0x00, 2) => Op::Slt,
        (0x00, 3) => Op::Sltu,
        (0x00, 4) => Op::Xor,
        (0x00, 5) => Op::Srl,
        (0x20, 5) => Op::Sra,
        (0x00, 6) => Op::Or,
        (0x00, 7) => Op::And,
        (0x01, 0) => Op::Mul,
        (0x01, 1) => Op::Mulh,
        (0x01, 2) => Op::Mulhsu,
        (0x01, 3) => Op::Mulhu,
        (0x01, 4) => Op::Div,
        (0x01, 5) => Op::Divu,
        (0x01, 6) => Op::Rem,
        (0x01, 7) => Op::Remu,
        _ => return None,
    };
    Some(base(op, rd(word), rs1(word), rs2(word)))
}

fn register_word(word: u32) -> Option<Instruction> {
    let op = match (funct7(word), funct3(word)) {
        (0x00, 0) => Op::Addw,
        (0x20, 0) => Op::Subw,
        (0x00, 1) => Op::Sllw,
        (0x00, 5) => Op::Srlw,
        (0x20, 5) => Op::Sraw,
        (0x01, 0) => Op::Mulw,
        (0x01, 4) => Op::Divw,
        (0x01, 5) => Op::Divuw,
        (0x01, 6) => Op::Remw,
        (0x01, 7) => Op::Remuw,
        _ => return None,
    };
    Some(base(op, rd(word), rs1(word), rs2(word)))
}

fn atomic(word: u32) -> Option<Instruction> {
    let imm = match funct3(word) {
        2 => 0,
        3 => 1,
        _ => return None,
    };
    // Bits 26 and 25 (acquire, release) order nothing on a single hart.
    let op = match word >> 27 {
        0x02 if rs2(word) == 0 => Op::Lr,
        0x03 => Op::Sc,
        0x01 => Op::AmoSwap,
        0x00 => Op::AmoAdd,
        0x04 => Op::AmoXor,
        0x0c => Op::AmoAnd,
        0x08 => Op::AmoOr,
        0x10 => Op::AmoMin,
        0x14 => Op::AmoMax,
        0x18 => Op::AmoMinu,
        0x1c => Op::AmoMaxu,
        _ => return None,
    };
    Some(Instruction { imm, ..base(op, rd(word), rs1(word), rs2(word)) })
}

fn fence(word: u32) -> Option<Instruction> {
    // Fields that the manual reserves are ignored, as it asks for.
    match funct3(word) {
        0 => Some(base(Op::Fence, 0, 0, 0)),
        1 => Some(base(Op::FenceI, 0, 0, 0)),
        _ => None,
    }
}

fn system(word: u32) -> Option<Instruction> {
    let op = match funct3(word) {
        0 => {
            let op = match word {
                0x0000_0073 => Op::Ecall,
                0x0010_0073 => Op::Ebreak,
                0x3020_0073 => Op::Mret,
                0x1050_0073 => Op::Wfi,
                _ => return None,
            };
            return Some(base(op, 0, 0, 0));
        }
        1 => Op::Csrrw,
        2 => Op::Csrrs,
        3 => Op::Csrrc,
        5 => Op::Csrrwi,
        6 => Op::Csrrsi,
        7 => Op::Csrrci,
        _ => return None,
    };
    Some(Instruction { imm: (word >> 20).cast_signed(), ..base(op, rd(word), rs1(word), 0) })
}

fn base(op: Op, rd: u8, rs1: u8, rs2: u8) -> Instruction {
    Instruction { op, rd, rs1, rs2, length: 4, imm: 0 }
}

fn i_type(op: Op, word: u32) -> Instruction {
    Instruction { imm: word.cast_signed() >> 20, ..base(op, rd(word), rs1(word), 0) }
}

fn u_type(op: Op, word: u32) -> Instruction {
    Instruction { imm: (word & 0xffff_f000).cast_signed(), ..base(op, rd(word), 0, 0) }
}

fn shift(op: Op, word: u32, mask: u32) -> Instruction {
    Instruction { imm: ((word >> 20) & mask).cast_signed(), ..base(op, rd(word), rs1(word), 0) }
}

fn j_imm(word: u32) -> i32 {
    ((word.cast_signed() >> 31) << 20)
        | (word & 0x000f_f000).cast_signed()
        | (((word >> 20) & 1) << 11).cast_signed()
        | (((word >> 21) & 0x3ff) << 1).cast_signed()
}

const fn rd(word: u32) -> u8 {
    ((word >> 7) & 31) as u8
}

const fn rs1(word: u32) -> u8 {
    ((word >> 15) & 31) as u8
}

const fn rs2(word: u32) -> u8 {
    ((word >> 20) & 31) as u8
}

const fn funct3(word: u32) -> u32 {
    (word >> 12) & 7
}

const fn funct7(word: u32) -> u32 {
    word >> 25
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn immediates_of_every_format_are_sign_extended() {
        // addi x1, x2, -1
        assert_eq!(decode(0xfff1_0093).unwrap().imm, -1);
        // sd x1, -8(x2)
        assert_eq!(decode(0xfe11_3c23).unwrap().imm, -8);
        // beq x0, x0, -4
        assert_eq!(decode(0xfe00_0ee3).unwrap().imm, -4);
        // jal x0, -4
        assert_eq!(decode(0xffdf_f06f).unwrap().imm, -4);
        // lui x1, 0x80000
        assert_eq!(decode(0x8000_00b7).unwrap().imm(), 0xffff_ffff_8000_0000);
    }

    #[test]
    fn reserved_encodings_are_illegal() {
        // Load with funct3 7, jalr with funct3 1, srli with a stray bit, lr with rs2, sret, an opcode of F.
        for word in [0x0000_7003, 0x0000_1067, 0x0800_5013, 0x1010_202f, 0x1020_0073, 0x0000_2007] {
            assert_eq!(decode(word), None, "{word:#010x}");
        }
    }
}
