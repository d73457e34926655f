//! Random programs of RV64IMAC instructions, and the few encoders that they need.
//!
//! Control flow only goes forward, loops apart that count down in `x3`, so that every program ends. Loads and stores
//! stay in a window of [`DATA_BYTES`] that `x8`, `x9` and `x2` point into; those and `x3` are never a destination.

/// Bytes of the data window.
pub const DATA_BYTES: u64 = 4096;

/// Where `x8`, `x9` and `x2` point, from the start of the data window.
pub const POINTERS: [(u8, u64); 3] = [(8, 0), (9, 2048), (2, 1024)];

/// Splitmix64: small, seedable, good enough to choose instructions.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound)).unwrap()
    }

    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(u32::try_from(items.len()).unwrap()) as usize]
    }

    /// A value that is likely to lie at an edge.
    pub fn value(&mut self) -> u64 {
        match self.below(4) {
            0 => self.pick(&[
                0,
                1,
                2,
                u64::MAX,
                u64::MAX - 1,
                0x7fff_ffff,
                0x8000_0000,
                0xffff_ffff,
                0xffff_ffff_8000_0000,
                i64::MAX.cast_unsigned(),
                i64::MIN.cast_unsigned(),
            ]),
            1 => self.next() & 0xff,
            2 => (i64::from((self.next() & 0xffff_ffff) as u32 as i32)).cast_unsigned(),
            _ => self.next(),
        }
    }
}

/// Initial registers of a program whose data window is at `data`.
pub fn registers(random: &mut Random, data: u64) -> [u64; 32] {
    let mut registers = [0; 32];
    for register in &mut registers[1..] {
        *register = random.value();
    }
    for (register, offset) in POINTERS {
        registers[usize::from(register)] = data + offset;
    }
    registers
}

/// Initial content of the data window.
pub fn data(random: &mut Random) -> Vec<u8> {
    (0..DATA_BYTES / 8).flat_map(|_| random.value().to_le_bytes()).collect()
}

enum Item {
    /// Instructions that belong together.
    Bytes(Vec<u8>),
    /// A branch or jump to the start of the item so many further on.
    Branch {
        skip: usize,
        encode: fn(Regs, i32) -> u32,
        regs: Regs,
    },
    CompressedBranch {
        skip: usize,
        op: u16,
        register: u8,
    },
}

type Regs = (u8, u8);

/// The bytes of a random program of `items` items.
pub fn generate(random: &mut Random, items: usize) -> Vec<u8> {
    let program: Vec<Item> = (0..items).map(|_| item(random)).collect();
    let length = |item: &Item| match item {
        Item::Bytes(bytes) => bytes.len(),
        Item::Branch { .. } => 4,
        Item::CompressedBranch { .. } => 2,
    };
    let distance = |from: usize, skip: usize| -> i32 {
        let end = (from + 1 + skip).min(program.len());
        program[from..end].iter().map(|item| i32::try_from(length(item)).unwrap()).sum()
    };
    let mut bytes = Vec::new();
    for (index, item) in program.iter().enumerate() {
        match item {
            Item::Bytes(words) => bytes.extend_from_slice(words),
            Item::Branch { skip, encode, regs } => {
                bytes.extend_from_slice(&encode(*regs, distance(index, *skip)).to_le_bytes());
            }
            Item::CompressedBranch { skip, op, register } => {
                // The span of a compressed branch is short: clip to the next item.
                let far = distance(index, *skip);
                let offset = if far < 250 { far } else { distance(index, 0) };
                bytes.extend_from_slice(&compressed_branch(*op, *register, offset).to_le_bytes());
            }
        }
    }
    bytes
}

/// `addi x0, x0, 0`.
pub const NOP: u32 = 0x13;

pub fn i_type(opcode: u32, funct3: u32, rd: u8, rs1: u8, imm: i32) -> u32 {
    (imm.cast_unsigned() & 0xfff) << 20 | u32::from(rs1) << 15 | funct3 << 12 | u32::from(rd) << 7 | opcode
}

