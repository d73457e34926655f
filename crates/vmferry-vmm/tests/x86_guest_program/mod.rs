//! Source of the x86-64 guest program: what `src/x86/guest/ferry-guest-x86.bin` is assembled from.
//!
//! What it does and the layout of its blocks is described in `src/x86/guest/mod.rs`. Set-up, the tick and the wait are
//! code of the supervisor (CPL 0), short, since some hosts emulate it; all else runs in user mode. Registers there:
//!
//! | register | holds | register | holds |
//! |---|---|---|---|
//! | r15 | this vCPU's status block | r12, r13 | page, end of this vCPU's pages |
//! | r14 | parameter block | r9, r10 | multiplier × pass, × previous pass |
//! | rbx | pass | r11 | seed |
//! | rbp | the hash's multiplier | rdx | bytes from one checked word to the next |

#![allow(clippy::unnecessary_cast, reason = "the assembler's macro casts what it is given")]

use dynasmrt::x64::X64Relocation;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, VecAssembler, dynasm};
use vmferry_vmm::guest::{HASH_MULTIPLIER, PARAMETERS_OFFSET, parameter_offset as p, status_offset as s};
use vmferry_vmm::x86::guest::layout;

type Assembler = VecAssembler<X64Relocation>;

const UART: i64 = layout::UART.0 as i64;
const RTC: i64 = layout::RTC.0 as i64;
const FINISHER: i64 = layout::FINISHER.0 as i64;
const APIC: i64 = layout::LOCAL_APIC.0 as i64;
const STATUS: i32 = layout::STATUS as i32;
const STATUS_BYTES: i32 = layout::STATUS_BYTES as i32;
const STACK_BYTES: i32 = layout::STACK_BYTES as i32;
const STACKS: i32 = layout::STACKS as i32;
const IDT: i32 = layout::IDT as i32;

/// The guest's own fields of a status block, behind those that a host reads.
mod own {
    pub const SEEN_TICKS: i32 = 136;
    pub const LAST_BAD: i32 = 144;
    /// Bytes that may be dirtied before the next wait; signed.
    pub const QUOTA: i32 = 152;
    pub const INDEX: i32 = 160;
    pub const COUNT: i32 = 168;
    /// Bytes that a tick allows; 0 unpaced.
    pub const PER_TICK: i32 = 176;
    pub const BURST_LEFT: i32 = 184;
    pub const BURST: i32 = 192;
    /// Whether the first bad page was printed.
    pub const TOLD: i32 = 200;
    /// Characters until the transmitter is looked at.
    pub const ROOM: i32 = 208;
    pub const FIRST_PAGE: i32 = 216;
    /// The first vCPU's: the last pass whose sums it has taken.
    pub const SUMMED: i32 = 224;
    pub const DIGITS: i32 = 232;
    pub const DIGITS_END: i32 = 255;
}

/// Vector of the tick.
const TICK: i32 = 0x40;
/// Vector of the wait for a tick: that of INT3, since some hosts reflect no other INT into their guest, and SYSCALL
/// without its change of level.
const WAIT: i32 = 3;
/// The local APIC's timer counts nanoseconds under KVM; a tick is a millisecond.
const TICK_COUNT: i32 = 1_000_000;
/// Ticks whose pages a guest that stood still makes up for.
const LATE_TICKS: i32 = 100;
/// Characters that the transmitter's FIFO takes at once.
const FIFO: i32 = 16;
/// Exceptions that push an error code.
const WITH_CODE: [i32; 9] = [8, 10, 11, 12, 13, 14, 17, 21, 29];

