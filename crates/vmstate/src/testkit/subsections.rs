//! Rule: subsections are found by the names that are ours (`docs/spec/vmstate.md` section 6.2).

use std::fmt::Debug;

use super::record::{Part, Place, Recorded, record};
use super::{Case, decode};
use crate::error::Reason;
use crate::guard::SUBSECTION_MARK;
use crate::image::VmState;
use crate::schema::{Kind, Schema};

/// Unknown, repeated, foreign and missing subsections, of the image and of those in it.
///
/// # Panics
///
/// The rule does not hold.
pub fn subsections_follow_the_rules<I: VmState + Debug + Clone>(case: &Case<I>) {
    for sample in &case.samples {
        let recorded = record(case, sample);
        for (index, part) in recorded.parts.iter().enumerate() {
            unknown(case, &recorded, part);
            if is_at_the_end(&recorded, index) {
                foreign(case, &recorded, part);
            }
            if matches!(part.place, Place::Subsection { .. }) {
                repeated(case, &recorded, part);
            }
            if part.place == (Place::Subsection { part: 0 }) {
                alone(case, &recorded, part);
            }
        }
    }
}

/// Whether the samples have all subsections, of the image and of those in it.
///
/// # Panics
///
/// There is one that no sample has.
pub fn samples_have_all_subsections<I: VmState + Debug + Clone>(case: &Case<I>) {
    let mut missing = Vec::new();
    names(I::SCHEMA, &mut missing);
    for sample in &case.samples {
        let recorded = record(case, sample);
        missing.retain(|name| !recorded.parts.iter().skip(1).any(|part| part.schema.name == *name));
    }
    assert!(
        missing.is_empty(),
        "no sample has the subsections {missing:?}: give `samples` (or `template`, or `props`)"
    );
}

/// Names of all subsections, at any depth.
fn names(schema: &'static Schema, all: &mut Vec<&'static str>) {
    for field in schema.fields {
        if let Kind::Tree { key: Some(key), .. } = field.kind {
            names(key, all);
        }
        if let Some(image) = field.kind.image() {
            names(image, all);
        }
    }
    for subsection in schema.subsections {
        all.push(subsection.schema.name);
        names(subsection.schema, all);
    }
}

/// Octets with more of them at a place.
fn with(recorded: &Recorded, at: usize, more: &[u8]) -> Vec<u8> {
    let (before, behind) = recorded.octets.split_at_checked(at).unwrap_or_default();
    [before, more, behind].concat()
}

/// One of our name that nobody knows, behind the fields.
fn unknown<I: VmState + Debug + Clone>(case: &Case<I>, recorded: &Recorded, part: &Part) {
    let Some(header) = header(&format!("{}/?", part.schema.name)) else { return };
    let octets = with(recorded, part.fields_end, &header);
    let error = decode(case, I::SCHEMA.version, &octets).expect_err("an unknown subsection of ours is refused");
    assert!(matches!(error.reason(), Reason::UnknownSubsection { .. }), "'{}': {error}", part.schema.name);
    assert_eq!(error.offset(), part.fields_end as u64, "'{}': {error}", part.schema.name);
}

/// One of another name: it ends the image, and whoever reads next finds it.
fn foreign<I: VmState + Debug + Clone>(case: &Case<I>, recorded: &Recorded, part: &Part) {
    let Some(header) = header(&format!("?{}", part.schema.name)) else { return };
    let octets = with(recorded, part.octets.end, &header);
    let (_, rest) = decode(case, I::SCHEMA.version, &octets).expect("a foreign one is left");
    assert_eq!(Some(&*rest), octets.get(part.octets.end..), "behind '{}'", part.schema.name);
}

/// Whether what follows the part is subsections of the whole, or nothing.
fn is_at_the_end(recorded: &Recorded, part: usize) -> bool {
    match recorded.parts.get(part).map(|part| part.place) {
        Some(Place::Whole) => true,
        Some(Place::Subsection { part }) => is_at_the_end(recorded, part),
        Some(Place::Element { .. }) | None => false,
    }
}

/// The same one again.
fn repeated<I: VmState + Debug + Clone>(case: &Case<I>, recorded: &Recorded, part: &Part) {
    let one = recorded.octets.get(part.header..part.octets.end).unwrap_or_default();
    let octets = with(recorded, part.octets.end, one);
    let error = decode(case, I::SCHEMA.version, &octets).expect_err("a repeated one is refused");
    assert!(matches!(error.reason(), Reason::RepeatedSubsection { .. }), "'{}': {error}", part.schema.name);
}

/// None of the others.
fn alone<I: VmState + Debug + Clone>(case: &Case<I>, recorded: &Recorded, part: &Part) {
    let fields_end = recorded.parts.first().map_or(0, |whole| whole.fields_end);
    let fields = recorded.octets.get(..fields_end).unwrap_or_default();
    let one = recorded.octets.get(part.header..part.octets.end).unwrap_or_default();
    let (_, rest) = decode(case, I::SCHEMA.version, &[fields, one].concat()).expect("each one loads alone");
    assert!(rest.is_empty(), "'{}' alone leaves {rest:02x?}", part.schema.name);
}

/// The header of a subsection, if the name is not too long for one.
fn header(name: &str) -> Option<Vec<u8>> {
    let length = u8::try_from(name.len()).ok()?;
    Some([&[SUBSECTION_MARK, length], name.as_bytes(), &[0, 0, 0, 1]].concat())
}
