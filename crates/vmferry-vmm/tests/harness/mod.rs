//! Turns instruction sequences into one bare image that runs them one after the other, prints what each did, and powers
//! off.
//!
//! For each case: registers are loaded from a table, the body runs, all registers are stored; then one block is
//! printed:
//!
//! ```text
//! registers   31 words, x1 to x31
//! data        a hash of the data window
//! traps       per trap four words: mcause mepc mtval mstatus (MPP, MPIE, MIE)
//! ```
//!
//! The trap handler notes a trap and goes on behind the instruction: by its length; after a failed fetch at `ra`; after
//! a timer or software interrupt, whose source it switches off, where it was.

use dynasmrt::{DynasmApi, DynasmLabelApi, VecAssembler, dynasm, riscv::RiscvRelocation};

use crate::board::RAM_BASE;
use crate::program::DATA_BYTES;

/// The data window of every body.
pub const DATA: u64 = RAM_BASE + 0x80_1000;
/// Save area of the harness: three registers of the handler, the log pointer, then the registers of a case.
const AREA: u64 = RAM_BASE + 0x80_0000;
const LOG: u64 = RAM_BASE + 0x81_0000;
/// RAM that an image needs.
pub const RAM_BYTES: usize = 0x0100_0000;

/// One body with its registers.
pub struct Case {
    pub registers: [u64; 32],
    pub body: Vec<u8>,
}