pub fn r_type(opcode: u32, funct7: u32, funct3: u32, rd: u8, rs1: u8, rs2: u8) -> u32 {
    funct7 << 25 | u32::from(rs2) << 20 | u32::from(rs1) << 15 | funct3 << 12 | u32::from(rd) << 7 | opcode
}

fn s_type(funct3: u32, rs1: u8, rs2: u8, imm: i32) -> u32 {
    let imm = imm.cast_unsigned();
    (imm >> 5 & 0x7f) << 25 | u32::from(rs2) << 20 | u32::from(rs1) << 15 | funct3 << 12 | (imm & 31) << 7 | 0x23
}

fn b_type(funct3: u32, (rs1, rs2): Regs, offset: i32) -> u32 {
    let o = offset.cast_unsigned();
    (o >> 12 & 1) << 31
        | (o >> 5 & 0x3f) << 25
        | u32::from(rs2) << 20
        | u32::from(rs1) << 15
        | funct3 << 12
        | (o >> 1 & 0xf) << 8
        | (o >> 11 & 1) << 7
        | 0x63
}

fn jal((rd, _): Regs, offset: i32) -> u32 {
    let o = offset.cast_unsigned();
    (o >> 20 & 1) << 31
        | (o >> 1 & 0x3ff) << 21
        | (o >> 11 & 1) << 20
        | (o >> 12 & 0xff) << 12
        | u32::from(rd) << 7
        | 0x6f
}

fn compressed_branch(op: u16, register: u8, offset: i32) -> u16 {
    let o = (offset.cast_unsigned() & 0xffff) as u16;
    let bit = |from: u16, to: u16| (o >> from & 1) << to;
    if op == 5 {
        let targets = [(11, 12), (4, 11), (9, 10), (8, 9), (10, 8), (6, 7), (7, 6), (3, 5), (2, 4), (1, 3), (5, 2)];
        return op << 13 | 1 | targets.iter().map(|(from, to)| bit(*from, *to)).sum::<u16>();
    }
    let targets = [(8, 12), (4, 11), (3, 10), (7, 6), (6, 5), (2, 4), (1, 3), (5, 2)];
    op << 13 | u16::from(register - 8) << 7 | 1 | targets.iter().map(|(from, to)| bit(*from, *to)).sum::<u16>()
}

const OPS: [(u32, u32); 18] = [
    (0x00, 0),
    (0x20, 0),
    (0x00, 1),
    (0x00, 2),
    (0x00, 3),
    (0x00, 4),
    (0x00, 5),
    (0x20, 5),
    (0x00, 6),
    (0x00, 7),
    (0x01, 0),
    (0x01, 1),
    (0x01, 2),
    (0x01, 3),
    (0x01, 4),
    (0x01, 5),
    (0x01, 6),
    (0x01, 7),
];

const OPS_W: [(u32, u32); 10] =
    [(0x00, 0), (0x20, 0), (0x00, 1), (0x00, 5), (0x20, 5), (0x01, 0), (0x01, 4), (0x01, 5), (0x01, 6), (0x01, 7)];

/// A register that may be written: not a pointer, not the loop counter.
fn destination(random: &mut Random) -> u8 {
    loop {
        let register = u8::try_from(random.below(32)).unwrap();
        if !matches!(register, 2 | 3 | 8 | 9) {
            return register;
        }
    }
}

fn source(random: &mut Random) -> u8 {
    u8::try_from(random.below(32)).unwrap()
}

fn word(word: u32) -> Item {
    Item::Bytes(word.to_le_bytes().to_vec())
}

fn words(words: &[u32]) -> Item {
    Item::Bytes(words.iter().flat_map(|word| word.to_le_bytes()).collect())
}

