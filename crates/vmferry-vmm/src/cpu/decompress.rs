//! From 16-bit compressed parcels to the 32-bit words that they stand for.
//!
//! | quadrant (bits 1..0) | funct3 0 … 7 |
//! |---|---|
//! | 0 | addi4spn, –, lw, ld, –, –, sw, sd |
//! | 1 | addi, addiw, li, lui/addi16sp, arithmetic, j, beqz, bnez |
//! | 2 | slli, –, lwsp, ldsp, jr/mv/ebreak/jalr/add, –, swsp, sdsp |
//!
//! `–` are the floating-point forms, illegal here. Hints expand to what they are encoded as, which changes no register.
//! Source: manual volume I, chapter 16.

const SP: u32 = 2;
const RA: u32 = 1;

/// Expands a parcel whose low two bits are not 11; `None` is an illegal instruction.
pub(super) fn decompress(parcel: u16) -> Option<u32> {
    let c = u32::from(parcel);
    match (c & 3, c >> 13) {
        (0, 0) => {
            let imm = bits(c, 7, 4, 6) | bits(c, 11, 2, 4) | bits(c, 5, 1, 3) | bits(c, 6, 1, 2);
            (imm != 0).then(|| i_type(0x13, 0, short(c, 2), SP, imm))
        }
        (0, 2) => Some(i_type(0x03, 2, short(c, 2), short(c, 7), word_offset(c))),
        (0, 3) => Some(i_type(0x03, 3, short(c, 2), short(c, 7), double_offset(c))),
        (0, 6) => Some(s_type(2, short(c, 7), short(c, 2), word_offset(c))),
        (0, 7) => Some(s_type(3, short(c, 7), short(c, 2), double_offset(c))),
        (1, 0) => Some(i_type(0x13, 0, full(c, 7), full(c, 7), imm6(c))),
        (1, 1) => (full(c, 7) != 0).then(|| i_type(0x1b, 0, full(c, 7), full(c, 7), imm6(c))),
        (1, 2) => Some(i_type(0x13, 0, full(c, 7), 0, imm6(c))),
        (1, 3) => lui_or_addi16sp(c),
        (1, 4) => arithmetic(c),
        (1, 5) => Some(jump(c)),
        (1, 6) => Some(branch(0, c)),
        (1, 7) => Some(branch(1, c)),
        (2, 0) => Some(i_type(0x13, 1, full(c, 7), full(c, 7), imm6(c) & 63)),
        (2, 2) => {
            let imm = bits(c, 12, 1, 5) | bits(c, 4, 3, 2) | bits(c, 2, 2, 6);
            (full(c, 7) != 0).then(|| i_type(0x03, 2, full(c, 7), SP, imm))
        }
        (2, 3) => {
            let imm = bits(c, 12, 1, 5) | bits(c, 5, 2, 3) | bits(c, 2, 3, 6);
            (full(c, 7) != 0).then(|| i_type(0x03, 3, full(c, 7), SP, imm))
        }
        (2, 4) => register_move(c),
        (2, 6) => Some(s_type(2, SP, full(c, 2), bits(c, 9, 4, 2) | bits(c, 7, 2, 6))),
        (2, 7) => Some(s_type(3, SP, full(c, 2), bits(c, 10, 3, 3) | bits(c, 7, 3, 6))),
        _ => None,
    }
}

fn lui_or_addi16sp(c: u32) -> Option<u32> {
    if full(c, 7) == SP {
        let imm =
            sign(bits(c, 12, 1, 9) | bits(c, 6, 1, 4) | bits(c, 5, 1, 6) | bits(c, 3, 2, 7) | bits(c, 2, 1, 5), 10);
        return (imm != 0).then(|| i_type(0x13, 0, SP, SP, imm));
    }
    let imm = imm6(c);
    (imm != 0).then(|| (imm << 12) | (full(c, 7) << 7) | 0x37)
}

fn arithmetic(c: u32) -> Option<u32> {
    let rd = short(c, 7);
    let rs2 = short(c, 2);
    match ((c >> 10) & 3, (c >> 12) & 1, (c >> 5) & 3) {
        (0, ..) => Some(i_type(0x13, 5, rd, rd, imm6(c) & 63)),
        (1, ..) => Some(i_type(0x13, 5, rd, rd, (imm6(c) & 63) | 0x400)),
        (2, ..) => Some(i_type(0x13, 7, rd, rd, imm6(c))),
        (_, 0, 0) => Some(r_type(0x33, 0x20, 0, rd, rd, rs2)),
        (_, 0, 1) => Some(r_type(0x33, 0, 4, rd, rd, rs2)),
        (_, 0, 2) => Some(r_type(0x33, 0, 6, rd, rd, rs2)),
        (_, 0, _) => Some(r_type(0x33, 0, 7, rd, rd, rs2)),
        (_, _, 0) => Some(r_type(0x3b, 0x20, 0, rd, rd, rs2)),
        (_, _, 1) => Some(r_type(0x3b, 0, 0, rd, rd, rs2)),
        _ => None,
    }
}

