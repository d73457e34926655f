//! Source of the guest program: what `src/guest/ferry-guest.bin` is assembled from.
//!
//! What it does and the layout of its blocks is described in `src/guest/mod.rs`. Registers of the main loop:
//!
//! | register | holds | register | holds |
//! |---|---|---|---|
//! | s0 | status block | s7 | bytes from one checked word to the next |
//! | s1 | parameter block | s8 | pages left in this burst |
//! | s2, s3 | start and end of the memory walked | s9 | ticks per burst, 0 unpaced |
//! | s4 | pass | s10 | when the next burst is due |
//! | s5 | page | s11 | the hash's multiplier |
//! | s6 | seed | gp, tp | multiplier × pass, × previous pass |

#![allow(clippy::unnecessary_cast, reason = "the assembler's macro casts what it is given")]

use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, VecAssembler, dynasm, riscv::RiscvRelocation};
use vmferry_vmm::guest::{HASH_MULTIPLIER, PARAMETERS_OFFSET, parameter_offset as p, status_offset as s};

type Assembler = VecAssembler<RiscvRelocation>;

/// Offset of the status block and of the virtio page from the start of the image.
const STATUS: i32 = 0x4000;
const VIRTIO: i32 = 0x5000;
/// Where the trap handler saves registers, from the start of the status block; status fields are reached from there
/// with negative offsets.
const SAVE: i32 = 0x7c0;
/// Room for the digits of a number, and for registers while a bad page is reported.
const DIGITS: i32 = 0x700;
const SPILL: i32 = 0x600;

const UART: i32 = 0x1000_0000;
const FINISHER: i32 = 0x0010_0000;
const RTC: i32 = 0x0010_1000;
const MTIMECMP: i32 = 0x0200_4000;
const MTIME: i32 = 0x0200_bff8;
const RNG: i32 = 0x1000_8000;
/// A tick is a millisecond of the 10 MHz time base.
const TICK: i32 = 10_000;
/// A burst that is later than this is not caught up with.
const LATE: i32 = 1_000_000;
/// How long an entropy request is waited for: 100 ms.
const RNG_PATIENCE: i32 = 1_000_000;
/// Lines about bad pages that are printed.
const BAD_LINES: i32 = 16;

const MSTATUS: u32 = 0x300;
const MIE: u32 = 0x304;
const MTVEC: u32 = 0x305;
const MSCRATCH: u32 = 0x340;
const MEPC: u32 = 0x341;
const MCAUSE: u32 = 0x342;
const MHARTID: u32 = 0xf14;

const WFI: u32 = 0x1050_0073;
const MRET: u32 = 0x3020_0073;

/// The program without its parameters filled in.
pub fn assemble() -> Vec<u8> {
    let mut ops = Assembler::new(0);
    dynasm!(ops ; .arch riscv64i ; .feature imzicsr
        ; ->image:
        ; j ->start
    );
    while ops.offset().0 < PARAMETERS_OFFSET + p::BYTES {
        ops.push(0);
    }
    ops.align(16, 0);
    set_up(&mut ops);
    walk(&mut ops);
    pace(&mut ops);
    end_of_pass(&mut ops);
    bad_page(&mut ops);
    trap_handler(&mut ops);
    stamp(&mut ops);
    entropy(&mut ops);
    print(&mut ops);
    dynasm!(ops ; .arch riscv64i ; .align 8, 0 ; ->multiplier:);
    ops.push_u64(HASH_MULTIPLIER);
    let bytes = ops.finalize().unwrap();
    assert!(bytes.len() <= usize::try_from(STATUS).unwrap(), "the program runs into its status block");
    bytes
}

