//! The migration engine: guest memory, dirty tracking, channels, and both sides of a migration.

pub mod channel;
pub mod control;
pub mod dirty;
pub mod memory;
pub mod protocol;
