//! Rule: what this side bounds, it checks (`docs/spec/vmstate.md` sections 5.1, 5.6 and 5.7).

use std::fmt::Debug;

use super::record::{Span, record, try_record};
use super::{Case, decode};
use crate::error::Reason;
use crate::image::VmState;
use crate::schema::Kind;

/// Sets every value that this side bounds to one that it refuses, and breaks every list and tree; also in nested images
/// and subsections.
///
/// # Panics
///
/// The rule does not hold.
pub fn bounds_are_kept<I: VmState + Debug + Clone>(case: &Case<I>) {
    for sample in &case.samples {
        let recorded = record(case, sample);
        let octets = &recorded.octets;
        let template = try_record(&case.props, &case.template).ok();
        for span in &recorded.spans {
            let refused = |bytes: Vec<u8>| {
                let mut changed = octets.clone();
                changed.splice(span.octets.clone(), bytes);
                let error = decode(case, I::SCHEMA.version, &changed).map(|_| ()).expect_err(span.field.name);
                assert!(error.offset() >= span.octets.start as u64, "'{}': {error}", span.field.name);
                assert!(error.path().contains(span.field.name), "'{}': {error}", span.field.name);
                error
            };
            match span.field.kind {
                Kind::Equal { .. } => {
                    let flipped = span.bytes.iter().map(|octet| !octet).collect();
                    let error = refused(flipped);
                    assert!(matches!(error.reason(), Reason::NotEqual { .. }), "{error}");
                }
                Kind::Le => {
                    let here = template.as_ref().and_then(|template| {
                        let part = template.alike(&recorded, span.part)?;
                        template.span(part, span.index)?.bytes.first_chunk()
                    });
                    let here = here.expect("the template has the field");
                    let above = i32::from_be_bytes(*here).checked_add(1);
                    for value in above.into_iter().chain([-1]) {
                        let error = refused(value.to_be_bytes().to_vec());
                        assert!(matches!(error.reason(), Reason::OutOfBounds { .. }), "{error}");
                    }
                }
                Kind::List { element, limit, .. } => {
                    let (first, rest) = span.bytes.split_first().expect("a list has an end");
                    let error = refused([&[first | 2], rest].concat());
                    assert!(matches!(error.reason(), Reason::NotAMarker { .. }), "{error}");
                    let one = element.octets().and_then(|octets| span.bytes.get(..=octets));
                    if let Some(one) = one.filter(|_| *first == 1 && limit <= LONGEST_LIST) {
                        let error = refused([&one.repeat(limit + 1)[..], &[0]].concat());
                        assert!(matches!(error.reason(), Reason::CountOverLimit { .. }), "{error}");
                        assert!(decode_list(case, octets, span, &one.repeat(limit)), "a list of the limit loads");
                    }
                }
                Kind::Tree { limit, .. } => {
                    let (number, rest) = span.bytes.split_first_chunk().expect("a tree has a number");
                    let number = u32::from_be_bytes(*number);
                    let with = |number: u32| [&number.to_be_bytes(), rest].concat();
                    let error = refused(with(number + 1));
                    assert!(
                        matches!(error.reason(), Reason::NodeCount { .. } | Reason::CountOverLimit { .. }),
                        "{error}"
                    );
                    if let Some(fewer) = number.checked_sub(1) {
                        let error = refused(with(fewer));
                        assert!(matches!(error.reason(), Reason::NodeCount { .. }), "{error}");
                    }
                    let over = u32::try_from(limit).ok().and_then(|limit| limit.checked_add(1));
                    let error = refused(with(over.unwrap_or(u32::MAX)));
                    assert!(matches!(error.reason(), Reason::CountOverLimit { .. }), "{error}");
                }
                _ => {}
            }
        }
    }
}

/// Longest list that is built only to be refused, in elements.
const LONGEST_LIST: usize = 1 << 12;

/// Whether the sample loads with these elements in a list of it.
fn decode_list<I: VmState + Clone>(case: &Case<I>, octets: &[u8], span: &Span, elements: &[u8]) -> bool {
    let mut changed = octets.to_vec();
    changed.splice(span.octets.clone(), [elements, &[0]].concat());
    decode(case, I::SCHEMA.version, &changed).is_ok_and(|(_, rest)| rest.is_empty())
}
