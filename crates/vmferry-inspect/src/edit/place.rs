//! Where the octets of a path are in the body of a section, by its description.
//!
//! ```text
//!  segs[2].base      body   | a | segs[0] | segs[1] | segs[2]: | selector | base | … | 05 n name version | … |
//!                                                   '──────────── Place.range of segs[2]'
//!  steps: Field(1) Field(1)          the entries of the description on the way
//! ```
//!
//! The names on the way are those of `path.rs`. The description must account for every octet of the body, with its
//! counts of pointer arrays repaired where they do not fit (`pointer_runs.rs`); otherwise nothing is found in it.

use std::ops::Range;

use vmferry_wire::description::{Contents, Field, TYPE_NULLPTR, Vmsd};

use crate::edit::error::EditError;
use crate::fields::TYPE_PTR_MARKER;
use crate::pointer_runs::{repair_counts, repaired_bytes};

/// Octets of a subsection before its fields, without its name: type, length of the name, version.
const SUBSECTION_HEAD_BYTES: usize = 6;

/// Octet before an element that is there, in arrays whose elements are all marked.
const PRESENT_MARKER: u8 = 0x31;

/// Names that an error lists.
const LISTED_NAMES: usize = 24;

/// An entry of the description on the way to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A field, by its number in the list.
    Field(usize),
    /// A subsection, by its number.
    Subsection(usize),
}

/// Octets of a body that a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// One element of a field, or a subsection from its type octet on.
    pub(super) range: Range<usize>,
    /// The way there.
    pub(super) steps: Vec<Step>,
    /// Whether an entry on the way stands for several elements, so that all must stay alike.
    pub(super) is_in_array: bool,
}

/// Finds `path`, the part behind the section, in a body of `vmsd`. `what` is the edit, for errors.
pub(super) fn find(vmsd: &Vmsd, body: &[u8], path: &str, what: &str) -> Result<Place, EditError> {
    let mut finder = Finder { body, what, steps: Vec::new(), is_in_array: false };
    let range = finder.vmsd(vmsd, 0..body.len(), path)?;
    Ok(Place { range, steps: finder.steps, is_in_array: finder.is_in_array })
}

struct Finder<'a> {
    body: &'a [u8],
    what: &'a str,
    steps: Vec<Step>,
    is_in_array: bool,
}

