//! Kinds of properties, and their values as data.
//!
//! | kind | Rust | QEMU's name of the type | description that QEMU gives |
//! |---|---|---|---|
//! | [`PropertyKind::Bool`] | `bool` | `bool` | `on/off` |
//! | [`PropertyKind::Uint`] | `u8`, `u16`, `u32`, `u64` | `uint8` … `uint64` | |
//! | [`PropertyKind::Int`] | `i32`, `i64` | `int32`, `int64` | |
//! | [`PropertyKind::Size`] | [`Size`](super::Size) | `size` | |
//! | [`PropertyKind::Str`] | `String` | `str` | |
//! | [`PropertyKind::Enum`] | [`OnOffAuto`](super::OnOffAuto), `#[derive(PropertyEnum)]` | the enumeration's | names between `/` |
//! | [`PropertyKind::List`] | `Vec` of the others | `list` | |
//!
//! The names are those of QEMU 10.0's `device-list-properties`.

use std::borrow::Cow;
use std::fmt;

/// What values a property has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PropertyKind {
    /// On or off.
    Bool,
    /// An unsigned integer of 8, 16, 32 or 64 bits.
    Uint {
        /// How many.
        bits: u32,
    },
    /// A signed integer of 32 or 64 bits.
    Int {
        /// How many.
        bits: u32,
    },
    /// A number of bytes below 2^64.
    Size,
    /// Text.
    Str,
    /// One of several names.
    Enum {
        /// The enumeration's own name.
        type_name: &'static str,
        /// Its names.
        names: &'static [&'static str],
    },
    /// Any number of elements of one kind.
    List {
        /// Their kind; no list.
        element: &'static PropertyKind,
    },
}

impl PropertyKind {
    /// QEMU's name of the type.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Uint { bits: 8 } => "uint8",
            Self::Uint { bits: 16 } => "uint16",
            Self::Uint { bits: 32 } => "uint32",
            Self::Uint { .. } => "uint64",
            Self::Int { bits: 32 } => "int32",
            Self::Int { .. } => "int64",
            Self::Size => "size",
            Self::Str => "str",
            Self::Enum { type_name, .. } => type_name,
            Self::List { .. } => "list",
        }
    }

    /// What QEMU says of a property of this type, for those of whose type it says something.
    #[must_use]
    pub fn description(&self) -> Option<String> {
        match self {
            Self::Bool => Some("on/off".to_owned()),
            Self::Enum { names, .. } => Some(names.join("/")),
            _ => None,
        }
    }

    /// The texts that are values, in words.
    #[must_use]
    pub fn accepted(&self) -> String {
        match self {
            Self::Bool => "on (yes, true, y) and off (no, false, n)".to_owned(),
            Self::Uint { bits } => format!("numbers from 0 to {}", u64::MAX >> (64 - bits)),
            Self::Int { bits } => format!("numbers from {} to {}", i64::MIN >> (64 - bits), i64::MAX >> (64 - bits)),
            Self::Size => {
                "bytes, with one of the suffixes K, M, G, T, P and E for powers of 1024, below 16E".to_owned()
            }
            Self::Str => "any text".to_owned(),
            Self::Enum { names, .. } => match names {
                [others @ .., one, last] => {
                    let others: String = others.iter().map(|name| format!("{name}, ")).collect();
                    format!("{others}{one} and {last}")
                }
                names => names.join(", "),
            },
            Self::List { element } => format!("a list between commas of {}", element.accepted()),
        }
    }
}

/// What a property holds.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// A signed integer of so many bits.
    Int {
        /// The value.
        value: i64,
        /// 32 or 64.
        bits: u32,
    },
    /// A number of bytes.
    Size(u64),
    /// Text.
    Str(Cow<'static, str>),
    /// One of an enumeration's names.
    Enum(&'static str),
    /// Several values of one kind.
    List(Cow<'static, [PropertyValue]>),
}

macro_rules! constructors {
    ($($name:ident $number:ty, $form:ident as $wide:ty;)*) => {$(
        /// A value of this type.
        #[must_use]
        pub const fn $name(value: $number) -> Self {
            Self::$form { value: value as $wide, bits: <$number>::BITS }
        }
    )*};
}

impl PropertyValue {
    /// A value of this type.
    #[must_use]
    pub const fn of_bool(value: bool) -> Self {
        Self::Bool(value)
    }

    constructors! {
        of_u8 u8, Uint as u64;
        of_u16 u16, Uint as u64;
        of_u32 u32, Uint as u64;
        of_u64 u64, Uint as u64;
        of_i32 i32, Int as i64;
        of_i64 i64, Int as i64;
    }

    /// A text that is part of the program.
    #[must_use]
    pub const fn of_str(text: &'static str) -> Self {
        Self::Str(Cow::Borrowed(text))
    }

    /// Values that are part of the program.
    #[must_use]
    pub const fn of_static_list(list: &'static [Self]) -> Self {
        Self::List(Cow::Borrowed(list))
    }

    /// Several values.
    #[must_use]
    pub const fn of_list(list: Vec<Self>) -> Self {
        Self::List(Cow::Owned(list))
    }
}

/// As text that reads back to the same value, except for lists of texts with a comma in them.
impl fmt::Display for PropertyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(true) => f.write_str("on"),
            Self::Bool(false) => f.write_str("off"),
            Self::Uint { value, .. } | Self::Size(value) => write!(f, "{value}"),
            Self::Int { value, .. } => write!(f, "{value}"),
            Self::Str(text) => f.write_str(text),
            Self::Enum(name) => f.write_str(name),
            Self::List(values) => {
                for (index, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if index == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}