/// The program without its parameters filled in.
pub fn assemble() -> Vec<u8> {
    let mut ops = Assembler::new(0);
    dynasm!(ops ; .arch x64
        ; ->image:
        ; jmp ->start
    );
    while ops.offset().0 < PARAMETERS_OFFSET + p::BYTES {
        ops.push(0);
    }
    ops.align(16, 0);
    set_up(&mut ops);
    handlers(&mut ops);
    user(&mut ops);
    walk(&mut ops);
    pace(&mut ops);
    end_of_pass(&mut ops);
    bad_page(&mut ops);
    stamp(&mut ops);
    print(&mut ops);
    dynasm!(ops ; .arch x64
        ; .align 8, 0
        ; ->multiplier: ; .u64 HASH_MULTIPLIER
        ; ->status_magic: ; .bytes b"FERRYSTA"
    );
    let bytes = ops.finalize().unwrap();
    assert!(bytes.len() <= layout::STATUS as usize, "the program runs into its status blocks");
    bytes
}

/// Supervisor: rdi is the vCPU's number, rsi how many there are, rdx the end of RAM.
fn set_up(ops: &mut Assembler) {
    dynasm!(ops ; .arch x64
        ; ->start:
        ; lea r14, [->image + PARAMETERS_OFFSET as isize]
        // The status block, empty.
        ; mov eax, edi
        ; shl eax, 8
        ; lea r15, [->image + STATUS as isize]
        ; add r15, rax
        ; mov ecx, STATUS_BYTES / 8
        ; xor eax, eax
        ; ->clear:
        ; mov [r15 + rcx * 8 - 8], rax
        ; dec ecx
        ; jnz ->clear
        ; mov [r15 + own::INDEX], rdi
        ; mov [r15 + own::COUNT], rsi
        ; mov [r15 + s::MEMORY_END], rdx

        // The interrupt gates: every vCPU writes the same.
        ; lea r8, [->image + IDT as isize]
        ; lea rax, [->exceptions]
        ; xor ecx, ecx
        ; ->gate:
        ; mov r9d, 0x8e00
        ; call ->write_gate
        ; add rax, 16
        ; inc ecx
        ; cmp ecx, 32
        ; jne ->gate
        ; lea rax, [->tick]
        ; mov ecx, TICK
        ; call ->write_gate
        ; lea rax, [->wait]
        ; mov ecx, WAIT
        // User code may ask for it.
        ; mov r9d, 0xee00
        ; call ->write_gate

        // The local APIC: on; its timer ticks.
        ; mov rax, QWORD APIC
        ; mov DWORD [rax + 0xf0], 0x1ff
        ; mov DWORD [rax + 0x320], 0x2_0000 | TICK
        ; mov DWORD [rax + 0x3e0], 0xb
        ; mov DWORD [rax + 0x380], TICK_COUNT

        // To user mode, on a stack of its own, with interrupts on.
        ; mov eax, [r15 + own::INDEX]
        ; inc eax
        ; imul eax, eax, STACK_BYTES
        ; lea rcx, [->image + STACKS as isize]
        ; add rcx, rax
        ; push BYTE 0x2b
        ; push rcx
        ; push DWORD 0x202
        ; push BYTE 0x33
        ; lea rax, [->user]
        ; push rax
        ; iretq

        // Gate ecx of the table at r8: handler rax, attributes r9d.
        ; ->write_gate:
        ; mov r10d, ecx
        ; shl r10d, 4
        ; add r10, r8
        ; mov r11d, eax
        ; and r11d, 0xffff
        ; or r11d, 0x10_0000
        ; mov [r10], r11d
        ; mov r11d, eax
        ; and r11d, 0xffff_0000u32 as i32
        ; or r11d, r9d
        ; mov [r10 + 4], r11d
        ; mov r11, rax
        ; shr r11, 32
        ; mov [r10 + 8], r11
        ; ret
    );
}

