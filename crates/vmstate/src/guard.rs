//! Refusal of data that a loader would take for a subsection (`docs/spec/vmstate.md` section 7, H1).
//!
//! After every image, nested ones included, a loader looks whether a subsection of it follows: `05`, a length above
//! that of the image's name, and a text that begins with that name. Data behind a nested image, which a guest may
//! control, can look like that. The guard sits between the encoder and the sink and holds, for each image that ended,
//! how far the octets since then match; nothing is held, and nothing compared, while no nested image has just ended.
//!
//! `Differs from QEMU:` it sends such data, and its destination loads them as a subsection or fails.

use crate::error::{Refused, SaveError};
use crate::schema::Schema;
use crate::sink::Sink;

/// First octet of a subsection's header.
pub(crate) const SUBSECTION_MARK: u8 = 0x05;

/// An image that ended, and how many octets since then look like a header of its subsection.
struct Ended {
    schema: &'static Schema,
    matched: usize,
}

/// A sink in front of another one that finds data which looks like a subsection.
pub(crate) struct Guard<'a> {
    sink: &'a mut dyn Sink,
    ended: Vec<Ended>,
    /// Whether one of them matches in part.
    is_matching: bool,
    found: Option<&'static Schema>,
}

impl<'a> Guard<'a> {
    pub(crate) fn new(sink: &'a mut dyn Sink) -> Self {
        Self { sink, ended: Vec::new(), is_matching: false, found: None }
    }

    /// Says whether what was put could be read back.
    pub(crate) fn finish(self) -> Result<(), SaveError> {
        self.found.map_or(Ok(()), |schema| {
            Err(SaveError::new(Refused::new(format!(
                "the data behind a nested '{}' look like a subsection of it, and a destination would take them for one",
                schema.name
            ))))
        })
    }

    #[cold]
    fn compare(&mut self, octets: &[u8]) {
        let found = &mut self.found;
        self.ended.retain_mut(|ended| {
            for octet in octets {
                let name = ended.schema.name.as_bytes();
                let fits = match ended.matched {
                    0 => *octet == SUBSECTION_MARK,
                    1 => usize::from(*octet) > name.len(),
                    at => name.get(at - 2) == Some(octet),
                };
                if !fits {
                    return false;
                }
                ended.matched += 1;
                if ended.matched == name.len() + 2 {
                    *found = Some(ended.schema);
                    return false;
                }
            }
            true
        });
        self.is_matching = !self.ended.is_empty();
    }
}

impl Sink for Guard<'_> {
    fn put(&mut self, octets: &[u8]) {
        if !self.ended.is_empty() {
            match octets.first() {
                // What nearly all data begins with: no image that has just ended can match.
                Some(first) if *first != SUBSECTION_MARK && !self.is_matching => self.ended.clear(),
                Some(_) => self.compare(octets),
                None => {}
            }
        }
        self.sink.put(octets);
    }

    fn fields(&mut self, schema: &'static Schema, range: std::ops::Range<usize>) {
        self.sink.fields(schema, range);
    }

    fn begin_field(&mut self, schema: &'static Schema, index: usize, elements: usize) {
        self.sink.begin_field(schema, index, elements);
    }

    fn end_field(&mut self) {
        self.sink.end_field();
    }

    fn next_element(&mut self) {
        self.sink.next_element();
    }

    fn null_element(&mut self) {
        self.sink.null_element();
    }

    fn begin_image(&mut self, schema: &'static Schema) {
        self.sink.begin_image(schema);
    }

    fn end_image(&mut self, schema: &'static Schema) {
        self.sink.end_image(schema);
        self.ended.push(Ended { schema, matched: 0 });
    }

    fn begin_subsection(&mut self, schema: &'static Schema) {
        self.sink.begin_subsection(schema);
    }

    fn end_subsection(&mut self, schema: &'static Schema) {
        self.sink.end_subsection(schema);
        self.ended.push(Ended { schema, matched: 0 });
    }
}
