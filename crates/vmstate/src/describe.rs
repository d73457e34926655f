//! The description of one encoded image, as it trails a stream (`docs/spec/vmdesc.md` A2 to A4).
//!
//! A description belongs to one instance in one stream: it lists the fields that were written, with the octets that
//! each took, so that a reader without knowledge of the device can walk the body:
//!
//! ```text
//! bytes(field)       = size * (array_len or 1)
//! bytes(description) = sum of bytes(field) + sum over subsections (1 + 1 + len(vmsd_name) + 4 + bytes(subsection))
//! ```
//!
//! The key order in JSON is `name`, `array_len` or `index`, `type`, `struct`, `size`; the text is the business of the
//! crate that writes streams.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use crate::schema::{Field, Kind, Presence, Schema};
use crate::sink::Sink;

/// One image: a section's body, a nested structure or a subsection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Key `vmsd_name`: the image's own name.
    pub vmsd_name: Cow<'static, str>,
    /// Key `version`: the version that was written.
    pub version: u32,
    /// Key `fields`: what was written, in stream order.
    pub fields: Vec<DescribedField>,
    /// Key `subsections`: those that were written; the key is left out if there are none.
    pub subsections: Vec<Description>,
}

/// One field, or one element of a field whose elements are described one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedField {
    /// Key `name`: unique in its image (`name[k]` where several fields share a name, A4).
    pub name: Cow<'static, str>,
    /// Key `array_len` or `index`, or neither.
    pub repeat: Repeat,
    /// Key `type`: QEMU's name of the codec, `struct` for a nested image.
    pub type_name: Cow<'static, str>,
    /// Key `struct`: the nested image.
    pub nested: Option<Description>,
    /// Key `size`: octets of this one element (of each element, if [`Repeat::Array`]).
    pub size: u64,
}

/// How an entry stands for the elements of its field (A3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// The only element: neither key.
    Single,
    /// `array_len`: so many equal elements, of which the first is described.
    Array(u64),
    /// `index`: this element of several that are described one by one.
    Element(u64),
}

/// Octets of a subsection's header beside its name: marker, length of the name, version.
pub const SUBSECTION_HEADER_OCTETS: u64 = 1 + 1 + 4;

impl DescribedField {
    /// Octets on the wire that the entry stands for.
    #[must_use]
    pub fn octets(&self) -> u64 {
        match self.repeat {
            Repeat::Array(elements) => self.size.saturating_mul(elements),
            Repeat::Single | Repeat::Element(_) => self.size,
        }
    }
}

impl Description {
    /// Octets on the wire of the whole image (A6); without a subsection header of its own.
    #[must_use]
    pub fn octets(&self) -> u64 {
        let fields = self.fields.iter().map(DescribedField::octets);
        let subsections = self.subsections.iter().map(|subsection| {
            (SUBSECTION_HEADER_OCTETS + subsection.vmsd_name.len() as u64).saturating_add(subsection.octets())
        });
        fields.chain(subsections).fold(0, u64::saturating_add)
    }
}

/// A sink in front of another one that describes what passes.
///
/// Each element of an array gets an entry of its own with its index, unless all elements have the same shape and size
/// whatever they hold. `Differs from QEMU:` its writer describes the first element only also where sizes differ
/// (`docs/spec/vmdesc.md` A5, defect 1), and leaves the index of the last element out (defect 2); a reader could then
/// not walk the stream. Each element of an array of pointers has an entry, those that are absent with the type
/// `nullptr` (defects 3 to 6). A list, a tree and a pinned image are one entry with their size and without contents
/// (defects 7 and 8), as QEMU's own script reads them.
pub struct DescribeSink<'a> {
    sink: &'a mut dyn Sink,
    /// Octets that passed.
    octets: u64,
    /// The image and those around it, outermost first.
    open: Vec<OpenImage>,
    /// How deep inside an element that is not described because its like was.
    muted: usize,
}

struct OpenImage {
    schema: &'static Schema,
    description: Description,
    field: Option<OpenField>,
}

