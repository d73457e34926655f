//! Decoding without I/O: octets in, a value or the wish for more octets out.
//!
//! A stream says no lengths ahead, so a decoder can only be asked again with more input:
//!
//! ```text
//!            decode(octets) ──┬── Ok(Complete { value, used })   consume `used` octets
//!                             ├── Ok(NeedMore { total })         call again with at least `total` octets
//!                             └── Err(WireError)                 no continuation of these octets is accepted
//! ```
//!
//! A driver with a refill buffer, the analyzer and the fuzzer use the same functions.

use crate::error::{Reason, WireError};
use crate::name::Name;

/// What a decoder made of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<T> {
    /// The input starts with a whole value.
    Complete {
        /// The value.
        value: T,
        /// Octets that it took.
        used: usize,
    },
    /// The input ends inside the value. What is there was acceptable so far.
    NeedMore {
        /// Octets, counted from the start of the input, that the decoder wants to see next time. More than the input
        /// has; the whole value may take still more.
        total: usize,
    },
}

impl<T> Decoded<T> {
    /// The value and its length in octets, if the input was long enough.
    pub fn complete(self) -> Option<(T, usize)> {
        match self {
            Decoded::Complete { value, used } => Some((value, used)),
            Decoded::NeedMore { .. } => None,
        }
    }

    /// The same outcome with another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Decoded<U> {
        match self {
            Decoded::Complete { value, used } => Decoded::Complete { value: f(value), used },
            Decoded::NeedMore { total } => Decoded::NeedMore { total },
        }
    }
}

/// The result of every decoder of this crate.
pub type DecodeResult<T> = Result<Decoded<T>, WireError>;

/// Why a step of a decoder did not give a value.
#[derive(Debug)]
pub(crate) enum Stop {
    NeedMore(usize),
    Refused(WireError),
}

impl From<WireError> for Stop {
    fn from(error: WireError) -> Stop {
        Stop::Refused(error)
    }
}

/// The result of one step.
pub(crate) type Step<T> = Result<T, Stop>;

/// A position in the input. Reads past the end become [`Stop::NeedMore`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    input: &'a [u8],
    position: usize,
}

/// Runs a decoder over the input from its start.
#[inline]
pub(crate) fn run<'a, T>(input: &'a [u8], decode: impl FnOnce(&mut Cursor<'a>) -> Step<T>) -> DecodeResult<T> {
    let mut cursor = Cursor { input, position: 0 };
    match decode(&mut cursor) {
        Ok(value) => Ok(Decoded::Complete { value, used: cursor.position }),
        Err(Stop::NeedMore(total)) => Ok(Decoded::NeedMore { total }),
        Err(Stop::Refused(error)) => Err(error),
    }
}

impl<'a> Cursor<'a> {
    /// The position as an offset for errors.
    pub(crate) fn offset(&self) -> u64 {
        u64::try_from(self.position).unwrap_or(u64::MAX)
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    fn rest(&self) -> &'a [u8] {
        self.input.get(self.position..).unwrap_or_default()
    }

    pub(crate) fn take(&mut self, count: usize) -> Step<&'a [u8]> {
        match self.rest().get(..count) {
            Some(octets) => {
                self.position = self.position.saturating_add(count);
                Ok(octets)
            }
            None => Err(Stop::NeedMore(self.position.saturating_add(count))),
        }
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        match self.rest().first_chunk::<N>() {
            Some(octets) => {
                self.position = self.position.saturating_add(N);
                Ok(*octets)
            }
            None => Err(Stop::NeedMore(self.position.saturating_add(N))),
        }
    }

    pub(crate) fn u8(&mut self) -> Step<u8> {
        self.array::<1>().map(|[octet]| octet)
    }

    pub(crate) fn u16(&mut self) -> Step<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Step<u32> {
        self.array().map(u32::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Step<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A counted string that names something: 1 to 255 octets of UTF-8 without NUL.
    pub(crate) fn name(&mut self, what: &'static str) -> Step<Name> {
        self.name_text(what).map(Name::from_checked)
    }

    /// [`name`](Cursor::name) without the allocation.
    pub(crate) fn name_text(&mut self, what: &'static str) -> Step<&'a str> {
        let start = self.offset();
        let length = self.u8()?;
        let octets = self.take(usize::from(length))?;
        Name::check(octets, what).map_err(|reason| Stop::Refused(WireError::new(start, reason)))
    }

    /// Refuses `found` unless it is `expected`; the error points `back` octets before the cursor.
    pub(crate) fn expect(&self, what: &'static str, found: u64, expected: u64, back: u64) -> Step<()> {
        if found == expected {
            return Ok(());
        }
        Err(self.refuse_back(back, Reason::Unexpected { what, found, expected }))
    }

    /// A refusal of the octets that begin `back` octets before the cursor.
    #[cold]
    pub(crate) fn refuse_back(&self, back: u64, reason: Reason) -> Stop {
        Stop::Refused(WireError::new(self.offset().saturating_sub(back), reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_input_names_the_total_that_is_needed() {
        let decoded = run(&[1, 2, 3], |c| Ok((c.u16()?, c.u32()?))).unwrap();
        assert_eq!(decoded, Decoded::NeedMore { total: 6 });
    }

    #[test]
    fn a_whole_value_says_how_much_it_took() {
        let decoded = run(&[1, 2, 3, 4, 5, 6, 7], |c| Ok((c.u16()?, c.u32()?))).unwrap();
        assert_eq!(decoded, Decoded::Complete { value: (0x0102, 0x0304_0506), used: 6 });
    }

    #[test]
    fn a_name_with_a_nul_is_refused() {
        let error = run(b"\x05ram\0x", |c| c.name("RAM block")).unwrap_err();
        assert_eq!(error.reason(), &Reason::BadName { what: "RAM block" });
    }
}
