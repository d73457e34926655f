//! Rust types that a property can have.
//!
//! A bit of a 32- or 64-bit register that QEMU declares as a property of its own is a `bool` here; the device puts its
//! bools together. A link to another object is no property: see `docs/properties.md`.

use super::text::{first_element, read_bool, read_signed, read_size, read_unsigned};
use super::{PropertyKind, PropertyValue};

/// A type that a property can have. Enumerations derive [`macro@crate::PropertyEnum`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no type of a property",
    label = "no text stands for this type",
    note = "a property is a bool, u8, u16, u32, u64, i32, i64, Size, String, OnOffAuto, an enumeration that derives \
            `PropertyEnum`, or a Vec of those"
)]
pub trait PropertyType: Sized + Clone {
    /// What values it has.
    const KIND: PropertyKind;
    /// Reads it from text; [`PropertyKind::accepted`] says what is one.
    fn parse(text: &str) -> Option<Self>;
    /// The value as data.
    fn value(&self) -> PropertyValue;
}

impl PropertyType for bool {
    const KIND: PropertyKind = PropertyKind::Bool;

    fn parse(text: &str) -> Option<Self> {
        read_bool(text.as_bytes())
    }

    fn value(&self) -> PropertyValue {
        PropertyValue::Bool(*self)
    }
}

macro_rules! integers {
    ($($number:ty, $form:ident, $constructor:ident, $read:expr;)*) => {$(
        impl PropertyType for $number {
            const KIND: PropertyKind = PropertyKind::$form { bits: Self::BITS };

            fn parse(text: &str) -> Option<Self> {
                Self::try_from($read(text.as_bytes())?).ok()
            }

            fn value(&self) -> PropertyValue {
                PropertyValue::$constructor(*self)
            }
        }
    )*};
}

integers! {
    u8, Uint, of_u8, |text| read_unsigned(text, u64::MAX);
    u16, Uint, of_u16, |text| read_unsigned(text, u64::MAX);
    u32, Uint, of_u32, |text| read_unsigned(text, u64::MAX);
    u64, Uint, of_u64, |text| read_unsigned(text, u64::MAX);
    i32, Int, of_i32, |text| read_signed(text, 32);
    i64, Int, of_i64, |text| read_signed(text, 64);
}

impl PropertyType for String {
    const KIND: PropertyKind = PropertyKind::Str;

    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    fn value(&self) -> PropertyValue {
        PropertyValue::Str(self.clone().into())
    }
}

/// A number of bytes, which text may give with a suffix: `64M`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

impl Size {
    /// The value as data.
    #[must_use]
    pub const fn property_value(&self) -> PropertyValue {
        PropertyValue::Size(self.0)
    }
}

impl PropertyType for Size {
    const KIND: PropertyKind = PropertyKind::Size;

    fn parse(text: &str) -> Option<Self> {
        read_size(text.as_bytes()).map(Self)
    }

    fn value(&self) -> PropertyValue {
        self.property_value()
    }
}

/// On, off, or whatever the device makes of its surroundings. A bool's other texts (`yes`, …) are none of this, as in
/// QEMU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum OnOffAuto {
    /// The device decides when it is made.
    #[default]
    Auto,
    /// On.
    On,
    /// Off.
    Off,
}

impl OnOffAuto {
    /// The value as data.
    #[must_use]
    pub const fn property_value(&self) -> PropertyValue {
        PropertyValue::Enum(match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Auto => "auto",
        })
    }

    /// The decision: `auto` is what the device says.
    #[must_use]
    pub const fn or(self, auto: bool) -> bool {
        match self {
            Self::On => true,
            Self::Off => false,
            Self::Auto => auto,
        }
    }
}

impl PropertyType for OnOffAuto {
    const KIND: PropertyKind = PropertyKind::Enum { type_name: "OnOffAuto", names: &["on", "off", "auto"] };

    fn parse(text: &str) -> Option<Self> {
        match text {
            "on" => Some(Self::On),
            "off" => Some(Self::Off),
            "auto" => Some(Self::Auto),
            _ => None,
        }
    }

    fn value(&self) -> PropertyValue {
        self.property_value()
    }
}

/// What an array may consist of: everything but arrays, whose commas would be taken for its own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no element of an array property",
    note = "elements are bools, numbers, sizes, strings and enumerations"
)]
pub trait ElementType: PropertyType {}

impl ElementType for bool {}
impl ElementType for u8 {}
impl ElementType for u16 {}
impl ElementType for u32 {}
impl ElementType for u64 {}
impl ElementType for i32 {}
impl ElementType for i64 {}
impl ElementType for Size {}
impl ElementType for String {}
impl ElementType for OnOffAuto {}

/// Most elements of an array property. QEMU has none; ours keeps a command line from becoming a large allocation.
pub const LIST_ELEMENTS_LIMIT: usize = 1024;

impl<T: ElementType> PropertyType for Vec<T> {
    const KIND: PropertyKind = PropertyKind::List { element: &T::KIND };

    fn parse(text: &str) -> Option<Self> {
        let mut list = Self::new();
        let mut rest = (!text.is_empty()).then_some(text.as_bytes());
        while let Some(elements) = rest {
            let (first, later) = first_element(elements);
            if list.len() == LIST_ELEMENTS_LIMIT {
                return None;
            }
            // Cut at a comma, which is never part of a longer character.
            list.push(T::parse(std::str::from_utf8(first).ok()?)?);
            rest = later;
        }
        Some(list)
    }

    fn value(&self) -> PropertyValue {
        PropertyValue::of_list(self.iter().map(PropertyType::value).collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back_what_it_writes() {
        fn round<T: PropertyType + std::fmt::Debug + PartialEq>(values: &[T]) {
            for value in values {
                assert_eq!(T::parse(&value.value().to_string()).as_ref(), Some(value));
            }
        }
        round(&[true, false]);
        round(&[u8::MIN, u8::MAX]);
        round(&[u16::MIN, u16::MAX]);
        round(&[u32::MIN, u32::MAX]);
        round(&[u64::MIN, u64::MAX]);
        round(&[i32::MIN, 0, i32::MAX]);
        round(&[i64::MIN, 0, i64::MAX]);
        round(&[Size(0), Size(4096), Size(u64::MAX)]);
        round(&[String::new(), "a b,c".to_owned()]);
        round(&[OnOffAuto::On, OnOffAuto::Off, OnOffAuto::Auto]);
        round(&[vec![], vec![1_u16, 2, 3]]);
    }

    #[test]
    fn an_array_has_a_limit() {
        let text = vec!["1"; LIST_ELEMENTS_LIMIT].join(",");
        assert_eq!(Vec::<u8>::parse(&text).unwrap().len(), LIST_ELEMENTS_LIMIT);
        assert_eq!(Vec::<u8>::parse(&format!("{text},1")), None);
        assert_eq!(Vec::<u8>::parse("1,2,"), None);
    }

    #[test]
    fn auto_is_decided_by_the_device() {
        assert_eq!([OnOffAuto::On, OnOffAuto::Off, OnOffAuto::Auto].map(|value| value.or(true)), [true, false, true]);
        assert_eq!([OnOffAuto::On, OnOffAuto::Off, OnOffAuto::Auto].map(|value| value.or(false)), [true, false, false]);
        for text in ["yes", "true", "n", "Auto", ""] {
            assert_eq!(OnOffAuto::parse(text), None, "{text}");
        }
    }
}