fn set_up(ops: &mut Assembler) {
    dynasm!(ops ; .arch riscv64i ; .feature imzicsr
        ; ->park:
        ; .u32 WFI
        ; j ->park

        ; ->start:
        // Other harts have nothing to do.
        ; csrw MIE, zero
        ; csrr t0, MHARTID
        ; bnez t0, ->park
        ; la s0, ->image
        ; addi s1, s0, PARAMETERS_OFFSET as i32
        ; li.32 t0, STATUS
        ; add s0, s0, t0
        ; addi t0, s0, SAVE
        ; csrw MSCRATCH, t0
        ; la t0, ->trap
        ; csrw MTVEC, t0

        // An empty status block.
        ; mv t0, s0
        ; li.32 t1, 4096
        ; add t1, t1, s0
        ; ->clear:
        ; sd zero, [t0]
        ; addi t0, t0, 8
        ; bne t0, t1, ->clear
        ; la t0, ->status_magic
        ; ld t0, [t0]
        ; sd t0, [s0, s::MAGIC]

        // Parameters, with 0 meaning the default.
        ; ld s2, [s1, p::MEMORY_START]
        ; bnez s2, ->have_start
        ; la s2, ->image
        ; lui t0, 0x20_0000
        ; add s2, s2, t0
        ; ->have_start:
        ; ld s3, [s1, p::MEMORY_END]
        ; bnez s3, ->have_end
        // Memory ends where a load faults; the handler steps over it and leaves a note.
        ; mv s3, s2
        ; ->probe:
        ; ld t0, [s3]
        ; ld t0, [s0, s::FAULT]
        ; bnez t0, ->have_end
        ; lui t0, 0x1_0000
        ; add s3, s3, t0
        ; j ->probe
        ; ->have_end:
        ; srli s3, s3, 12
        ; slli s3, s3, 12
        ; sd s2, [s0, s::MEMORY_START]
        ; sd s3, [s0, s::MEMORY_END]
        ; sub t0, s3, s2
        ; srli t0, t0, 12
        ; sd t0, [s0, s::PAGES]
        ; ld s6, [s1, p::SEED]
        ; ld s7, [s1, p::STRIDE]
        ; bnez s7, ->have_stride
        ; li.12 s7, 584
        ; ->have_stride:
        ; ld s8, [s1, p::BURST_PAGES]
        ; bnez s8, ->have_burst
        ; li.12 s8, 64
        ; sd s8, [s1, p::BURST_PAGES]
        ; ->have_burst:
        // Ticks per burst = pages · 4096 · 10 MHz / rate.
        ; li.12 s9, 0
        ; ld t0, [s1, p::DIRTY_RATE]
        ; beqz t0, ->unpaced
        ; li.32 t1, 10_000_000
        ; slli t2, s8, 12
        ; mul t1, t1, t2
        ; divu s9, t1, t0
        ; ->unpaced:
        ; la s11, ->multiplier
        ; ld s11, [s11]
        ; call ->entropy_set_up

        // The first tick, and timer interrupts from here on.
        ; li.32 t0, MTIME
        ; ld s10, [t0]
        ; li.32 t1, TICK
        ; add t1, t1, s10
        ; sd t1, [s0, s::NEXT_TICK]
        ; li.32 t0, MTIMECMP
        ; sd t1, [t0]
        ; li.12 t0, 0x80
        ; csrw MIE, t0
        ; csrsi MSTATUS, 8

        ; la a0, ->hello
        ; call ->put_string
        ; mv a0, s2
        ; call ->put_hex
        ; la a0, ->hello_end
        ; call ->put_string
        ; mv a0, s3
        ; call ->put_hex
        ; call ->put_line
        ; li.12 s4, 0
        ; bltu s2, s3, ->next_pass
        ; la a0, ->no_memory
        ; call ->put_string
        ; j ->fail
    );
}