/// Supervisor: the tick, the wait for one, and the end for any exception.
fn handlers(ops: &mut Assembler) {
    dynasm!(ops ; .arch x64
        // r15 is the status block whatever was interrupted, the set-up aside, which runs with interrupts off.
        ; ->tick:
        ; push rax
        ; inc QWORD [r15 + s::TICKS]
        ; mov rax, QWORD APIC
        ; mov DWORD [rax + 0xb0], 0
        ; pop rax
        ; iretq

        // A tick between the look at the count and this is missed; the next one ends the wait then.
        ; ->wait:
        ; sti
        ; hlt
        ; iretq

        ; .align 16
        ; ->exceptions:
    );
    for vector in 0..32 {
        if !WITH_CODE.contains(&vector) {
            dynasm!(ops ; .arch x64 ; push BYTE 0);
        }
        dynasm!(ops ; .arch x64
            ; push BYTE vector as i8
            ; jmp ->fatal
            ; .align 16
        );
    }
    dynasm!(ops ; .arch x64
        // The stack has the vector, the error code, rip, cs, flags, rsp, ss.
        ; ->fatal:
        ; lea rdi, [->trap_text]
        ; call ->put_string
        ; mov rax, [rsp]
        ; call ->put_hex
        ; lea rdi, [->trap_pc]
        ; call ->put_string
        ; mov rax, [rsp + 16]
        ; call ->put_hex
        ; call ->put_line
        ; jmp ->fail
        ; ->trap_text: ; .bytes b"ferry TRAP cause=\0"
        ; ->trap_pc: ; .bytes b" pc=\0"
    );
}

/// User mode from here on: which pages are this vCPU's, how fast it is to go, and what the others wait for.
fn user(ops: &mut Assembler) {
    dynasm!(ops ; .arch x64
        ; ->user:
        ; mov rbp, [->multiplier]
        ; mov r11, [r14 + p::SEED]
        ; mov rax, [r14 + p::MEMORY_START]
        ; test rax, rax
        ; jnz ->have_start
        ; lea rax, [->image + layout::WALKED as isize]
        ; ->have_start:
        ; mov rcx, [r14 + p::MEMORY_END]
        ; test rcx, rcx
        ; jnz ->have_end
        ; mov rcx, [r15 + s::MEMORY_END]
        ; ->have_end:
        ; and rcx, -4096
        ; mov [r15 + s::MEMORY_START], rax
        ; mov [r15 + s::MEMORY_END], rcx
        ; mov r12, rax
        ; xor edx, edx
        ; mov rax, rcx
        ; sub rax, r12
        ; jbe ->no_memory
        ; shr rax, 12
        ; mov [r15 + s::PAGES], rax
        // Each vCPU has the same number of pages; the last one has what is left over as well.
        ; mov r13, rcx
        ; div QWORD [r15 + own::COUNT]
        ; shl rax, 12
        ; mov rcx, [r15 + own::INDEX]
        ; mov rdx, rax
        ; imul rdx, rcx
        ; add r12, rdx
        ; mov [r15 + own::FIRST_PAGE], r12
        ; inc rcx
        ; cmp rcx, [r15 + own::COUNT]
        ; je ->is_last
        ; mov r13, r12
        ; add r13, rax
        ; ->is_last:
        // Bytes a tick = rate / 1000 / vCPUs.
        ; mov rax, [r14 + p::DIRTY_RATE]
        ; xor edx, edx
        ; imul rcx, QWORD [r15 + own::COUNT], 1000
        ; div rcx
        ; cmp QWORD [r14 + p::DIRTY_RATE], 0
        ; je ->have_rate
        // Slow is not unpaced.
        ; cmp rax, 1
        ; adc rax, 0
        ; ->have_rate:
        ; mov [r15 + own::PER_TICK], rax
        ; mov rax, [r14 + p::BURST_PAGES]
        ; test rax, rax
        ; jnz ->have_burst
        ; mov eax, 64
        ; ->have_burst:
        ; mov [r15 + own::BURST], rax
        ; mov [r15 + own::BURST_LEFT], rax
        ; mov rax, [->status_magic]
        ; mov [r15 + s::MAGIC], rax
        ; cmp QWORD [r15 + own::INDEX], 0
        ; jne ->walks
        // Only the first vCPU prints. FIFO on, 8 data bits.
        ; mov rax, QWORD UART
        ; mov BYTE [rax + 2], 1
        ; mov BYTE [rax + 3], 3
        ; lea rdi, [->hello]
        ; call ->put_string
        ; mov rax, [r15 + s::MEMORY_START]
        ; call ->put_hex
        ; lea rdi, [->hello_end]
        ; call ->put_string
        ; mov rax, [r15 + s::MEMORY_END]
        ; call ->put_hex
        ; call ->put_line
        ; ->walks:
        ; mov rdx, [r14 + p::STRIDE]
        ; test rdx, rdx
        ; jnz ->have_stride
        ; mov edx, 584
        ; ->have_stride:
        ; xor ebx, ebx
        ; xor r9d, r9d
        ; jmp ->next_pass
        ; ->no_memory:
        ; lea rdi, [->no_memory_text]
        ; call ->put_string
        ; jmp ->fail
        ; ->hello: ; .bytes b"ferry start=\0"
        ; ->hello_end: ; .bytes b" end=\0"
        ; ->no_memory_text: ; .bytes b"ferry has no memory to walk\n\0"
    );
}

