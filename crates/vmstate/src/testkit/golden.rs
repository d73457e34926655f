//! Rule: the description of an image changes only on purpose. It is committed as text, one line for each field:
//!
//! ```text
//! uart, version 3, loads from 1
//!   divider: uint16, since 2
//!   queue: uint32 * count, up to 6
//!   lines: struct * 2
//!     line, version 1, loads from 1
//!       edges: uint64
//!   subsection uart/fifo, gate migrate-fifo
//!     uart/fifo, version 1, loads from 1
//!       …
//! ```
//!
//! With the variable [`BLESS`] set, a test writes the file instead of comparing it. Otherwise a difference fails, with
//! what it means for migrations to and from the releases that have the committed description (`docs/spec/compat.md`
//! section 6).

use std::fmt::Write as _;
use std::path::Path;

use super::schema_change;
use crate::schema::{Count, Field, Kind, Presence, Priority, Schema};

/// Variable of the environment that makes files anew.
pub(super) const BLESS: &str = "VMSTATE_BLESS";

/// Compares a description with the one in `folder` at `path`: by itself `schemas/NAME.schema`, with `-` for what a file
/// name cannot have.
///
/// # Panics
///
/// They differ, and the variable `VMSTATE_BLESS` is not set; the file cannot be read or written.
pub fn the_schema_is_the_committed_one(schema: &Schema, folder: &str, path: Option<&str>) {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._".contains(letter);
    let name: String = schema.name.chars().map(|letter| if is_plain(letter) { letter } else { '-' }).collect();
    let path = Path::new(folder).join(path.map_or_else(|| format!("schemas/{name}.schema"), str::to_owned));
    let now = schema_text(schema);
    let shown = path.display();
    if std::env::var_os(BLESS).is_some() {
        let folder = path.parent().expect("a file is in a folder");
        std::fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        std::fs::write(&path, now).unwrap_or_else(|error| panic!("{shown}: {error}"));
        return;
    }
    let committed = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{shown}: {error}; for an image that is new: {BLESS}=1 cargo test"));
    let changes = schema_change::changes(&committed, &now);
    assert!(
        changes.is_empty(),
        "'{}' is not what {shown} says:\n{}\nIf it is meant, and no release has the committed one or migration from and to it was looked after: {BLESS}=1 cargo test",
        schema.name,
        changes.join("\n")
    );
    assert_eq!(committed, now, "{shown}");
}

/// A description as text.
#[must_use]
pub fn schema_text(schema: &Schema) -> String {
    let mut text = String::new();
    image(&mut text, schema, 0);
    text
}

fn line(text: &mut String, depth: usize, line: &str) {
    writeln!(text, "{:width$}{line}", "", width = 2 * depth).expect("a string takes everything");
}

fn image(text: &mut String, schema: &Schema, depth: usize) {
    let mut head = format!("{}, version {}, loads from {}", schema.name, schema.version, schema.minimum_version);
    match schema.priority {
        Priority::Default => {}
        priority => head.push_str(&format!(", priority {priority:?}")),
    }
    if schema.early {
        head.push_str(", early");
    }
    if let Some(gate) = schema.gate {
        head.push_str(&format!(", gate {gate}"));
    }
    if let Some(reason) = schema.unmigratable {
        head.push_str(&format!(", unmigratable: {reason}"));
    }
    line(text, depth, &head);
    for field in schema.fields {
        one_field(text, field, depth + 1);
    }
    for subsection in schema.subsections {
        let gate = subsection.gate.map_or_else(String::new, |gate| format!(", gate {gate}"));
        line(text, depth + 1, &format!("subsection {}{gate}", subsection.schema.name));
        image(text, subsection.schema, depth + 2);
    }
    if let Some(older) = schema.older {
        line(text, depth + 1, "older");
        image(text, older, depth + 2);
    }
}

fn one_field(text: &mut String, field: &Field, depth: usize) {
    let presence = match field.presence {
        Presence::Always => String::new(),
        Presence::Since(version) => format!(", since {version}"),
        Presence::When(test) => format!(", when {test}"),
    };
    let gate = field.gate.map_or_else(String::new, |gate| format!(", gate {gate}"));
    line(text, depth, &format!("{}: {}{presence}{gate}", field.name, form(&field.kind)));
    if let Kind::Tree { key: Some(key), .. } = field.kind {
        image(text, key, depth + 1);
    }
    if let Some(nested) = field.kind.image() {
        image(text, nested, depth + 1);
    }
}

/// The octets of a field in words.
fn form(kind: &Kind) -> String {
    match kind {
        Kind::Array { element, elements } => format!("{} * {elements}", form(element)),
        Kind::Counted { element, count, limit } => format!("{} * {}, up to {limit}", form(element), counted(count)),
        Kind::CountedBuffer { count, limit } => format!("buffer {}, up to {limit}", counted(count)),
        Kind::Bitmap { count, limit } => format!("bitmap {}, up to {limit}", counted(count)),
        Kind::Buffer { octets } => format!("buffer {octets}"),
        Kind::Unused { octets } => format!("unused {octets}"),
        Kind::Pointer { element } => format!("{} or none", form(element)),
        Kind::Pinned { version, .. } => format!("struct pinned to version {version}"),
        Kind::List { limit, .. } => format!("{}, up to {limit}", kind.type_name()),
        Kind::Tree { key, limit, .. } => {
            format!("gtree of {}, up to {limit}", if key.is_some() { "images" } else { "numbers" })
        }
        Kind::Check { test } => format!("check {test}"),
        Kind::Codec { name, octets } => {
            octets.map_or_else(|| format!("codec {name}"), |octets| format!("{name} {octets}"))
        }
        Kind::Scalar(_) | Kind::Struct(_) | Kind::Equal { .. } | Kind::Le => kind.type_name().to_owned(),
    }
}

fn counted(count: &Count) -> String {
    let local = if count.local { " (local)" } else { "" };
    let scale = if count.scale == 1 { String::new() } else { format!(" * {}", count.scale) };
    format!("{}{local}{scale}", count.field)
}
