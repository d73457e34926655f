//! Declared device state for virtual machines: versioned, checkable, loadable for years.

#[doc(hidden)]
pub mod derived;
pub mod describe;
pub mod error;
mod guard;
pub mod image;
pub mod input;
pub mod lint;
pub mod machine;
pub mod migrate;
pub mod props;
pub mod registry;
pub mod schema;
pub mod sink;
mod subsection;
pub mod wire;

pub use describe::{DescribeSink, Description};
pub use error::{LoadError, Reason, Refused, SaveError};
pub use image::VmState;
pub use input::Input;
pub use machine::{Compat, MachineFamily, MachineType, MachineVersion, Settings};
pub use migrate::{Migrate, Versions};
pub use props::Properties;
pub use registry::{Place, Registry};
pub use schema::{Priority, Schema};
pub use sink::Sink;
pub use wire::Wire;

pub use vmstate_derive::{Properties, VmState};