impl Finder<'_> {
    fn unfit<T>(&self, reason: String) -> Result<T, EditError> {
        Err(EditError::unfit(self.what, reason))
    }

    /// Finds `path` in a description that takes exactly `range`.
    fn vmsd(&mut self, vmsd: &Vmsd, range: Range<usize>, path: &str) -> Result<Range<usize>, EditError> {
        let is_whole =
            |octets: Option<u64>| octets.and_then(|octets| usize::try_from(octets).ok()) == Some(range.len());
        let counts = if is_whole(vmsd.encoded_bytes()) {
            vmsd.fields.iter().map(|field| field.array_len).collect()
        } else if is_whole(repaired_bytes(vmsd)) {
            repair_counts(&vmsd.fields).unwrap_or_default()
        } else {
            let reason = format!("the description does not account for the {} octets of {:?}", range.len(), vmsd.name);
            return Err(EditError::refused(self.what, reason));
        };
        let fields = vmsd.fields.iter().map(|field| field.name.as_str());
        let names = fields.chain(vmsd.subsections.iter().map(|subsection| subsection.name.as_str()));
        let Some(name) = longest(names, path) else {
            return self.unfit(format!("no {path:?} in {:?}, which has {}", vmsd.name, listed(vmsd)));
        };
        let rest = path.get(name.len()..).unwrap_or_default();
        let mut at = range.start;
        let mut entries = Vec::new();
        for (index, field) in vmsd.fields.iter().enumerate() {
            let count = counts.get(index).copied().flatten();
            let octets = field.size.checked_mul(count.unwrap_or(1)).and_then(|octets| usize::try_from(octets).ok());
            let end = octets.and_then(|octets| at.checked_add(octets)).filter(|end| *end <= range.end);
            let Some(end) = end else {
                return Err(EditError::refused(self.what, format!("field {:?} passes its structure", field.name)));
            };
            if field.name == name {
                entries.push(Entry { index, field, count, range: at..end });
            }
            at = end;
        }
        if entries.is_empty() { self.subsection(vmsd, at..range.end, name, rest) } else { self.field(&entries, rest) }
    }

    fn subsection(
        &mut self,
        vmsd: &Vmsd,
        range: Range<usize>,
        name: &str,
        rest: &str,
    ) -> Result<Range<usize>, EditError> {
        if vmsd.subsections.iter().filter(|subsection| subsection.name == name).count() > 1 {
            return self.unfit(format!("subsection {name:?} is there more than once"));
        }
        let mut at = range.start;
        for (index, subsection) in vmsd.subsections.iter().enumerate() {
            let inner = subsection.encoded_bytes().and_then(|octets| usize::try_from(octets).ok());
            let fields = at.saturating_add(subsection.name.len()).saturating_add(SUBSECTION_HEAD_BYTES);
            let Some(end) = inner.and_then(|inner| fields.checked_add(inner)).filter(|end| *end <= range.end) else {
                return Err(EditError::refused(
                    self.what,
                    format!("subsection {:?} passes its section", subsection.name),
                ));
            };
            if subsection.name == name {
                self.steps.push(Step::Subsection(index));
                return match rest.strip_prefix('.') {
                    _ if rest.is_empty() => Ok(at..end),
                    Some(rest) => self.vmsd(subsection, fields..end, rest),
                    None => self.unfit(format!("{rest:?} behind the subsection {name:?}, which has no elements")),
                };
            }
            at = end;
        }
        self.unfit(format!("no {name:?}"))
    }

    /// Picks an element of the entries of one name.
    fn field(&mut self, entries: &[Entry<'_>], rest: &str) -> Result<Range<usize>, EditError> {
        let Some(first) = entries.first() else { return self.unfit("no such field".to_owned()) };
        let name = &first.field.name;
        let is_array = entries.len() > 1 || first.count.is_some() || first.field.index.is_some();
        let (wanted, rest) = match index(rest) {
            Some((wanted, rest)) => (Some(wanted), rest),
            None => (None, rest),
        };
        let elements = || entries.iter().flat_map(|entry| entry.elements(self.body));
        let (entry, element) = match (wanted, is_array) {
            (None, false) => (first, first.range.clone()),
            (Some(wanted), true) => match elements().nth(wanted) {
                Some(found) => found,
                None => return self.unfit(format!("{name:?} has {} elements, counted from 0", elements().count())),
            },
            (None, true) => {
                return self.unfit(format!("{name:?} is an array: [0] to [{}]", elements().count().saturating_sub(1)));
            }
            (Some(_), false) => return self.unfit(format!("{name:?} is no array")),
        };
        self.steps.push(Step::Field(entry.index));
        self.is_in_array |= entry.count.is_some_and(|count| count > 1);
        let inner = match rest.strip_prefix('.') {
            _ if rest.is_empty() => return Ok(element),
            Some(inner) => inner,
            None => return self.unfit(format!("{rest:?} behind {name:?}: expected . and a name")),
        };
        match &entry.field.contents {
            Contents::Struct(vmsd) => self.vmsd(vmsd, element, inner),
            Contents::Flat(_) => Err(EditError::refused(
                self.what,
                format!("{name:?} has the codec {:?}, inside of which nothing is known", entry.field.type_name),
            )),
            Contents::EmptyStruct => Err(EditError::refused(self.what, format!("{name:?} is not described"))),
            Contents::Plain => self.unfit(format!("{name:?} is a {:?}, which has no fields", entry.field.type_name)),
        }
    }
}

/// An entry of the description, and the octets of its elements.
struct Entry<'a> {
    index: usize,
    field: &'a Field,
    count: Option<u64>,
    range: Range<usize>,
}

