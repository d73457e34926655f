//! Rule: a count of the stream meets its limit before it sizes anything (`docs/spec/vmstate.md` section 7, H4).

use std::fmt::Debug;

use super::record::{Span, record};
use super::{Case, decode};
use crate::error::Reason;
use crate::image::VmState;
use crate::schema::{Kind, Scalar};

/// Sets every count that is in the stream, also those of nested images and subsections, to its limit, one more, and −1.
///
/// # Panics
///
/// The rule does not hold.
pub fn counts_meet_their_limits<I: VmState + Debug + Clone>(case: &Case<I>) {
    for sample in &case.samples {
        let recorded = record(case, sample);
        for span in &recorded.spans {
            let Some((count, limit)) = span.field.kind.count().filter(|(count, _)| !count.local) else { continue };
            let is_its = |place: &&Span| place.part == span.part && place.field.name == count.field;
            let Some(place) = recorded.spans.iter().rfind(is_its) else { continue };
            let Kind::Scalar(scalar) = place.field.kind else { continue };
            let name = span.field.name;
            let load = |value: i128| {
                let bytes = value.to_be_bytes();
                let bytes = bytes.get(bytes.len() - scalar.octets()..).unwrap_or_default();
                let mut changed = recorded.octets.clone();
                changed.splice(place.octets.clone(), bytes.iter().copied());
                // What follows is short of the elements, so that an accepted count ends at the end of the input.
                decode(case, I::SCHEMA.version, &changed).map(|_| ())
            };
            // The field itself, not one that has the same count or is read from where elements are missing.
            let is_here = |offset: u64| offset == span.octets.start as u64;
            let is_first = !recorded.spans.iter().any(|other| {
                let counted = other.field.kind.count().is_some_and(|(other, _)| other.field == count.field);
                counted && other.part == span.part && (place.index..span.index).contains(&other.index)
            });
            let groups = (limit / count.scale.max(1)) as i128;
            let over = groups + 1;
            if over <= largest(scalar) {
                let error = load(over).expect_err("a count over the limit is refused");
                let is_over = matches!(error.reason(), Reason::CountOverLimit { .. }) && is_here(error.offset());
                let is_refused = matches!(error.reason(), Reason::Refused(_));
                assert!(is_over || is_refused || !is_first, "'{name}': {error}");
            }
            if let Err(error) = load(groups) {
                let is_over = matches!(error.reason(), Reason::CountOverLimit { .. }) && is_here(error.offset());
                assert!(!is_over, "'{name}': {error}");
            }
            if scalar == Scalar::I32 {
                let error = load(-1).expect_err("a negative count is refused");
                let is_negative = matches!(error.reason(), Reason::NegativeCount { .. } | Reason::Refused(_));
                assert!(is_negative, "'{name}': {error}");
            }
        }
    }
}

fn largest(scalar: Scalar) -> i128 {
    let bits = scalar.octets() * 8;
    let signed = matches!(scalar, Scalar::I8 | Scalar::I16 | Scalar::I32 | Scalar::I64);
    (1 << (bits - usize::from(signed))) - 1
}