/// One pass: every page is checked against the last pass and written for this one.
fn walk(ops: &mut Assembler) {
    dynasm!(ops ; .arch riscv64i ; .feature imzicsr
        ; ->next_pass:
        ; mv tp, gp
        ; addi s4, s4, 1
        ; mul gp, s4, s11
        ; mv s5, s2
        ; sd zero, [s0, s::LAST_BAD]

        ; ->page:
        // h = ((page + seed) ^ pass · C) · C; h ^= h >> 29. Word k of the page is h + k · C, word 0 the pass.
        ; add t0, s5, s6
        ; xor t1, t0, gp
        ; mul t1, t1, s11
        ; srli t2, t1, 29
        ; xor t1, t1, t2
        ; xor t3, t0, tp
        ; mul t3, t3, s11
        ; srli t2, t3, 29
        ; xor t3, t3, t2
        ; mv a2, s5
        ; li.32 t0, 4088
        ; add a3, s5, t0
        ; addi t5, s4, -1
        ; beqz t5, ->first
        ; ld t4, [a2]
        ; bne t4, t5, ->bad_counter
        ; ->counter:
        ; sd s4, [a2]
        ; ->word:
        ; add a2, a2, s7
        ; add t1, t1, s11
        ; add t3, t3, s11
        ; ld t4, [a2]
        ; bne t4, t3, ->bad_word
        ; ->write:
        ; sd t1, [a2]
        ; bne a2, a3, ->word
        ; ->page_done:
        ; lui t0, 0x1000
        ; add s5, s5, t0
        ; addi s8, s8, -1
        ; beqz s8, ->burst_done
        ; bltu s5, s3, ->page
        ; j ->pass_done

        // The first pass has nothing to check.
        ; ->first:
        ; sd s4, [a2]
        ; ->first_word:
        ; add a2, a2, s7
        ; add t1, t1, s11
        ; sd t1, [a2]
        ; bne a2, a3, ->first_word
        ; j ->page_done
    );
}

/// After each burst: a time stamp, and the wait for the next burst's turn.
fn pace(ops: &mut Assembler) {
    dynasm!(ops ; .arch riscv64i ; .feature imzicsr
        ; ->burst_done:
        ; ld s8, [s1, p::BURST_PAGES]
        ; sd s5, [s0, s::PAGE]
        ; csrci MSTATUS, 8
        ; addi t6, s0, SAVE
        ; call ->stamp
        // Set the timer again, though it should be set: the board of some QEMUs arrives with its timer stopped.
        ; ld t0, [s0, s::NEXT_TICK]
        ; li.32 a3, MTIMECMP
        ; sd t0, [a3]
        ; csrsi MSTATUS, 8
        ; beqz s9, ->on_time
        ; add s10, s10, s9
        ; li.32 a2, MTIME
        ; ld t1, [a2]
        ; bltu t1, s10, ->early
        ; sub t2, t1, s10
        ; li.32 t3, LATE
        ; bltu t2, t3, ->on_time
        ; mv s10, t1
        ; j ->on_time
        // Sleeps until the next tick or the burst's turn, whichever is first. Interrupts are off between the look at
        // the time and the wfi, which ends all the same; the handler then sets the timer to the next tick.
        ; ->early:
        ; ld t2, [s1, p::POLL]
        ; bnez t2, ->poll
        ; ->wait:
        ; csrci MSTATUS, 8
        ; ld t1, [a2]
        ; bgeu t1, s10, ->waited
        ; ld t2, [s0, s::NEXT_TICK]
        ; bltu t2, s10, ->nearer
        ; mv t2, s10
        ; ->nearer:
        ; sd t2, [a3]
        ; .u32 WFI
        ; csrsi MSTATUS, 8
        ; j ->wait
        ; ->poll:
        ; ld t1, [a2]
        ; bltu t1, s10, ->poll
        ; j ->on_time
        ; ->waited:
        ; csrsi MSTATUS, 8
        ; ->on_time:
        ; bgeu s5, s3, ->pass_done
        ; j ->page
    );
}