/// One pass: every page is checked against the last pass and written for this one.
fn walk(ops: &mut Assembler) {
    dynasm!(ops ; .arch x64
        ; .align 16
        ; ->next_pass:
        ; mov r10, r9
        ; inc rbx
        ; mov r9, rbx
        ; imul r9, rbp
        ; mov r12, [r15 + own::FIRST_PAGE]
        ; mov QWORD [r15 + own::LAST_BAD], 0
        ; cmp r12, r13
        ; jae ->pass_done

        ; ->page:
        // h = ((page + seed) ^ pass · C) · C; h ^= h >> 29. Word k of the page is h + k · C, word 0 the pass.
        ; lea r8, [r12 + r11]
        ; mov rax, r8
        ; xor rax, r9
        ; imul rax, rbp
        ; mov rcx, rax
        ; shr rcx, 29
        ; xor rax, rcx
        ; xor r8, r10
        ; imul r8, rbp
        ; mov rcx, r8
        ; shr rcx, 29
        ; xor r8, rcx
        ; mov rdi, r12
        ; lea rsi, [r12 + 4088]
        ; lea rcx, [rbx - 1]
        ; test rcx, rcx
        ; jz ->first
        ; cmp [rdi], rcx
        ; jne ->bad_counter
        ; ->counter:
        ; mov [rdi], rbx
        ; ->word:
        ; add rdi, rdx
        ; add rax, rbp
        ; add r8, rbp
        ; cmp [rdi], r8
        ; jne ->bad_word
        ; ->write:
        ; mov [rdi], rax
        ; cmp rdi, rsi
        ; jne ->word
        ; ->page_done:
        ; add r12, 4096
        ; dec QWORD [r15 + own::BURST_LEFT]
        ; jz ->burst_done
        ; ->walk_on:
        ; cmp r12, r13
        ; jb ->page
        ; jmp ->pass_done

        // The first pass has nothing to check.
        ; ->first:
        ; mov [rdi], rbx
        ; ->first_word:
        ; add rdi, rdx
        ; add rax, rbp
        ; mov [rdi], rax
        ; cmp rdi, rsi
        ; jne ->first_word
        ; jmp ->page_done
    );
}

/// After each burst: a time stamp if a tick came, and the wait for what the rate allows.
fn pace(ops: &mut Assembler) {
    dynasm!(ops ; .arch x64
        ; ->burst_done:
        ; mov rax, [r15 + own::BURST]
        ; mov [r15 + own::BURST_LEFT], rax
        ; mov [r15 + s::PAGE], r12
        ; call ->notice_ticks
        ; cmp QWORD [r15 + own::PER_TICK], 0
        ; je ->walk_on
        ; mov rax, [r15 + own::BURST]
        ; shl rax, 12
        ; sub [r15 + own::QUOTA], rax
        ; ->await_quota:
        ; cmp QWORD [r15 + own::QUOTA], 0
        ; jg ->walk_on
        ; call ->await_tick
        ; jmp ->await_quota

        ; ->await_tick:
        ; int3
        // Adds to the quota what the ticks since the last time allow, and notes the time. Changes rax, rcx, rsi.
        ; ->notice_ticks:
        ; mov rcx, [r15 + s::TICKS]
        ; mov rax, rcx
        ; sub rax, [r15 + own::SEEN_TICKS]
        ; jz ->noticed
        ; mov [r15 + own::SEEN_TICKS], rcx
        ; mov rsi, [r15 + own::PER_TICK]
        ; imul rax, rsi
        ; imul rsi, rsi, LATE_TICKS
        ; add rax, [r15 + own::QUOTA]
        ; cmp rax, rsi
        ; cmovg rax, rsi
        ; mov [r15 + own::QUOTA], rax
        ; cmp QWORD [r15 + own::INDEX], 0
        ; je ->stamp
        ; ->noticed:
        ; ret
    );
}

