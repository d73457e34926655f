//! Subsections: optional groups behind the fields of an image (`docs/spec/vmstate.md` section 6).
//!
//! | octets | what |
//! |---|---|
//! | 1 | `05` |
//! | 1 | length of the name |
//! | length | name |
//! | 4 | version, big-endian |
//! | … | fields and subsections of the subsection; no length, no footer |
//!
//! A loader that does not recognise what follows as one of its own leaves it to whoever reads next: that the octets
//! were meant to be a subsection shows at the section's footer only.

use crate::error::{LoadError, Reason, SaveError};
use crate::guard::SUBSECTION_MARK;
use crate::image::{Shape, VmState};
use crate::input::Input;
use crate::schema::Schema;
use crate::sink::Sink;

/// Octets of the header before the name.
const MARK_AND_LENGTH: usize = 2;

/// Writes `image` as a subsection.
///
/// # Errors
///
/// As [`VmState::encode`].
pub fn put<S: VmState>(image: &S, props: &S::Props, sink: &mut dyn Sink) -> Result<(), SaveError> {
    put_header(S::SCHEMA, sink);
    image.encode_part(props, sink).map_err(|error| error.within(S::SCHEMA.name))?;
    sink.end_subsection(S::SCHEMA);
    Ok(())
}

fn put_header(schema: &'static Schema, sink: &mut dyn Sink) {
    sink.begin_subsection(schema);
    // Lint: names of subsections have 255 octets at most.
    let length = u8::try_from(schema.name.len()).unwrap_or(u8::MAX);
    sink.put(&[SUBSECTION_MARK, length]);
    sink.put(schema.name.as_bytes());
    sink.put(&schema.version.to_be_bytes());
}

/// Reads the header of the next subsection of `schema`, if one follows: its position among the subsections, and its
/// version. `seen` has one element for each subsection.
///
/// # Errors
///
/// The name begins with that of `schema` and is not known; the subsection was there before (`Differs from QEMU:` it is
/// loaded again there; no legitimate sender repeats one); its version is not loadable (`Differs from QEMU:` only the
/// low 8 bits of it count there, so that 257 loads as 1).
pub fn next(
    schema: &'static Schema,
    seen: &mut [bool],
    input: &mut Input<'_>,
) -> Result<Option<(usize, u32)>, LoadError> {
    let [SUBSECTION_MARK] = input.peek(1)? else { return Ok(None) };
    let [_, length] = *input.peek(MARK_AND_LENGTH)? else { return Ok(None) };
    let length = usize::from(length);
    if length <= schema.name.len() {
        return Ok(None);
    }
    let name = input.peek(MARK_AND_LENGTH + length)?.get(MARK_AND_LENGTH..).unwrap_or_default();
    if name.len() < length || !name.starts_with(schema.name.as_bytes()) {
        return Ok(None);
    }
    let Some(index) = schema.subsection(name) else {
        let name = String::from_utf8_lossy(name).into_owned();
        return Err(input.error(Reason::UnknownSubsection { name }));
    };
    let Some(schema) = schema.subsections.get(index).map(|subsection| subsection.schema) else { return Ok(None) };
    let name = schema.name;
    if let Some(seen) = seen.get_mut(index)
        && std::mem::replace(seen, true)
    {
        return Err(input.error(Reason::RepeatedSubsection { name: name.to_owned() }));
    }
    input.consume(MARK_AND_LENGTH + length);
    let start = input.offset();
    let version = u32::from_be_bytes(input.array().map_err(|error| error.within("version").within(name))?);
    if !schema.loads(version) {
        return Err(refuse_version(schema, version, start).within(name));
    }
    input.note_subsection(name, version);
    Ok(Some((index, version)))
}

/// Decodes the body of a subsection into `shape`, or into a default where that will do, and puts it into `slot`.
///
/// # Errors
///
/// As [`VmState::decode`]; there is no shape and only a template will do.
pub fn get<S: VmState>(
    slot: &mut Option<S>,
    shape: Option<S>,
    props: &S::Props,
    version: u32,
    input: &mut Input<'_>,
) -> Result<(), LoadError>
where
    S::Shape: Shape<S>,
{
    let within = |error: LoadError| error.within(S::SCHEMA.name);
    let default = || if const { S::SCHEMA.needs_template() } { None } else { <S::Shape as Shape<S>>::shape() };
    let mut image = shape.or_else(default).ok_or_else(|| within(input.error(Reason::NoTemplate)))?;
    image.decode(props, version, input).map_err(within)?;
    *slot = Some(image);
    Ok(())
}

/// Refuses a version outside what an image of `schema` itself decodes.
///
/// # Errors
///
/// The version is too new or too old.
#[inline]
pub fn check_version(schema: &'static Schema, version: u32, input: &Input<'_>) -> Result<(), LoadError> {
    if version > schema.version || version < schema.minimum_version {
        return Err(refuse_version(schema, version, input.offset()));
    }
    Ok(())
}

#[cold]
fn refuse_version(schema: &'static Schema, version: u32, offset: u64) -> LoadError {
    LoadError::new(offset, schema.refusal(version))
}
