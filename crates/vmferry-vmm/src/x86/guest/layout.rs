//! Where everything is in the guest: device addresses, and offsets from the start of RAM.
//!
//! | address | what |
//! |---|---|
//! | 0xfed0_0000 | 16550A |
//! | 0xfed0_1000 | goldfish RTC |
//! | 0xfed0_2000 | test finisher |
//! | 0xfee0_0000 | local APIC of the vCPU that looks, in the kernel |
//! | 0x1_0000_0000 | RAM, in one piece |
//!
//! | offset in RAM | what | by |
//! |---|---|---|
//! | 0 | the image | VMM |
//! | 0x4000 | status blocks, 256 bytes a vCPU | guest |
//! | 0x5000 | segment descriptors, then task state segments | VMM |
//! | 0x6000 | interrupt gates | guest |
//! | 0x7000 | page tables | VMM |
//! | 0x1_0000 | stacks, 8 KiB a vCPU: supervisor's, then user's | guest |
//! | 0x10_0000 | page directories | VMM |
//! | 0x20_0000 | first page walked, unless told otherwise | guest |

use vm_memory::GuestAddress;

/// RAM.
pub const RAM: GuestAddress = GuestAddress(0x1_0000_0000);
/// Serial port.
pub const UART: GuestAddress = GuestAddress(0xfed0_0000);
/// Real-time clock.
pub const RTC: GuestAddress = GuestAddress(0xfed0_1000);
/// Power off and reset.
pub const FINISHER: GuestAddress = GuestAddress(0xfed0_2000);
/// Local APIC, where every x86 processor has it out of reset.
pub const LOCAL_APIC: GuestAddress = GuestAddress(0xfee0_0000);

/// Most vCPUs.
pub const VCPUS_MAX: u8 = 16;

/// Status blocks.
pub const STATUS: u32 = 0x4000;
/// Bytes of a status block.
pub const STATUS_BYTES: u32 = 0x100;
/// Segment descriptors.
pub const GDT: u32 = 0x5000;
/// Task state segments.
pub const TSS: u32 = 0x5400;
/// From one task state segment to the next.
pub const TSS_BYTES: u32 = 0x80;
/// Interrupt gates.
pub const IDT: u32 = 0x6000;
/// Fourth level of page tables.
pub const PML4: u32 = 0x7000;
/// Third level.
pub const PDPT: u32 = 0x8000;
/// Second level for the devices below 4 GiB.
pub const DEVICE_DIRECTORY: u32 = 0x9000;
/// Stacks.
pub const STACKS: u32 = 0x1_0000;
/// Bytes of a vCPU's two stacks.
pub const STACK_BYTES: u32 = 0x2000;
/// Second level for RAM, a page for each GiB.
pub const DIRECTORIES: u32 = 0x10_0000;
/// First page that the self-checking guest walks.
pub const WALKED: u32 = 0x20_0000;

const _: () = {
    let vcpus = VCPUS_MAX as u32;
    assert!(STATUS + vcpus * STATUS_BYTES <= GDT);
    assert!(TSS + vcpus * TSS_BYTES <= IDT);
    assert!(STACKS + vcpus * STACK_BYTES <= DIRECTORIES);
};