fn end_of_pass(ops: &mut Assembler) {
    dynasm!(ops ; .arch x64
        ; ->pass_done:
        ; mov [r15 + s::PAGE], r12
        ; lea rcx, [rbx - 1]
        ; test rcx, rcx
        ; jz ->counted
        ; mov rax, r13
        ; sub rax, [r15 + own::FIRST_PAGE]
        ; shr rax, 12
        ; add [r15 + s::CHECKED], rax
        ; ->counted:
        // The status block lies in memory that moves, too.
        ; cmp [r15 + s::PASS], rcx
        ; je ->status_good
        ; mov rdi, r15
        ; mov rsi, [r15 + s::PASS]
        ; call ->bad
        ; ->status_good:
        ; mov [r15 + s::PASS], rbx

        // No vCPU begins a pass before all have done the last one.
        ; ->others:
        ; lea rdi, [->image + STATUS as isize]
        ; mov rcx, [r15 + own::COUNT]
        ; ->other:
        ; cmp [rdi + s::PASS], rbx
        ; jb ->not_yet
        ; add rdi, STATUS_BYTES
        ; dec rcx
        ; jnz ->other
        ; cmp QWORD [r15 + own::INDEX], 0
        ; je ->report
        // After the last pass the first vCPU alone goes on, and powers off.
        ; mov rax, [r14 + p::PASSES]
        ; dec rax
        ; cmp rax, rbx
        ; jae ->await_sums
        ; ->rest:
        ; call ->await_tick
        ; jmp ->rest
        // Nor before the first has its sums.
        ; ->await_sums:
        ; lea rdi, [->image + STATUS as isize]
        ; cmp [rdi + own::SUMMED], rbx
        ; jae ->next_pass
        ; call ->await_tick
        ; jmp ->await_sums
        ; ->not_yet:
        ; call ->await_tick
        ; jmp ->others

        // Sums over all vCPUs, kept on the stack: bad pages and checked pages.
        ; ->report:
        ; push rdx
        ; push r11
        ; push r9
        ; push r10
        ; lea rdi, [->image + STATUS as isize]
        ; mov rcx, [r15 + own::COUNT]
        ; xor eax, eax
        ; xor esi, esi
        ; ->sum:
        ; add rax, [rdi + s::CHECKED]
        ; add rsi, [rdi + s::BAD]
        ; add rdi, STATUS_BYTES
        ; dec rcx
        ; jnz ->sum
        ; mov [r15 + own::SUMMED], rbx
        ; push rsi
        ; push rax
        ; call ->tell_bad
    );
    let fields: [(&str, Option<i32>, i32); 10] = [
        ("ferry pass=", Some(s::PASS), 1),
        (" pages=", Some(s::PAGES), 1),
        (" checked=", None, 1),
        (" bad=", None, 1),
        (" ticks=", Some(s::TICKS), 1),
        (" rng=", Some(s::ENTROPY_REQUESTS), 1),
        (" gap_us=", Some(s::LINE_GAP_NS), 1000),
        (" max_gap_us=", Some(s::MAX_GAP_NS), 1000),
        (" max_gap_at_us=", Some(s::MAX_GAP_AT_NS), 1000),
        (" time_us=", Some(s::LAST_STAMP_NS), 1000),
    ];
    let mut strings: Vec<(DynamicLabel, &str)> = Vec::new();
    for (name, field, unit) in fields {
        let label = ops.new_dynamic_label();
        strings.push((label, name));
        dynasm!(ops ; .arch x64
            ; lea rdi, [=>label]
            ; call ->put_string
        );
        match field {
            Some(offset) => dynasm!(ops ; .arch x64 ; mov rax, [r15 + offset]),
            None => dynasm!(ops ; .arch x64 ; pop rax),
        }
        if field == Some(s::LINE_GAP_NS) {
            dynasm!(ops ; .arch x64 ; mov QWORD [r15 + s::LINE_GAP_NS], 0);
        }
        dynasm!(ops ; .arch x64
            ; mov ecx, unit
            ; xor edx, edx
            ; div rcx
            ; call ->put_decimal
        );
    }
    dynasm!(ops ; .arch x64
        ; call ->put_line
        ; pop r10
        ; pop r9
        ; pop r11
        ; pop rdx
        ; mov rax, [r14 + p::PASSES]
        ; test rax, rax
        ; jz ->next_pass
        ; cmp rbx, rax
        ; jb ->next_pass
        ; mov ecx, 0x5555
        ; ->power_off:
        ; mov rax, QWORD FINISHER
        ; mov [rax], ecx
        ; jmp ->power_off
        ; ->fail:
        ; mov ecx, 0x1_3333
        ; jmp ->power_off
    );
    for (label, name) in strings {
        dynasm!(ops ; .arch x64 ; =>label ; .bytes name.as_bytes() ; .u8 0);
    }
}