impl<'a> Entry<'a> {
    /// The elements as a report counts them: a marker that an element follows is none.
    fn elements<'s>(&'s self, body: &'s [u8]) -> impl Iterator<Item = (&'s Entry<'a>, Range<usize>)> + 's {
        let size = usize::try_from(self.field.size).unwrap_or(usize::MAX);
        // Elements of no octets are no places.
        let count = if size == 0 { 0 } else { self.range.len().checked_div(size).unwrap_or(0) };
        (0..count).filter_map(move |number| {
            let start = self.range.start.saturating_add(number.saturating_mul(size));
            let element = start..start.saturating_add(size);
            let is_marker = self.field.type_name == TYPE_PTR_MARKER;
            let is_present = is_marker && body.get(element.clone()) == Some(&[PRESENT_MARKER][..]);
            (!is_present).then_some((self, element))
        })
    }
}

/// The longest name that `path` begins with.
fn longest<'n>(names: impl Iterator<Item = &'n str>, path: &str) -> Option<&'n str> {
    names.filter(|name| is_component(path, name)).max_by_key(|name| name.len())
}

/// Whether `path` begins with `name` as a whole component.
pub(super) fn is_component(path: &str, name: &str) -> bool {
    path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// `[7]` at the start of a path, and what is behind it.
fn index(path: &str) -> Option<(usize, &str)> {
    let (number, rest) = path.strip_prefix('[')?.split_once(']')?;
    Some((number.parse().ok()?, rest))
}

/// The names in a description, for an error.
fn listed(vmsd: &Vmsd) -> String {
    let fields = vmsd.fields.iter().map(|field| field.name.as_str());
    let mut names: Vec<_> = fields.chain(vmsd.subsections.iter().map(|subsection| subsection.name.as_str())).collect();
    names.dedup();
    let more = if names.len() > LISTED_NAMES { ", …" } else { "" };
    names.truncate(LISTED_NAMES);
    if names.is_empty() { "no fields".to_owned() } else { format!("{}{more}", names.join(", ")) }
}

/// The field that the last step leads to.
pub(super) fn field_at<'v>(vmsd: &'v Vmsd, steps: &[Step]) -> Option<&'v Field> {
    let (last, before) = steps.split_last()?;
    let vmsd = before.iter().try_fold(vmsd, |vmsd, step| inner(vmsd, *step))?;
    match last {
        Step::Field(index) => vmsd.fields.get(*index),
        Step::Subsection(_) => None,
    }
}

fn inner(vmsd: &Vmsd, step: Step) -> Option<&Vmsd> {
    match step {
        Step::Subsection(index) => vmsd.subsections.get(index),
        Step::Field(index) => match &vmsd.fields.get(index)?.contents {
            Contents::Struct(inner) => Some(inner),
            _ => None,
        },
    }
}

/// Takes the subsection that `steps` lead to out of the description; `octets` is what it took in the stream.
pub(super) fn remove_subsection(vmsd: &mut Vmsd, steps: &[Step], octets: u64) -> Option<()> {
    let (first, rest) = steps.split_first()?;
    match *first {
        Step::Subsection(index) if rest.is_empty() => {
            (index < vmsd.subsections.len()).then(|| drop(vmsd.subsections.remove(index)))
        }
        Step::Subsection(index) => remove_subsection(vmsd.subsections.get_mut(index)?, rest, octets),
        Step::Field(index) => {
            let field = vmsd.fields.get_mut(index)?;
            field.size = field.size.checked_sub(octets)?;
            match &mut field.contents {
                Contents::Struct(inner) => remove_subsection(inner, rest, octets),
                _ => None,
            }
        }
    }
}

