//! Rule: a stream that ends early is noticed, and the error says where (`docs/spec/vmstate.md` section 6.2, point 7).

use std::fmt::Debug;

use super::record::{Span, record};
use super::{Case, decode, places};
use crate::error::Reason;
use crate::image::VmState;
use crate::schema::Kind;

/// First octet of a section's footer, which follows every image.
const FOOTER_MARK: u8 = 0x7e;

/// Cuts every sample at every octet; one of more than 3072, at each of the first and last 1024 and at 1024 places
/// between.
///
/// # Panics
///
/// The rule does not hold.
pub fn every_truncation_is_noticed<I: VmState + Debug + Clone>(case: &Case<I>) {
    for sample in &case.samples {
        let recorded = record(case, sample);
        let octets = &recorded.octets;
        for cut in places(octets.len()) {
            let part = octets.get(..cut).unwrap_or_default();
            // A header that is cut is none: what there is of it is read as the field behind the image, or left.
            let is_in_header = recorded.parts.iter().any(|part| (part.header..part.octets.start).contains(&cut));
            // A codec of its own may have what looks like subsections of its own.
            let has_codec = |span: &&Span| matches!(span.field.kind.element(), Kind::Codec { octets: None, .. });
            let is_in_codec = recorded.spans.iter().filter(has_codec).any(|span| span.octets.contains(&cut));
            let may_load = is_in_header || is_in_codec;
            match decode(case, I::SCHEMA.version, part) {
                Err(error) => {
                    let is_end = matches!(error.reason(), Reason::EndOfInput { .. });
                    assert!(is_end || may_load, "cut at {cut}: {error}");
                    assert!(error.offset() <= cut as u64, "cut at {cut}: {error}");
                    assert!(!error.path().is_empty(), "cut at {cut}: {error}");
                }
                Ok((_, rest)) => {
                    assert!(may_load, "cut at {cut}: loads");
                    assert_ne!(rest.first(), Some(&FOOTER_MARK), "cut at {cut}: looks complete");
                }
            }
        }
    }
}
