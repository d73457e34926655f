//! The rules of one image and what it contains.

use super::claims::{SUBSECTION_NAME_MAX, SUBSECTION_VERSION_MAX, claims, last_field_claims, open_claims};
use super::layout::{can_look_like_subsection, chosen_at_start, open_behind, open_behind_image};
use super::{Finding, Severity};
use crate::schema::{Count, Field, Kind, Presence, Scalar, Schema, Subsection};

/// Octets of one field above which a limit bounds nothing: more than the engine accepts of a whole section.
const LOOSE_LIMIT_OCTETS: usize = 64 << 20;

/// What was found so far.
#[derive(Default)]
pub(super) struct Found<'s> {
    findings: Vec<Finding>,
    /// Descriptions that were looked through.
    seen: Vec<&'s Schema>,
}

impl<'s> Found<'s> {
    pub(super) fn into_findings(mut self) -> Vec<Finding> {
        self.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        self.findings
    }

    fn add(&mut self, severity: Severity, rule: &'static str, place: &str, text: impl Into<String>) {
        self.findings.push(Finding { severity, rule, place: place.to_owned(), text: text.into() });
    }

    /// Looks through the image of a section.
    pub(super) fn section(&mut self, schema: &'s Schema, place: &str) {
        if schema.minimum_version == 0 && schema.version > 0 {
            let text =
                "version 0 is loaded, which senders used that had no versions yet; if there are none, raise 'min'";
            self.add(Severity::Info, "minimum-zero", place, text);
        }
        self.image(schema, place);
    }

    fn image(&mut self, schema: &'s Schema, place: &str) {
        if self.seen.contains(&schema) {
            return;
        }
        self.seen.push(schema);
        let (oldest, newest) = (schema.minimum_version, schema.version);
        if oldest > newest {
            let text = format!("'min' {oldest} is above 'version' {newest}: nothing loads");
            self.add(Severity::Error, "versions", place, text);
        }
        for (index, field) in schema.fields.iter().enumerate() {
            let place = format!("{place}.{}", field.name);
            let (earlier, later) = (schema.fields.get(..index), schema.fields.get(index + 1..));
            let (earlier, later) = (earlier.unwrap_or_default(), later.unwrap_or_default());
            self.presence(schema, field, &place);
            self.form(field, &place);
            self.what_follows(field, later, &place);
            if let Some((count, limit)) = field.kind.count() {
                self.count(schema, field, earlier, count, limit, &place);
            }
            if field.name != "unused" && earlier.iter().any(|other| other.name == field.name) {
                let text = "another field has the name, so that descriptions number them: give it one of its own";
                self.add(Severity::Info, "repeated-field-name", &place, text);
            }
            if let Kind::Tree { key: Some(key), .. } = field.kind {
                self.nested(key, false, &place);
            }
            if let Some(image) = field.kind.image() {
                self.nested(image, matches!(field.kind.element(), Kind::Pinned { .. }), &place);
            }
        }
        if let Some(older) = schema.older {
            self.image(older, place);
        }
        for (index, subsection) in schema.subsections.iter().enumerate() {
            self.subsection(schema, subsection, schema.subsections.get(..index).unwrap_or_default(), place);
        }
    }

    fn presence(&mut self, schema: &Schema, field: &Field, place: &str) {
        match field.presence {
            Presence::Since(since) if since > schema.version => {
                let text = format!("is since version {since}, above 'version' {}: it is never there", schema.version);
                self.add(Severity::Error, "versions", place, text);
            }
            Presence::Since(since) if since <= schema.minimum_version => {
                let oldest = schema.minimum_version;
                let text =
                    format!("is since version {since}, and no version below {oldest} loads: 'since' has no effect");
                self.add(Severity::Info, "since-at-minimum", place, text);
            }
            Presence::When(test) => {
                let text = format!(
                    "each side asks '{test}' for itself, and no checker sees what it looks at: let it look at fields before this one only, or use 'gate'"
                );
                self.add(Severity::Info, "opaque-test", place, text);
            }
            Presence::Since(_) | Presence::Always => {}
        }
    }

    fn form(&mut self, field: &Field, place: &str) {
        if let Kind::Pinned { schema, version } = field.kind
            && !(schema.minimum_version..=schema.version).contains(&version)
        {
            let (oldest, newest) = (schema.minimum_version, schema.version);
            let text = format!("is pinned to version {version}; '{}' loads from {oldest} to {newest}", schema.name);
            self.add(Severity::Error, "versions", place, text);
        }
        let starts_from_default: &[_] = match field.kind {
            Kind::List { element, .. } => &[Some(element)],
            Kind::Tree { key, value, .. } => &[key, Some(value)],
            _ => &[],
        };
        for element in starts_from_default.iter().flatten().filter(|element| element.needs_template()) {
            let text = format!("an element starts from its default, and '{}' loads over a template only", element.name);
            self.add(Severity::Error, "element-needs-template", place, text);
        }
        if matches!(field.kind.element(), Kind::Pointer { .. }) {
            let text = "which elements are there is not on the wire: have both sides take it from the configuration, never from what the guest did";
            self.add(Severity::Info, "pointer-holes", place, text);
        }
        let is_empty = match field.kind {
            Kind::Check { .. } | Kind::Struct(_) | Kind::Pinned { .. } => false,
            Kind::List { limit, .. } | Kind::Tree { limit, .. } => limit == 0,
            kind => kind.count().map_or(kind.octets(), |(_, limit)| Some(limit)) == Some(0),
        };
        if is_empty {
            self.add(Severity::Warning, "nothing-on-the-wire", place, "the form has no element: drop the field");
        }
    }

