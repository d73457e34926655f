//! What derived code calls. Not for others: it changes with the derive.
//!
//! Adjacent fields of fixed width share one array and one bounds check: [`Space`] writes such a run, [`Run`] reads it.
//! Both are cut up by constants only, so that the compiler resolves every position.

use std::ops::Range;

use crate::error::{LoadError, Reason, Refused, SaveError};
use crate::image::{Upgrade, VmState};
use crate::input::Input;
use crate::schema::{Kind, Schema};
use crate::sink::Sink;
use crate::wire::{Element, Len, NoProps, Value, Wire};

pub use crate::containers::{get_list, get_tree, put_list, put_tree};
pub use crate::lint::{check_field, check_older, check_subsection};
pub use crate::subsection::{check_version, get as get_subsection, next as next_subsection, put as put_subsection};

/// Loads a version below the minimum: with the older image, which is then upgraded. `forget` empties the subsections.
///
/// # Errors
///
/// As [`crate::VmState::decode`] of the older image; the upgrade refuses.
#[cold]
pub fn upgrade<New: Upgrade<Old>, Old: VmState>(
    image: &mut New,
    forget: impl FnOnce(&mut New),
    props: &Old::Props,
    version: u32,
    input: &mut Input<'_>,
) -> Result<(), LoadError> {
    let mut old = image.older();
    forget(image);
    old.decode(props, version, input)?;
    image.upgrade(old, version).map_err(|refused| input.error(Reason::Refused(refused)))
}

/// The rest of a run that is being written.
#[derive(Debug)]
pub struct Space<'a>(&'a mut [u8]);

impl<'a> Space<'a> {
    /// All of a run.
    #[inline]
    pub fn new(octets: &'a mut [u8]) -> Self {
        Self(octets)
    }

    #[inline]
    fn split(&mut self, octets: usize) -> &'a mut [u8] {
        let whole = std::mem::take(&mut self.0);
        let (head, tail) = whole.split_at_mut_checked(octets).unwrap_or_default();
        self.0 = tail;
        head
    }

    /// Writes one value.
    #[inline]
    pub fn value<T: Value>(&mut self, value: T) {
        value.store(self.split(T::SCALAR.octets()));
    }

    /// Writes an array.
    #[inline]
    pub fn values<T: Value>(&mut self, values: &[T]) {
        let octets = self.split(values.len() * T::SCALAR.octets());
        for (octets, value) in octets.chunks_exact_mut(T::SCALAR.octets()).zip(values) {
            value.store(octets);
        }
    }

    /// Leaves octets as they are.
    #[inline]
    pub fn skip(&mut self, octets: usize) {
        self.split(octets);
    }
}

/// The rest of a run that was read.
#[derive(Debug)]
pub struct Run<'a> {
    octets: &'a [u8],
    schema: &'static Schema,
    range: Range<usize>,
    /// Offset in the stream of the end of the run.
    end: u64,
}

impl<'a> Run<'a> {
    /// Reads the octets of `schema.fields[range]`, `N` in all.
    ///
    /// # Errors
    ///
    /// The input ends; the error names the field in which.
    #[inline]
    pub fn read<const N: usize>(
        schema: &'static Schema,
        range: Range<usize>,
        input: &'a mut Input<'_>,
    ) -> Result<Self, LoadError> {
        let start = input.offset();
        match input.run::<N>() {
            Ok(octets) => Ok(Self { octets, schema, range, end: start.saturating_add(N as u64) }),
            Err(error) => Err(error.in_run(start, schema, range)),
        }
    }

