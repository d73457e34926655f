//! Properties of devices: what a machine type, an operator or a device's configuration may set.
//!
//! Names and values are text at the edges (compatibility tables, command lines), and fields of a plain struct inside.
//! A gate of an image names such a field. `docs/properties.md` has all rules; the facts are those of
//! `docs/spec/compat.md` section 2.
//!
//! | module | holds |
//! |---|---|
//! | `value` | [`PropertyKind`] and [`PropertyValue`]: kinds and values as data |
//! | `kinds` | [`PropertyType`]: the Rust types |
//! | `text` | how text becomes a value, at compile time as well |
//! | `list` | [`Property`] and [`PropertyList`]: what a type of device has, and what it had |

mod error;
mod kinds;
mod list;
pub(crate) mod text;
mod value;

pub use self::error::{PropertyCause, PropertyError, assign, unknown};
pub use self::kinds::{ElementType, LIST_ELEMENTS_LIMIT, OnOffAuto, PropertyType, Size};
pub use self::list::{Property, PropertyList, RemovedProperty};
use self::text::same;
pub use self::value::{PropertyKind, PropertyValue};

/// The name of a property, and a value of it.
pub type NamedValue = (&'static str, PropertyValue);

/// The properties of one type of device, which `#[derive(Properties)]` implements.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no named properties",
    label = "a gate needs named properties",
    note = "the type that `props` names derives `Properties`"
)]
pub trait Properties: Sized {
    /// The type of device that compatibility tables and command lines name.
    const DEVICE: &'static str;
    /// Types that it derives from and interfaces that it implements: a setting of one of them is a setting of it.
    const PARENTS: &'static [&'static str] = &[];
    /// The properties.
    const PROPERTIES: PropertyList;

    /// Every property at its default.
    fn defaults() -> Self;

    /// Sets the property called `name`, or once called so, from text.
    ///
    /// # Errors
    ///
    /// There is no such property; the text is no value of it.
    fn set(&mut self, name: &str, value: &str) -> Result<(), PropertyError>;

    /// The property called `name`, or once called so.
    fn value(&self, name: &str) -> Option<PropertyValue>;
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
