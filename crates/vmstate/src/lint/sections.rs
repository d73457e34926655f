//! The rules of all sections of a machine together.

use super::rules::Found;
use super::{Finding, Severity};
use crate::registry::IDSTR_MAX;
use crate::schema::Schema;

/// What is to be said of the sections of a machine, each an id string and its image, and of all images in them.
#[must_use]
pub fn section_findings<'s>(sections: impl IntoIterator<Item = (&'s str, &'s Schema)>) -> Vec<Finding> {
    let sections: Vec<_> = sections.into_iter().collect();
    let mut findings = Vec::new();
    let mut add = |severity, rule, place: &str, text: String| {
        findings.push(Finding { severity, rule, place: place.to_owned(), text });
    };
    for (index, (idstr, schema)) in sections.iter().enumerate() {
        if idstr.is_empty() || idstr.len() > IDSTR_MAX {
            let text = format!("has {} octets; 1 to {IDSTR_MAX} are accepted", idstr.len());
            add(Severity::Error, "id-string", idstr, text);
        }
        let earlier = sections.get(..index).unwrap_or_default();
        let Some((_, other)) = earlier.iter().find(|(other, _)| other == idstr) else { continue };
        if other != schema {
            let text = "two devices with different images have this id string: a stream's section may go to the wrong one; give them device paths";
            add(Severity::Error, "id-string-of-two-devices", idstr, text.to_owned());
        } else if earlier.iter().filter(|(other, _)| other == idstr).count() == 1 {
            let text = "several devices have this id string, and the order in which they are made numbers them: give them device paths, or make them in the same order on both sides";
            add(Severity::Info, "numbered-instances", idstr, text.to_owned());
        }
    }
    let mut images: Vec<(&Schema, String)> = Vec::new();
    for (idstr, schema) in &sections {
        collect(schema, (*idstr).to_owned(), &mut images);
    }
    for (index, (schema, place)) in images.iter().enumerate() {
        let mut earlier = images.get(..index).unwrap_or_default().iter();
        if let Some((_, other)) = earlier.find(|(other, _)| other.name == schema.name) {
            let text = format!(
                "another image of the name '{}' is at {other}: a checker of two releases, and a reader of a description, cannot tell them apart",
                schema.name
            );
            add(Severity::Warning, "name-of-two-images", place, text);
        }
    }
    let mut found = Found::default();
    for (idstr, schema) in &sections {
        found.section(schema, idstr);
    }
    findings.extend(found.into_findings());
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

/// Collects each description once, where it comes first.
fn collect<'s>(schema: &'s Schema, place: String, images: &mut Vec<(&'s Schema, String)>) {
    if images.iter().any(|(other, _)| *other == schema) {
        return;
    }
    images.push((schema, place.clone()));
    for field in schema.fields {
        if let crate::schema::Kind::Tree { key: Some(key), .. } = field.kind {
            collect(key, format!("{place}.{}", field.name), images);
        }
        if let Some(image) = field.kind.image() {
            collect(image, format!("{place}.{}", field.name), images);
        }
    }
    for subsection in schema.subsections {
        collect(subsection.schema, format!("{place}.{}", subsection.schema.name), images);
    }
}
