//! Properties of devices: what a machine type may turn off.
//!
//! Names and values are text at the edges (compatibility tables, command lines), and fields of a plain struct inside.
//! A gate of an image names such a field (`docs/spec/compat.md` section 2).

use std::error::Error;
use std::fmt;

use crate::lint::same;

/// What a property holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PropertyValue {
    /// On or off.
    Bool(bool),
    /// An unsigned integer of so many bits.
    Uint {
        /// The value.
        value: u64,
        /// 8, 16, 32 or 64.
        bits: u32,
    },
}

macro_rules! constructors {
    ($($name:ident $number:ty;)*) => {$(
        /// A value of this type.
        #[must_use]
        pub const fn $name(value: $number) -> Self {
            Self::Uint { value: value as u64, bits: <$number>::BITS }
        }
    )*};
}

impl PropertyValue {
    /// A value of this type.
    #[must_use]
    pub const fn of_bool(value: bool) -> Self {
        Self::Bool(value)
    }

    constructors! { of_u8 u8; of_u16 u16; of_u32 u32; of_u64 u64; }
}

/// The name of a property, and a value of it.
pub type NamedValue = (&'static str, PropertyValue);

/// One property of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Property {
    /// Its name: in compatibility tables, on command lines and in schemas.
    pub name: &'static str,
    /// The field of the struct.
    pub field: &'static str,
    /// Its type, and its value where nobody sets it.
    pub default: PropertyValue,
}

impl Property {
    /// A property called `name` in `field`.
    #[must_use]
    pub const fn new(name: &'static str, field: &'static str, default: PropertyValue) -> Self {
        Self { name, field, default }
    }
}

/// The properties of a struct, and of those structs inside it that share its namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PropertyList {
    /// Those of its own fields, in declaration order.
    pub own: &'static [Property],
    /// Those of its `flatten` fields.
    pub flattened: &'static [PropertyList],
}

impl PropertyList {
    /// A list; names are unique.
    ///
    /// # Panics
    ///
    /// Two properties have the same name; at compile time this is an error.
    #[must_use]
    #[track_caller]
    pub const fn new(own: &'static [Property], flattened: &'static [PropertyList]) -> Self {
        let list = Self { own, flattened };
        let mut rest = own;
        while let [property, later @ ..] = rest {
            assert!(!Self { own: later, flattened }.contains(property.name), "two properties have the same name");
            rest = later;
        }
        let mut rest = flattened;
        while let [inner, later @ ..] = rest {
            assert!(!inner.meets(&Self { own: &[], flattened: later }), "two properties have the same name");
            rest = later;
        }
        list
    }

    /// Whether there is a property called `name`.
    #[must_use]
    pub const fn contains(&self, name: &str) -> bool {
        let mut own = self.own;
        while let [property, rest @ ..] = own {
            if same(property.name, name) {
                return true;
            }
            own = rest;
        }
        let mut flattened = self.flattened;
        while let [inner, rest @ ..] = flattened {
            if inner.contains(name) {
                return true;
            }
            flattened = rest;
        }
        false
    }

    /// Whether the lists have a name in common.
    const fn meets(&self, other: &Self) -> bool {
        let mut own = self.own;
        while let [property, rest @ ..] = own {
            if other.contains(property.name) {
                return true;
            }
            own = rest;
        }
        let mut flattened = self.flattened;
        while let [inner, rest @ ..] = flattened {
            if inner.meets(other) {
                return true;
            }
            flattened = rest;
        }
        false
    }

    /// All properties: own ones first, then those of each `flatten` field.
    #[must_use]
    pub fn all(&self) -> Vec<Property> {
        let mut all = self.own.to_vec();
        for inner in self.flattened {
            all.extend(inner.all());
        }
        all
    }
}

/// The properties of one type of device, which `#[derive(Properties)]` implements.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no named properties",
    label = "a gate needs named properties",
    note = "the type that `props` names derives `Properties`"
)]
pub trait Properties: Sized {
    /// The type of device that compatibility tables and command lines name.
    const DEVICE: &'static str;
    /// The properties.
    const PROPERTIES: PropertyList;

    /// Every property at its default.
    fn defaults() -> Self;

    /// Sets the property called `name` from text.
    ///
    /// # Errors
    ///
    /// There is no such property; the text is no value of it.
    fn set(&mut self, name: &str, value: &str) -> Result<(), PropertyError>;

    /// The property called `name`.
    fn value(&self, name: &str) -> Option<PropertyValue>;
}

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
    /// The text is none of the values of the property.
    Value {
        /// What would have been accepted.
        accepted: &'static str,
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

impl fmt::Display for PropertyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(true) => f.write_str("on"),
            Self::Bool(false) => f.write_str("off"),
            Self::Uint { value, .. } => write!(f, "{value}"),
        }
    }
}

/// The name of the property in the field `field` of `P`, for a gate.
///
/// # Panics
///
/// `P` has no such property; at compile time this is an error.
#[must_use]
#[track_caller]
#[expect(clippy::panic, reason = "derives evaluate it in constants, where a panic is a compile error")]
pub const fn name_of<P: Properties>(field: &str) -> &'static str {
    let mut properties = P::PROPERTIES.own;
    while let [property, rest @ ..] = properties {
        if same(property.field, field) {
            return property.name;
        }
        properties = rest;
    }
    panic!("gate does not name a property")
}

/// A type that a property can have. Sealed by what the derive accepts.
pub trait PropertyType: Sized + Copy {
    /// What [`PropertyType::parse`] accepts, in words.
    const ACCEPTED: &'static str;
    /// Reads it from text: on/off, yes/no, true/false; decimal, or hexadecimal behind `0x`.
    fn parse(text: &str) -> Option<Self>;
    /// The value as data.
    fn value(self) -> PropertyValue;
}

impl PropertyType for bool {
    const ACCEPTED: &'static str = "on and off";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "on" | "yes" | "true" | "y" => Some(true),
            "off" | "no" | "false" | "n" => Some(false),
            _ => None,
        }
    }

    fn value(self) -> PropertyValue {
        PropertyValue::Bool(self)
    }
}

macro_rules! unsigned_properties {
    ($($number:ty, $accepted:literal;)*) => {$(
        impl PropertyType for $number {
            const ACCEPTED: &'static str = $accepted;

            fn parse(text: &str) -> Option<Self> {
                match text.strip_prefix("0x") {
                    Some(digits) if !digits.starts_with('+') => Self::from_str_radix(digits, 16).ok(),
                    Some(_) => None,
                    None if text.starts_with('+') => None,
                    None => text.parse().ok(),
                }
            }

            fn value(self) -> PropertyValue {
                PropertyValue::Uint { value: u64::from(self), bits: Self::BITS }
            }
        }
    )*};
}

unsigned_properties! {
    u8, "numbers from 0 to 255";
    u16, "numbers from 0 to 65535";
    u32, "numbers from 0 to 4294967295";
    u64, "numbers from 0 to 18446744073709551615";
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
        cause: PropertyCause::Value { accepted: T::ACCEPTED },
    })?;
    Ok(())
}

/// The failure of a name that no property has, for derived code.
#[doc(hidden)]
#[must_use]
pub fn unknown<P: Properties>(property: &str, value: &str) -> PropertyError {
    PropertyError {
        device: P::DEVICE,
        property: property.to_owned(),
        value: value.to_owned(),
        cause: PropertyCause::Unknown { known: P::PROPERTIES.all().iter().map(|property| property.name).collect() },
    }
}
