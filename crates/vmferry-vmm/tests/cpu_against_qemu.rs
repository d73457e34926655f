//! The CPU against real QEMUs: the same bare image runs on both, and what it prints must be equal.
//!
//! Compared after every case: all registers, a hash of 4 KiB of data, and of every trap `mcause`, `mepc`, `mtval` and
//! `mstatus`.
//!
//! | test | subject |
//! |---|---|
//! | user programs | random IMAC programs, misaligned accesses, atomics |
//! | legality | words and parcels all over the encoding space, legal and not |
//! | faults | `ecall`, `ebreak`, illegal instructions, unmapped loads, stores, atomics and jumps, misaligned atomics |
//! | CSRs | which numbers exist; what every register keeps of what is written |
//! | interrupts | timer and software interrupt, direct and vectored, pending and masked, `wfi` |
//! | reservations | lost to stores of other values, to traps, to another address |
//! | self-modifying code | stores onto code that has run, with and without `fence.i` |
//!
//! Not compared: `mcycle` and `minstret` (QEMU's follow the host's clock), the values of the registers that name the
//! maker, the numbers in [`QEMU_ONLY_CSRS`], and what the comments at the tests name.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs,
    dead_code,
    reason = "tests"
)]
#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, clippy::panic, unreachable_pub, reason = "tests")]

mod board;
mod harness;
mod program;
mod qemu;

use board::{Board, RAM_BASE};
use harness::{Case, DATA};
use program::{Random, i_type, r_type};
use vm_memory::GuestAddress;
use vmferry_vmm::cpu::Hart;

const RELEASES: [&str; 2] = ["10.0", "11.1"];

/// Nothing answers there on the board.
const UNMAPPED: u64 = 0x0301_0000;

#[test]
fn random_user_programs_agree() {
    let mut random = Random(1);
    let cases = (0..300)
        .map(|_| Case { registers: program::registers(&mut random, DATA), body: program::generate(&mut random, 120) })
        .collect::<Vec<_>>();
    compare(&cases);
}

#[test]
fn legal_and_illegal_encodings_agree() {
    let mut random = Random(2);
    let cases = (0..100)
        .map(|_| {
            let registers = program::registers(&mut random, DATA);
            let body = (0..100).flat_map(|_| harmless(&mut random)).collect();
            Case { registers, body }
        })
        .collect::<Vec<_>>();
    compare(&cases);
}

#[test]
fn faults_agree() {
    let mut random = Random(3);
    let cases = (0..60)
        .map(|_| {
            let mut registers = program::registers(&mut random, DATA);
            registers[5] = UNMAPPED + u64::from(random.below(0x1000));
            registers[6] = DATA + 1 + u64::from(random.below(7));
            registers[7] = UNMAPPED & !7;
            let body = (0..60).flat_map(|_| fault(&mut random)).collect();
            Case { registers, body }
        })
        .collect::<Vec<_>>();
    compare(&cases);
}

