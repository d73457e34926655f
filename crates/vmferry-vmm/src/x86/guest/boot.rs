//! What the VMM puts into RAM for a 64-bit start, and the registers that go with it.
//!
//! Sources: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3: sections 3.4.5 (segment
//! descriptors), 4.5 (4-level paging), 8.7 (task state segment in 64-bit mode).

use kvm_bindings::{kvm_dtable, kvm_regs, kvm_segment, kvm_sregs};
use vmferry::memory::{OutOfBlock, RamBlock};

use super::layout;

/// Present, writable, user; accessed and dirty, so that the processor need not write the tables.
const TABLE: u64 = 0x67;
/// A page of 2 MiB.
const LARGE_PAGE: u64 = 0xe7;
/// An entry maps this much in a directory.
const LARGE_PAGE_BYTES: u64 = 2 << 20;
const GIB: u64 = 1 << 30;

/// Selectors.
const KERNEL_CODE: u16 = 0x10;
const KERNEL_DATA: u16 = 0x18;
const TSS_FIRST: u16 = 0x40;

/// Descriptors from selector 0 on: code and data of CPL 0, then data and code of CPL 3.
const SEGMENTS: [u64; 8] =
    [0, 0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0, 0x00cf_f300_0000_ffff, 0x00af_fb00_0000_ffff, 0];

/// Bytes behind the last one of a task state segment that count: no I/O permission bitmap.
const TSS_LIMIT: u32 = 0x67;

const fn ram(offset: u32) -> u64 {
    layout::RAM.0 + offset as u64
}

/// Puts page tables and segment tables into `block`, which is RAM, for `vcpus` vCPUs.
pub(crate) fn write_tables(block: &dyn RamBlock, vcpus: u8) -> Result<(), OutOfBlock> {
    let mut words = Vec::new();
    let gibs = block.used_len().div_ceil(GIB);
    words.push((layout::PML4, ram(layout::PDPT) | TABLE));
    // The devices and the local APIC, in the fourth GiB.
    let device_gib = layout::UART.0 / GIB;
    words.push((layout::PDPT + entry(device_gib), ram(layout::DEVICE_DIRECTORY) | TABLE));
    for device in [layout::UART.0, layout::LOCAL_APIC.0] {
        let page = device & !(LARGE_PAGE_BYTES - 1);
        words.push((layout::DEVICE_DIRECTORY + entry(page % GIB / LARGE_PAGE_BYTES), page | LARGE_PAGE));
    }
    for gib in 0..gibs {
        let directory = layout::DIRECTORIES + entry(gib * 512);
        words.push((layout::PDPT + entry(layout::RAM.0 / GIB + gib), ram(directory) | TABLE));
        for page in 0..512 {
            words.push((directory + entry(page), (layout::RAM.0 + gib * GIB + page * LARGE_PAGE_BYTES) | LARGE_PAGE));
        }
    }
    for (selector, descriptor) in (0..).step_by(8).zip(SEGMENTS) {
        words.push((layout::GDT + selector, descriptor));
    }
    for vcpu in 0..vcpus {
        let (low, high) = tss_descriptor(vcpu);
        let at = layout::GDT + u32::from(tss_selector(vcpu));
        words.extend([(at, low), (at + 8, high)]);
        // RSP0 is at offset 4 of the segment, across two words.
        let (segment, stack) = (tss_offset(vcpu), supervisor_stack(vcpu));
        words.extend([(segment, stack << 32), (segment + 8, stack >> 32)]);
        // The base of the I/O permission bitmap lies behind the limit.
        words.push((segment + 0x60, (u64::from(TSS_LIMIT) + 1) << 48));
    }
    for (offset, word) in words {
        block.write(u64::from(offset), &word.to_le_bytes())?;
    }
    Ok(())
}

/// Offset of entry `index` in a table.
const fn entry(index: u64) -> u32 {
    // At most 512 entries for each of the GiB of the largest RAM.
    ((index & 0xff_ffff) as u32) * 8
}

const fn tss_offset(vcpu: u8) -> u32 {
    layout::TSS + layout::TSS_BYTES * vcpu as u32
}

const fn tss_selector(vcpu: u8) -> u16 {
    TSS_FIRST + 16 * vcpu as u16
}

const fn supervisor_stack(vcpu: u8) -> u64 {
    ram(layout::STACKS + layout::STACK_BYTES * vcpu as u32 + layout::STACK_BYTES / 2)
}

