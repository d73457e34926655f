//! Rule: a stream that ends early is noticed, and the error says where (`docs/spec/vmstate.md` section 6.2, point 7).

use std::fmt::Debug;

use super::{Case, decode, encode};
use crate::error::Reason;
use crate::image::VmState;

/// First octet of a section's footer, which follows every image.
const FOOTER_MARK: u8 = 0x7e;

/// Cuts every sample at every octet.
///
/// # Panics
///
/// The rule does not hold.
pub fn every_truncation_is_noticed<I: VmState + Debug + Clone>(case: &Case<I>) {
    for sample in &case.samples {
        let octets = encode(case, sample);
        for cut in 0..octets.len() {
            let part = octets.get(..cut).unwrap_or_default();
            match decode(case, I::SCHEMA.version, part) {
                Err(error) => {
                    assert!(matches!(error.reason(), Reason::EndOfInput { .. }), "cut at {cut}: {error}");
                    assert!(error.offset() <= cut as u64, "cut at {cut}: {error}");
                    assert!(!error.path().is_empty(), "cut at {cut}: {error}");
                }
                Ok((_, rest)) => assert_ne!(rest.first(), Some(&FOOTER_MARK), "cut at {cut}: looks complete"),
            }
        }
    }
}
