//! Versioned machine types, as data (`docs/spec/compat.md` sections 2 and 3, `docs/properties.md`).
//!
//! A family lists its versions newest first. Each version has the settings that make it differ from the next newer one,
//! so that it keeps what it promised when a newer release changes a default; an older one inherits all of them:
//!
//! ```text
//! newest list ─ … ─ list of the version    each later setting wins over an earlier one
//!
//! default of the property < compatibility < -global < the device's own configuration
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `family` | [`MachineFamily`], [`MachineVersion`], [`MachineType`]: names, inheritance, compatibility lists |
//! | `lifecycle` | [`LifeCycle`]: when a machine type is deprecated, and when removed |
//! | `check` | [`Finding`]: what is wrong with the tables, found when they are compiled or when a machine starts |
//! | `settings` | [`Settings`]: what a device gets, where each value comes from, and warnings |
//! | `island` | [`Island`]: releases whose guests need a setting until they are powered off |

mod check;
mod device_type;
mod family;
mod global;
mod island;
mod lifecycle;
mod settings;
mod version;

pub use self::check::{Finding, Rule};
pub use self::device_type::{DeviceType, SetProperty};
pub use self::family::{Compat, CompatProperty, MachineFamily, MachineType, MachineVersion};
pub use self::global::{Global, Origin, SettingCause, SettingError};
pub use self::island::Island;
pub use self::lifecycle::{LifeCycle, MachineError, Status};
pub use self::settings::{Settings, Warning};
pub use self::version::Version;