/// The image that runs `cases`, with `data` in the data window before each.
pub fn image(cases: &[Case], data: &[u8]) -> Vec<u8> {
    let mut ops = VecAssembler::<RiscvRelocation>::new(0);
    let area = i32::try_from(AREA - RAM_BASE).unwrap();
    let data_offset = i32::try_from(DATA - RAM_BASE).unwrap();
    let log = i32::try_from(LOG - RAM_BASE).unwrap();
    let data_bytes = i32::try_from(DATA_BYTES).unwrap();
    dynasm!(ops ; .arch riscv64i ; .feature imzicsr
        ; ->start:
        ; la t0, ->handler
        ; csrw 0x305, t0
        // The timer of a machine out of reset may be due already.
        ; li.32 t0, 0x2004000
        ; li.12 t1, -1
        ; sd t1, [t0]
        ; la s0, ->start
        ; li.32 t0, area
        ; add s0, s0, t0
        ; csrw 0x340, s0
        ; call ->reset
        ; j ->cases

        // Empties the log and fills the data window.
        ; ->reset:
        ; la t0, ->start
        ; li.32 t1, log
        ; add t1, t1, t0
        ; csrr t2, 0x340
        ; sd t1, [t2, 24]
        ; li.32 t1, data_offset
        ; add t1, t1, t0
        ; li.32 t2, data_bytes
        ; add t2, t2, t1
        ; la t0, ->data
        ; ->fill:
        ; ld t3, [t0]
        ; sd t3, [t1]
        ; addi t0, t0, 8
        ; addi t1, t1, 8
        ; bne t1, t2, ->fill
        ; ret

        ; ->handler:
        ; csrrw sp, 0x340, sp
        ; sd t0, [sp]
        ; sd t1, [sp, 8]
        ; sd t2, [sp, 16]
        ; ld t0, [sp, 24]
        ; csrr t1, 0x342
        ; sd t1, [t0]
        ; csrr t2, 0x341
        ; sd t2, [t0, 8]
        ; csrr t2, 0x343
        ; sd t2, [t0, 16]
        ; csrr t2, 0x300
        // MPP, MPIE and MIE. (QEMU shows UXL and SXL even of a CPU that has neither mode.)
        ; li.32 t1, 0x1888
        ; and t2, t2, t1
        ; sd t2, [t0, 24]
        ; csrr t1, 0x342
        ; addi t0, t0, 32
        ; sd t0, [sp, 24]
        ; bltz t1, ->interrupt
        ; li.12 t2, 1
        ; bne t1, t2, ->instruction
        ; csrw 0x341, ra
        ; j ->leave
        ; ->instruction:
        ; csrr t2, 0x341
        ; lhu t0, [t2]
        ; andi t0, t0, 3
        ; addi t0, t0, -3
        ; addi t2, t2, 2
        ; bnez t0, ->skip
        ; addi t2, t2, 2
        ; ->skip:
        ; csrw 0x341, t2
        ; j ->leave
        ; ->interrupt:
        ; andi t1, t1, 0xff
        ; li.12 t2, 3
        ; beq t1, t2, ->software
        ; li.32 t0, 0x2004000
        ; li.12 t1, -1
        ; sd t1, [t0]
        ; j ->leave
        ; ->software:
        ; li.32 t0, 0x2000000
        ; sw zero, [t0]
        ; ->leave:
        ; ld t0, [sp]
        ; ld t1, [sp, 8]
        ; ld t2, [sp, 16]
        ; csrrw sp, 0x340, sp
        ; .u32 0x3020_0073u32 as i32 as u32

        // Prints the registers of a case, the hash of the data window and the log.
        ; ->report:
        ; mv s11, ra
        ; csrr s0, 0x340
        ; addi s1, s0, 264
        ; addi s2, s0, 512
        ; call ->words
        ; la s1, ->start
        ; li.32 t0, data_offset
        ; add s1, s1, t0
        ; li.32 t0, data_bytes
        ; add s2, s1, t0
        ; li.12 a1, 0
        ; li.12 t1, 31
        ; ->hash:
        ; ld t0, [s1]
        ; mul a1, a1, t1
        ; add a1, a1, t0
        ; addi s1, s1, 8
        ; bne s1, s2, ->hash
        ; sd a1, [s0, 512]
        ; addi s1, s0, 512
        ; addi s2, s0, 520
        ; call ->words
        ; la s1, ->start
        ; li.32 t0, log
        ; add s1, s1, t0
        ; ld s2, [s0, 24]
        ; call ->words
        ; mv ra, s11
        ; ret

        // Prints the words from s1 to s2 in one line.
        ; ->words:
        ; li.32 t0, 0x1000_0000
        ; ->word:
        ; beq s1, s2, ->end_of_line
        ; ld a0, [s1]
        ; addi s1, s1, 8
        ; li.12 t1, 60
        ; ->digit:
        ; srl t2, a0, t1
        ; andi t2, t2, 15
        ; addi t2, t2, 48
        ; li.12 t3, 58
        ; blt t2, t3, ->put
        ; addi t2, t2, 39
        ; ->put:
        ; sb t2, [t0]
        ; addi t1, t1, -4
        ; bgez t1, ->digit
        ; li.12 t2, 32
        ; sb t2, [t0]
        ; j ->word
        ; ->end_of_line:
        ; li.12 t2, 10
        ; sb t2, [t0]
        ; ret

        ; ->cases:
    );
    let mut tables = Vec::new();
    for case in cases {
        let table = ops.new_dynamic_label();
        tables.push(table);
        dynasm!(ops ; .arch riscv64i ; .feature imzicsr ; la x31, =>table);
        for register in 1..32_u32 {
            // ld register, 8 * register(x31)
            let word = (8 * register) << 20 | 31 << 15 | 3 << 12 | register << 7 | 0x03;
            ops.push_u32(word);
        }
        ops.extend(case.body.iter());
        ops.align(4, 0x01);
        dynasm!(ops ; .arch riscv64i ; .feature imzicsr ; csrrw x31, 0x340, x31);
        for register in 1..31_u32 {
            ops.push_u32(store_register(register, 256 + 8 * register));
        }
        dynasm!(ops ; .arch riscv64i ; .feature imzicsr ; csrrw x30, 0x340, x31);
        ops.push_u32(store_register(30, 256 + 8 * 31));
        dynasm!(ops ; .arch riscv64i ; .feature imzicsr ; call ->report ; call ->reset);
    }
    dynasm!(ops ; .arch riscv64i ; .feature imzicsr
        ; li.32 t0, 0x10_0000
        ; li.32 t1, 0x5555
        ; sw t1, [t0]
        ; ->hang: ; j ->hang
    );
    ops.align(8, 0);
    for (case, table) in cases.iter().zip(tables) {
        dynasm!(ops ; .arch riscv64i ; =>table);
        for register in case.registers {
            ops.push_u64(register);
        }
    }
    dynasm!(ops ; .arch riscv64i ; ->data:);
    ops.extend(data.iter());
    let bytes = ops.finalize().unwrap();
    assert!(bytes.len() < usize::try_from(AREA - RAM_BASE).unwrap(), "the image runs into its own data");
    bytes
}

/// `sd register, offset(x31)`.
fn store_register(register: u32, offset: u32) -> u32 {
    (offset >> 5) << 25 | register << 20 | 31 << 15 | 3 << 12 | (offset & 31) << 7 | 0x23
}
