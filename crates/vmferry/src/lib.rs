//! The migration engine: guest memory, dirty tracking, channels, and both sides of a migration.

pub mod control;
pub mod dirty;
pub mod memory;
