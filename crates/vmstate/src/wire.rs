//! How one value becomes octets (`docs/spec/vmstate.md` section 5.1).
//!
//! | type | octets | accepted |
//! |---|---|---|
//! | `bool` | 1 | 0 or 1 (`Differs from QEMU:` any other value is true there) |
//! | `i8` `u8` `i16` `u16` `i32` `u32` `i64` `u64` | 1, 2, 4, 8, big-endian | every value |
//! | `[T; N]` | N times those of `T` | as `T` |
//! | image | those of its fields, then its subsections | as its fields |
//! | `Option<T>` in arrays | those of `T`; `30` for none | as `T` if the template has one, else `30` |
//!
//! Types with codecs of their own are in [`crate::codecs`]. `docs/fields.md` has the forms that an attribute chooses.
//!
//! No length, count or terminator is written for any array.

use crate::error::{LoadError, Reason, SaveError};
use crate::image::{Shape, VmState};
use crate::input::Input;
use crate::schema::{Kind, Scalar};
use crate::sink::Sink;

/// A type with a fixed place on the wire.
///
/// Implement it for a newtype whose codec is none of the above; [`Wire::KIND`] tells the schema what it is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no QEMU wire encoding",
    label = "no wire encoding",
    note = "`bool`, integers of 8 to 64 bits with a sign or without, arrays of these, and images have one; `usize` differs between hosts",
    note = "a number of 128 bits is two of 64 bits in QEMU: two fields, in the order of the device",
    note = "a nested image derives `VmState`; one with properties of its own also needs `#[vmstate(props = field)]`"
)]
pub trait Wire: Sized {
    /// What it is on the wire.
    const KIND: Kind;

    /// Writes the value.
    ///
    /// # Errors
    ///
    /// A nested image contradicts its description.
    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError>;

    /// Reads over the value.
    ///
    /// # Errors
    ///
    /// The stream ends or holds no such value.
    fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError>;

    /// Writes several values one behind the other.
    ///
    /// # Errors
    ///
    /// As [`Wire::write_to`].
    fn write_all_to(values: &[Self], sink: &mut dyn Sink) -> Result<(), SaveError> {
        for (index, value) in values.iter().enumerate() {
            sink.next_element();
            value.write_to(sink).map_err(|error| error.within(format!("[{index}]")))?;
        }
        Ok(())
    }

    /// Reads over several values.
    ///
    /// # Errors
    ///
    /// As [`Wire::read_from`].
    fn read_all_from(values: &mut [Self], input: &mut Input<'_>) -> Result<(), LoadError> {
        for (index, value) in values.iter_mut().enumerate() {
            value.read_from(input).map_err(|error| error.within(format!("[{index}]")))?;
        }
        Ok(())
    }
}

/// A type that can be an element of a counted field.
pub trait Element: Wire {
    /// What an element that the template lacks starts from; nothing if only a template will do.
    fn vacant() -> Option<Self>;

    /// Reads `count` elements, over those that are there.
    ///
    /// # Errors
    ///
    /// As [`Wire::read_from`]; the template lacks an element that cannot start from a default.
    fn read_counted(elements: &mut Vec<Self>, count: usize, input: &mut Input<'_>) -> Result<(), LoadError> {
        elements.truncate(count);
        Self::read_all_from(elements, input)?;
        for index in elements.len()..count {
            let within = |error: LoadError| error.within(format!("[{index}]"));
            let mut element = Self::vacant().ok_or_else(|| within(input.error(Reason::NoTemplate)))?;
            element.read_from(input).map_err(within)?;
            elements.push(element);
        }
        Ok(())
    }
}

/// A number that can say how many elements a counted field has.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot count elements",
    label = "not a count",
    note = "QEMU's counts are u8, u16, i32 and u32"
)]
pub trait Len: Copy {
    /// The number of elements; the value itself if it is negative.
    ///
    /// # Errors
    ///
    /// The number is negative.
    fn elements(self) -> Result<u64, i64>;
}

macro_rules! unsigned_counts {
    ($($number:ty)*) => {$(
        impl Len for $number {
            fn elements(self) -> Result<u64, i64> {
                Ok(u64::from(self))
            }
        }
    )*};
}