/// A page that does not hold what the last pass left is counted once a pass; the first one of each vCPU is printed, by
/// the first vCPU at the end of the pass.
fn bad_page(ops: &mut Assembler) {
    dynasm!(ops ; .arch x64
        ; ->bad_counter:
        ; push rdi
        ; push rsi
        ; mov rsi, [rdi]
        ; call ->bad
        ; pop rsi
        ; pop rdi
        ; jmp ->counter
        ; ->bad_word:
        ; push rdi
        ; push rsi
        ; mov rsi, [rdi]
        ; mov rcx, r8
        ; mov rdi, r12
        ; call ->bad
        ; pop rsi
        ; pop rdi
        ; jmp ->write

        // rdi page, rcx expected, rsi found. Changes nothing.
        ; ->bad:
        ; cmp [r15 + own::LAST_BAD], rdi
        ; je ->bad_known
        ; mov [r15 + own::LAST_BAD], rdi
        ; cmp QWORD [r15 + s::BAD], 0
        ; jne ->not_first
        ; mov [r15 + s::FIRST_BAD_PAGE], rdi
        ; mov [r15 + s::FIRST_BAD_EXPECTED], rcx
        ; mov [r15 + s::FIRST_BAD_FOUND], rsi
        ; ->not_first:
        ; inc QWORD [r15 + s::BAD]
        ; ->bad_known:
        ; ret

        ; ->tell_bad:
        ; lea r8, [->image + STATUS as isize]
        ; mov r9, [r15 + own::COUNT]
        ; ->tell_next:
        ; cmp QWORD [r8 + s::BAD], 0
        ; je ->told
        ; cmp QWORD [r8 + own::TOLD], 0
        ; jne ->told
        ; mov QWORD [r8 + own::TOLD], 1
        ; lea rdi, [->bad_text]
        ; call ->put_string
        ; mov rax, [r8 + s::FIRST_BAD_PAGE]
        ; call ->put_hex
        ; lea rdi, [->bad_pass]
        ; call ->put_string
        ; mov rax, rbx
        ; call ->put_decimal
        ; lea rdi, [->bad_expected]
        ; call ->put_string
        ; mov rax, [r8 + s::FIRST_BAD_EXPECTED]
        ; call ->put_hex
        ; lea rdi, [->bad_found]
        ; call ->put_string
        ; mov rax, [r8 + s::FIRST_BAD_FOUND]
        ; call ->put_hex
        ; call ->put_line
        ; ->told:
        ; add r8, STATUS_BYTES
        ; dec r9
        ; jnz ->tell_next
        ; ret
        ; ->bad_text: ; .bytes b"ferry BAD page=\0"
        ; ->bad_pass: ; .bytes b" pass=\0"
        ; ->bad_expected: ; .bytes b" expected=\0"
        ; ->bad_found: ; .bytes b" found=\0"
    );
}

