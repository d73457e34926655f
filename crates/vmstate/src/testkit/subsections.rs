//! Rule: subsections are found by the names that are ours (`docs/spec/vmstate.md` section 6.2).

use std::fmt::Debug;

use super::record::record;
use super::{Case, decode};
use crate::error::Reason;
use crate::guard::SUBSECTION_MARK;
use crate::image::VmState;

/// Unknown, repeated, foreign and missing subsections.
///
/// # Panics
///
/// The rule does not hold.
pub fn subsections_follow_the_rules<I: VmState + Debug + Clone>(case: &Case<I>) {
    let schema = I::SCHEMA;
    let mut covered = vec![false; schema.subsections.len()];
    for sample in &case.samples {
        let recorded = record(case, sample);
        let fields_end = recorded.subsections.first().map_or(recorded.octets.len(), |(_, octets)| octets.start);
        let fields = recorded.octets.get(..fields_end).unwrap_or_default();

        let unknown = [fields, &header(&format!("{}/?", schema.name))].concat();
        let error = decode(case, schema.version, &unknown).expect_err("an unknown subsection of ours is refused");
        assert!(matches!(error.reason(), Reason::UnknownSubsection { .. }), "{error}");
        assert_eq!(error.offset(), fields_end as u64);

        let foreign = header(&format!("?{}", schema.name));
        let (_, rest) = decode(case, schema.version, &[fields, &foreign].concat()).expect("a foreign one is left");
        assert_eq!(rest, foreign);

        for (name, octets) in &recorded.subsections {
            let one = recorded.octets.get(octets.clone()).unwrap_or_default();
            if let Some(covered) = schema.subsection(name.as_bytes()).and_then(|index| covered.get_mut(index)) {
                *covered = true;
            }
            let (_, rest) = decode(case, schema.version, &[fields, one].concat()).expect("each one loads alone");
            assert!(rest.is_empty(), "'{name}' alone leaves {rest:02x?}");
            let error =
                decode(case, schema.version, &[fields, one, one].concat()).expect_err("a repeated one is refused");
            assert!(matches!(error.reason(), Reason::RepeatedSubsection { .. }), "'{name}': {error}");
        }
    }
    for (subsection, covered) in schema.subsections.iter().zip(covered) {
        assert!(covered, "no sample has the subsection '{}'", subsection.schema.name);
    }
}

fn header(name: &str) -> Vec<u8> {
    let length = u8::try_from(name.len()).expect("a name of a subsection has 255 octets at most");
    [&[SUBSECTION_MARK, length], name.as_bytes(), &[0, 0, 0, 1]].concat()
}
