//! Where the parts of an image went: a sink that notes them beside the octets.
//!
//! ```text
//! part 0, the whole ──┬─ spans: fields, those of a run one by one
//!                     ├─ part 1, an element of a field (nested image, element of an array, list or tree)
//!                     └─ part 2, a subsection ── …
//! ```

use std::ops::Range;

use super::Case;
use crate::error::SaveError;
use crate::image::VmState;
use crate::schema::{Field, Schema};
use crate::sink::Sink;

/// Where a field went.
pub(super) struct Span {
    /// The part that it is a field of.
    pub(super) part: usize,
    /// Its position in the description of that part.
    pub(super) index: usize,
    pub(super) field: &'static Field,
    pub(super) octets: Range<usize>,
    pub(super) bytes: Vec<u8>,
    /// Elements, as far as they are counted.
    pub(super) elements: usize,
    /// For each element of an array of pointers, whether it is there.
    pub(super) present: Vec<bool>,
    /// Images that began in it.
    images: usize,
}

/// Where an image went.
pub(super) struct Part {
    pub(super) schema: &'static Schema,
    /// From the first field to the end of the last subsection.
    pub(super) octets: Range<usize>,
    /// Where the header begins, for a subsection.
    pub(super) header: usize,
    /// End of its fields.
    pub(super) fields_end: usize,
    pub(super) place: Place,
}

/// What an image is of the one around it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Whole,
    /// Image `at` of those that began in field `field` of `part`.
    Element {
        part: usize,
        field: usize,
        at: usize,
    },
    Subsection {
        part: usize,
    },
}

/// Octets of an image and where its parts are.
pub(super) struct Recorded {
    pub(super) octets: Vec<u8>,
    pub(super) parts: Vec<Part>,
    pub(super) spans: Vec<Span>,
}

impl Recorded {
    /// Where field `index` of `part` went.
    pub(super) fn span(&self, part: usize, index: usize) -> Option<&Span> {
        self.spans.iter().find(|span| span.part == part && span.index == index)
    }

    /// Image `at` of those in field `field` of `part`.
    pub(super) fn element(&self, part: usize, field: usize, at: usize) -> Option<usize> {
        self.parts.iter().position(|other| other.place == Place::Element { part, field, at })
    }

    /// The subsection of `part` of this name.
    pub(super) fn subsection(&self, part: usize, name: &str) -> Option<usize> {
        self.parts.iter().position(|other| other.place == Place::Subsection { part } && other.schema.name == name)
    }

    /// Whether the field consists of images.
    pub(super) fn has_images(&self, span: &Span) -> bool {
        span.images > 0 || span.field.kind.image().is_some()
    }

    /// Where the field is: `uart.queue[3].level`, `uart.uart/fifo.depth`.
    pub(super) fn path(&self, span: &Span) -> String {
        format!("{}.{}", self.path_of(span.part), span.field.name)
    }

    fn path_of(&self, part: usize) -> String {
        let Some(Part { schema, place, .. }) = self.parts.get(part) else { return String::new() };
        match *place {
            Place::Whole => schema.name.to_owned(),
            Place::Subsection { part } => format!("{}.{}", self.path_of(part), schema.name),
            Place::Element { part, field, at } => {
                let outer = self.span(part, field);
                let path = outer.map_or_else(String::new, |outer| self.path(outer));
                if outer.is_some_and(|outer| outer.images > 1) { format!("{path}[{at}]") } else { path }
            }
        }
    }

    /// The part, by what leads to it in another recording of the same description.
    pub(super) fn alike(&self, other: &Recorded, part: usize) -> Option<usize> {
        match other.parts.get(part)?.place {
            Place::Whole => Some(0),
            Place::Element { part: outer, field, at } => self.element(self.alike(other, outer)?, field, at),
            Place::Subsection { part: outer } => {
                self.subsection(self.alike(other, outer)?, other.parts.get(part)?.schema.name)
            }
        }
    }
}

/// Encodes a sample and notes where its parts go.
pub(super) fn record<I: VmState>(case: &Case<I>, image: &I) -> Recorded {
    try_record(&case.props, image).expect("a sample is encoded")
}