struct OpenField {
    index: usize,
    elements: u64,
    /// Elements that are described so far.
    described: u64,
    /// Whether the first element stands for all.
    alike: bool,
    /// Whether the field is one entry without contents, whatever it holds.
    opaque: bool,
    /// Whether the current element is a marker in place of one.
    null: bool,
    /// Octets that had passed when the field began.
    start: u64,
    /// Octets that had passed when the current element began, for elements that are announced.
    element_start: Option<u64>,
}

impl fmt::Debug for DescribeSink<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DescribeSink").field("octets", &self.octets).field("open", &self.open.len()).finish()
    }
}

impl<'a> DescribeSink<'a> {
    /// A sink for an image of `schema` that passes its octets on to `sink`.
    pub fn new(schema: &'static Schema, sink: &'a mut dyn Sink) -> Self {
        Self { sink, octets: 0, open: vec![OpenImage::new(schema)], muted: 0 }
    }

    /// The description of the image that passed.
    #[must_use]
    pub fn finish(mut self) -> Description {
        self.open.truncate(1);
        self.open.pop().map(|image| image.description).unwrap_or_else(|| OpenImage::new(NOTHING).description)
    }

    fn current(&mut self) -> Option<&mut OpenImage> {
        if self.muted > 0 { None } else { self.open.last_mut() }
    }
}

const NOTHING: &Schema = &Schema::new("", 0);

impl Sink for DescribeSink<'_> {
    fn put(&mut self, octets: &[u8]) {
        self.octets = self.octets.saturating_add(octets.len() as u64);
        self.sink.put(octets);
    }

    fn fields(&mut self, schema: &'static Schema, range: Range<usize>) {
        self.sink.fields(schema, range.clone());
        let Some(image) = self.current() else { return };
        for index in range {
            let Some(field) = schema.fields.get(index) else { continue };
            let octets = field.kind.octets().unwrap_or(0) as u64;
            image.describe_values(index, field.kind.elements().unwrap_or(1) as u64, octets, true);
        }
    }

    fn begin_field(&mut self, schema: &'static Schema, index: usize, elements: usize) {
        self.sink.begin_field(schema, index, elements);
        let start = self.octets;
        let Some(image) = self.current() else { return };
        let field = schema.fields.get(index);
        let alike = field.is_some_and(elements_are_alike);
        let opaque = field.is_some_and(|field| is_opaque(&field.kind));
        image.field = Some(OpenField {
            index,
            elements: elements as u64,
            described: 0,
            alike,
            opaque,
            null: false,
            start,
            element_start: None,
        });
    }

    fn end_field(&mut self) {
        self.sink.end_field();
        let octets = self.octets;
        let Some(image) = self.current() else { return };
        image.end_element(octets, None);
        if let Some(field) = image.field.take()
            && field.described == 0
        {
            image.describe_values(field.index, field.elements, octets.saturating_sub(field.start), field.alike);
        }
    }

    fn next_element(&mut self) {
        self.sink.next_element();
        let octets = self.octets;
        let Some(image) = self.current() else { return };
        image.end_element(octets, None);
        if let Some(field) = image.field.as_mut().filter(|field| !field.opaque) {
            field.element_start = Some(octets);
        }
    }

    fn null_element(&mut self) {
        self.sink.null_element();
        if let Some(field) = self.current().and_then(|image| image.field.as_mut()) {
            field.null = true;
        }
    }

    fn begin_image(&mut self, schema: &'static Schema) {
        self.sink.begin_image(schema);
        let octets = self.octets;
        let Some(image) = self.current() else {
            self.muted += 1;
            return;
        };
        if let Some(field) = &mut image.field {
            if field.opaque || (field.alike && field.described > 0) {
                self.muted = 1;
                return;
            }
            field.element_start = Some(octets);
        }
        self.open.push(OpenImage::new(schema));
    }

    fn end_image(&mut self, schema: &'static Schema) {
        self.sink.end_image(schema);
        if self.muted > 0 {
            self.muted -= 1;
            return;
        }
        if let Some(image) = self.open.pop()
            && let Some(parent) = self.open.last_mut()
        {
            parent.end_element(self.octets, Some(image.description));
        }
    }

    fn begin_subsection(&mut self, schema: &'static Schema) {
        self.sink.begin_subsection(schema);
        if self.muted > 0 {
            self.muted += 1;
        } else {
            self.open.push(OpenImage::new(schema));
        }
    }

    fn end_subsection(&mut self, schema: &'static Schema) {
        self.sink.end_subsection(schema);
        if self.muted > 0 {
            self.muted -= 1;
            return;
        }
        if let Some(subsection) = self.open.pop()
            && let Some(parent) = self.open.last_mut()
        {
            parent.description.subsections.push(subsection.description);
        }
    }
}

