//! Lists and trees: the two forms whose end is on the wire (`docs/spec/vmstate.md` sections 5.6 and 5.7).
//!
//! | form | octets | accepted |
//! |---|---|---|
//! | list | `01` and an image for each, then `00` | up to the limit |
//! | tree | number of 32 bits; `01`, key and image for each, then `00` | up to the limit; the number is true; no key twice |
//!
//! `Differs from QEMU:` there any octet but `00` announces an element, and a key that comes again replaces the first.
//!
//! Each element starts from its default: what the template holds is dropped. In QEMU elements come behind those that
//! are there, unless the device empties the list before a load.

use std::collections::BTreeMap;

use crate::derived::name;
use crate::error::{LoadError, Reason, Refused, SaveError};
use crate::image::{Shape, VmState};
use crate::input::Input;
use crate::schema::Schema;
use crate::sink::Sink;
use crate::wire::{NoProps, Wire};

/// An element follows.
const MORE: u8 = 0x01;
/// Nothing follows.
const END: u8 = 0x00;

/// A key of a tree: a number of 64 bits, or an image.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no key of a tree",
    label = "not a key",
    note = "a key is a `u64` (QEMU's direct keys) or an image that is `Default` and `Ord`"
)]
pub trait Key: Ord + Sized {
    /// Writes the key.
    ///
    /// # Errors
    ///
    /// As [`Wire::write_to`].
    fn put(&self, sink: &mut dyn Sink) -> Result<(), SaveError>;

    /// Reads a key.
    ///
    /// # Errors
    ///
    /// As [`Wire::read_from`].
    fn fetch(input: &mut Input<'_>) -> Result<Self, LoadError>;
}

impl Key for u64 {
    fn put(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        self.write_to(sink)
    }

    fn fetch(input: &mut Input<'_>) -> Result<Self, LoadError> {
        input.array().map(Self::from_be_bytes)
    }
}

impl<K: VmState<Props: NoProps> + Default + Ord> Key for K {
    fn put(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        self.write_to(sink)
    }

    fn fetch(input: &mut Input<'_>) -> Result<Self, LoadError> {
        let mut key = Self::default();
        key.read_from(input)?;
        Ok(key)
    }
}

/// Refuses more elements than the limit, while saving.
fn check_limit(schema: &'static Schema, index: usize, limit: usize, elements: usize) -> Result<(), SaveError> {
    if elements <= limit {
        return Ok(());
    }
    let text = format!("holds {elements} elements, over the limit of {limit}");
    Err(SaveError::new(Refused::new(text)).within(name(schema, index)))
}

/// Whether another element follows.
fn follows(input: &mut Input<'_>) -> Result<bool, LoadError> {
    let start = input.offset();
    match input.array()? {
        [END] => Ok(false),
        [MORE] => Ok(true),
        [found] => Err(LoadError::new(start, Reason::NotAMarker { found })),
    }
}

/// An element as the stream has it.
fn element<T: VmState<Props: NoProps>>(input: &mut Input<'_>) -> Result<T, LoadError>
where
    T::Shape: Shape<T>,
{
    let mut element = <T::Shape as Shape<T>>::shape().ok_or_else(|| input.error(Reason::NoTemplate))?;
    element.read_from(input)?;
    Ok(element)
}

/// Writes a list.
///
/// # Errors
///
/// It is longer than the limit; as [`Wire::write_to`].
pub fn put_list<T: VmState<Props: NoProps>>(
    schema: &'static Schema,
    index: usize,
    limit: usize,
    elements: &[T],
    sink: &mut dyn Sink,
) -> Result<(), SaveError> {
    check_limit(schema, index, limit, elements.len())?;
    sink.begin_field(schema, index, 1);
    for (at, element) in elements.iter().enumerate() {
        sink.put(&[MORE]);
        element.write_to(sink).map_err(|error| error.within(format!("[{at}]")).within(name(schema, index)))?;
    }
    sink.put(&[END]);
    sink.end_field();
    Ok(())
}

/// Reads a list.
///
/// # Errors
///
/// It is longer than the limit; an octet neither announces an element nor ends the list; as [`Wire::read_from`].
pub fn get_list<T: VmState<Props: NoProps>>(
    schema: &'static Schema,
    index: usize,
    limit: usize,
    elements: &mut Vec<T>,
    input: &mut Input<'_>,
) -> Result<(), LoadError>
where
    T::Shape: Shape<T>,
{
    let within = |error: LoadError| error.within(name(schema, index));
    elements.clear();
    loop {
        let at = elements.len();
        if !follows(input).map_err(within)? {
            return Ok(());
        }
        if at >= limit {
            let reason = Reason::CountOverLimit { found: at as u64 + 1, limit: limit as u64 };
            return Err(within(input.error(reason)));
        }
        elements.push(element(input).map_err(|error: LoadError| within(error.within(format!("[{at}]"))))?);
    }
}

/// Writes a tree in the order of its keys.
///
/// # Errors
///
/// It has more nodes than the limit, or than 32 bits count; as [`Wire::write_to`].
pub fn put_tree<K: Key, V: VmState<Props: NoProps>>(
    schema: &'static Schema,
    index: usize,
    limit: usize,
    nodes: &BTreeMap<K, V>,
    sink: &mut dyn Sink,
) -> Result<(), SaveError> {
    // QEMU reads the number as a signed one.
    let limit = limit.min(i32::MAX as usize);
    check_limit(schema, index, limit, nodes.len())?;
    let count = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
    sink.begin_field(schema, index, 1);
    sink.put(&count.to_be_bytes());
    for (at, (key, value)) in nodes.iter().enumerate() {
        let within = |error: SaveError| error.within(format!("[{at}]")).within(name(schema, index));
        sink.put(&[MORE]);
        key.put(sink).map_err(within)?;
        value.write_to(sink).map_err(within)?;
    }
    sink.put(&[END]);
    sink.end_field();
    Ok(())
}

/// Reads a tree.
///
/// # Errors
///
/// It has more nodes than the limit, or another number than it says; a key comes twice; an octet neither announces a
/// node nor ends the tree; as [`Wire::read_from`].
pub fn get_tree<K: Key, V: VmState<Props: NoProps>>(
    schema: &'static Schema,
    index: usize,
    limit: usize,
    nodes: &mut BTreeMap<K, V>,
    input: &mut Input<'_>,
) -> Result<(), LoadError>
where
    V::Shape: Shape<V>,
{
    let within = |error: LoadError| error.within(name(schema, index));
    nodes.clear();
    let start = input.offset();
    let declared = u64::from(u32::from_be_bytes(input.array().map_err(within)?));
    let limit = limit as u64;
    if declared > limit {
        return Err(within(LoadError::new(start, Reason::CountOverLimit { found: declared, limit })));
    }
    for at in 0..declared {
        let within = |error: LoadError| within(error.within(format!("[{at}]")));
        let start = input.offset();
        if !follows(input).map_err(within)? {
            return Err(within(LoadError::new(start, Reason::NodeCount { declared, found: at })));
        }
        let start = input.offset();
        let key = K::fetch(input).map_err(within)?;
        let value = element(input).map_err(within)?;
        if nodes.insert(key, value).is_some() {
            return Err(within(LoadError::new(start, Reason::RepeatedKey)));
        }
    }
    let start = input.offset();
    if follows(input).map_err(within)? {
        return Err(within(LoadError::new(start, Reason::NodeCount { declared, found: declared + 1 })));
    }
    Ok(())
}