fn register_move(c: u32) -> Option<u32> {
    let rd = full(c, 7);
    let rs2 = full(c, 2);
    match ((c >> 12) & 1, rd, rs2) {
        (0, 0, 0) => None,
        (0, _, 0) => Some(i_type(0x67, 0, 0, rd, 0)),
        (0, ..) => Some(r_type(0x33, 0, 0, rd, 0, rs2)),
        (_, 0, 0) => Some(0x0010_0073),
        (_, _, 0) => Some(i_type(0x67, 0, RA, rd, 0)),
        _ => Some(r_type(0x33, 0, 0, rd, rd, rs2)),
    }
}

fn jump(c: u32) -> u32 {
    let imm = sign(
        bits(c, 12, 1, 11)
            | bits(c, 11, 1, 4)
            | bits(c, 9, 2, 8)
            | bits(c, 8, 1, 10)
            | bits(c, 7, 1, 6)
            | bits(c, 6, 1, 7)
            | bits(c, 3, 3, 1)
            | bits(c, 2, 1, 5),
        12,
    );
    bits(imm, 20, 1, 31) | bits(imm, 1, 10, 21) | bits(imm, 11, 1, 20) | bits(imm, 12, 8, 12) | 0x6f
}

fn branch(funct3: u32, c: u32) -> u32 {
    let imm = sign(bits(c, 12, 1, 8) | bits(c, 10, 2, 3) | bits(c, 5, 2, 6) | bits(c, 3, 2, 1) | bits(c, 2, 1, 5), 9);
    bits(imm, 12, 1, 31)
        | bits(imm, 5, 6, 25)
        | (short(c, 7) << 15)
        | (funct3 << 12)
        | bits(imm, 1, 4, 8)
        | bits(imm, 11, 1, 7)
        | 0x63
}

fn i_type(opcode: u32, funct3: u32, rd: u32, rs1: u32, imm: u32) -> u32 {
    (imm << 20) | (rs1 << 15) | (funct3 << 12) | (rd << 7) | opcode
}

fn s_type(funct3: u32, rs1: u32, rs2: u32, imm: u32) -> u32 {
    bits(imm, 5, 7, 25) | (rs2 << 20) | (rs1 << 15) | (funct3 << 12) | bits(imm, 0, 5, 7) | 0x23
}

fn r_type(opcode: u32, funct7: u32, funct3: u32, rd: u32, rs1: u32, rs2: u32) -> u32 {
    (funct7 << 25) | (rs2 << 20) | (rs1 << 15) | (funct3 << 12) | (rd << 7) | opcode
}

/// `count` bits of `value` from bit `from` on, moved to bit `to`.
const fn bits(value: u32, from: u32, count: u32, to: u32) -> u32 {
    ((value >> from) & ((1 << count) - 1)) << to
}

/// The low `width` bits, sign-extended.
const fn sign(value: u32, width: u32) -> u32 {
    ((value << (32 - width)).cast_signed() >> (32 - width)).cast_unsigned()
}

/// The 6-bit signed immediate that most of quadrant 1 has.
const fn imm6(c: u32) -> u32 {
    sign(bits(c, 12, 1, 5) | bits(c, 2, 5, 0), 6)
}

const fn word_offset(c: u32) -> u32 {
    bits(c, 10, 3, 3) | bits(c, 6, 1, 2) | bits(c, 5, 1, 6)
}

const fn double_offset(c: u32) -> u32 {
    bits(c, 10, 3, 3) | bits(c, 5, 2, 6)
}

/// A register field of three bits: `x8` to `x15`.
const fn short(c: u32, at: u32) -> u32 {
    ((c >> at) & 7) + 8
}

const fn full(c: u32, at: u32) -> u32 {
    (c >> at) & 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parcels_expand_to_the_words_that_the_manual_names() {
        for (parcel, word) in [
            (0x0505_u16, 0x0015_0513_u32), // c.addi a0, 1      addi a0, a0, 1
            (0x8082, 0x0000_8067),         // c.jr ra           jalr x0, 0(ra)
            (0x9002, 0x0010_0073),         // c.ebreak          ebreak
            (0x6105, 0x0201_0113),         // c.addi16sp 32     addi sp, sp, 32
            (0x1101, 0xfe01_0113),         // c.addi sp, -32    addi sp, sp, -32
            (0xec06, 0x0011_3c23),         // c.sdsp ra, 24     sd ra, 24(sp)
            (0x60e2, 0x0181_3083),         // c.ldsp ra, 24     ld ra, 24(sp)
            (0x6785, 0x0000_17b7),         // c.lui a5, 1       lui a5, 1
            (0xbfdd, 0xff7f_f06f),         // c.j -10           jal x0, -10
            (0xdbed, 0xfe07_89e3),         // c.beqz a5, -14    beq a5, x0, -14
        ] {
            assert_eq!(decompress(parcel).map(|w| format!("{w:08x}")), Some(format!("{word:08x}")), "{parcel:#06x}");
        }
    }

    #[test]
    fn the_all_zero_parcel_and_reserved_forms_are_illegal() {
        // zero, c.addiw x0, c.lui a0 with 0, c.addi16sp 0, c.jr x0, c.lwsp x0, c.fld, a reserved arithmetic form.
        for parcel in [0x0000, 0x2005, 0x6501, 0x6101, 0x8002, 0x4002, 0x2000, 0x9c41] {
            assert_eq!(decompress(parcel), None, "{parcel:#06x}");
        }
    }
}
