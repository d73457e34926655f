//! Why a property was not set.

use std::error::Error;
use std::fmt;

use super::{Properties, PropertyType};

/// Why a property was not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyError {
    /// The type of device.
    pub device: &'static str,
    /// The property that was named.
    pub property: String,
    /// The value that was given.
    pub value: String,
    /// What was wrong.
    pub cause: PropertyCause,
}

/// What was wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PropertyCause {
    /// The device has no such property; it has these.
    Unknown {
        /// Names of the properties that it has.
        known: Vec<&'static str>,
    },
    /// The device had such a property in earlier releases.
    Removed {
        /// Since when it has not, and what to do.
        reason: &'static str,
    },
    /// The text is none of the values of the property.
    Value {
        /// What would have been accepted.
        accepted: String,
    },
}

impl fmt::Display for PropertyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, property, value, cause } = self;
        match cause {
            PropertyCause::Unknown { known } if known.is_empty() => {
                write!(f, "device '{device}' has no property '{property}'; it has none")
            }
            PropertyCause::Unknown { known } => {
                write!(f, "device '{device}' has no property '{property}'; it has {}", known.join(", "))
            }
            PropertyCause::Removed { reason } => {
                write!(f, "device '{device}' has no property '{property}' any more: {reason}")
            }
            PropertyCause::Value { accepted } => {
                write!(f, "property '{device}.{property}' does not accept '{value}'; it accepts {accepted}")
            }
        }
    }
}

impl Error for PropertyError {}

impl PropertyError {
    /// The same failure of the device whose namespace the property is in.
    #[must_use]
    pub fn of(mut self, device: &'static str) -> Self {
        self.device = device;
        self
    }
}

/// Sets one property from text, for derived code.
///
/// # Errors
///
/// The text is no value of the property.
#[doc(hidden)]
pub fn assign<T: PropertyType>(
    place: &mut T,
    device: &'static str,
    property: &str,
    value: &str,
) -> Result<(), PropertyError> {
    *place = T::parse(value).ok_or_else(|| PropertyError {
        device,
        property: property.to_owned(),
        value: value.to_owned(),
        cause: PropertyCause::Value { accepted: T::KIND.accepted() },
    })?;
    Ok(())
}

/// The failure of a name that no property has, for derived code.
#[doc(hidden)]
#[must_use]
pub fn unknown<P: Properties>(property: &str, value: &str) -> PropertyError {
    let cause = match P::PROPERTIES.removed(property) {
        Some(removed) => PropertyCause::Removed { reason: removed.reason },
        None => PropertyCause::Unknown { known: P::PROPERTIES.all().iter().map(|property| property.name).collect() },
    };
    PropertyError { device: P::DEVICE, property: property.to_owned(), value: value.to_owned(), cause }
}