fn item(random: &mut Random) -> Item {
    let skip = random.below(6) as usize;
    match random.below(20) {
        0..3 => word(arithmetic(random)),
        3 | 4 => {
            let imm = i32::try_from(random.below(4096)).unwrap() - 2048;
            let funct3 = random.pick(&[0, 2, 3, 4, 6, 7]);
            word(i_type(0x13, funct3, destination(random), source(random), imm))
        }
        5 => word(shift_immediate(random)),
        6 => {
            let imm = i32::try_from(random.below(4096)).unwrap() - 2048;
            word(i_type(0x1b, 0, destination(random), source(random), imm))
        }
        7 => word(
            u32::try_from(random.next() & 0xffff_f000).unwrap()
                | u32::from(destination(random)) << 7
                | random.pick(&[0x37, 0x17]),
        ),
        8 | 9 => {
            let offset = i32::try_from(random.below(1016)).unwrap();
            let base = random.pick(&[8, 9]);
            word(i_type(0x03, random.below(7), destination(random), base, offset))
        }
        10 | 11 => {
            let offset = i32::try_from(random.below(1016)).unwrap();
            word(s_type(random.below(4), random.pick(&[8, 9]), source(random), offset))
        }
        12 => {
            let funct3 = random.pick(&[0, 1, 4, 5, 6, 7]);
            let regs = (source(random), source(random));
            let encode: fn(Regs, i32) -> u32 = match funct3 {
                0 => |regs, offset| b_type(0, regs, offset),
                1 => |regs, offset| b_type(1, regs, offset),
                4 => |regs, offset| b_type(4, regs, offset),
                5 => |regs, offset| b_type(5, regs, offset),
                6 => |regs, offset| b_type(6, regs, offset),
                _ => |regs, offset| b_type(7, regs, offset),
            };
            Item::Branch { skip, encode, regs }
        }
        13 => Item::Branch { skip, encode: jal, regs: (destination(random), 0) },
        14 => indirect(random),
        15 => atomic(random),
        16 => counted_loop(random),
        17 => {
            let op = random.pick(&[5, 6, 7]);
            Item::CompressedBranch { skip, op, register: 8 + u8::try_from(random.below(8)).unwrap() }
        }
        _ => Item::Bytes(compressed(random).to_le_bytes().to_vec()),
    }
}

fn arithmetic(random: &mut Random) -> u32 {
    let (opcode, (funct7, funct3)) =
        if random.below(2) == 0 { (0x33, random.pick(&OPS)) } else { (0x3b, random.pick(&OPS_W)) };
    r_type(opcode, funct7, funct3, destination(random), source(random), source(random))
}

fn shift_immediate(random: &mut Random) -> u32 {
    let (opcode, bits) = random.pick(&[(0x13, 64), (0x1b, 32)]);
    let (funct7, funct3) = random.pick(&[(0, 1), (0, 5), (0x400, 5)]);
    let amount = funct7 | i32::try_from(random.below(bits)).unwrap();
    i_type(opcode, funct3, destination(random), source(random), amount)
}

/// `auipc` and `jalr` over a word, in the long or the compressed form.
fn indirect(random: &mut Random) -> Item {
    let pointer = random.pick(&[5, 6, 7, 28]);
    let auipc = u32::from(pointer) << 7 | 0x17;
    if random.below(2) == 0 {
        return words(&[auipc, i_type(0x67, 0, destination(random), pointer, 12 + 1), NOP]);
    }
    let jump = random.pick(&[0x8002_u32, 0x9002]) | u32::from(pointer) << 7;
    let mut bytes: Vec<u8> =
        [auipc, i_type(0x13, 0, pointer, pointer, 12)].iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.extend_from_slice(&u16::try_from(jump).unwrap().to_le_bytes());
    // Skipped: an illegal parcel.
    bytes.extend_from_slice(&[0, 0]);
    Item::Bytes(bytes)
}

