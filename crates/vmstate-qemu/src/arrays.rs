//! Arrays that are longer than those for which the standard library has a `Default`.
//!
//! | type | octets | in descriptions |
//! |---|---|---|
//! | [`Table<T, N>`] | N times those of `T` | as `[T; N]` |
//! | [`Octets<N>`] | N | one `buffer` |
//! | [`LongTable<T, N>`] | N times those of `T` | as `[T; N]` |
//! | [`LongOctets<N>`] | N | one `buffer` |
//!
//! An image needs `Default` to be a subsection, and the standard library has it for arrays of up to 32 elements only.
//! Of each the elements are public: an array is what they are. Those of the long ones are on the heap, since images are
//! moved about and stacks are small.

use std::fmt;
use std::ops::{Deref, DerefMut};

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

impl<T, const N: usize> Deref for Table<T, N> {
    type Target = [T; N];

    fn deref(&self) -> &[T; N] {
        &self.0
    }
}

impl<T, const N: usize> DerefMut for Table<T, N> {
    fn deref_mut(&mut self) -> &mut [T; N] {
        &mut self.0
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

impl<const N: usize> Deref for Octets<N> {
    type Target = [u8; N];

    fn deref(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> DerefMut for Octets<N> {
    fn deref_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
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

/// `N` elements on the heap.
#[derive(Clone, PartialEq, Eq)]
pub struct LongTable<T, const N: usize>(pub Box<[T; N]>);

impl<T: Default, const N: usize> Default for LongTable<T, N> {
    fn default() -> Self {
        Self(Box::new(std::array::from_fn(|_| T::default())))
    }
}

impl<T: fmt::Debug, const N: usize> fmt::Debug for LongTable<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Wire, const N: usize> Wire for LongTable<T, N> {
    const KIND: Kind = <[T; N] as Wire>::KIND;

    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        self.0.write_to(sink)
    }

    fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
        self.0.read_from(input)
    }
}

/// `N` raw octets on the heap.
#[derive(Clone, PartialEq, Eq)]
pub struct LongOctets<const N: usize>(pub Box<[u8; N]>);

impl<const N: usize> Default for LongOctets<N> {
    fn default() -> Self {
        Self(Box::new([0; N]))
    }
}

impl<const N: usize> fmt::Debug for LongOctets<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const N: usize> Wire for LongOctets<N> {
    const KIND: Kind = Kind::Buffer { octets: N };

    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        sink.put(&*self.0);
        Ok(())
    }

    fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
        input.read_exact(&mut *self.0)
    }
}
