//! Declared device state for virtual machines: versioned, checkable, loadable for years.

pub mod describe;
pub mod error;
pub mod image;
pub mod input;
pub mod migrate;
pub mod registry;
pub mod schema;
pub mod sink;

pub use describe::Description;
pub use error::{LoadError, Reason, Refused, SaveError};
pub use image::VmState;
pub use input::Input;
pub use migrate::{Migrate, Versions};
pub use registry::{Place, Registry};
pub use schema::{Priority, Schema};
pub use sink::Sink;