fn end_of_pass(ops: &mut Assembler) {
    dynasm!(ops ; .arch riscv64i ; .feature imzicsr
        ; ->pass_done:
        ; addi t0, s4, -1
        ; beqz t0, ->counted
        ; ld t1, [s0, s::PAGES]
        ; ld t2, [s0, s::CHECKED]
        ; add t2, t2, t1
        ; sd t2, [s0, s::CHECKED]
        ; ->counted:
        // The status block lies in memory that moves, too.
        ; ld t4, [s0, s::PASS]
        ; beq t4, t0, ->status_good
        ; mv a0, s0
        ; mv t5, t0
        ; call ->bad
        ; ->status_good:
        ; sd s4, [s0, s::PASS]
        ; call ->entropy_request
    );
    let fields: [(&str, i32, i32); 10] = [
        ("ferry pass=", s::PASS, 1),
        (" pages=", s::PAGES, 1),
        (" checked=", s::CHECKED, 1),
        (" bad=", s::BAD, 1),
        (" ticks=", s::TICKS, 1),
        (" rng=", s::ENTROPY_REQUESTS, 1),
        (" gap_us=", s::LINE_GAP_NS, 1000),
        (" max_gap_us=", s::MAX_GAP_NS, 1000),
        (" max_gap_at_us=", s::MAX_GAP_AT_NS, 1000),
        (" time_us=", s::LAST_STAMP_NS, 1000),
    ];
    let mut strings: Vec<(DynamicLabel, &str)> = Vec::new();
    for (name, offset, unit) in fields {
        let label = ops.new_dynamic_label();
        strings.push((label, name));
        dynasm!(ops ; .arch riscv64i ; .feature imzicsr
            ; la a0, =>label
            ; call ->put_string
            ; ld a0, [s0, offset]
        );
        if offset == s::LINE_GAP_NS {
            dynasm!(ops ; .arch riscv64i ; .feature imzicsr ; sd zero, [s0, offset]);
        }
        dynasm!(ops ; .arch riscv64i ; .feature imzicsr
            ; li.12 t0, unit
            ; divu a0, a0, t0
            ; call ->put_decimal
        );
    }
    dynasm!(ops ; .arch riscv64i ; .feature imzicsr
        ; call ->put_line
        ; ld t0, [s1, p::PASSES]
        ; beqz t0, >again
        ; bltu s4, t0, >again
        ; li.32 t1, 0x5555
        ; ->power_off:
        ; li.32 t0, FINISHER
        ; sw t1, [t0]
        ; j ->power_off
        ; again:
        ; j ->next_pass
        ; ->fail:
        ; li.32 t1, 0x1_3333
        ; j ->power_off
    );
    for (label, name) in strings {
        dynasm!(ops ; .arch riscv64i ; =>label ; .bytes name.as_bytes() ; .u8 0);
    }
    dynasm!(ops ; .arch riscv64i ; .align 4, 0);
}

/// A page that does not hold what the last pass left: counted once a pass, the first few are printed.
fn bad_page(ops: &mut Assembler) {
    dynasm!(ops ; .arch riscv64i ; .feature imzicsr
        ; ->bad_counter:
        ; mv a0, s5
        ; call ->bad
        ; j ->counter
        ; ->bad_word:
        ; mv a0, s5
        ; mv t5, t3
        ; call ->bad
        ; j ->write

        // a0 page, t5 expected, t4 found. Keeps t1, t3, a2 and a3.
        ; ->bad:
        ; ld t0, [s0, s::LAST_BAD]
        ; beq t0, a0, ->bad_known
        ; sd a0, [s0, s::LAST_BAD]
        ; sd ra, [s0, SPILL]
        ; sd t1, [s0, SPILL + 8]
        ; sd t3, [s0, SPILL + 16]
        ; sd a2, [s0, SPILL + 24]
        ; sd a3, [s0, SPILL + 32]
        ; sd t4, [s0, SPILL + 40]
        ; sd t5, [s0, SPILL + 48]
        ; ld t0, [s0, s::BAD]
        ; bnez t0, ->not_first
        ; sd a0, [s0, s::FIRST_BAD_PAGE]
        ; sd t5, [s0, s::FIRST_BAD_EXPECTED]
        ; sd t4, [s0, s::FIRST_BAD_FOUND]
        ; ->not_first:
        ; addi t1, t0, 1
        ; sd t1, [s0, s::BAD]
        ; li.12 t1, BAD_LINES
        ; bgeu t0, t1, ->quiet
        ; la a0, ->bad_text
        ; call ->put_string
        ; ld a0, [s0, s::LAST_BAD]
        ; call ->put_hex
        ; la a0, ->bad_pass
        ; call ->put_string
        ; mv a0, s4
        ; call ->put_decimal
        ; la a0, ->bad_expected
        ; call ->put_string
        ; ld a0, [s0, SPILL + 48]
        ; call ->put_hex
        ; la a0, ->bad_found
        ; call ->put_string
        ; ld a0, [s0, SPILL + 40]
        ; call ->put_hex
        ; call ->put_line
        ; ->quiet:
        ; ld ra, [s0, SPILL]
        ; ld t1, [s0, SPILL + 8]
        ; ld t3, [s0, SPILL + 16]
        ; ld a2, [s0, SPILL + 24]
        ; ld a3, [s0, SPILL + 32]
        ; ->bad_known:
        ; ret
        ; ->bad_text: ; .bytes b"ferry BAD page=\0"
        ; ->bad_pass: ; .bytes b" pass=\0"
        ; ->bad_expected: ; .bytes b" expected=\0"
        ; ->bad_found: ; .bytes b" found=\0"
        ; .align 4, 0
    );
}