unsigned_counts! { u8 u16 u32 }

impl Len for i32 {
    fn elements(self) -> Result<u64, i64> {
        u64::try_from(self).map_err(|_| i64::from(self))
    }
}

/// A [`Scalar`] as a Rust type.
pub trait Value: Copy + Default {
    /// Its description.
    const SCALAR: Scalar;
    /// Writes it to exactly its octets.
    fn store(self, octets: &mut [u8]);
    /// Reads it from exactly its octets.
    ///
    /// # Errors
    ///
    /// The octet that is not a bool.
    fn fetch(octets: &[u8]) -> Result<Self, u8>;

    /// Its octets as a number.
    fn bits(self) -> u64 {
        let mut octets = [0; 8];
        let unused = octets.len() - Self::SCALAR.octets();
        self.store(octets.get_mut(unused..).unwrap_or_default());
        u64::from_be_bytes(octets)
    }
}

macro_rules! integers {
    ($($integer:ty = $scalar:ident)*) => {$(
        impl Value for $integer {
            const SCALAR: Scalar = Scalar::$scalar;

            #[inline]
            fn store(self, octets: &mut [u8]) {
                if let Some(place) = octets.first_chunk_mut() {
                    *place = self.to_be_bytes();
                }
            }

            #[inline]
            fn fetch(octets: &[u8]) -> Result<Self, u8> {
                Ok(octets.first_chunk().map_or(0, |octets| Self::from_be_bytes(*octets)))
            }
        }
    )*};
}

integers! { i8 = I8 i16 = I16 i32 = I32 i64 = I64 u8 = U8 u16 = U16 u32 = U32 u64 = U64 }

impl Value for bool {
    const SCALAR: Scalar = Scalar::Bool;

    #[inline]
    fn store(self, octets: &mut [u8]) {
        u8::from(self).store(octets);
    }

    #[inline]
    fn fetch(octets: &[u8]) -> Result<Self, u8> {
        match octets.first() {
            None | Some(0) => Ok(false),
            Some(1) => Ok(true),
            Some(other) => Err(*other),
        }
    }
}

/// Octets that arrays of values move at once.
const BATCH: usize = 512;

fn put_values<T: Value>(values: &[T], sink: &mut dyn Sink) {
    let mut batch = [0; BATCH];
    let width = T::SCALAR.octets();
    for part in values.chunks(BATCH / width) {
        for (octets, value) in batch.chunks_exact_mut(width).zip(part) {
            value.store(octets);
        }
        sink.put(batch.get(..part.len() * width).unwrap_or_default());
    }
}

/// Reads over `values`; `first` is the index of the first of them in the field.
fn get_values<T: Value>(values: &mut [T], first: usize, input: &mut Input<'_>) -> Result<(), LoadError> {
    let mut batch = [0; BATCH];
    let width = T::SCALAR.octets();
    let mut done = first;
    for part in values.chunks_mut(BATCH / width) {
        let octets = batch.get_mut(..part.len() * width).unwrap_or_default();
        let start = input.offset();
        input.read_exact(octets).map_err(|error| error.in_array(start, width, done))?;
        for (index, (octets, value)) in octets.chunks_exact(width).zip(part.iter_mut()).enumerate() {
            *value = T::fetch(octets).map_err(|found| {
                LoadError::new(start.saturating_add((index * width) as u64), Reason::NotABool { found })
                    .within(format!("[{}]", done + index))
            })?;
        }
        done += part.len();
    }
    Ok(())
}

