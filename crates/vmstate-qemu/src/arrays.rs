//! Arrays that are longer than those for which the standard library has a `Default`.
//!
//! | type | octets | in descriptions |
//! |---|---|---|
//! | [`Table<T, N>`] | N times those of `T` | as `[T; N]` |
//! | [`Octets<N>`] | N | one `buffer` |
//!
//! An image needs `Default` to be a subsection, and the standard library has it for arrays of up to 32 elements only.
//! Of either the elements are public: an array is what both are.

use std::fmt;

use vmstate::schema::Kind;
use vmstate::{Input, LoadError, SaveError, Sink, Wire};

/// `N` elements.
#[derive(Clone, PartialEq, Eq)]
pub struct Table<T, const N: usize>(pub [T; N]);

impl<T: Default, const N: usize> Default for Table<T, N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| T::default()))
    }
}

impl<T: fmt::Debug, const N: usize> fmt::Debug for Table<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Wire, const N: usize> Wire for Table<T, N> {
    const KIND: Kind = <[T; N] as Wire>::KIND;

    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        self.0.write_to(sink)
    }

    fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
        self.0.read_from(input)
    }
}

/// `N` raw octets.
#[derive(Clone, PartialEq, Eq)]
pub struct Octets<const N: usize>(pub [u8; N]);

impl<const N: usize> Default for Octets<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> fmt::Debug for Octets<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const N: usize> Wire for Octets<N> {
    const KIND: Kind = Kind::Buffer { octets: N };

    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        sink.put(&self.0);
        Ok(())
    }

    fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
        input.read_exact(&mut self.0)
    }
}
