//! Types with codecs of their own that many devices have (`docs/spec/vmstate.md` section 5.1).
//!
//! | type | QEMU's name | octets | accepted |
//! |---|---|---|---|
//! | [`TimerExpiry`] | `timer` | 8: expiry in ns of the timer's clock, all ones if not pending | every value |
//! | [`Float64Bits`] | `CPU_Double_U` | 8: bits of the number, high word first | every value |
//! | [`GuestUlong`] | `uint32` or `uint64` | 4 or 8, as the target has it | every value |

use crate::error::{LoadError, Refused, SaveError};
use crate::input::Input;
use crate::schema::Kind;
use crate::sink::Sink;
use crate::wire::{Element, Value, Wire};

/// When a timer expires, in ns of its clock; nothing if it is not pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TimerExpiry(pub Option<u64>);

/// What is on the wire for a timer that is not pending.
const NOT_PENDING: u64 = u64::MAX;

impl Wire for TimerExpiry {
    const KIND: Kind = Kind::Codec { name: "timer", octets: Some(8) };

    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        if self.0 == Some(NOT_PENDING) {
            return Err(SaveError::new(Refused::new(
                "expiry of 2^64 - 1 ns cannot be told from a timer that is not pending",
            )));
        }
        self.0.unwrap_or(NOT_PENDING).write_to(sink)
    }

    fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
        let expiry = input.array().map(u64::from_be_bytes)?;
        self.0 = (expiry != NOT_PENDING).then_some(expiry);
        Ok(())
    }
}

impl Element for TimerExpiry {
    fn vacant() -> Option<Self> {
        Some(Self::default())
    }
}

/// A number of double precision, as its bits: whoever restores it decides what becomes of those that are no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Float64Bits(pub u64);

impl Float64Bits {
    /// The bits of `value`.
    #[must_use]
    pub fn of(value: f64) -> Self {
        Self(value.to_bits())
    }

    /// The number.
    #[must_use]
    pub fn value(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl Wire for Float64Bits {
    const KIND: Kind = Kind::Codec { name: "CPU_Double_U", octets: Some(8) };

    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        self.0.write_to(sink)
    }

    fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
        self.0.read_from(input)
    }
}

impl Element for Float64Bits {
    fn vacant() -> Option<Self> {
        Some(Self::default())
    }
}

/// A register as wide as the target's addresses: `GuestUlong<u32>` or `GuestUlong<u64>`, by the target and not by the
/// host. Migration between targets of different width is none: the image of each is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GuestUlong<T>(pub T);

/// Widths of a target's addresses.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not as wide as the addresses of a target",
    label = "not a width of QEMU's target long",
    note = "it is `GuestUlong<u32>` or `GuestUlong<u64>`"
)]
pub trait TargetLong: Value + Wire {}

impl TargetLong for u32 {}
impl TargetLong for u64 {}

impl<T: TargetLong> Wire for GuestUlong<T> {
    const KIND: Kind = T::KIND;

    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        self.0.write_to(sink)
    }

    fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
        self.0.read_from(input)
    }
}

impl<T: TargetLong> Element for GuestUlong<T> {
    fn vacant() -> Option<Self> {
        Some(Self::default())
    }
}
