//! The guest program: it walks its memory for ever and knows when something was lost.
//!
//! A raw image for address 0x8000_0000, entered in machine mode. It runs on the reference machine and, unchanged, on
//! `qemu-system-riscv64 -M virt -bios IMAGE`. Its source is assembler in `tests/guest_program/mod.rs`; a test compares
//! the committed bytes with it.
//!
//! Each pass goes over all pages from `memory_start` to `memory_end`. A page is checked against what the last pass left
//! and then written for this pass, word by word:
//!
//! | word of the page | offset | content |
//! |---|---|---|
//! | 0 | 0 | number of the pass |
//! | k = 1 … | k · stride | h + k · C, with C = [`HASH_MULTIPLIER`], h = g ^ (g >> 29), g = ((page address + seed) ^ pass · C) · C |
//!
//! The last word is at 4088, so lost, stale, misplaced and torn pages are all seen. After each pass the program asks
//! the virtio entropy device, if there is one, for 64 octets (and checks that those of the last pass are still there),
//! and prints a line, [`GuestReport`]. A page that is not as expected is counted and printed, [`BadPage`].
//!
//! At every tick (a millisecond) and after every burst of pages it reads the real-time clock; the longest distance
//! between two such stamps is how long the guest stood still.
//!
//! | address | what |
//! |---|---|
//! | 0x8000_0000 | program; [`GuestParameters`] at + 0x40 |
//! | 0x8000_4000 | status block, [`GuestStatus`] |
//! | 0x8000_5000 | page of the virtio queue and its buffer |
//! | 0x8020_0000 | first page walked, unless told otherwise |
//!
//! Devices used: UART, core-local timer, goldfish RTC, test finisher, virtio-mmio slot 8
//! (`docs/spec/board-riscv-virt.md`).

mod parameters;
mod report;
mod status;

pub(crate) use parameters::with_parameters;
pub use parameters::{
    CheckedWords, GuestParameters, HASH_MULTIPLIER, PARAMETERS_OFFSET, image, parameter_offset, word_of_page,
};
pub use report::{BadPage, GuestReport, parse_bad_page, parse_line};
pub use status::{GuestStatus, STATUS_ADDRESS, status_offset};

/// The program with default parameters.
const PROGRAM: &[u8] = include_bytes!("ferry-guest.bin");

/// The committed program, as [`image`] starts from it.
#[must_use]
pub const fn program() -> &'static [u8] {
    PROGRAM
}
