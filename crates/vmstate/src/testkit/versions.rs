//! Rule: every version from the oldest to the newest loads, and no other (`docs/spec/vmstate.md` section 3).

use std::fmt::Debug;

use super::record::encode_with_spans;
use super::{Case, decode};
use crate::error::Reason;
use crate::image::VmState;
use crate::schema::{Field, Presence};

/// Loads every sample as each older version would have sent it.
///
/// # Panics
///
/// The rule does not hold.
pub fn every_version_loads_and_others_are_refused<I: VmState + Debug + Clone>(case: &Case<I>) {
    let schema = I::SCHEMA;
    let tested = schema.fields.iter().any(|field| matches!(field.presence, Presence::When(_)));
    for sample in &case.samples {
        let (octets, spans) = encode_with_spans(case, sample);
        let (_, template_spans) = encode_with_spans(case, &case.template);
        let newer = |field: &Field, version| matches!(field.presence, Presence::Since(since) if since > version);
        for version in schema.minimum_version..=schema.version {
            let mut old = octets.clone();
            for span in spans.iter().rev().filter(|span| newer(span.field, version)) {
                old.drain(span.octets.clone());
            }
            let loaded = decode(case, version, &old);
            // A test may look at the version and decide otherwise: then no more than the absence of a panic is known.
            if tested && loaded.is_err() {
                continue;
            }
            let (loaded, rest) = loaded.unwrap_or_else(|error| panic!("version {version}: {error}"));
            assert!(tested || rest.is_empty(), "version {version} leaves {rest:02x?}");
            let (again, again_spans) = encode_with_spans(case, &loaded);
            for span in again_spans.iter().filter(|span| newer(span.field, version)) {
                let kept = template_spans.iter().find(|kept| kept.index == span.index);
                let octets = again.get(span.octets.clone());
                assert_eq!(octets, kept.map(|kept| &*kept.bytes), "version {version} keeps '{}'", span.field.name);
            }
        }
        let refused = |version| decode(case, version, &octets).err();
        let error = refused(schema.version.saturating_add(1)).expect("a newer version is refused");
        assert!(matches!(error.reason(), Reason::VersionTooNew { .. }), "{error}");
        if let Some(version) = schema.minimum_version.checked_sub(1) {
            let error = refused(version).expect("an older version is refused");
            assert!(matches!(error.reason(), Reason::VersionTooOld { .. }), "{error}");
        }
    }
}
