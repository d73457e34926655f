//! Rule: what describes an image is true of its octets (`docs/spec/vmdesc.md` A6).

use std::fmt::Debug;

use super::{Case, encode};
use crate::describe::DescribeSink;
use crate::image::VmState;

/// The description of every sample against its octets.
///
/// # Panics
///
/// The rule does not hold.
pub fn described_sizes_add_up<I: VmState + Debug + Clone>(case: &Case<I>) {
    for sample in &case.samples {
        let mut octets = Vec::new();
        let mut sink = DescribeSink::new(I::SCHEMA, &mut octets);
        sample.encode(&case.props, &mut sink).expect("a sample is encoded");
        let description = sink.finish();
        assert_eq!(description.octets(), octets.len() as u64, "{description:#?}");
        assert_eq!(octets, encode(case, sample), "describing changes no octet");
    }
}
