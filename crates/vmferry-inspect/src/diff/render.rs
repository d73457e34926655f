//! Differences as text for people.

use std::fmt::Write as _;

use crate::diff::difference::{Difference, DifferenceKind, OctetsDiffer};
use crate::diff::{BlockDiff, Diff};
use crate::render::printable;
use crate::value::{Hex, Scalar, Value};

/// Octets of a buffer that are shown.
const SHOWN_OCTETS: usize = 16;

/// One line a difference, A before B.
pub(super) fn text(diff: &Diff) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    for difference in diff.configuration.iter().chain(&diff.sections) {
        let _ = writeln!(out, "{difference}");
    }
    if diff.left_out > 0 {
        let _ = writeln!(out, "{} further differences are left out", diff.left_out);
    }
    for block in diff.ram.blocks.iter().filter(|block| !block.is_equal() && block.pages_differ != Some(0)) {
        if let Some(line) = block_line(block) {
            let _ = writeln!(out, "{line}");
        }
    }
    for block in diff.ram.blocks.iter().filter(|block| block.used_bytes[0] != block.used_bytes[1]) {
        let [a, b] =
            block.used_bytes.map(|bytes| bytes.map_or("absent".to_owned(), |bytes| format!("0x{bytes:x} bytes")));
        let _ = writeln!(out, "ram block {}: {a} -> {b}", printable(&block.id));
    }
    for what in &diff.not_compared {
        let _ = writeln!(out, "not compared: {}", printable(what));
    }
    let _ = writeln!(out, "{}", if diff.is_equal() { "equal" } else { "not equal" });
    out
}

fn block_line(block: &BlockDiff) -> Option<String> {
    let pages = block.pages_differ?;
    let offsets: Vec<_> = block.first_offsets.iter().map(|offset| format!("0x{offset:x}")).collect();
    let more = if u64::try_from(offsets.len()).is_ok_and(|shown| shown < pages) { " …" } else { "" };
    Some(format!("ram block {}: {pages} pages differ, at {}{more}", printable(&block.id), offsets.join(" ")))
}

impl std::fmt::Display for Difference {
    /// One line, A before B; control characters of names are replaced.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&line(self))
    }
}

fn line(difference: &Difference) -> String {
    let Difference { path, kind, a, b, octets } = difference;
    let path = printable(path);
    match (a, b) {
        (Some(a), Some(b)) => {
            let note = match (kind, octets) {
                (_, Some(OctetsDiffer { first_offset, count, .. })) => {
                    format!(" ({count} octets differ, the first at 0x{first_offset:x})")
                }
                (DifferenceKind::Octets, None) => " octets, which differ without a field that does".to_owned(),
                _ => String::new(),
            };
            let what = if *kind == DifferenceKind::Version { " version" } else { "" };
            format!("{path}{what}: {} -> {}{note}", value_text(a), value_text(b))
        }
        (Some(a), None) => format!("{path}: {} only in A{}", kind.word(), of_field(*kind, a)),
        (None, Some(b)) => format!("{path}: {} only in B{}", kind.word(), of_field(*kind, b)),
        (None, None) => format!("{path}: {}", kind.word()),
    }
}

fn of_field(kind: DifferenceKind, value: &Value) -> String {
    match kind {
        DifferenceKind::Field | DifferenceKind::Configuration => format!(", {}", value_text(value)),
        _ => String::new(),
    }
}

fn value_text(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Scalar(Scalar::Bool(value)) => value.to_string(),
        Value::Scalar(Scalar::Unsigned(value)) if *value < 10 => value.to_string(),
        Value::Scalar(Scalar::Unsigned(value)) => format!("{value} (0x{value:x})"),
        Value::Scalar(Scalar::Signed(value)) => value.to_string(),
        Value::Scalars(array) => format!("{} elements", array.len()),
        Value::Text(text) => printable(text),
        Value::Octets(octets) => match octets.get(..SHOWN_OCTETS) {
            Some(shown) if octets.len() > SHOWN_OCTETS => format!("{}… ({} octets)", Hex(shown), octets.len()),
            _ => Hex(octets).to_string(),
        },
        Value::List(values) if values.iter().all(|value| matches!(value, Value::Text(_))) => {
            values.iter().map(value_text).collect::<Vec<_>>().join(", ")
        }
        Value::List(values) => format!("{} elements", values.len()),
        Value::Object(object) => format!("{} fields", object.fields.len()),
    }
}