/// A busy 64-bit task state segment.
const fn tss_descriptor(vcpu: u8) -> (u64, u64) {
    let base = ram(tss_offset(vcpu));
    let low = TSS_LIMIT as u64 | (base & 0xff_ffff) << 16 | 0x8b << 40 | (base >> 24 & 0xff) << 56;
    (low, base >> 32)
}

/// The general registers that vCPU `index` of `count` starts with; `ram_bytes` is the size of RAM.
pub(crate) fn registers(index: u8, count: u8, ram_bytes: u64) -> kvm_regs {
    kvm_regs {
        rip: ram(0),
        rsp: supervisor_stack(index),
        rdi: u64::from(index),
        rsi: u64::from(count),
        rdx: layout::RAM.0 + ram_bytes,
        rflags: 2,
        ..kvm_regs::default()
    }
}

/// The special registers that vCPU `index` starts with: those of its reset state `reset`, in 64-bit mode.
pub(crate) fn special_registers(index: u8, reset: &kvm_sregs) -> kvm_sregs {
    let segment = |selector: u16, type_: u8, long: bool| kvm_segment {
        base: 0,
        limit: u32::MAX,
        selector,
        type_,
        present: 1,
        s: 1,
        l: u8::from(long),
        db: u8::from(!long),
        g: 1,
        ..kvm_segment::default()
    };
    let data = segment(KERNEL_DATA, 3, false);
    let table = |offset: u32, limit: u16| kvm_dtable { base: ram(offset), limit, ..kvm_dtable::default() };
    kvm_sregs {
        cs: segment(KERNEL_CODE, 11, true),
        ds: data,
        es: data,
        fs: data,
        gs: data,
        ss: data,
        tr: kvm_segment {
            base: ram(tss_offset(index)),
            limit: TSS_LIMIT,
            selector: tss_selector(index),
            type_: 11,
            present: 1,
            ..kvm_segment::default()
        },
        gdt: table(layout::GDT, 0x3ff),
        idt: table(layout::IDT, 0xfff),
        // Protection, paging, extension type, numeric error; with SSE.
        cr0: 0x8000_0031,
        cr3: ram(layout::PML4),
        cr4: 0x620,
        // Long mode, enabled and active.
        efer: reset.efer | 0x500,
        ..*reset
    }
}

#[cfg(test)]
mod tests {
    use vmferry::memory::MappedBlock;

    use super::*;

    #[test]
    fn every_byte_of_ram_is_mapped_where_it_is() {
        const BYTES: u64 = 3 * GIB + (6 << 20);
        let block = MappedBlock::new("ram", usize::try_from(BYTES).unwrap()).unwrap();
        write_tables(&block, layout::VCPUS_MAX).unwrap();
        let read = |address: u64| {
            let mut word = [0; 8];
            block.read(address - layout::RAM.0, &mut word).unwrap();
            u64::from_le_bytes(word)
        };
        let walk = |address: u64| {
            let mut table = ram(layout::PML4);
            for shift in [39, 30, 21] {
                let found = read(table + (address >> shift & 511) * 8);
                assert_eq!(found & 0x67, 0x67, "{address:#x} at shift {shift}");
                table = found & 0x000f_ffff_ffff_f000;
            }
            table + (address & 0x1f_ffff)
        };
        let addresses = (0..BYTES).step_by(1 << 20).map(|offset| layout::RAM.0 + offset);
        let devices = [layout::UART.0, layout::RTC.0, layout::FINISHER.0, layout::LOCAL_APIC.0];
        for address in addresses.chain(devices) {
            assert_eq!(walk(address), address);
        }
    }

    #[test]
    fn each_vcpu_has_a_task_with_a_stack_of_its_own() {
        let block = MappedBlock::new("ram", 4 << 20).unwrap();
        write_tables(&block, layout::VCPUS_MAX).unwrap();
        let mut stacks = std::collections::BTreeSet::new();
        for vcpu in 0..layout::VCPUS_MAX {
            let mut stack = [0; 8];
            block.read(u64::from(tss_offset(vcpu)) + 4, &mut stack).unwrap();
            assert_eq!(u64::from_le_bytes(stack), registers(vcpu, 16, 4 << 20).rsp);
            assert!(stacks.insert(stack));
        }
    }
}