/// Ticks, load faults of the probes, and the end for anything else.
fn trap_handler(ops: &mut Assembler) {
    let status = |offset: i32| offset - SAVE;
    dynasm!(ops ; .arch riscv64i ; .feature imzicsr
        ; ->trap:
        ; csrrw t6, MSCRATCH, t6
        ; sd t0, [t6]
        ; sd t1, [t6, 8]
        ; sd t2, [t6, 16]
        ; sd t3, [t6, 24]
        ; sd ra, [t6, 32]
        ; csrr t0, MCAUSE
        ; bgez t0, ->exception
        ; li.32 t0, MTIME
        ; ld t1, [t0]
        ; ld t2, [t6, status(s::NEXT_TICK)]
        ; bltu t1, t2, ->set_timer
        ; ld t3, [t6, status(s::TICKS)]
        ; addi t3, t3, 1
        ; sd t3, [t6, status(s::TICKS)]
        // A machine that stood still does not make up for the ticks of that time.
        ; li.32 t3, TICK
        ; add t2, t2, t3
        ; bltu t1, t2, ->in_step
        ; add t2, t1, t3
        ; ->in_step:
        ; sd t2, [t6, status(s::NEXT_TICK)]
        ; call ->stamp
        ; ->set_timer:
        ; ld t2, [t6, status(s::NEXT_TICK)]
        ; li.32 t0, MTIMECMP
        ; sd t2, [t0]
        ; ->leave:
        ; ld t0, [t6]
        ; ld t1, [t6, 8]
        ; ld t2, [t6, 16]
        ; ld t3, [t6, 24]
        ; ld ra, [t6, 32]
        ; csrrw t6, MSCRATCH, t6
        ; .u32 MRET
        ; ->exception:
        ; addi t0, t0, -5
        ; bnez t0, ->fatal
        ; li.12 t0, 1
        ; sd t0, [t6, status(s::FAULT)]
        // Every load here has four bytes.
        ; csrr t0, MEPC
        ; addi t0, t0, 4
        ; csrw MEPC, t0
        ; j ->leave
        ; ->fatal:
        ; la a0, ->trap_text
        ; call ->put_string
        ; csrr a0, MCAUSE
        ; call ->put_hex
        ; la a0, ->trap_pc
        ; call ->put_string
        ; csrr a0, MEPC
        ; call ->put_hex
        ; call ->put_line
        ; j ->fail
        ; ->trap_text: ; .bytes b"ferry TRAP cause=\0"
        ; ->trap_pc: ; .bytes b" pc=\0"
        ; .align 4, 0
    );
}

/// Notes the time; t6 is the save area; changes t0 to t3.
fn stamp(ops: &mut Assembler) {
    let status = |offset: i32| offset - SAVE;
    dynasm!(ops ; .arch riscv64i ; .feature imzicsr
        ; ->stamp:
        // The low half latches the high one.
        ; li.32 t0, RTC
        ; lwu t1, [t0]
        ; lwu t2, [t0, 4]
        ; slli t2, t2, 32
        ; or t1, t1, t2
        ; ld t2, [t6, status(s::LAST_STAMP_NS)]
        ; sd t1, [t6, status(s::LAST_STAMP_NS)]
        ; beqz t2, ->stamped
        // A clock that was set back has no gap to tell.
        ; bgeu t2, t1, ->stamped
        ; sub t2, t1, t2
        ; ld t3, [t6, status(s::LINE_GAP_NS)]
        ; bgeu t3, t2, ->stamped
        ; sd t2, [t6, status(s::LINE_GAP_NS)]
        ; ld t3, [t6, status(s::MAX_GAP_NS)]
        ; bgeu t3, t2, ->stamped
        ; sd t2, [t6, status(s::MAX_GAP_NS)]
        ; sd t1, [t6, status(s::MAX_GAP_AT_NS)]
        ; ->stamped:
        ; ret
    );
}

