//! Versioned machine types, as data (`docs/spec/compat.md` sections 2 and 3).
//!
//! A family lists its versions newest first. Each version has the settings that make it differ from the next newer one,
//! so that it keeps what it promised when a newer release changes a default; an older one inherits all of them:
//!
//! ```text
//! newest list ─ … ─ list of the version    each later setting wins over an earlier one
//!
//! default of the property < compatibility < -global < the device's own configuration
//! ```

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use crate::props::{NamedValue, Properties, PropertyError, PropertyList};

/// One setting of a compatibility list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompatProperty {
    /// Type of device.
    pub device: &'static str,
    /// Name of the property.
    pub property: &'static str,
    /// Its value, as text.
    pub value: &'static str,
}

/// The settings that a machine type makes; [`compat!`](crate::compat!) writes them.
pub type Compat = &'static [CompatProperty];

/// Settings of a machine type, each a triple of device, property and value.
///
/// ```
/// use vmstate::{Compat, compat};
///
/// const COMPAT_5_1: Compat = compat![("pl011", "migrate-clk", "off")];
/// ```
#[macro_export]
macro_rules! compat {
    ($(($device:expr, $property:expr, $value:expr)),* $(,)?) => {
        &[$($crate::machine::CompatProperty { device: $device, property: $property, value: $value }),*]
    };
}

/// A family of machine types.
#[derive(Debug, PartialEq, Eq)]
pub struct MachineFamily {
    /// Its name, which is also that of its newest machine type.
    pub name: &'static str,
    /// Its versions, newest first.
    pub versions: &'static [MachineVersion],
}

/// One version of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MachineVersion {
    /// The version: `1.1` of `ferry-virt-1.1`.
    pub version: &'static str,
    /// What sets it apart from the next newer version; empty for the newest.
    pub compat: Compat,
}

/// One machine type: a version of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MachineType {
    family: &'static MachineFamily,
    version: &'static MachineVersion,
    /// Versions from the newest to this one.
    lineage: &'static [MachineVersion],
}

impl MachineFamily {
    /// The machine types, newest first.
    pub fn machine_types(&'static self) -> impl Iterator<Item = MachineType> {
        self.versions.iter().enumerate().map(move |(index, version)| {
            let lineage = self.versions.get(..=index).unwrap_or_default();
            MachineType { family: self, version, lineage }
        })
    }

    /// The machine type called `name`; the newest for the family's own name.
    #[must_use]
    pub fn find(&'static self, name: &str) -> Option<MachineType> {
        self.machine_types().find(|machine| name == self.name || machine.name() == name)
    }
}

impl MachineType {
    /// The full name, as streams carry it.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}", self.family.name, self.version.version)
    }

    /// Its settings in the order of application: from those of the newest version to its own.
    pub fn compat(&self) -> impl Iterator<Item = &'static CompatProperty> {
        self.lineage.iter().flat_map(|version| version.compat)
    }

    /// Its settings without those that a later one overrides, in the order of their first application.
    #[must_use]
    pub fn effective_compat(&self) -> Vec<CompatProperty> {
        let mut effective: Vec<CompatProperty> = Vec::new();
        for setting in self.compat() {
            let same =
                |other: &&mut CompatProperty| (other.device, other.property) == (setting.device, setting.property);
            match effective.iter_mut().find(same) {
                Some(earlier) => *earlier = *setting,
                None => effective.push(*setting),
            }
        }
        effective
    }
}

impl fmt::Display for MachineType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.family.name, self.version.version)
    }
}

/// A setting for all devices of a type, from the command line: `pl011.migrate-clk=off`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Global {
    /// Type of device.
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

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The compatibility list of a machine type.
    Compat {
        /// Name of the machine type.
        machine: String,
    },
    /// The command line, for all devices of a type.
    Global,
    /// The configuration of one device.
    Device,
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
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
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
        }
    }
}

impl Error for SettingError {}

/// A type of device and its properties, for checks before any device exists.
#[derive(Debug, Clone, Copy)]
pub struct DeviceType {
    /// Its name.
    pub name: &'static str,
    /// Its properties.
    pub properties: PropertyList,
    try_set: fn(&str, &str) -> Result<(), PropertyError>,
    values: fn(&Settings) -> Result<Vec<NamedValue>, SettingError>,
}

impl DeviceType {
    /// The type of device that `P` belongs to.
    #[must_use]
    pub const fn of<P: Properties>() -> Self {
        Self {
            name: P::DEVICE,
            properties: P::PROPERTIES,
            try_set: |property, value| P::defaults().set(property, value),
            values: |settings| {
                let properties: P = settings.properties(&[])?;
                let names = P::PROPERTIES.all().into_iter().map(|property| property.name);
                Ok(names.filter_map(|name| Some((name, properties.value(name)?))).collect())
            },
        }
    }

    /// Names and values of the properties of a device of this type that sets none itself.
    ///
    /// # Errors
    ///
    /// As [`Settings::properties`]; not for settings that were made with this type among the known ones.
    pub fn values(&self, settings: &Settings) -> Result<Vec<NamedValue>, SettingError> {
        (self.values)(settings)
    }
}

/// All settings of one machine.
#[derive(Debug, Clone)]
pub struct Settings {
    machine: MachineType,
    globals: Vec<Global>,
}

impl Settings {
    /// The settings of a machine type, and those from the command line in their order; a later one wins.
    ///
    /// # Errors
    ///
    /// A setting names a type of device that is not in `known`, a property that it does not have, or a value that it
    /// does not take. `Differs from QEMU:` it ignores compatibility settings of unknown types and warns of global ones;
    /// our tables belong to one machine, so that this is a typing error.
    pub fn new(machine: MachineType, globals: Vec<Global>, known: &[DeviceType]) -> Result<Self, SettingError> {
        let settings = Self { machine, globals };
        for (origin, device, property, value) in settings.all() {
            let cause = match known.iter().find(|known| known.name == device) {
                None => SettingCause::UnknownDevice {
                    device: device.to_owned(),
                    known: known.iter().map(|known| known.name).collect(),
                },
                Some(known) => match (known.try_set)(property, value) {
                    Err(error) => SettingCause::Property(error),
                    Ok(()) => continue,
                },
            };
            return Err(SettingError { origin, cause });
        }
        Ok(settings)
    }

    /// The machine type.
    #[must_use]
    pub fn machine(&self) -> MachineType {
        self.machine
    }

    /// The properties of a device: defaults, then compatibility, then globals, then `own`, the device's configuration.
    ///
    /// # Errors
    ///
    /// A setting in `own` names a property that the device does not have or a value that it does not take.
    pub fn properties<P: Properties>(&self, own: &[(&str, &str)]) -> Result<P, SettingError> {
        let mut properties = P::defaults();
        let own = own.iter().map(|(property, value)| (Origin::Device, P::DEVICE, *property, *value));
        for (origin, device, property, value) in self.all().chain(own) {
            if device == P::DEVICE {
                properties
                    .set(property, value)
                    .map_err(|error| SettingError { origin, cause: SettingCause::Property(error) })?;
            }
        }
        Ok(properties)
    }

    fn all(&self) -> impl Iterator<Item = (Origin, &str, &str, &str)> {
        let compat = self.machine.compat().map(|setting| {
            (Origin::Compat { machine: self.machine.name() }, setting.device, setting.property, setting.value)
        });
        let globals = self
            .globals
            .iter()
            .map(|global| (Origin::Global, global.device.as_str(), global.property.as_str(), global.value.as_str()));
        compat.chain(globals)
    }
}
