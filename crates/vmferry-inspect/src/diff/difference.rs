//! A difference, and the list of them within its limits.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::limits::{DIFFERENCE_BYTES_LIMIT, DIFFERENCE_COUNT_LIMIT, DIFFERENCE_OCTETS_LIMIT};
use crate::path::PathText;
use crate::value::{JsonInteger, Object, Scalar, Value};

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DifferenceKind {
    /// A section is in one stream only; its value tells its version and size.
    Section,
    /// A section has another version.
    Version,
    /// A subsection is in one stream only.
    Subsection,
    /// The value of a field, or a field that is in one stream only.
    Field,
    /// Octets of a section that cannot be told apart into fields.
    Octets,
    /// What the configuration section says.
    Configuration,
}

impl DifferenceKind {
    /// The word in the document.
    pub fn word(self) -> &'static str {
        match self {
            DifferenceKind::Section => "section",
            DifferenceKind::Version => "version",
            DifferenceKind::Subsection => "subsection",
            DifferenceKind::Field => "field",
            DifferenceKind::Octets => "octets",
            DifferenceKind::Configuration => "configuration",
        }
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where, as `path.rs` says.
    pub path: String,
    /// What differs there.
    pub kind: DifferenceKind,
    /// Value in A; `None` where it is not there.
    pub a: Option<Value>,
    /// Value in B; `None` where it is not there.
    pub b: Option<Value>,
    /// For two buffers: where they differ.
    pub octets: Option<OctetsDiffer>,
}

/// Where two buffers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OctetsDiffer {
    /// First octet that differs; the values begin here if the buffers are long.
    pub first_offset: u64,
    /// Octets that differ; one that only one buffer has counts.
    pub count: u64,
    /// Whether the values are parts of the buffers, from `first_offset` on.
    pub is_part: bool,
}

impl OctetsDiffer {
    /// Compares two buffers; `None` if they are equal.
    pub(super) fn between(a: &[u8], b: &[u8]) -> Option<OctetsDiffer> {
        let longer = a.len().max(b.len());
        let common = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        if common == longer {
            return None;
        }
        let same = a.iter().zip(b).filter(|(a, b)| a == b).count();
        let is_part = longer > DIFFERENCE_OCTETS_LIMIT;
        Some(OctetsDiffer { first_offset: octets(common), count: octets(longer.saturating_sub(same)), is_part })
    }

    /// The octets that are listed of a buffer.
    fn shown(self, buffer: &[u8]) -> &[u8] {
        if !self.is_part {
            return buffer;
        }
        let from = usize::try_from(self.first_offset).unwrap_or(usize::MAX);
        let shown = buffer.get(from..).unwrap_or_default();
        shown.get(..DIFFERENCE_OCTETS_LIMIT).unwrap_or(shown)
    }
}

/// Differences so far.
#[derive(Default)]
pub(super) struct Found {
    pub(super) differences: Vec<Difference>,
    pub(super) not_compared: Vec<String>,
    pub(super) left_out: u64,
    kept_bytes: usize,
}

impl Found {
    /// How many there are, with those that are not kept.
    pub(super) fn count(&self) -> u64 {
        octets(self.differences.len()).saturating_add(self.left_out)
    }

    pub(super) fn push(&mut self, path: &PathText, kind: DifferenceKind, a: Option<&Value>, b: Option<&Value>) {
        let values = [a, b].into_iter().flatten().map(kept_bytes).fold(0, usize::saturating_add);
        if self.charge(path, values) {
            let path = path.as_str().to_owned();
            self.differences.push(Difference { path, kind, a: a.cloned(), b: b.cloned(), octets: None });
        }
    }

    /// Two buffers, if they differ.
    pub(super) fn push_octets(&mut self, path: &PathText, kind: DifferenceKind, a: &[u8], b: &[u8]) {
        let Some(differ) = OctetsDiffer::between(a, b) else { return };
        let [a, b] = [a, b].map(|buffer| differ.shown(buffer));
        if self.charge(path, a.len().saturating_add(b.len())) {
            let [a, b] = [a, b].map(|shown| Some(Value::Octets(shown.into())));
            self.differences.push(Difference { path: path.as_str().to_owned(), kind, a, b, octets: Some(differ) });
        }
    }

