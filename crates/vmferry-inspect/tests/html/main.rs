//! Pages for people: sound markup whatever the stream or schema holds, nothing loaded, nothing missing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed test may panic"
)]

mod analysis;
mod check;
mod golden;
mod markup;
