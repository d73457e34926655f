//! What may stand next to what on the wire: loaders that are still open, and octets that a guest may choose.
//!
//! After each image its loader looks for subsections, so that `05`, a length and the image's name are taken for one
//! wherever they come from (`docs/spec/vmstate.md` section 7, H1). Octets that a guest may choose freely are those of
//! buffers and of arrays of integers; a run of registers of different widths, which it can choose too, is left to the
//! encoder's own check.

use super::claims::{ends_with_an_octet, may_be_absent};
use crate::schema::{Field, Kind, Scalar, Schema};

/// Octets of a subsection's header before the name: mark and length.
const HEADER_OCTETS: usize = 2;

/// The images whose loaders look for subsections where octets of `kind` end.
pub(super) fn open_behind<'s>(kind: &'s Kind, open: &mut Vec<&'s Schema>) {
    if !ends_with_an_octet(kind.element())
        && let Some(image) = kind.image()
    {
        open_behind_image(image, open);
    }
}

pub(super) fn open_behind_image<'s>(schema: &'s Schema, open: &mut Vec<&'s Schema>) {
    open.push(schema);
    for subsection in schema.subsections {
        open_behind_image(subsection.schema, open);
    }
    for field in schema.fields.iter().rev() {
        open_behind(&field.kind, open);
        if !may_be_absent(field) {
            break;
        }
    }
}

/// Octets that a guest may choose at the start of what these fields become, at most.
pub(super) fn chosen_at_start(fields: &[Field]) -> usize {
    let mut chosen = 0_usize;
    for field in fields {
        match chosen_in(&field.kind) {
            Some(octets) => chosen = chosen.saturating_add(octets),
            None if chosen == 0 && may_be_absent(field) => {}
            None => return chosen.saturating_add(field.kind.image().map_or(0, |image| chosen_at_start(image.fields))),
        }
    }
    chosen
}

/// Octets of the kind, if a guest may choose all of them.
fn chosen_in(kind: &Kind) -> Option<usize> {
    let integer = |kind: &Kind| match kind {
        Kind::Scalar(Scalar::Bool) => None,
        Kind::Scalar(scalar) => Some(scalar.octets()),
        _ => None,
    };
    match kind {
        Kind::Buffer { octets } => Some(*octets),
        Kind::CountedBuffer { limit, .. } => Some(*limit),
        Kind::Array { elements, .. } => integer(kind.element()).map(|octets| octets.saturating_mul(*elements)),
        Kind::Counted { limit, .. } => integer(kind.element()).map(|octets| octets.saturating_mul(*limit)),
        _ => None,
    }
}

/// Whether that many octets can look like a subsection of `schema`.
pub(super) fn can_look_like_subsection(schema: &Schema, octets: usize) -> bool {
    octets > schema.name.len().saturating_add(HEADER_OCTETS)
}
