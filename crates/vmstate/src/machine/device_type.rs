//! Types of device as the tables see them.

use super::{Origin, SettingError, Settings};
use crate::props::text::same;
use crate::props::{NamedValue, Properties, Property, PropertyError, PropertyList, PropertyValue};

/// A type of device and its properties, for checks before any device exists.
#[derive(Debug, Clone, Copy)]
pub struct DeviceType {
    /// Its name.
    pub name: &'static str,
    /// Types that it derives from, interfaces that it implements.
    pub parents: &'static [&'static str],
    /// Its properties.
    pub properties: PropertyList,
    try_set: fn(&str, &str) -> Result<(), PropertyError>,
    describe: Describe,
}

type Describe = fn(&Settings, &[(&str, &str)]) -> Result<Vec<SetProperty>, SettingError>;

/// A property of a device of one machine: what it holds and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetProperty {
    /// The property.
    pub property: &'static Property,
    /// Its value.
    pub value: PropertyValue,
    /// Where the value comes from.
    pub origin: Origin,
}

impl DeviceType {
    /// The type of device that `P` belongs to.
    #[must_use]
    pub const fn of<P: Properties>() -> Self {
        Self {
            name: P::DEVICE,
            parents: P::PARENTS,
            properties: P::PROPERTIES,
            try_set: |property, value| P::defaults().set(property, value),
            describe: |settings, own| settings.describe::<P>(own),
        }
    }

    /// Whether a setting of `name` is one of this type: its own name, or one of its parents'.
    #[must_use]
    pub const fn is_a(&self, name: &str) -> bool {
        let mut parents = self.parents;
        while let [parent, rest @ ..] = parents {
            if same(parent, name) {
                return true;
            }
            parents = rest;
        }
        same(self.name, name)
    }

    /// Names and values of the properties of a device of this type that sets none itself.
    ///
    /// # Errors
    ///
    /// As [`Settings::properties`]; not for settings that were made with this type among the known ones.
    pub fn values(&self, settings: &Settings) -> Result<Vec<NamedValue>, SettingError> {
        Ok(self.describe(settings, &[])?.into_iter().map(|set| (set.property.name, set.value)).collect())
    }

    /// The properties of a device of this type with the configuration `own`, each with its value and where that comes
    /// from.
    ///
    /// # Errors
    ///
    /// As [`Settings::properties`].
    pub fn describe(&self, settings: &Settings, own: &[(&str, &str)]) -> Result<Vec<SetProperty>, SettingError> {
        (self.describe)(settings, own)
    }

    /// Whether a device of this type would take the setting.
    ///
    /// # Errors
    ///
    /// It would not.
    pub fn try_set(&self, property: &str, value: &str) -> Result<(), PropertyError> {
        (self.try_set)(property, value)
    }
}