/// A word or parcel that is illegal or changes nothing but registers that a body may change.
fn harmless(random: &mut Random) -> Vec<u8> {
    let rd = random.pick(&[5_u32, 6, 7, 10, 11, 12, 13, 14, 15, 28, 29]);
    if random.below(3) == 0 {
        let rd = u16::try_from(rd).unwrap();
        let parcel = (random.next() & 0xffff) as u16;
        let parcel = match random.below(4) {
            // Quadrant 1, arithmetic on a short register.
            0 => parcel & 0x1fff & !3 | 4 << 13 | 1 | 2 << 7,
            // Immediates: addi, addiw, li, lui and addi16sp (which moves a pointer that these bodies do not use).
            1 => parcel & !0xef83 | random.pick(&[0, 1, 2, 3]) << 13 | rd << 7 | 1,
            // The floating-point forms.
            2 => random.pick(&[1, 5]) << 13 | parcel & 0x1ffc | random.pick(&[0, 2]),
            // Quadrant 2 with rd = 0 where it is reserved, and slli.
            _ => random.pick(&[0x4002, 0x6002, 0x8002, 0x0002 | rd << 7]) | if parcel & 1 == 0 { 0 } else { 1 << 12 },
        };
        // 0x9002 is c.ebreak, which is fine; 0x8002 is reserved.
        return parcel.to_le_bytes().to_vec();
    }
    let any = (random.next() & 0xffff_ffff) as u32;
    let with = |opcode: u32| any & !0xfff | rd << 7 | opcode;
    let funct3 = |value: u32, word: u32| word & !0x7000 | value << 12;
    let word = match random.below(8) {
        0 => with(random.pick(&[0x13, 0x1b])),
        1 => with(random.pick(&[0x33, 0x3b])) & 0x43ff_ffff,
        2 => with(random.pick(&[0x33, 0x3b])),
        3 => with(0x0f),
        4 => with(
            random.pick(&[0x07, 0x0b, 0x1f, 0x27, 0x2b, 0x3f, 0x43, 0x47, 0x4b, 0x4f, 0x53, 0x57, 0x5b, 0x5f, 0x6b]),
        ),
        // Reserved widths, conditions and functions of opcodes that are otherwise legal.
        5 => match random.below(6) {
            0 => funct3(7, with(0x03)),
            1 => funct3(4 + random.below(4), with(0x23)),
            2 => funct3(2 + random.below(2), with(0x63)),
            3 => funct3(1 + random.below(7), with(0x67)),
            4 => funct3(4, with(0x73)),
            // mnret, uret, sret, hfence. (QEMU executes sfence.vma on a CPU without S mode; ours does not.)
            _ => random.pick(&[0x7020_0073, 0x0020_0073, 0x1020_0073, 0x6200_0073]),
        },
        // Atomics of any function and width on the data window; x8 is aligned.
        6 => any & 0xf9f0_0000 | 8 << 15 | random.below(8) << 12 | rd << 7 | 0x2f,
        _ => with(0x77),
    };
    // The reserved 48-bit and longer formats are left alone: how far to skip behind them is nobody's rule.
    if word & 0x1f == 0x1f { program::NOP.to_le_bytes().to_vec() } else { word.to_le_bytes().to_vec() }
}

/// An instruction that traps, most of the time.
fn fault(random: &mut Random) -> Vec<u8> {
    let rd = random.pick(&[10_u8, 11, 12, 28, 29]);
    let small = i32::try_from(random.below(64)).unwrap();
    let word = match random.below(10) {
        0 => 0x0000_0073,
        1 => 0x0010_0073,
        2 => return 0x9002_u16.to_le_bytes().to_vec(),
        3 => i_type(0x03, random.below(7), rd, 5, small),
        4 => r_type(0x23, 0, random.below(4), 4, 5, rd),
        // Misaligned atomics, in RAM and outside.
        5 => r_type(
            0x2f,
            random.pick(&[0x08, 0x0c, 0x00, 0x04, 0x80]),
            random.pick(&[2, 3]),
            rd,
            random.pick(&[5, 6]),
            0,
        ),
        // Aligned atomics that nothing answers.
        6 => r_type(0x2f, random.pick(&[0x08, 0x00, 0x04]), random.pick(&[2, 3]), rd, 7, 0),
        // jalr ra, 0(x5): the handler returns to ra.
        7 => i_type(0x67, 0, 1, 5, 0),
        8 => return [0, 0].to_vec(),
        _ => 0xffff_ffeb,
    };
    word.to_le_bytes().to_vec()
}

fn csrrw(rd: u8, number: u32, rs1: u8) -> u32 {
    i_type(0x73, 1, rd, rs1, number as i32)
}

fn csrrs(rd: u8, number: u32, rs1: u8) -> u32 {
    i_type(0x73, 2, rd, rs1, number as i32)
}

fn csrrwi(rd: u8, number: u32, value: u8) -> u32 {
    i_type(0x73, 5, rd, value, number as i32)
}