/// The virtio entropy device: one queue of eight, one request of 64 octets a pass.
fn entropy(ops: &mut Assembler) {
    // Offsets in the virtio page: descriptors at 0.
    const AVAILABLE: i32 = 0x100;
    const USED: i32 = 0x200;
    const BUFFER: i32 = 0x300;
    dynasm!(ops ; .arch riscv64i ; .feature imzicsr
        // Returns with ENTROPY_READY 0 unless a modern entropy device is there.
        ; ->entropy_set_up:
        ; li.32 a2, RNG
        ; li.12 t0, 0
        ; lwu t0, [a2]
        ; li.32 t1, 0x7472_6976
        ; bne t0, t1, ->entropy_absent
        ; lwu t0, [a2, 4]
        ; li.12 t1, 2
        ; bne t0, t1, ->entropy_absent
        ; lwu t0, [a2, 8]
        ; li.12 t1, 4
        ; bne t0, t1, ->entropy_absent
        // Reset, acknowledge, driver; of the features VERSION_1 alone.
        ; sw zero, [a2, 0x70]
        ; li.12 t0, 1
        ; sw t0, [a2, 0x70]
        ; li.12 t0, 3
        ; sw t0, [a2, 0x70]
        ; sw zero, [a2, 0x24]
        ; sw zero, [a2, 0x20]
        ; li.12 t0, 1
        ; sw t0, [a2, 0x24]
        ; sw t0, [a2, 0x20]
        ; li.12 t0, 11
        ; sw t0, [a2, 0x70]
        ; lwu t0, [a2, 0x70]
        ; andi t0, t0, 8
        ; beqz t0, ->entropy_absent
        ; sw zero, [a2, 0x30]
        ; lwu t0, [a2, 0x34]
        ; li.12 t1, 8
        ; bltu t0, t1, ->entropy_absent
        ; sw t1, [a2, 0x38]
        ; la a3, ->image
        ; li.32 t0, VIRTIO
        ; add a3, a3, t0
        ; sd a3, [s0, s::VIRTIO_PAGE]
        ; srli t1, a3, 32
        ; sw a3, [a2, 0x80]
        ; sw t1, [a2, 0x84]
        ; addi t0, a3, AVAILABLE
        ; sw t0, [a2, 0x90]
        ; sw t1, [a2, 0x94]
        ; addi t0, a3, USED
        ; sw t0, [a2, 0xa0]
        ; sw t1, [a2, 0xa4]
        // An empty page holds empty rings; descriptor 0 is the buffer, writable by the device.
        ; mv t0, a3
        ; lui t1, 0x1000
        ; add t1, t1, a3
        ; ->entropy_clear:
        ; sd zero, [t0]
        ; addi t0, t0, 8
        ; bne t0, t1, ->entropy_clear
        ; addi t0, a3, BUFFER
        ; sd t0, [a3]
        ; li.12 t0, 64
        ; sw t0, [a3, 8]
        ; li.12 t0, 2
        ; sh t0, [a3, 12]
        ; li.12 t0, 1
        ; sw t0, [a2, 0x44]
        ; li.12 t0, 15
        ; sw t0, [a2, 0x70]
        ; li.12 t0, 1
        ; sd t0, [s0, s::ENTROPY_READY]
        ; ->entropy_absent:
        ; ret

        ; ->entropy_request:
        ; ld t0, [s0, s::ENTROPY_READY]
        ; beqz t0, ->entropy_absent
        ; sd ra, [s0, SPILL + 56]
        ; ld a3, [s0, s::VIRTIO_PAGE]
        ; li.32 a2, RNG
        ; lhu t0, [a3, AVAILABLE + 2]
        ; lhu t1, [a3, USED + 2]
        ; bne t0, t1, ->entropy_wait
        // What the device has written last must still be there; it came without a store of this hart.
        ; call ->entropy_sum
        ; ld t5, [s0, s::ENTROPY_SUM]
        ; beq t4, t5, ->entropy_kept
        ; mv a0, a3
        ; call ->bad
        ; ->entropy_kept:
        ; lhu t0, [a3, AVAILABLE + 2]
        ; andi t1, t0, 7
        ; slli t1, t1, 1
        ; add t1, t1, a3
        ; sh zero, [t1, AVAILABLE + 4]
        ; fence
        ; addi t0, t0, 1
        ; sh t0, [a3, AVAILABLE + 2]
        ; fence
        ; sw zero, [a2, 0x50]
        ; ->entropy_wait:
        ; li.32 a4, MTIME
        ; ld t2, [a4]
        ; li.32 t3, RNG_PATIENCE
        ; add t2, t2, t3
        ; ->entropy_poll:
        ; lhu t0, [a3, AVAILABLE + 2]
        ; lhu t1, [a3, USED + 2]
        ; beq t0, t1, ->entropy_done
        ; ld t3, [a4]
        ; bltu t3, t2, ->entropy_poll
        // Late: looked for again after the next pass.
        ; j ->entropy_return
        ; ->entropy_done:
        ; lwu t0, [a2, 0x60]
        ; sw t0, [a2, 0x64]
        ; call ->entropy_sum
        ; sd t4, [s0, s::ENTROPY_SUM]
        ; ld t0, [s0, s::ENTROPY_REQUESTS]
        ; addi t0, t0, 1
        ; sd t0, [s0, s::ENTROPY_REQUESTS]
        ; ->entropy_return:
        ; ld ra, [s0, SPILL + 56]
        ; ret

        // t4 = a sum over the buffer that the order of its words enters.
        ; ->entropy_sum:
        ; li.12 t4, 0
        ; addi t0, a3, BUFFER
        ; addi t1, t0, 64
        ; ->entropy_word:
        ; ld t2, [t0]
        ; mul t4, t4, s11
        ; add t4, t4, t2
        ; addi t0, t0, 8
        ; bne t0, t1, ->entropy_word
        ; ret
    );
}

