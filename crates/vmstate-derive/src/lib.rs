//! Derive macros of the vmstate crate.
