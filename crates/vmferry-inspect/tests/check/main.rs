//! Schema against schema: each rule with a small pair that has it and one that has not, and QEMU's own checker.
//!
//! The pairs are dumps of our own form, made from declared schemas (`ours`), or of QEMU's form, as text (`qemu`).
//! Streams are recorded ones, and edits of them (`streams`).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod kit;
mod oracle;
mod ours;
mod page;
mod qemu;
mod streams;