    /// Looks for octets behind an image that may be taken for its subsection.
    fn what_follows(&mut self, field: &Field, later: &[Field], place: &str) {
        let mut open = Vec::new();
        open_behind(&field.kind, &mut open);
        let mut chosen = chosen_at_start(later);
        // The next element of the same field follows too.
        let repeats = matches!(field.kind, Kind::Array { elements: 2.., .. } | Kind::Counted { limit: 2.., .. });
        if let Some(image) = field.kind.image().filter(|_| repeats) {
            chosen = chosen.max(chosen_at_start(image.fields));
        }
        if let Kind::Tree { key: Some(key), value, .. } = field.kind {
            open_behind_image(key, &mut open);
            chosen = chosen_at_start(value.fields);
        }
        if let Some(image) = open.iter().find(|image| can_look_like_subsection(image, chosen)) {
            let text = format!(
                "up to {chosen} octets that a guest may choose come right behind a '{}': those that look like its subsection are refused while saving; put them before the image, or a field of a fixed value between",
                image.name
            );
            self.add(Severity::Warning, "data-like-subsection", place, text);
        }
    }

    fn count(&mut self, schema: &Schema, field: &Field, earlier: &[Field], count: Count, limit: usize, place: &str) {
        let name = count.field;
        let element = match field.kind {
            Kind::Counted { element, .. } => element.octets().unwrap_or(1),
            Kind::Bitmap { .. } => 0,
            _ => 1,
        };
        if limit.saturating_mul(element) > LOOSE_LIMIT_OCTETS {
            let text = format!("a stream may have {limit} elements here: lower 'max' to what the device can hold");
            self.add(Severity::Warning, "loose-limit", place, text);
        }
        if count.local {
            if !schema.locals.contains(&name) {
                self.add(Severity::Error, "count", place, format!("there is no local field '{name}' that counts it"));
            }
            return;
        }
        let Some(source) = earlier.iter().rev().find(|earlier| earlier.name == name) else {
            self.add(Severity::Error, "count", place, format!("no field '{name}' before it counts it"));
            return;
        };
        match source.kind {
            Kind::Le => {}
            Kind::Scalar(scalar) | Kind::Equal { scalar, .. }
                if !matches!(scalar, Scalar::Bool | Scalar::I64 | Scalar::U64) => {}
            _ => {
                let text = format!("'{name}' cannot count: counts are integers of up to 32 bits");
                self.add(Severity::Error, "count", place, text);
            }
        }
        let always = Presence::Since(schema.minimum_version);
        let presence = |field: &Field| match field.presence {
            Presence::Since(since) if since > schema.minimum_version => field.presence,
            Presence::Always | Presence::Since(_) => always,
            when @ Presence::When(_) => when,
        };
        let is_late = match (presence(source), presence(field)) {
            (Presence::Since(source), Presence::Since(field)) => source > field,
            (Presence::Since(since), _) => since > schema.minimum_version,
            (source, field) => source != field,
        };
        let is_gated = source.gate.is_some() && source.gate != field.gate;
        if is_late || is_gated {
            let text = format!(
                "'{name}' is not there wherever this is, so that a loader counts by what it has: give both the same 'since', 'when' or 'gate'"
            );
            self.add(Severity::Warning, "count-absent", place, text);
        }
    }

    /// Looks through an image that is a field's.
    fn nested(&mut self, schema: &'s Schema, is_pinned: bool, place: &str) {
        self.ignored(schema, place);
        let (oldest, newest) = (schema.oldest_version(), schema.version);
        if !is_pinned && oldest < newest {
            let text = format!(
                "'{}' has versions {oldest} to {newest}, and a nested image's version is not on the wire: every change of it changes what holds it; use 'pinned', 'when' or 'gate', or drop 'min'",
                schema.name
            );
            self.add(Severity::Warning, "nested-version", place, text);
        }
        self.image(schema, place);
    }

    fn ignored(&mut self, schema: &Schema, place: &str) {
        if schema.for_sections_only() {
            let text = format!(
                "'priority', 'early', 'gate' and 'unmigratable' of '{}' have no effect here: they count for sections only",
                schema.name
            );
            self.add(Severity::Error, "ignored-on-nested", place, text);
        }
    }

    fn subsection(&mut self, parent: &Schema, subsection: &'s Subsection, earlier: &[Subsection], place: &str) {
        let schema = subsection.schema;
        let name = schema.name;
        let place = format!("{place}.{name}");
        self.ignored(schema, &place);
        if !claims(parent, name) {
            let text = format!("does not begin with '{}' and go on: no loader finds it", parent.name);
            self.add(Severity::Error, "subsection-name", &place, text);
        } else if !name.get(parent.name.len()..).is_some_and(|rest| rest.starts_with('/')) {
            let text = format!("QEMU has such names for historic reasons: call a new one '{}/…'", parent.name);
            self.add(Severity::Info, "subsection-separator", &place, text);
        }
        if name.len() > SUBSECTION_NAME_MAX {
            let text = format!("has {} octets; its length is one octet on the wire", name.len());
            self.add(Severity::Error, "subsection-name", &place, text);
        }
        if schema.version > SUBSECTION_VERSION_MAX {
            let text = format!("version {} is above 255, and QEMU's loader keeps 8 bits", schema.version);
            self.add(Severity::Error, "subsection-version", &place, text);
        }
        if earlier.iter().any(|other| other.schema.name == name) {
            self.add(Severity::Error, "repeated-subsection", &place, "the first of this name is loaded in its place");
        } else if last_field_claims(parent.fields, name) || earlier.iter().any(|other| open_claims(other.schema, name))
        {
            let text = "an image before it has a name that this one begins with, and its loader refuses it as unknown";
            self.add(Severity::Error, "subsection-unreachable", &place, text);
        }
        self.image(schema, &place);
    }
}
