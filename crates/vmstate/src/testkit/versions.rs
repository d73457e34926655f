//! Rule: every version from the oldest to the newest loads, and no other (`docs/spec/vmstate.md` section 3).

use std::fmt::Debug;

use super::generate::{Generator, Which};
use super::record::{Span, record, try_record};
use super::values::{self, Numbers};
use super::{Case, decode};
use crate::error::{LoadError, Reason};
use crate::image::VmState;
use crate::schema::{Field, Kind, Presence, Schema};

/// Loads every sample as each older version would have sent it.
///
/// # Panics
///
/// The rule does not hold.
pub fn every_version_loads_and_others_are_refused<I: VmState + Debug + Clone>(case: &Case<I>) {
    let schema = I::SCHEMA;
    let tested = schema.fields.iter().any(|field| matches!(field.presence, Presence::When(_)));
    let checked = schema.fields.iter().any(|field| matches!(field.kind, Kind::Check { .. }));
    let outermost = |span: &&Span| span.part == 0;
    let template = try_record(&case.props, &case.template).ok();
    for sample in &case.samples {
        let recorded = record(case, sample);
        let (octets, spans) = (&recorded.octets, &recorded.spans);
        let newer = |field: &Field, version| matches!(field.presence, Presence::Since(since) if since > version);
        for version in schema.minimum_version..=schema.version {
            let mut old = octets.clone();
            for span in spans.iter().rev().filter(outermost).filter(|span| newer(span.field, version)) {
                old.drain(span.octets.clone());
            }
            let loaded = decode(case, version, &old);
            // A test may look at the version and decide otherwise: then no more than the absence of a panic is known.
            // A check may refuse what the template has in place of a newer field.
            let is_refused = |error| checked && matches!(LoadError::reason(error), Reason::Refused(_));
            if loaded.as_ref().is_err_and(|error| tested || is_refused(error)) {
                continue;
            }
            let (loaded, rest) = loaded.unwrap_or_else(|error| panic!("version {version}: {error}"));
            assert!(tested || rest.is_empty(), "version {version} leaves {rest:02x?}");
            let Some(template) = &template else { continue };
            let again = record(case, &loaded);
            for span in again.spans.iter().filter(outermost).filter(|span| newer(span.field, version)) {
                let kept = template.span(0, span.index).map(|kept| &*kept.bytes);
                assert_eq!(Some(&*span.bytes), kept, "version {version} keeps '{}'", span.field.name);
            }
        }
        let refused = |version| decode(case, version, octets).err();
        let error = refused(schema.version.saturating_add(1)).expect("a newer version is refused");
        assert!(matches!(error.reason(), Reason::VersionTooNew { .. }), "{error}");
        if let Some(version) = schema.oldest_version().checked_sub(1) {
            let error = refused(version).expect("an older version is refused");
            assert!(matches!(error.reason(), Reason::VersionTooOld { .. }), "{error}");
        }
    }
    let mut older = schema.older;
    while let Some(schema) = older {
        loads_older(case, schema);
        older = schema.older;
    }
}

/// Loads octets that are made from the description of an older image, in each of its versions.
fn loads_older<I: VmState + Debug + Clone>(case: &Case<I>, older: &'static Schema) {
    for version in older.minimum_version..=older.version {
        let mut refusal = String::new();
        let mut is_loaded = false;
        for values in values::ALL {
            let mut generator = Generator {
                template: None,
                values: *values,
                subsections: Which::These(&[]),
                choices: &[],
                chosen: 0,
                numbers: Numbers::new(*values),
                octets: Vec::new(),
            };
            if generator.image(older, version, None, older.name).is_err() {
                continue;
            }
            match decode(case, version, &generator.octets) {
                Ok((image, rest)) => {
                    assert!(rest.is_empty(), "older version {version} leaves {rest:02x?}");
                    is_loaded |= try_record(&case.props, &image).is_ok();
                }
                Err(error) => {
                    let is_told =
                        !matches!(error.reason(), Reason::VersionUnknown { .. } | Reason::VersionTooOld { .. });
                    assert!(is_told, "older version {version}: {error}");
                    refusal = error.to_string();
                }
            }
        }
        assert!(is_loaded, "nothing of the older version {version} loads: {refusal}");
    }
}