    #[inline]
    fn split(&mut self, octets: usize) -> &'a [u8] {
        let (head, tail) = self.octets.split_at_checked(octets).unwrap_or_default();
        self.octets = tail;
        head
    }

    /// Reads one value.
    ///
    /// # Errors
    ///
    /// An octet is not a bool.
    #[inline]
    pub fn value<T: Value>(&mut self, value: &mut T) -> Result<(), LoadError> {
        let octets = self.split(T::SCALAR.octets());
        *value = T::fetch(octets).map_err(|found| self.not_a_bool(found, octets.len()))?;
        Ok(())
    }

    /// Reads an array.
    ///
    /// # Errors
    ///
    /// An octet is not a bool.
    #[inline]
    pub fn values<T: Value>(&mut self, values: &mut [T]) -> Result<(), LoadError> {
        let octets = self.split(values.len() * T::SCALAR.octets());
        for (index, (value, one)) in values.iter_mut().zip(octets.chunks_exact(T::SCALAR.octets())).enumerate() {
            *value = T::fetch(one).map_err(|found| self.not_a_bool(found, octets.len() - index))?;
        }
        Ok(())
    }

    /// Drops octets.
    #[inline]
    pub fn skip(&mut self, octets: usize) {
        self.split(octets);
    }

    /// The failure of the octet that is `back` before the rest.
    #[cold]
    fn not_a_bool(&self, found: u8, back: usize) -> LoadError {
        let offset = self.end.saturating_sub((self.octets.len() + back) as u64);
        let start = self.end.saturating_sub(run_octets(self.schema, &self.range) as u64);
        // As if the input ended with this octet missing: that finds field and element.
        let before = usize::try_from(offset.saturating_sub(start)).unwrap_or(0);
        let place = LoadError::new(start, Reason::EndOfInput { needed: 1, left: before });
        place.in_run(start, self.schema, self.range.clone()).because(offset, Reason::NotABool { found })
    }
}

fn run_octets(schema: &Schema, range: &Range<usize>) -> usize {
    let fields = schema.fields.get(range.clone()).unwrap_or_default();
    fields.iter().map(|field| field.kind.octets().unwrap_or(0)).sum()
}