/// Output on the UART. These change a0, a1 and t4 to t6 only, and t0.
fn print(ops: &mut Assembler) {
    dynasm!(ops ; .arch riscv64i ; .feature imzicsr
        // a0: the character. Waits for an empty transmit register.
        ; ->put:
        ; li.32 t4, UART
        ; ->busy:
        ; lbu t5, [t4, 5]
        ; andi t5, t5, 0x20
        ; beqz t5, ->busy
        ; sb a0, [t4]
        ; ret

        // a0: a string that ends with 0.
        ; ->put_string:
        ; mv t6, ra
        ; mv a1, a0
        ; ->put_next:
        ; lbu a0, [a1]
        ; beqz a0, ->put_end
        ; addi a1, a1, 1
        ; call ->put
        ; j ->put_next
        ; ->put_end:
        ; jr t6

        ; ->put_line:
        ; li.12 a0, 10
        ; j ->put

        // a0: a number; the digits are made from the last one on.
        ; ->put_decimal:
        ; addi a1, s0, DIGITS + 24
        ; sb zero, [a1]
        ; ->decimal:
        ; li.12 t4, 10
        ; remu t5, a0, t4
        ; divu a0, a0, t4
        ; addi t5, t5, 48
        ; addi a1, a1, -1
        ; sb t5, [a1]
        ; bnez a0, ->decimal
        ; mv a0, a1
        ; j ->put_string

        ; ->put_hex:
        ; addi a1, s0, DIGITS + 24
        ; sb zero, [a1]
        ; ->hex:
        ; andi t5, a0, 15
        ; srli a0, a0, 4
        ; addi t5, t5, 48
        ; li.12 t4, 58
        ; bltu t5, t4, ->hex_digit
        ; addi t5, t5, 39
        ; ->hex_digit:
        ; addi a1, a1, -1
        ; sb t5, [a1]
        ; bnez a0, ->hex
        ; li.12 t5, 120
        ; sb t5, [a1, -1]
        ; li.12 t5, 48
        ; sb t5, [a1, -2]
        ; addi a0, a1, -2
        ; j ->put_string

        ; ->hello: ; .bytes b"ferry start=\0"
        ; ->hello_end: ; .bytes b" end=\0"
        ; ->no_memory: ; .bytes b"ferry has no memory to walk\n\0"
        ; .align 8, 0
        ; ->status_magic: ; .bytes b"FERRYSTA"
    );
}