/// Whether a field only marks elements of an array of pointers.
pub(super) fn is_marker(field: &Field) -> bool {
    field.type_name == TYPE_NULLPTR || field.type_name == TYPE_PTR_MARKER
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, type_name: &str, size: u64) -> Field {
        Field::scalar(name, type_name, size)
    }

    fn array(count: u64, field: Field) -> Field {
        Field { array_len: Some(count), ..field }
    }

    fn vmsd(name: &str, fields: Vec<Field>, subsections: Vec<Vmsd>) -> Vmsd {
        Vmsd { name: name.into(), version: 1, fields, subsections }
    }

    fn structure(name: &str, size: u64, inner: Vmsd) -> Field {
        Field { contents: Contents::Struct(Box::new(inner)), ..field(name, "struct", size) }
    }

    fn found(vmsd: &Vmsd, body: &[u8], path: &str) -> Result<Range<usize>, String> {
        find(vmsd, body, path, "x").map(|place| place.range).map_err(|error| error.to_string())
    }

    #[test]
    fn the_longest_name_wins() {
        let inner = vmsd("i", vec![field("data", "uint8", 1)], Vec::new());
        let fields = vec![field("uuid.data", "uint8", 1), structure("uuid", 1, inner), field("c[0]", "uint8", 1)];
        let device = vmsd("d", [fields, vec![array(2, field("c", "uint8", 1))]].concat(), Vec::new());
        let body = [0; 5];
        assert_eq!(found(&device, &body, "uuid.data"), Ok(0..1));
        assert_eq!(found(&device, &body, "uuid"), Ok(1..2));
        assert_eq!(found(&device, &body, "c[0]"), Ok(2..3), "the field of this name");
        assert_eq!(found(&device, &body, "c[1]"), Ok(4..5), "the element");
        assert!(found(&device, &body, "c[2]").unwrap_err().contains("2 elements"));
    }

    #[test]
    fn elements_are_counted_as_a_report_does() {
        // v N v N N v with markers before every element, then with the count of the whole array in the first entry.
        let marker = || field("ar", TYPE_PTR_MARKER, 1);
        let element = || field("ar", "uint8", 1);
        let marked = vmsd("d", vec![marker(), element(), marker(), marker(), element()], Vec::new());
        assert_eq!(found(&marked, b"1a01b", "ar[0]"), Ok(1..2));
        assert_eq!(found(&marked, b"1a01b", "ar[1]"), Ok(2..3), "a NULL element is one");
        assert_eq!(found(&marked, b"1a01b", "ar[2]"), Ok(4..5));
        let null = || field("ar", TYPE_NULLPTR, 1);
        let inner = || vmsd("i", vec![field("v", "uint16", 2)], Vec::new());
        let fields = vec![array(3, structure("ar", 2, inner())), null(), structure("ar", 2, inner())];
        let runs = vmsd("d", fields, Vec::new());
        assert_eq!(found(&runs, b"aa0bb", "ar[2].v"), Ok(3..5));
        assert!(found(&runs, b"aa0bbcc", "ar[2].v").unwrap_err().contains("does not account"));
    }

    #[test]
    fn a_dropped_subsection_shrinks_every_structure_around_it() {
        let sub = vmsd("i/x", vec![field("y", "uint16", 2)], Vec::new());
        let inner = vmsd("i", vec![field("v", "uint8", 1)], vec![sub]);
        let outer = vmsd("o", vec![structure("s", 12, inner)], Vec::new());
        let mut device = vmsd("d", vec![field("a", "uint8", 1), structure("o", 12, outer)], Vec::new());
        let body = b"aV\x05\x03i/x\0\0\0\x01yy";
        let place = find(&device, body, "o.s.i/x", "x").unwrap();
        assert_eq!((place.range.clone(), place.is_in_array), (2..13, false));
        assert_eq!(found(&device, body, "o.s.i/x.y"), Ok(11..13));
        remove_subsection(&mut device, &place.steps, 11).unwrap();
        assert_eq!(device.encoded_bytes(), Some(2));
        assert_eq!(found(&device, b"aV", "o.s.v"), Ok(1..2));
    }

    #[test]
    fn the_inside_of_an_unknown_codec_is_no_place() {
        let inner = vmsd("e", vec![field("x", "uint8", 1)], Vec::new());
        let list = Field { contents: Contents::Flat(vec![inner]), ..field("list", "qtailq", 3) };
        let device = vmsd("d", vec![list, field("raw", "virtio", 2)], Vec::new());
        assert_eq!(found(&device, b"1x0vv", "list"), Ok(0..3));
        assert!(found(&device, b"1x0vv", "list.x").unwrap_err().contains("inside of which nothing is known"));
        assert!(found(&device, b"1x0vv", "raw.x").unwrap_err().contains("has no fields"));
    }
}
