//! Bodies of virtio devices: any that can be said comes back, and a hostile one is refused where it is wrong.
//!
//! Those of real QEMUs are in `tests/streams`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failed test may panic")]

mod any;
mod any_device;
mod bodies;
mod examples;
mod hostile;
mod round_trip;
