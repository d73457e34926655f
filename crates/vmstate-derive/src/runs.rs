//! Which fields share an array and a bounds check.

use crate::image::{Field, Form, Presence};
use crate::types;

/// Longest run, in octets: a reader's window must hold it (`vmstate::input::WINDOW_MIN`).
const RUN_MAX: usize = 4 << 10;

/// A stretch of fields that is coded in one way.
pub(crate) enum Stretch {
    /// Fields `first..end` of fixed width, `octets` in all.
    Run { first: usize, end: usize, octets: usize, since: Option<u32> },
    /// One field by itself.
    Single { index: usize, since: Option<u32> },
}

/// A writer writes its own version, which has every `since` field.
pub(crate) fn encoding(fields: &[Field<'_>]) -> Vec<Stretch> {
    stretches(fields, |_| None)
}

/// A reader asks for the version, unless every version that it accepts has the field.
pub(crate) fn decoding(fields: &[Field<'_>], minimum: u32) -> Vec<Stretch> {
    stretches(fields, |field| match field.presence {
        Presence::Since(since) if since > minimum => Some(since),
        _ => None,
    })
}

fn stretches(fields: &[Field<'_>], since_of: impl Fn(&Field<'_>) -> Option<u32>) -> Vec<Stretch> {
    let mut found: Vec<Stretch> = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let field_since = since_of(field);
        let Some(width) = width(field) else {
            found.push(Stretch::Single { index, since: field_since });
            continue;
        };
        match found.last_mut() {
            Some(Stretch::Run { end, octets, since, .. })
                if *since == field_since && octets.saturating_add(width) <= RUN_MAX =>
            {
                *end = index + 1;
                *octets += width;
            }
            _ => found.push(Stretch::Run { first: index, end: index + 1, octets: width, since: field_since }),
        }
    }
    found
}

/// Octets of a field that may be part of a run: there in every image, and its width written out.
fn width(field: &Field<'_>) -> Option<usize> {
    if field.gate.is_some() || matches!(field.presence, Presence::When(_)) {
        return None;
    }
    let octets = match &field.form {
        Form::Values(values) => values.octets(),
        Form::Buffer { octets } => types::literal(octets),
        Form::Unused { octets } => types::literal(octets),
        _ => None,
    };
    octets.filter(|octets| *octets <= RUN_MAX)
}