    fn charge(&mut self, path: &PathText, value_bytes: usize) -> bool {
        let kept = self.kept_bytes.saturating_add(path.as_str().len()).saturating_add(value_bytes);
        if self.differences.len() >= DIFFERENCE_COUNT_LIMIT || kept > DIFFERENCE_BYTES_LIMIT {
            self.left_out = self.left_out.saturating_add(1);
            return false;
        }
        self.kept_bytes = kept;
        true
    }
}

/// Octets that a copy of the value takes, roughly.
fn kept_bytes(value: &Value) -> usize {
    let own = match value {
        Value::Null | Value::Scalar(_) => 0,
        Value::Scalars(array) => array.len().saturating_mul(8),
        Value::Text(text) => text.len(),
        Value::Octets(octets) => octets.len(),
        Value::List(values) => values.iter().map(kept_bytes).fold(0, usize::saturating_add),
        Value::Object(object) => object_bytes(object),
    };
    own.saturating_add(size_of::<Value>())
}

fn object_bytes(object: &Object) -> usize {
    let fields = object.fields.iter().map(|(name, value)| name.len().saturating_add(kept_bytes(value)));
    let subsections = object.subsections.iter().map(|(name, inner)| name.len().saturating_add(object_bytes(inner)));
    fields.chain(subsections).fold(0, usize::saturating_add)
}

/// A number as a value.
pub(super) fn number(value: u64) -> Value {
    Value::Scalar(Scalar::Unsigned(value))
}

fn octets(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

impl Serialize for Difference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("path", &self.path)?;
        map.serialize_entry("kind", self.kind.word())?;
        let only = match (&self.a, &self.b) {
            (Some(_), None) => Some("a"),
            (None, Some(_)) => Some("b"),
            _ => None,
        };
        map.serialize_entry("a", &self.a)?;
        map.serialize_entry("b", &self.b)?;
        if let Some(only) = only {
            map.serialize_entry("only", only)?;
        }
        if let Some(OctetsDiffer { first_offset, count, is_part }) = self.octets {
            map.serialize_entry("offset", &JsonInteger(first_offset))?;
            map.serialize_entry("octets_differ", &JsonInteger(count))?;
            map.serialize_entry("part", &is_part)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_that_one_buffer_lacks_differ() {
        assert_eq!(OctetsDiffer::between(b"abc", b"abc"), None);
        let differ = OctetsDiffer::between(b"abcd", b"aXc").unwrap();
        assert_eq!((differ.first_offset, differ.count, differ.is_part), (1, 2, false));
        let differ = OctetsDiffer::between(b"", b"ab").unwrap();
        assert_eq!((differ.first_offset, differ.count), (0, 2));
    }

    #[test]
    fn of_long_buffers_a_part_is_kept() {
        let mut found = Found::default();
        let (a, mut b) = (vec![0; 100_000], vec![0; 100_000]);
        b[70_000] = 1;
        found.push_octets(&PathText::word("x"), DifferenceKind::Field, &a, &b);
        let difference = &found.differences[0];
        assert_eq!(difference.octets.unwrap().first_offset, 70_000);
        let Some(Value::Octets(shown)) = &difference.b else { panic!("{difference:?}") };
        assert_eq!((shown.len(), shown[0]), (DIFFERENCE_OCTETS_LIMIT, 1));
    }

    #[test]
    fn what_passes_the_limits_is_counted() {
        let mut found = Found::default();
        for _ in 0..DIFFERENCE_COUNT_LIMIT + 5 {
            found.push(&PathText::word("x"), DifferenceKind::Field, Some(&number(1)), None);
        }
        assert_eq!((found.differences.len(), found.left_out), (DIFFERENCE_COUNT_LIMIT, 5));
        let mut found = Found::default();
        let long = PathText::word(&"x".repeat(DIFFERENCE_BYTES_LIMIT / 2));
        for _ in 0..3 {
            found.push(&long, DifferenceKind::Field, None, None);
        }
        assert_eq!((found.differences.len(), found.left_out, found.count()), (2, 1, 3));
    }
}
