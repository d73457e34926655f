//! The rules that a derive evaluates at compile time (`docs/spec/vmstate.md` sections 6 and 8).
//!
//! The loader of an image takes what follows for one of its subsections if the name begins with its own name and is
//! longer; so such a name must be in its own list (hazard H2). These loaders are open, in this order, where the
//! subsections of an image come:
//!
//! ```text
//! those of the last field's image, innermost first ── the image's own
//! those of the subsection before, innermost first  ──┘
//! ```

use crate::schema::{Field, Kind, Presence, Schema};

/// Longest name of a subsection, in octets: its length is one octet on the wire.
pub const SUBSECTION_NAME_MAX: usize = 255;

/// Newest version of a subsection: QEMU's loader keeps its low 8 bits only.
pub const SUBSECTION_VERSION_MAX: u32 = 255;

/// Checks subsection `index` of a description against the description and the subsections before it.
///
/// # Panics
///
/// A rule is broken; at compile time this is an error with the rule in it.
#[track_caller]
pub const fn check_subsection(schema: &Schema, index: usize) {
    let (mut earlier, later) = schema.subsections.split_at(index);
    let [subsection, ..] = later else { return };
    let inner = subsection.schema;
    assert!(
        !inner.for_sections_only(),
        "'priority', 'early', 'gate' and 'unmigratable' of an image count for sections only: a subsection has a 'gate' beside its field"
    );
    assert!(
        claims(schema, inner.name),
        "subsection name must begin with the parent name and be longer, or a QEMU loader never finds it"
    );
    assert!(inner.name.len() <= SUBSECTION_NAME_MAX, "subsection name is longer than 255 octets");
    assert!(
        inner.version <= SUBSECTION_VERSION_MAX,
        "subsection version is above 255: QEMU's loader keeps the low 8 bits only"
    );
    assert!(
        !last_field_claims(schema.fields, inner.name),
        "subsection name begins with the name of a nested image right before it, whose loader would take it for its own"
    );
    while let [sibling, rest @ ..] = earlier {
        assert!(!same(sibling.schema.name, inner.name), "two subsections have the same name");
        assert!(
            !open_claims(sibling.schema, inner.name),
            "subsection name begins with the name of a subsection before it, whose loader would take it for its own"
        );
        earlier = rest;
    }
}

/// Checks field `index` of a description, whose form has rules for the image that it holds.
///
/// # Panics
///
/// A rule is broken; at compile time this is an error with the rule in it.
#[track_caller]
pub const fn check_field(schema: &Schema, index: usize) {
    let (_, [field, ..]) = schema.fields.split_at(index) else { return };
    if let Some(image) = field.kind.image() {
        assert!(
            !image.for_sections_only(),
            "'priority', 'early', 'gate' and 'unmigratable' of an image count for sections only, not for a nested one: a field has a 'gate' of its own"
        );
    }
    match field.kind {
        Kind::Pinned { schema, version } => assert!(
            schema.minimum_version <= version && version <= schema.version,
            "'pinned' names a version that the nested image does not load: it is below its 'min' or above its 'version'"
        ),
        Kind::List { element, .. } => {
            assert!(!element.needs_template(), "an image in a list starts from its default: it cannot need a template");
        }
        Kind::Tree { key, value, .. } => {
            let key_needs = match key {
                Some(key) => key.needs_template(),
                None => false,
            };
            assert!(
                !key_needs && !value.needs_template(),
                "an image in a tree starts from its default: it cannot need a template"
            );
        }
        _ => {}
    }
}

/// Checks a description against that of its older image.
///
/// # Panics
///
/// A rule is broken; at compile time this is an error with the rule in it.
#[track_caller]
pub const fn check_older(schema: &Schema) {
    let Some(older) = schema.older else { return };
    assert!(same(schema.name, older.name), "the image that 'older' names has another name");
    assert!(
        older.version < schema.minimum_version,
        "the image that 'older' names has a version that this one loads itself: raise 'min' above it"
    );
}

/// Whether a loader of `schema` takes `name` for a subsection of its own, known or not.
pub(super) const fn claims(schema: &Schema, name: &str) -> bool {
    name.len() > schema.name.len() && starts_with(name.as_bytes(), schema.name.as_bytes())
}

/// Whether, at the end of an image of `schema`, some loader that is still open takes `name` for an unknown subsection.
pub(super) const fn open_claims(schema: &Schema, name: &str) -> bool {
    if claims(schema, name) && !lists(schema, name) {
        return true;
    }
    let mut subsections = schema.subsections;
    while let [subsection, rest @ ..] = subsections {
        if open_claims(subsection.schema, name) {
            return true;
        }
        subsections = rest;
    }
    last_field_claims(schema.fields, name)
}

/// As [`open_claims`], for the field that may be the last one on the wire.
pub(super) const fn last_field_claims(mut fields: &[Field], name: &str) -> bool {
    while let [rest @ .., field] = fields {
        if !ends_with_an_octet(&field.kind)
            && let Some(nested) = field.kind.image()
            && open_claims(nested, name)
        {
            return true;
        }
        if !may_be_absent(field) {
            return false;
        }
        fields = rest;
    }
    false
}

/// Whether the form has a mark behind its last image, which ends all loaders in it.
pub(super) const fn ends_with_an_octet(kind: &Kind) -> bool {
    matches!(kind, Kind::List { .. } | Kind::Tree { .. })
}

/// Whether there are images of which the field has no octets.
pub(super) const fn may_be_absent(field: &Field) -> bool {
    field.gate.is_some() || !matches!(field.presence, Presence::Always) || may_be_empty(&field.kind)
}

const fn may_be_empty(kind: &Kind) -> bool {
    match kind {
        Kind::Counted { .. } | Kind::CountedBuffer { .. } | Kind::Bitmap { .. } | Kind::Check { .. } => true,
        Kind::Array { element, elements } => *elements == 0 || may_be_empty(element),
        Kind::Pointer { element } => may_be_empty(element),
        Kind::Struct(schema) | Kind::Pinned { schema, .. } => {
            let mut fields = schema.fields;
            while let [field, rest @ ..] = fields {
                if !may_be_absent(field) {
                    return false;
                }
                fields = rest;
            }
            true
        }
        Kind::Codec { octets, .. } => matches!(octets, None | Some(0)),
        _ => matches!(kind.octets(), Some(0)),
    }
}

pub(super) const fn lists(schema: &Schema, name: &str) -> bool {
    let mut subsections = schema.subsections;
    while let [subsection, rest @ ..] = subsections {
        if same(subsection.schema.name, name) {
            return true;
        }
        subsections = rest;
    }
    false
}

pub(crate) const fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && starts_with(a.as_bytes(), b.as_bytes())
}

const fn starts_with(mut name: &[u8], mut prefix: &[u8]) -> bool {
    while let [wanted, wanted_rest @ ..] = prefix {
        let [found, found_rest @ ..] = name else { return false };
        if *found != *wanted {
            return false;
        }
        name = found_rest;
        prefix = wanted_rest;
    }
    true
}