fn bytes_of(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The debug triggers, which QEMU's CPU has though nobody asked for them.
const QEMU_ONLY_CSRS: &str = "[7a0, 7a1, 7a2, 7a3, 7a4, 7a8]";

#[test]
fn the_same_csr_numbers_exist() {
    let words: Vec<u32> = (0..4096).map(|number| csrrs(0, number, 0)).collect();
    let image = harness::image(&[Case { registers: [0; 32], body: bytes_of(&words) }], &[0; 4096]);
    // The third word of each trap is the instruction, whose top 12 bits are the number.
    let illegal = |output: &str| -> Vec<u32> {
        let traps: Vec<u64> = output
            .lines()
            .nth(2)
            .unwrap()
            .split_whitespace()
            .map(|word| u64::from_str_radix(word, 16).unwrap())
            .collect();
        traps.chunks(4).map(|trap| (trap[2] >> 20) as u32).collect()
    };
    let ours = illegal(&run_on_ours(&image));
    assert!(ours.len() > 3900 && ours.len() < 4096, "{} numbers are illegal", ours.len());
    for release in RELEASES {
        let Some(qemu) = qemu::find(release) else { continue };
        let theirs = illegal(&qemu::run(&qemu, &image, &["-m", "64M"]));
        let only_theirs: Vec<_> = ours.iter().filter(|number| !theirs.contains(number)).collect();
        let only_ours: Vec<_> = theirs.iter().filter(|number| !ours.contains(number)).collect();
        assert_eq!(format!("{only_ours:03x?}"), "[]", "numbers that QEMU {release} does not have");
        assert_eq!(format!("{only_theirs:03x?}"), QEMU_ONLY_CSRS, "numbers that only QEMU {release} has");
    }
}

#[test]
fn csrs_keep_the_same_bits() {
    let mut random = Random(4);
    let mut cases = Vec::new();
    // Registers that the harness needs are put back before anything can trap.
    for number in [0x301_u32, 0x305, 0x340] {
        for _ in 0..20 {
            let mut registers = program::registers(&mut random, DATA);
            registers[6] = random.next();
            let body = bytes_of(&[csrrw(5, number, 6), csrrw(7, number, 5)]);
            cases.push(Case { registers, body });
        }
    }
    // Of mstatus, MIE and MPIE; of mie and mip, the three interrupts of machine mode. (QEMU lets a CPU with machine
    // mode alone keep MPP, MPRV, TW and others, and enable bits for interrupts that it does not have; ours keeps
    // none of them. It also keeps bit 0 of mepc, which the manual has as 0.)
    let masks = [
        (0x300, 0x88),
        (0x304, 0x888),
        (0x341, !1),
        (0x342, u64::MAX),
        (0x343, u64::MAX),
        (0x344, 0x888),
        (0xf14, u64::MAX),
    ];
    for (number, mask) in masks.into_iter().cycle().take(200) {
        let mut registers = program::registers(&mut random, DATA);
        registers[17] = mask;
        let mut words = Vec::new();
        for _ in 0..6 {
            let rd = random.pick(&[5, 6, 7, 10, 11, 12]);
            let rs1 = random.pick(&[0, 13, 14, 15, 16]);
            words.push(i_type(0x73, random.pick(&[1, 2, 3, 5, 6, 7]), rd, rs1, number));
            words.push(r_type(0x33, 0, 7, rd, rd, 17));
        }
        words.extend([csrrwi(0, 0x304, 0), csrrwi(0, 0x300, 0)]);
        cases.push(Case { registers, body: bytes_of(&words) });
    }
    compare(&cases);
}

#[test]
fn interrupts_agree() {
    const MTIMECMP: u64 = 0x0200_4000;
    const MTIME: u64 = 0x0200_bff8;
    const MSIP: u64 = 0x0200_0000;
    let mut registers = [0; 32];
    registers[5] = MTIMECMP;
    registers[6] = MSIP;
    registers[7] = 1 << 7;
    registers[28] = 1 << 3;
    registers[29] = 1 << 7 | 1 << 3 | 1 << 11;
    registers[30] = MTIME;
    registers[13] = 1;
    registers[14] = 2000;
    let sd = |rs2: u8, rs1: u8| r_type(0x23, 0, 3, 0, rs1, rs2);
    let sw = |rs2: u8, rs1: u8| r_type(0x23, 0, 2, 0, rs1, rs2);
    let ld = |rd: u8, rs1: u8| i_type(0x03, 3, rd, rs1, 0);
    let and = |rd: u8| i_type(0x13, 7, rd, rd, 0x88);
    let add = |rd: u8, rs1: u8, rs2: u8| r_type(0x33, 0, 0, rd, rs1, rs2);
    let enable = csrrs(0, 0x300, 28);
    let disable = i_type(0x73, 7, 0, 8, 0x300);
    let end = [csrrwi(0, 0x304, 0), csrrwi(0, 0x300, 0)];
    let wfi = 0x1050_0073;
    let marker = i_type(0x13, 0, 10, 10, 1);
    let case = |words: &[u32]| Case { registers, body: bytes_of(&[words, &end].concat()) };
    let later = [ld(11, 30), add(11, 11, 14), sd(11, 5)];
    let cases = [
        // Due at once: taken behind the instruction that enables it, whichever that is.
        case(&[sd(0, 5), csrrw(0, 0x304, 7), enable, marker, marker, disable]),
        case(&[enable, sd(0, 5), marker, csrrw(0, 0x304, 7), marker, marker]),
        // Software, and both: software comes first.
        case(&[sw(13, 6), csrrw(0, 0x304, 28), enable, marker, disable]),
        case(&[sw(13, 6), sd(0, 5), csrrw(0, 0x304, 29), enable, marker, disable]),
        // Masked: mip shows it, nothing is taken.
        case(&[sw(13, 6), csrrs(15, 0x344, 0), enable, marker, sw(0, 6), csrrs(16, 0x344, 0), disable]),
        // wfi until the timer, which is taken once enabled. (Enabled before, it could be taken before the wfi, which
        // then never ends.)
        case(
            &[
                &later[..],
                &[csrrw(0, 0x304, 7), wfi, marker, csrrs(15, 0x344, 0), i_type(0x13, 0, 11, 0, 0), enable, marker],
            ]
            .concat(),
        ),
        // wfi with something pending goes on.
        case(&[sw(13, 6), csrrw(0, 0x304, 28), wfi, marker, enable, marker]),
        // An exception inside keeps the enable bit on the stack of mstatus.
        case(&[enable, 0x0000_0073, csrrs(15, 0x300, 0), and(15), disable, 0x0000_0073, csrrs(16, 0x300, 0), and(16)]),
        // Leaving by hand: mret goes to mepc with MIE from MPIE.
        case(&[
            0x0000_0617,
            i_type(0x13, 0, 12, 12, 20),
            csrrw(0, 0x341, 12),
            0x3020_0073,
            0,
            csrrs(15, 0x300, 0),
            and(15),
            marker,
        ]),
        vectored(registers, &end),
    ];
    compare(&cases);
}

/// Points `mtvec` at a table in the body whose entries jump to one counting routine.
fn vectored(registers: [u64; 32], end: &[u32]) -> Case {
    use dynasmrt::{DynasmApi, DynasmLabelApi, VecAssembler, dynasm, riscv::RiscvRelocation};
    let mut ops = VecAssembler::<RiscvRelocation>::new(0);
    dynasm!(ops ; .arch riscv64i ; .feature imzicsr
        ; j >over
        ; ->table:
        ; j ->exception ; j ->bad ; j ->bad ; j ->software ; j ->bad ; j ->bad ; j ->bad ; j ->timer
        ; ->exception: ; csrr x16, 0x341 ; addi x16, x16, 4 ; csrw 0x341, x16 ; csrr x17, 0x342 ; .u32 0x3020_0073
        ; ->software: ; csrr x18, 0x342 ; sw zero, [x6] ; .u32 0x3020_0073
        ; ->timer: ; csrr x19, 0x342 ; li.12 x20, -1 ; sd x20, [x5] ; .u32 0x3020_0073
        ; ->bad: ; li.12 x21, 1 ; .u32 0x3020_0073
        ; over:
        ; la x22, ->table
        ; addi x22, x22, 1
        ; csrrw x23, 0x305, x22
        ; csrr x24, 0x305
        ; csrw 0x304, x29
        ; sd zero, [x5]
        ; sw x13, [x6]
        ; csrrsi x0, 0x300, 8
        ; .u32 0x0000_0073
        ; addi x10, x10, 1
        ; csrrci x0, 0x300, 8
        ; csrw 0x305, x23
    );
    let mut body = ops.finalize().unwrap();
    body.extend(bytes_of(end));
    Case { registers, body }
}

#[test]
fn stores_onto_code_take_effect_at_once_and_with_fence_i() {
    use dynasmrt::{DynasmLabelApi, VecAssembler, dynasm, riscv::RiscvRelocation};
    let mut cases = Vec::new();
    for with_fence in [false, true] {
        let mut ops = VecAssembler::<RiscvRelocation>::new(0);
        dynasm!(ops ; .arch riscv64i ; .feature imzicsr_zifencei
            ; li.12 x10, 0
            ; la x5, ->patched
            ; lw x6, [x5]
            ; li.12 x7, 5
            // addi x10, x10, 1 becomes addi x10, x10, 2, 3, …; each version must run once.
            ; ->again:
            ; ->patched:
            ; addi x10, x10, 1
            ; lui x28, 0x100000
            ; add x6, x6, x28
            ; sw x6, [x5]
        );
        if with_fence {
            dynasm!(ops ; .arch riscv64i ; .feature imzicsr_zifencei ; fence.i);
        }
        dynasm!(ops ; .arch riscv64i ; .feature im
            ; addi x7, x7, -1
            ; bnez x7, ->again
            // Half of an instruction: the upper parcel of the next one, by a byte.
            ; la x5, ->half
            ; li.12 x7, 3
            ; ->twice:
            ; ->half:
            ; addi x11, x11, 16
            ; lbu x6, [x5, 3]
            ; addi x6, x6, 1
            ; sb x6, [x5, 3]
            ; addi x7, x7, -1
            ; bnez x7, ->twice
        );
        cases.push(Case { registers: [0; 32], body: ops.finalize().unwrap() });
    }
    compare(&cases);
}

#[test]
fn reservations_agree() {
    let lr = |width: u32| r_type(0x2f, 0x08, width, 10, 8, 0);
    let sc = |width: u32, rd: u8| r_type(0x2f, 0x0c, width, rd, 8, 13);
    let store = |offset: u8, rs2: u8| r_type(0x23, 0, 3, offset, 8, rs2);
    let load = i_type(0x03, 3, 14, 8, 0);
    let bodies: [&[u32]; 9] = [
        &[lr(3), sc(3, 11), sc(3, 12)],
        &[sc(3, 11)],
        &[lr(3), 0x0000_0073, sc(3, 11)],
        &[lr(3), store(8, 13), sc(3, 11)],
        // A store of another value in between, and one of the same.
        &[lr(3), store(0, 15), sc(3, 11)],
        &[lr(3), load, store(0, 14), sc(3, 11)],
        &[lr(2), lr(3), sc(3, 11)],
        // At another address.
        &[lr(3), i_type(0x13, 0, 8, 8, 8), sc(3, 11)],
        &[lr(2), csrrs(14, 0x340, 0), i_type(0x13, 0, 14, 0, 0), sc(2, 11)],
    ];
    let cases: Vec<Case> = bodies
        .iter()
        .map(|words| {
            let mut registers = [0; 32];
            registers[8] = DATA;
            registers[13] = 0x1234_5678_9abc_def0;
            registers[15] = 0x0fed_cba9_8765_4321;
            Case { registers, body: bytes_of(words) }
        })
        .collect();
    compare(&cases);
}

/// Runs the cases on our hart and on every QEMU that is there; the first difference is shown by case and line.
fn compare(cases: &[Case]) {
    let data = program::data(&mut Random(99));
    let image = harness::image(cases, &data);
    let ours = run_on_ours(&image);
    assert_eq!(ours.lines().count(), 3 * cases.len(), "lines of output");
    for release in RELEASES {
        let Some(qemu) = qemu::find(release) else { continue };
        let theirs = qemu::run(&qemu, &image, &["-m", "64M"]);
        let what = ["registers", "data", "traps"];
        for (index, (our_line, their_line)) in ours.lines().zip(theirs.lines()).enumerate() {
            if our_line == their_line {
                continue;
            }
            let differences: Vec<String> = our_line
                .split(' ')
                .zip(their_line.split(' '))
                .enumerate()
                .filter(|(_, (a, b))| a != b)
                .map(|(at, (a, b))| format!("word {at}: ours {a}, QEMU's {b}"))
                .take(8)
                .collect();
            panic!("case {} differs from QEMU {release} in its {}: {differences:#?}", index / 3, what[index % 3]);
        }
        assert_eq!(ours.lines().count(), theirs.lines().count(), "QEMU {release} printed another number of lines");
    }
}

fn run_on_ours(image: &[u8]) -> String {
    let mut board = Board::new(RAM_BASE, harness::RAM_BYTES, image);
    let mut hart = Hart::new(0, GuestAddress(RAM_BASE), GuestAddress(0));
    board.run_to_end(&mut hart, 2_000_000_000);
    board.text()
}
