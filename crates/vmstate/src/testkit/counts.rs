//! Rule: a count of the stream meets its limit before it sizes anything (`docs/spec/vmstate.md` section 7, H4).

use std::fmt::Debug;

use super::record::encode_with_spans;
use super::{Case, decode};
use crate::error::Reason;
use crate::image::VmState;
use crate::schema::{Kind, Scalar};

/// Sets every count that is in the stream to its limit, one more, and −1.
///
/// # Panics
///
/// The rule does not hold.
pub fn counts_meet_their_limits<I: VmState + Debug + Clone>(case: &Case<I>) {
    for sample in &case.samples {
        let (octets, spans) = encode_with_spans(case, sample);
        for field in spans.iter().map(|span| span.field) {
            let Some((count, limit)) = field.kind.count() else { continue };
            let Some(place) = spans.iter().find(|span| span.field.name == count.field && !count.local) else {
                continue;
            };
            let Kind::Scalar(scalar) = place.field.kind else { continue };
            let load = |value: i128| {
                let bytes = value.to_be_bytes();
                let bytes = bytes.get(bytes.len() - scalar.octets()..).unwrap_or_default();
                let mut changed = octets.clone();
                changed.splice(place.octets.clone(), bytes.iter().copied());
                // What follows is short of the elements, so that an accepted count ends at the end of the input.
                decode(case, I::SCHEMA.version, &changed).map(|_| ())
            };
            let groups = (limit / count.scale.max(1)) as i128;
            let over = groups + 1;
            if over <= largest(scalar) {
                let error = load(over).expect_err("a count over the limit is refused");
                assert!(matches!(error.reason(), Reason::CountOverLimit { .. }), "'{}': {error}", field.name);
            }
            // A count that comes later may be refused, since it is read from where elements are missing.
            if let Err(error) = load(groups).map_err(|error| (error.path() == field.name).then_some(error)) {
                let over = error.filter(|error| matches!(error.reason(), Reason::CountOverLimit { .. }));
                assert!(over.is_none(), "'{}': {over:?}", field.name);
            }
            if scalar == Scalar::I32 {
                let error = load(-1).expect_err("a negative count is refused");
                assert!(matches!(error.reason(), Reason::NegativeCount { .. }), "'{}': {error}", field.name);
            }
        }
    }
}

fn largest(scalar: Scalar) -> i128 {
    let bits = scalar.octets() * 8;
    let signed = matches!(scalar, Scalar::I8 | Scalar::I16 | Scalar::I32 | Scalar::I64);
    (1 << (bits - usize::from(signed))) - 1
}
