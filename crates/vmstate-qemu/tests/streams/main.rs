//! Every section that a real QEMU wrote, and that has an image, goes through it: decoded to the section's last octet,
//! encoded to the same octets, with the same description.
//!
//! The sections are those in `tests/data`, recorded by `record.py` there, and those of the corpus where there is one.
//! What was found is in `docs/qemu-devices.md`; `VMFERRY_BLESS=1` writes it anew.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failed test may panic")]

mod accesses;
mod corpus;
mod described;
mod experiments;
mod images;
mod recorded;
mod registers;
mod round_trip;
mod sections;
mod table;
mod truncation;
