//! The self-checking guest as a program of x86-64: what [`crate::guest`] says of pages, words, parameters, status and
//! lines holds here too, but for the addresses ([`layout`]) and for what follows.
//!
//! - It runs on several vCPUs. Each walks a range of its own and has a status block of its own; none begins a pass
//!   before all have done the last one. The first prints, with the sums of all.
//! - It works in user mode, which runs at full speed even where KVM emulates the rest; only the set-up, the tick (the
//!   local APIC's timer, a millisecond) and the wait for one are supervisor code. It talks to its devices by memory
//!   accesses.
//! - A page counts as bad wherever its vCPU found it; of each vCPU's bad pages the first is printed.
//! - There is no entropy device: `rng` is 0.
//!
//! # What an image may rely on
//!
//! A raw image is put at the start of RAM. Every vCPU enters it there, in 64-bit mode at CPL 0 with interrupts off:
//! `rdi` has the vCPU's number, `rsi` how many there are, `rdx` the end of RAM, `rsp` a stack. Pages are mapped where
//! they are, for user mode too: RAM, and the two MiB of the devices and of the local APIC. Segment selectors: 0x10 and
//! 0x18 code and data of CPL 0, 0x2b and 0x33 data and code of CPL 3; the task register holds a segment with a stack
//! for CPL 0. The interrupt table is empty and has room for 256 gates.
//!
//! Its source is assembler in `tests/x86_guest_program/mod.rs`; a test compares the committed bytes with it.

pub(super) mod boot;
pub mod layout;

use vm_memory::GuestAddress;

use crate::guest::{GuestParameters, with_parameters};

/// The program with default parameters.
const PROGRAM: &[u8] = include_bytes!("ferry-guest-x86.bin");

/// The committed program, as [`image`] starts from it.
#[must_use]
pub const fn program() -> &'static [u8] {
    PROGRAM
}

/// The guest's image with `parameters` in it, to be put at [`layout::RAM`].
#[must_use]
pub fn image(parameters: &GuestParameters) -> Vec<u8> {
    with_parameters(PROGRAM, parameters)
}

/// Where vCPU `index` keeps its status block, [`crate::guest::GuestStatus`].
#[must_use]
pub const fn status_address(index: u8) -> GuestAddress {
    GuestAddress(layout::RAM.0 + layout::STATUS as u64 + layout::STATUS_BYTES as u64 * index as u64)
}
