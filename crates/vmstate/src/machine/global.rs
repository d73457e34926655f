//! Settings from the command line, and what is wrong with a setting.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use super::Finding;
use crate::props::PropertyError;

/// A setting for all devices of a type, from the command line: `pl011.migrate-clk=off`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Global {
    /// Type of device, or a type that it derives from.
    pub device: String,
    /// Name of the property.
    pub property: String,
    /// Its value, as text.
    pub value: String,
}

impl FromStr for Global {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let parts = text.split_once('=').and_then(|(place, value)| Some((place.split_once('.')?, value)));
        match parts {
            Some(((device, property), value)) if !device.is_empty() && !property.is_empty() => {
                Ok(Self { device: device.to_owned(), property: property.to_owned(), value: value.to_owned() })
            }
            _ => Err(SettingError { origin: Origin::Global, cause: SettingCause::Syntax { text: text.to_owned() } }),
        }
    }
}

/// As it stands on a command line behind `--global`.
impl fmt::Display for Global {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}={}", self.device, self.property, self.value)
    }
}

/// Where a value comes from; a later one of these wins.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody sets the property.
    Default,
    /// The compatibility list of a machine type.
    Compat {
        /// Name of the machine type whose list it is: the one that was started, or a newer one.
        machine: String,
    },
    /// The command line, for all devices of a type.
    Global,
    /// The configuration of one device.
    Device,
}

impl Origin {
    /// Whether the operator set it, and not the machine type.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        matches!(self, Self::Global | Self::Device)
    }
}

/// Why a machine does not start: a setting that nothing takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingError {
    /// Where the setting comes from.
    pub origin: Origin,
    /// What is wrong.
    pub cause: SettingCause,
}

/// What is wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingCause {
    /// It is not of the form `TYPE.PROPERTY=VALUE`.
    Syntax {
        /// What was given.
        text: String,
    },
    /// There is no such type of device.
    UnknownDevice {
        /// The type that was named.
        device: String,
        /// Types that have properties.
        known: Vec<&'static str>,
    },
    /// The device refuses it.
    Property(PropertyError),
    /// The tables of the family break a rule.
    Table(Box<Finding>),
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Default => {}
            Origin::Compat { machine } => write!(f, "machine type {machine}: ")?,
            Origin::Global => f.write_str("global setting: ")?,
            Origin::Device => f.write_str("device configuration: ")?,
        }
        match &self.cause {
            SettingCause::Syntax { text } => write!(f, "'{text}' is not of the form TYPE.PROPERTY=VALUE"),
            SettingCause::UnknownDevice { device, known } => {
                write!(f, "there is no device type '{device}' with properties; there are {}", known.join(", "))
            }
            SettingCause::Property(error) => error.fmt(f),
            SettingCause::Table(finding) => finding.fmt(f),
        }
    }
}

impl Error for SettingError {}
