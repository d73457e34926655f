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

#[cfg(test)]
#[allow(clippy::expect_used, reason = "a test fails by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Names that begin each other, and one without octets.
    static SCHEMAS: [Schema; 5] =
        [Schema::new("a", 1), Schema::new("ab", 1), Schema::new("ab\x05", 1), Schema::new("b", 1), Schema::new("", 1)];

    #[derive(Debug, Clone)]
    enum Step {
        Put(Vec<u8>),
        End { image: usize, is_subsection: bool },
    }

    fn step() -> impl Strategy<Value = Step> {
        let octet = prop::sample::select(&b"\x05\x05\x05\x02\x03\x04ababc"[..]);
        prop_oneof![
            2 => prop::collection::vec(octet, 0..6).prop_map(Step::Put),
            1 => (0..SCHEMAS.len(), any::<bool>())
                .prop_map(|(image, is_subsection)| Step::End { image, is_subsection }),
        ]
    }

    /// What a loader does where `schema` ended, as `subsection::next` reads it.
    fn is_taken_for_its_subsection(schema: &Schema, behind: &[u8]) -> bool {
        let [SUBSECTION_MARK, length, name @ ..] = behind else { return false };
        usize::from(*length) > schema.name.len() && name.starts_with(schema.name.as_bytes())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

        #[test]
        fn it_finds_what_a_loader_would_take_and_nothing_else(steps in prop::collection::vec(step(), 0..16)) {
            let mut octets = Vec::new();
            let mut ended = Vec::new();
            let mut guard = Guard::new(&mut octets);
            let mut at = 0;
            for step in &steps {
                match step {
                    Step::Put(octets) => {
                        guard.put(octets);
                        at += octets.len();
                    }
                    Step::End { image, is_subsection } => {
                        let schema = SCHEMAS.get(*image).expect("one of them");
                        if *is_subsection {
                            guard.end_subsection(schema);
                        } else {
                            guard.end_image(schema);
                        }
                        ended.push((schema, at));
                    }
                }
            }
            let is_refused = guard.finish().is_err();
            let naive = ended.iter().any(|(schema, at)| {
                is_taken_for_its_subsection(schema, octets.get(*at..).unwrap_or_default())
            });
            prop_assert_eq!(is_refused, naive);
        }
    }
}
