//! What a guest does with a machine, and what it sees of it.
//!
//! Releases differ in their Rust types, so a scenario speaks to them by names: `uart.divider`, the device's name in the
//! [`Machine`](crate::Machine) and the name of a register, or of anything else that can be done to the device and seen
//! of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use vmstate::describe::{Description, Repeat, SUBSECTION_HEADER_OCTETS};
use vmstate::{DescribeSink, SaveError, VmState};

/// The guest's side of a device, or of a whole machine.
///
/// [`registers!`](crate::registers!) implements it for a device whose registers are plain fields.
pub trait Guest: Send {
    /// Does something to the device: writes `value` to a register, or whatever the name stands for.
    ///
    /// # Errors
    ///
    /// This release has nothing of that name, or does not take the value there. A scenario that comes to this is not
    /// run with this release as its source.
    fn act(&mut self, register: &str, value: u64) -> Result<(), Unsupported>;

    /// All that the guest can see, under the names that [`Guest::act`] takes.
    fn observe(&self) -> Observation;
}

impl<G: Guest> Guest for Arc<Mutex<G>> {
    fn act(&mut self, register: &str, value: u64) -> Result<(), Unsupported> {
        self.lock().unwrap_or_else(PoisonError::into_inner).act(register, value)
    }

    fn observe(&self) -> Observation {
        self.lock().unwrap_or_else(PoisonError::into_inner).observe()
    }
}

/// What cannot be done in this release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported(String);

impl Unsupported {
    /// There is no register of this name.
    #[must_use]
    pub fn register(register: &str) -> Self {
        Self(format!("there is no '{register}'"))
    }

    /// The register cannot hold this.
    #[must_use]
    pub fn value(register: &str, value: u64) -> Self {
        Self(format!("'{register}' does not take {value:#x}"))
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unsupported {}

/// What a guest sees: names and values, as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observation(BTreeMap<String, String>);

impl Observation {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, and `value` under `register`.
    #[must_use]
    pub fn with(mut self, register: impl Into<String>, value: impl fmt::Display) -> Self {
        self.0.insert(register.into(), value.to_string());
        self
    }

    /// Every field of an image under its name, as hexadecimal digits: for a device whose registers cannot be read
    /// without changing it. What is in the image is then what counts, so give it properties with every gate open.
    ///
    /// # Errors
    ///
    /// As [`VmState::encode`].
    pub fn of_image<I: VmState>(image: &I, props: &I::Props) -> Result<Self, SaveError> {
        let mut octets = Vec::new();
        let mut sink = DescribeSink::new(I::SCHEMA, &mut octets);
        image.encode(props, &mut sink)?;
        let description = sink.finish();
        let mut seen = Self::new();
        seen.add_described("", &description, &octets);
        Ok(seen)
    }

    /// Adds the fields of an image, of which these are the octets.
    fn add_described(&mut self, within: &str, description: &Description, octets: &[u8]) {
        let take = |at: u64, octets_of: u64| {
            let start = usize::try_from(at).unwrap_or(usize::MAX);
            let end = start.saturating_add(usize::try_from(octets_of).unwrap_or(usize::MAX));
            octets.get(start..end).unwrap_or_default()
        };
        let mut at = 0;
        for field in &description.fields {
            let name = match field.repeat {
                Repeat::Element(index) => format!("{within}{}[{index}]", field.name),
                Repeat::Single | Repeat::Array(_) => format!("{within}{}", field.name),
            };
            let body = take(at, field.octets());
            at = at.saturating_add(field.octets());
            match &field.nested {
                Some(nested) if field.repeat == Repeat::Single => self.add_described(&format!("{name}."), nested, body),
                _ if field.name.starts_with("unused") => {}
                _ => *self = std::mem::take(self).with(name, hex(body)),
            }
        }
        for subsection in &description.subsections {
            let name = &subsection.vmsd_name;
            at = at.saturating_add(SUBSECTION_HEADER_OCTETS).saturating_add(name.len() as u64);
            self.add_described(&format!("{within}{name}."), subsection, take(at, subsection.octets()));
            at = at.saturating_add(subsection.octets());
        }
    }

    /// What is seen under a name.
    #[must_use]
    pub fn value(&self, register: &str) -> Option<&str> {
        self.0.get(register).map(String::as_str)
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(register, value)| (register.as_str(), value.as_str()))
    }

    /// Adds what is seen of a device, its name before each of the names.
    pub(crate) fn add(&mut self, device: &str, seen: Self) {
        self.0.extend(seen.0.into_iter().map(|(register, value)| (format!("{device}.{register}"), value)));
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A field that is a register: an integer or a `bool`.
pub trait Register: fmt::Display + Copy {
    /// The register's content for what a guest writes; nothing if it does not fit.
    fn of(value: u64) -> Option<Self>;
}

impl Register for bool {
    fn of(value: u64) -> Option<Self> {
        match value {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl Register for $integer {
            fn of(value: u64) -> Option<Self> {
                value.try_into().ok()
            }
        }
    )*};
}

integers! { u8 u16 u32 u64 i8 i16 i32 i64 }

/// Implements [`Guest`](crate::Guest) for a device whose registers are plain fields.
///
/// ```
/// use vmstate_lab::{Guest, registers};
///
/// struct Rtc { seconds: u64, alarm: Alarm }
/// struct Alarm { at: u64, is_armed: bool }
/// registers!(Rtc { "seconds" => seconds, "alarm" => alarm.at, "armed" => alarm.is_armed });
///
/// let mut rtc = Rtc { seconds: 3, alarm: Alarm { at: 0, is_armed: false } };
/// rtc.act("armed", 1)?;
/// assert_eq!(rtc.observe().value("armed"), Some("true"));
/// assert!(rtc.act("armed", 2).is_err() && rtc.act("hours", 2).is_err());
/// # Ok::<(), vmstate_lab::Unsupported>(())
/// ```
///
/// Where names and fields are the same: `registers!(Rtc { seconds, minutes });`.
#[macro_export]
macro_rules! registers {
    ($device:ty { $($field:ident),+ $(,)? }) => {
        $crate::registers!(@guest $device { $([stringify!($field)] $field),+ });
    };
    ($device:ty { $($register:literal => $($field:ident).+),+ $(,)? }) => {
        $crate::registers!(@guest $device { $([$register] $($field).+),+ });
    };
    (@guest $device:ty { $([$register:expr] $($field:ident).+),+ }) => {
        impl $crate::Guest for $device {
            fn act(&mut self, register: &str, value: u64) -> ::std::result::Result<(), $crate::Unsupported> {
                $(if register == $register {
                    self.$($field).+ = $crate::Register::of(value)
                        .ok_or_else(|| $crate::Unsupported::value(register, value))?;
                    return ::std::result::Result::Ok(());
                })+
                ::std::result::Result::Err($crate::Unsupported::register(register))
            }

            fn observe(&self) -> $crate::Observation {
                $crate::Observation::new()$(.with($register, self.$($field).+))+
            }
        }
    };
}