/// Notes the time. Changes rax and rcx.
fn stamp(ops: &mut Assembler) {
    dynasm!(ops ; .arch x64
        ; ->stamp:
        // The low half latches the high one; only the first vCPU reads them.
        ; push rsi
        ; mov rax, QWORD RTC
        ; mov ecx, [rax]
        ; mov eax, [rax + 4]
        ; shl rax, 32
        ; or rax, rcx
        ; mov rcx, rax
        ; mov rsi, [r15 + s::LAST_STAMP_NS]
        ; mov [r15 + s::LAST_STAMP_NS], rax
        ; test rsi, rsi
        ; jz ->stamped
        // A clock that was set back has no gap to tell.
        ; sub rcx, rsi
        ; jbe ->stamped
        ; cmp rcx, [r15 + s::LINE_GAP_NS]
        ; jbe ->stamped
        ; mov [r15 + s::LINE_GAP_NS], rcx
        ; cmp rcx, [r15 + s::MAX_GAP_NS]
        ; jbe ->stamped
        ; mov [r15 + s::MAX_GAP_NS], rcx
        ; mov [r15 + s::MAX_GAP_AT_NS], rax
        ; ->stamped:
        ; pop rsi
        ; ret
    );
}

/// Output on the UART. These change rax, rcx, rdx, rsi and rdi only.
fn print(ops: &mut Assembler) {
    dynasm!(ops ; .arch x64
        // al: the character. The time is noted meanwhile, since a line takes longer than a tick.
        ; ->put:
        ; push rax
        ; mov rcx, QWORD UART
        ; cmp QWORD [r15 + own::ROOM], 0
        ; jne ->room
        ; ->busy:
        ; mov al, [rcx + 5]
        ; test al, 0x20
        ; jz ->busy
        ; mov QWORD [r15 + own::ROOM], FIFO
        ; ->room:
        ; dec QWORD [r15 + own::ROOM]
        ; pop rax
        ; mov [rcx], al
        ; mov rcx, cs
        ; test cl, 3
        ; jnz ->notice_ticks
        ; ret

        // rdi: a string that ends with 0.
        ; ->put_string:
        ; mov al, [rdi]
        ; test al, al
        ; jz ->put_end
        ; inc rdi
        ; call ->put
        ; jmp ->put_string
        ; ->put_end:
        ; ret

        ; ->put_line:
        ; mov al, 10
        ; jmp ->put

        // rax: a number; the digits are made from the last one on.
        ; ->put_decimal:
        ; lea rdi, [r15 + own::DIGITS_END]
        ; mov BYTE [rdi], 0
        ; mov ecx, 10
        ; ->decimal:
        ; xor edx, edx
        ; div rcx
        ; add dl, 48
        ; dec rdi
        ; mov [rdi], dl
        ; test rax, rax
        ; jnz ->decimal
        ; jmp ->put_string

        ; ->put_hex:
        ; lea rdi, [r15 + own::DIGITS_END]
        ; mov BYTE [rdi], 0
        ; ->hex:
        ; mov edx, eax
        ; and edx, 15
        ; add edx, 48
        ; cmp edx, 58
        ; jb ->hex_digit
        ; add edx, 39
        ; ->hex_digit:
        ; dec rdi
        ; mov [rdi], dl
        ; shr rax, 4
        ; jnz ->hex
        ; mov BYTE [rdi - 1], 120
        ; mov BYTE [rdi - 2], 48
        ; sub rdi, 2
        ; jmp ->put_string
    );
    const { assert!(own::DIGITS_END - own::DIGITS > 20, "a number has at most 20 digits") };
}