impl OpenImage {
    fn new(schema: &'static Schema) -> Self {
        let description = Description {
            vmsd_name: Cow::Borrowed(schema.name),
            version: schema.version,
            fields: Vec::with_capacity(schema.fields.len()),
            subsections: Vec::new(),
        };
        Self { schema, description, field: None }
    }

    fn entry(&self, index: usize, repeat: Repeat, nested: Option<Description>, size: u64) -> DescribedField {
        let type_name = self.schema.fields.get(index).map_or("unknown", |field| field.kind.type_name());
        DescribedField {
            name: unique_name(self.schema, index),
            repeat,
            type_name: Cow::Borrowed(type_name),
            nested,
            size,
        }
    }

    /// Describes a field whose elements all take the same octets.
    fn describe_values(&mut self, index: usize, elements: u64, octets: u64, alike: bool) {
        let Some(size) = octets.checked_div(elements) else { return };
        if elements == 1 {
            self.description.fields.push(self.entry(index, Repeat::Single, None, size));
        } else if alike {
            self.description.fields.push(self.entry(index, Repeat::Array(elements), None, size));
        } else {
            for element in 0..elements {
                self.description.fields.push(self.entry(index, Repeat::Element(element), None, size));
            }
        }
    }

    /// Describes the element that was announced, if one was.
    fn end_element(&mut self, octets: u64, nested: Option<Description>) {
        let Some(field) = &mut self.field else { return };
        let Some(start) = field.element_start.take() else { return };
        let element = field.described;
        field.described += 1;
        if field.alike && element > 0 {
            return;
        }
        let repeat = match (field.elements, field.alike) {
            (1, _) => Repeat::Single,
            (elements, true) => Repeat::Array(elements),
            (_, false) => Repeat::Element(element),
        };
        let (index, null) = (field.index, std::mem::take(&mut field.null));
        let mut entry = self.entry(index, repeat, nested, octets.saturating_sub(start));
        if null {
            entry.type_name = Cow::Borrowed("nullptr");
        }
        self.description.fields.push(entry);
    }
}

/// Whether QEMU has what the field holds in the entry itself, once per element (A5, defects 7 and 8): ours has none.
fn is_opaque(kind: &Kind) -> bool {
    matches!(kind, Kind::Pinned { .. } | Kind::List { .. } | Kind::Tree { .. })
}

/// Whether the first element of a field tells the shape and the size of all (A3): no test decides on the field, and
/// nothing in an element depends on what it holds.
fn elements_are_alike(field: &Field) -> bool {
    let tested = matches!(field.presence, Presence::When(_)) || field.gate.is_some();
    !tested && field.kind.element().octets().is_some()
}

/// The name of a field, with its rank where several fields of the image share it (A4).
fn unique_name(schema: &'static Schema, index: usize) -> Cow<'static, str> {
    let Some(name) = schema.fields.get(index).map(|field| field.name) else { return Cow::Borrowed("") };
    let equal = |fields: &[Field]| fields.iter().filter(|field| field.name == name).count();
    if !schema.repeats_names || equal(schema.fields) == 1 {
        return Cow::Borrowed(name);
    }
    let rank = equal(schema.fields.get(..index).unwrap_or_default());
    Cow::Owned(format!("{name}[{rank}]"))
}