fn atomic(random: &mut Random) -> Item {
    let width = random.pick(&[2, 3]);
    let offset = i32::try_from(random.below(120)).unwrap() * 8;
    let pointer = random.pick(&[5, 6, 7, 28]);
    let address = i_type(0x13, 0, pointer, random.pick(&[8, 9]), offset);
    let order = random.below(4);
    let amo = |funct5: u32, rd: u8, rs2: u8| r_type(0x2f, funct5 << 2 | order, width, rd, pointer, rs2);
    // The pointer must live until the last access.
    let rd = if random.below(2) == 0 { 29 } else { 30 };
    let rs2 = source(random);
    match random.below(4) {
        0 => words(&[address, amo(2, rd, 0), amo(3, destination(random), rs2)]),
        // Without a reservation, or with a lost one: the second store-conditional fails.
        1 => words(&[address, amo(2, 0, 0), amo(3, 0, rs2), amo(3, rd, source(random))]),
        _ => words(&[address, amo(random.pick(&[0, 1, 4, 8, 12, 16, 20, 24, 28]), rd, rs2)]),
    }
}

fn counted_loop(random: &mut Random) -> Item {
    let count = 1 + i32::try_from(random.below(6)).unwrap();
    let mut body = vec![i_type(0x13, 0, 3, 0, count)];
    let length = 1 + random.below(4);
    for _ in 0..length {
        body.push(arithmetic(random));
    }
    body.push(i_type(0x13, 0, 3, 3, -1));
    let back = -4 * i32::try_from(length + 1).unwrap();
    body.push(b_type(1, (3, 0), back));
    words(&body)
}

fn compressed(random: &mut Random) -> u16 {
    let full = |random: &mut Random| {
        loop {
            let register = destination(random);
            if register != 0 {
                return u16::from(register);
            }
        }
    };
    // x10 to x15 in the short form.
    let short = |random: &mut Random| 2 + u16::try_from(random.below(6)).unwrap();
    let short_source = |random: &mut Random| u16::try_from(random.below(8)).unwrap();
    let pointer = |random: &mut Random| u16::try_from(random.below(2)).unwrap();
    let field = |random: &mut Random, bits: u32| u16::try_from(random.below(1 << bits)).unwrap();
    // An immediate in bits 12 and 6..2 that is not 0, as several forms demand.
    let imm6 = |random: &mut Random| field(random, 1) << 12 | (1 + u16::try_from(random.below(31)).unwrap()) << 2;
    match random.below(18) {
        0 => (1 + field(random, 7)) << 5 | short(random) << 2,
        1 => 2 << 13 | field(random, 3) << 10 | pointer(random) << 7 | field(random, 2) << 5 | short(random) << 2,
        2 => 3 << 13 | field(random, 3) << 10 | pointer(random) << 7 | field(random, 2) << 5 | short(random) << 2,
        3 => {
            6 << 13 | field(random, 3) << 10 | pointer(random) << 7 | field(random, 2) << 5 | short_source(random) << 2
        }
        4 => {
            7 << 13 | field(random, 3) << 10 | pointer(random) << 7 | field(random, 2) << 5 | short_source(random) << 2
        }
        5 => imm6(random) | full(random) << 7 | 1,
        6 => 1 << 13 | imm6(random) | full(random) << 7 | 1,
        7 => 2 << 13 | imm6(random) | full(random) << 7 | 1,
        8 => 3 << 13 | imm6(random) | full(random) << 7 | 1,
        9 => 4 << 13 | imm6(random) | field(random, 1) << 10 | short(random) << 7 | 1,
        10 => 4 << 13 | 2 << 10 | imm6(random) | short(random) << 7 | 1,
        11 => 4 << 13 | 3 << 10 | field(random, 2) << 5 | short_source(random) << 2 | short(random) << 7 | 1,
        12 => 4 << 13 | 1 << 12 | 3 << 10 | field(random, 1) << 5 | short_source(random) << 2 | short(random) << 7 | 1,
        13 => imm6(random) | full(random) << 7 | 2,
        14 => random.pick(&[2, 3]) << 13 | field(random, 1) << 12 | full(random) << 7 | field(random, 5) << 2 | 2,
        15 => random.pick(&[6, 7]) << 13 | field(random, 6) << 7 | u16::from(source(random)) << 2 | 2,
        16 => 4 << 13 | full(random) << 7 | full(random) << 2 | 2,
        _ => 4 << 13 | 1 << 12 | full(random) << 7 | full(random) << 2 | 2,
    }
}