pub(super) fn try_record<I: VmState>(props: &I::Props, image: &I) -> Result<Recorded, SaveError> {
    let whole = Part { schema: I::SCHEMA, octets: 0..0, header: 0, fields_end: 0, place: Place::Whole };
    let mut record = Record {
        recorded: Recorded { octets: Vec::new(), parts: vec![whole], spans: Vec::new() },
        open_parts: vec![OpenPart { part: 0, has_subsections: false }],
        open_spans: Vec::new(),
    };
    image.encode(props, &mut record)?;
    record.close();
    let mut recorded = record.recorded;
    for span in &mut recorded.spans {
        span.bytes = recorded.octets.get(span.octets.clone()).unwrap_or_default().to_vec();
    }
    Ok(recorded)
}

struct OpenPart {
    part: usize,
    has_subsections: bool,
}

struct Record {
    recorded: Recorded,
    open_parts: Vec<OpenPart>,
    open_spans: Vec<usize>,
}

impl Record {
    fn at(&self) -> usize {
        self.recorded.octets.len()
    }

    /// The innermost image.
    fn part(&self) -> usize {
        self.open_parts.last().map_or(0, |open| open.part)
    }

    fn open(&mut self, schema: &'static Schema, place: Place) {
        let at = self.at();
        self.open_parts.push(OpenPart { part: self.recorded.parts.len(), has_subsections: false });
        self.recorded.parts.push(Part { schema, octets: at..at, header: at, fields_end: at, place });
    }

    fn close(&mut self) {
        let at = self.at();
        let Some(open) = self.open_parts.pop() else { return };
        if let Some(part) = self.recorded.parts.get_mut(open.part) {
            part.octets.end = at;
            if !open.has_subsections {
                part.fields_end = at;
            }
        }
    }

    fn add_span(&mut self, schema: &'static Schema, index: usize, octets: Range<usize>, elements: usize) {
        let Some(field) = schema.fields.get(index) else { return };
        let part = self.part();
        let (bytes, present) = (Vec::new(), Vec::new());
        self.recorded.spans.push(Span { part, index, field, octets, bytes, elements, present, images: 0 });
    }

    fn span(&mut self) -> Option<&mut Span> {
        let span = self.open_spans.last()?;
        self.recorded.spans.get_mut(*span)
    }
}

impl Sink for Record {
    fn put(&mut self, octets: &[u8]) {
        self.recorded.octets.extend_from_slice(octets);
        // What comes first behind the header of a subsection begins its body.
        let at = self.at();
        let part = self.part();
        if let Some(part) = self.recorded.parts.get_mut(part)
            && part.octets.start == part.header
            && matches!(part.place, Place::Subsection { .. })
            && at == part.header + super::header_octets(part.schema)
        {
            part.octets.start = at;
        }
    }

    fn fields(&mut self, schema: &'static Schema, range: Range<usize>) {
        let mut at = self.at();
        for index in range {
            let Some(field) = schema.fields.get(index) else { continue };
            let end = at + field.kind.octets().unwrap_or(0);
            self.add_span(schema, index, at..end, field.kind.elements().unwrap_or(1));
            at = end;
        }
    }

    fn begin_field(&mut self, schema: &'static Schema, index: usize, elements: usize) {
        let at = self.at();
        self.open_spans.push(self.recorded.spans.len());
        self.add_span(schema, index, at..at, elements);
    }

    fn end_field(&mut self) {
        let at = self.at();
        if let Some(span) = self.span() {
            span.octets.end = at;
        }
        self.open_spans.pop();
    }

    fn next_element(&mut self) {
        if let Some(span) = self.span() {
            span.present.push(true);
        }
    }

    fn null_element(&mut self) {
        if let Some(last) = self.span().and_then(|span| span.present.last_mut()) {
            *last = false;
        }
    }

    fn begin_image(&mut self, schema: &'static Schema) {
        let part = self.part();
        let place = self.span().map_or(Place::Whole, |span| {
            span.images += 1;
            Place::Element { part, field: span.index, at: span.images - 1 }
        });
        self.open(schema, place);
    }

    fn end_image(&mut self, _schema: &'static Schema) {
        self.close();
    }

    fn begin_subsection(&mut self, schema: &'static Schema) {
        let at = self.at();
        let outer = self.part();
        if let Some(open) = self.open_parts.last_mut().filter(|open| !open.has_subsections) {
            open.has_subsections = true;
            if let Some(part) = self.recorded.parts.get_mut(outer) {
                part.fields_end = at;
            }
        }
        self.open(schema, Place::Subsection { part: outer });
    }

    fn end_subsection(&mut self, _schema: &'static Schema) {
        self.close();
    }
}
