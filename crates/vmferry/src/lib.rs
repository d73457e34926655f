//! The migration engine: guest memory, dirty tracking, channels, and both sides of a migration.

pub mod channel;
pub mod control;
pub mod destination;
pub mod dirty;
mod error;
mod machine;
pub mod memory;
mod migration;
pub mod protocol;
mod shared;
pub mod source;

pub use error::{Error, ErrorKind, Side};
pub use machine::Machine;
pub use migration::{Incoming, Migration};