macro_rules! scalars {
    ($($value:ty)*) => {$(
        impl Wire for $value {
            const KIND: Kind = Kind::Scalar(<$value as Value>::SCALAR);

            fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
                let mut octets = [0; <$value as Value>::SCALAR.octets()];
                self.store(&mut octets);
                sink.put(&octets);
                Ok(())
            }

            fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
                let start = input.offset();
                let octets: [u8; <$value as Value>::SCALAR.octets()] = input.array()?;
                *self = Self::fetch(&octets).map_err(|found| LoadError::new(start, Reason::NotABool { found }))?;
                Ok(())
            }

            fn write_all_to(values: &[Self], sink: &mut dyn Sink) -> Result<(), SaveError> {
                put_values(values, sink);
                Ok(())
            }

            fn read_all_from(values: &mut [Self], input: &mut Input<'_>) -> Result<(), LoadError> {
                get_values(values, 0, input)
            }
        }

        impl Element for $value {
            fn vacant() -> Option<Self> {
                Some(Self::default())
            }

            fn read_counted(elements: &mut Vec<Self>, count: usize, input: &mut Input<'_>) -> Result<(), LoadError> {
                elements.clear();
                while elements.len() < count {
                    let mut part = [Self::default(); BATCH / <$value as Value>::SCALAR.octets()];
                    let wanted = part.len().min(count - elements.len());
                    let part = part.get_mut(..wanted).unwrap_or_default();
                    get_values(part, elements.len(), input)?;
                    elements.extend_from_slice(part);
                }
                Ok(())
            }
        }
    )*};
}

scalars! { bool i8 i16 i32 i64 u8 u16 u32 u64 }

impl<T: Wire, const N: usize> Wire for [T; N] {
    const KIND: Kind = Kind::Array { element: &T::KIND, elements: N };

    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        T::write_all_to(self, sink)
    }

    fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
        T::read_all_from(self, input)
    }

    fn write_all_to(values: &[Self], sink: &mut dyn Sink) -> Result<(), SaveError> {
        T::write_all_to(values.as_flattened(), sink)
    }

    fn read_all_from(values: &mut [Self], input: &mut Input<'_>) -> Result<(), LoadError> {
        T::read_all_from(values.as_flattened_mut(), input)
    }
}

/// Octet in place of an element that is absent (`docs/spec/vmstate.md` section 5.3).
pub(crate) const NULL_MARK: u8 = 0x30;

/// A pointer of an array of pointers: the template says which are absent, the stream only confirms it.
impl<T: Wire> Wire for Option<T> {
    const KIND: Kind = Kind::Pointer { element: &T::KIND };

    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        match self {
            Some(element) => element.write_to(sink),
            None => {
                sink.null_element();
                sink.put(&[NULL_MARK]);
                Ok(())
            }
        }
    }

    fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
        match self {
            Some(element) => element.read_from(input),
            None => {
                let start = input.offset();
                match input.array()? {
                    [NULL_MARK] => Ok(()),
                    [found] => Err(LoadError::new(start, Reason::NotNull { found })),
                }
            }
        }
    }
}

impl<T: Wire> Element for Option<T> {
    fn vacant() -> Option<Self> {
        None
    }
}

/// The properties of an image that needs none from the image around it.
#[diagnostic::on_unimplemented(
    message = "a nested image needs its properties `{Self}` from those of the image around it",
    label = "has properties of its own",
    note = "say `#[vmstate(props = field)]`, where `field` of the outer image's properties holds them; arrays of such images are not supported"
)]
pub trait NoProps: Sized + 'static {
    /// The only value.
    const NONE: &'static Self;
}

impl NoProps for () {
    const NONE: &'static Self = &();
}

impl<T: VmState<Props: NoProps>> Wire for T {
    const KIND: Kind = Kind::Struct(T::SCHEMA);

    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        sink.begin_image(T::SCHEMA);
        self.encode_part(T::Props::NONE, sink)?;
        sink.end_image(T::SCHEMA);
        Ok(())
    }

    fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
        self.decode(T::Props::NONE, T::SCHEMA.version, input)
    }

    fn write_all_to(values: &[Self], sink: &mut dyn Sink) -> Result<(), SaveError> {
        for (index, value) in values.iter().enumerate() {
            value.write_to(sink).map_err(|error| error.within(format!("[{index}]")))?;
        }
        Ok(())
    }
}

impl<T: VmState<Props: NoProps>> Element for T
where
    T::Shape: Shape<T>,
{
    fn vacant() -> Option<Self> {
        if const { T::SCHEMA.needs_template() } { None } else { <T::Shape as Shape<T>>::shape() }
    }
}