pub(crate) fn name(schema: &'static Schema, index: usize) -> &'static str {
    schema.fields.get(index).map_or("", |field| field.name)
}

/// Writes a field that is not part of a run.
///
/// # Errors
///
/// As [`Wire::write_to`].
pub fn put_field<T: Wire>(
    schema: &'static Schema,
    index: usize,
    value: &T,
    sink: &mut dyn Sink,
) -> Result<(), SaveError> {
    sink.begin_field(schema, index, T::KIND.elements().unwrap_or(1));
    value.write_to(sink).map_err(|error| error.within(name(schema, index)))?;
    sink.end_field();
    Ok(())
}

/// Reads a field that is not part of a run.
///
/// # Errors
///
/// As [`Wire::read_from`].
pub fn get_field<T: Wire>(
    schema: &'static Schema,
    index: usize,
    value: &mut T,
    input: &mut Input<'_>,
) -> Result<(), LoadError> {
    value.read_from(input).map_err(|error| error.within(name(schema, index)))
}

/// Writes a nested image that has properties.
///
/// # Errors
///
/// As [`crate::VmState::encode`].
pub fn put_image<T: VmState>(
    schema: &'static Schema,
    index: usize,
    image: &T,
    props: &T::Props,
    sink: &mut dyn Sink,
) -> Result<(), SaveError> {
    sink.begin_field(schema, index, 1);
    sink.begin_image(T::SCHEMA);
    image.encode_part(props, sink).map_err(|error| error.within(name(schema, index)))?;
    sink.end_image(T::SCHEMA);
    sink.end_field();
    Ok(())
}

/// Reads a nested image that has properties.
///
/// # Errors
///
/// As [`crate::VmState::decode`].
pub fn get_image<T: VmState>(
    schema: &'static Schema,
    index: usize,
    image: &mut T,
    props: &T::Props,
    input: &mut Input<'_>,
) -> Result<(), LoadError> {
    image.decode(props, T::SCHEMA.version, input).map_err(|error| error.within(name(schema, index)))
}

/// Writes raw octets.
pub fn put_buffer(schema: &'static Schema, index: usize, octets: &[u8], sink: &mut dyn Sink) {
    sink.begin_field(schema, index, 1);
    sink.put(octets);
    sink.end_field();
}

/// Reads raw octets.
///
/// # Errors
///
/// The input ends.
pub fn get_buffer(
    schema: &'static Schema,
    index: usize,
    octets: &mut [u8],
    input: &mut Input<'_>,
) -> Result<(), LoadError> {
    let start = input.offset();
    input.read_exact(octets).map_err(|error| error.in_run(start, schema, index..index + 1))
}

/// Writes zeros.
pub fn put_unused(schema: &'static Schema, index: usize, octets: usize, sink: &mut dyn Sink) {
    sink.begin_field(schema, index, 1);
    put_zeros(octets, sink);
    sink.end_field();
}

fn put_zeros(octets: usize, sink: &mut dyn Sink) {
    const ZEROS: [u8; 256] = [0; 256];
    let mut rest = octets;
    while rest > 0 {
        let part = rest.min(ZEROS.len());
        sink.put(ZEROS.get(..part).unwrap_or_default());
        rest -= part;
    }
}

/// Skips octets.
///
/// # Errors
///
/// The input ends.
pub fn get_unused(
    schema: &'static Schema,
    index: usize,
    octets: usize,
    input: &mut Input<'_>,
) -> Result<(), LoadError> {
    let start = input.offset();
    input.skip(octets).map_err(|error| error.in_run(start, schema, index..index + 1))
}

/// Reads a value that must be what this side has.
///
/// # Errors
///
/// It is not; the input ends.
pub fn get_equal<T: Value + PartialEq + Wire>(
    schema: &'static Schema,
    index: usize,
    expected: T,
    input: &mut Input<'_>,
) -> Result<(), LoadError> {
    let start = input.offset();
    let within = |error: LoadError| error.within(name(schema, index));
    let mut found = T::default();
    found.read_from(input).map_err(within)?;
    if found == expected {
        return Ok(());
    }
    let hint = match schema.fields.get(index).map(|field| field.kind) {
        Some(Kind::Equal { hint, .. }) => hint,
        _ => None,
    };
    let reason = Reason::NotEqual { found: found.bits(), expected: expected.bits(), hint };
    Err(within(LoadError::new(start, reason)))
}

/// Reads a value that must be from 0 to what this side has.
///
/// # Errors
///
/// It is not; the input ends.
pub fn get_le(schema: &'static Schema, index: usize, value: &mut i32, input: &mut Input<'_>) -> Result<(), LoadError> {
    let start = input.offset();
    let within = |error: LoadError| error.within(name(schema, index));
    let limit = *value;
    value.read_from(input).map_err(within)?;
    if (0..=limit).contains(value) {
        return Ok(());
    }
    Err(within(LoadError::new(start, Reason::OutOfBounds { found: i64::from(*value), limit: i64::from(limit) })))
}

/// Writes a nested image at one of its versions.
///
/// # Errors
///
/// As [`crate::VmState::encode_at`].
pub fn put_pinned<T: VmState<Props: NoProps>>(
    schema: &'static Schema,
    index: usize,
    image: &T,
    version: u32,
    sink: &mut dyn Sink,
) -> Result<(), SaveError> {
    sink.begin_field(schema, index, 1);
    sink.begin_image(T::SCHEMA);
    image.encode_at(T::Props::NONE, version, sink).map_err(|error| error.within(name(schema, index)))?;
    sink.end_image(T::SCHEMA);
    sink.end_field();
    Ok(())
}

/// Reads a nested image at one of its versions.
///
/// # Errors
///
/// As [`crate::VmState::decode`].
pub fn get_pinned<T: VmState<Props: NoProps>>(
    schema: &'static Schema,
    index: usize,
    image: &mut T,
    version: u32,
    input: &mut Input<'_>,
) -> Result<(), LoadError> {
    image.decode(T::Props::NONE, version, input).map_err(|error| error.within(name(schema, index)))
}

/// Carries the verdict of a check while saving. `Differs from QEMU:` the process aborts there.
///
/// # Errors
///
/// The check refused.
pub fn check_save(schema: &'static Schema, index: usize, verdict: Result<(), Refused>) -> Result<(), SaveError> {
    verdict.map_err(|refused| SaveError::new(refused).within(name(schema, index)))
}

/// Carries the verdict of a check while loading.
///
/// # Errors
///
/// The check refused.
pub fn check_load(
    schema: &'static Schema,
    index: usize,
    verdict: Result<(), Refused>,
    input: &Input<'_>,
) -> Result<(), LoadError> {
    verdict.map_err(|refused| input.error(Reason::Refused(refused)).within(name(schema, index)))
}

/// A count of groups of so many elements.
#[derive(Debug, Clone, Copy)]
pub struct Scaled<C>(pub C, pub usize);

impl<C: Len> Len for Scaled<C> {
    fn elements(self) -> Result<u64, i64> {
        self.0.elements().map(|groups| groups.saturating_mul(self.1 as u64))
    }
}

/// A count while saving.
fn agreed_count(schema: &'static Schema, index: usize, count: impl Len, limit: usize) -> Result<usize, SaveError> {
    let refuse = |text: String| Err(SaveError::new(Refused::new(text)).within(name(schema, index)));
    match count.elements().map(usize::try_from) {
        Ok(Ok(elements)) if elements <= limit => Ok(elements),
        Ok(_) => refuse(format!("count is over the limit of {limit}")),
        Err(negative) => refuse(format!("count {negative} is negative")),
    }
}

/// Compares what a count says with what is there.
fn check_count(
    schema: &'static Schema,
    index: usize,
    count: impl Len,
    limit: usize,
    present: usize,
) -> Result<(), SaveError> {
    let refuse = |text: String| Err(SaveError::new(Refused::new(text)).within(name(schema, index)));
    match count.elements() {
        Ok(elements) if elements != present as u64 => {
            refuse(format!("holds {present} elements, but its count says {elements}"))
        }
        Ok(elements) if elements > limit as u64 => refuse(format!("count {elements} is over the limit of {limit}")),
        Ok(_) => Ok(()),
        Err(negative) => refuse(format!("count {negative} is negative")),
    }
}

/// Checks a count before it sizes anything.
fn accept_count(
    schema: &'static Schema,
    index: usize,
    count: impl Len,
    limit: usize,
    input: &Input<'_>,
) -> Result<usize, LoadError> {
    let refuse = |reason| input.error(reason).within(name(schema, index));
    let found = count.elements().map_err(|found| refuse(Reason::NegativeCount { found }))?;
    match usize::try_from(found) {
        Ok(elements) if elements <= limit => Ok(elements),
        _ => Err(refuse(Reason::CountOverLimit { found, limit: limit as u64 })),
    }
}

/// Writes a counted field.
///
/// # Errors
///
/// The count is not the number of elements, or above the limit; as [`Wire::write_to`].
pub fn put_counted<T: Wire>(
    schema: &'static Schema,
    index: usize,
    count: impl Len,
    limit: usize,
    elements: &[T],
    sink: &mut dyn Sink,
) -> Result<(), SaveError> {
    check_count(schema, index, count, limit, elements.len())?;
    sink.begin_field(schema, index, elements.len());
    T::write_all_to(elements, sink).map_err(|error| error.within(name(schema, index)))?;
    sink.end_field();
    Ok(())
}

/// Reads a counted field.
///
/// # Errors
///
/// The count is negative or above the limit; as [`Element::read_counted`].
pub fn get_counted<T: Element>(
    schema: &'static Schema,
    index: usize,
    count: impl Len,
    limit: usize,
    elements: &mut Vec<T>,
    input: &mut Input<'_>,
) -> Result<(), LoadError> {
    let count = accept_count(schema, index, count, limit, input)?;
    T::read_counted(elements, count, input).map_err(|error| error.within(name(schema, index)))
}

/// Writes a counted buffer.
///
/// # Errors
///
/// The count is not the number of octets, or above the limit.
pub fn put_counted_buffer(
    schema: &'static Schema,
    index: usize,
    count: impl Len,
    limit: usize,
    octets: &[u8],
    sink: &mut dyn Sink,
) -> Result<(), SaveError> {
    check_count(schema, index, count, limit, octets.len())?;
    put_buffer(schema, index, octets, sink);
    Ok(())
}

/// Reads a counted buffer. Grows with what arrives, not with what the count promises.
///
/// # Errors
///
/// The count is negative or above the limit; the input ends.
pub fn get_counted_buffer(
    schema: &'static Schema,
    index: usize,
    count: impl Len,
    limit: usize,
    octets: &mut Vec<u8>,
    input: &mut Input<'_>,
) -> Result<(), LoadError> {
    const STEP: usize = 64 << 10;
    let count = accept_count(schema, index, count, limit, input)?;
    octets.clear();
    while octets.len() < count {
        let done = octets.len();
        octets.resize(count.min(done + STEP), 0);
        let part = octets.get_mut(done..).unwrap_or_default();
        input.read_exact(part).map_err(|error| error.within(name(schema, index)))?;
    }
    Ok(())
}

/// Writes zeros, as many times as a count says.
///
/// # Errors
///
/// The count is negative or above the limit.
pub fn put_counted_unused(
    schema: &'static Schema,
    index: usize,
    count: impl Len,
    limit: usize,
    octets: usize,
    sink: &mut dyn Sink,
) -> Result<(), SaveError> {
    let count = agreed_count(schema, index, count, limit)?;
    sink.begin_field(schema, index, count);
    put_zeros(count.saturating_mul(octets), sink);
    sink.end_field();
    Ok(())
}

/// Skips octets, as many times as a count says.
///
/// # Errors
///
/// The count is negative or above the limit; the input ends.
pub fn get_counted_unused(
    schema: &'static Schema,
    index: usize,
    count: impl Len,
    limit: usize,
    octets: usize,
    input: &mut Input<'_>,
) -> Result<(), LoadError> {
    let count = accept_count(schema, index, count, limit, input)?;
    input.skip(count.saturating_mul(octets)).map_err(|error| error.within(name(schema, index)))
}

/// Bits of a word of a bitmap.
const WORD_BITS: usize = 64;

/// Writes a bitmap; bits of the last word that are not counted are written as they are.
///
/// # Errors
///
/// The count of bits is negative or above the limit; the words are not as many as it needs.
pub fn put_bitmap(
    schema: &'static Schema,
    index: usize,
    count: impl Len,
    limit: usize,
    words: &[u64],
    sink: &mut dyn Sink,
) -> Result<(), SaveError> {
    let bits = agreed_count(schema, index, count, limit)?;
    let needed = bits.div_ceil(WORD_BITS);
    if words.len() != needed {
        let text = format!("holds {} words, but its {bits} bits need {needed}", words.len());
        return Err(SaveError::new(Refused::new(text)).within(name(schema, index)));
    }
    sink.begin_field(schema, index, 1);
    u64::write_all_to(words, sink)?;
    sink.end_field();
    Ok(())
}

/// Reads a bitmap. Grows with what arrives, not with what the count promises.
///
/// # Errors
///
/// The count of bits is negative or above the limit; the input ends.
pub fn get_bitmap(
    schema: &'static Schema,
    index: usize,
    count: impl Len,
    limit: usize,
    words: &mut Vec<u64>,
    input: &mut Input<'_>,
) -> Result<(), LoadError> {
    let bits = accept_count(schema, index, count, limit, input)?;
    u64::read_counted(words, bits.div_ceil(WORD_BITS), input).map_err(|error| error.within(name(schema, index)))
}
