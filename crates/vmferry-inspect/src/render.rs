//! A report as text for people.

use std::fmt::Write;

use crate::analysis::{Analysis, SectionReport, uuid_text};
use crate::named_values;
use crate::value::{Hex, Object, Scalar, Value};

/// Octets of a buffer that are shown.
const SHOWN_OCTETS: usize = 16;

/// Elements of an array of integers that are shown.
const SHOWN_ELEMENTS: usize = 8;

/// The report as an indented tree: configuration, RAM, sections with their fields, commands, warnings.
pub fn tree(analysis: &Analysis) -> String {
    let mut tree = Tree { out: String::new(), device: String::new() };
    tree.head(analysis);
    tree.ram(analysis);
    tree.line(0, format_args!("devices: {} sections", analysis.sections.len()));
    for section in &analysis.sections {
        tree.section(section);
    }
    if !analysis.commands.is_empty() {
        tree.line(0, format_args!("commands"));
    }
    for command in &analysis.commands {
        let package = command.package_bytes.map(|octets| format!(", package of {octets} octets")).unwrap_or_default();
        tree.line(1, format_args!("{} at 0x{:x}{package}", command.name, command.offset));
    }
    if !analysis.warnings.is_empty() {
        tree.line(0, format_args!("warnings"));
    }
    for warning in &analysis.warnings {
        tree.line(1, format_args!("at 0x{:x}: {}", warning.offset, warning.text));
    }
    let end = match (analysis.end.eof, analysis.end.vmdesc) {
        (false, _) => "cut short",
        (true, false) => "complete, without description",
        (true, true) => "complete, with description",
    };
    tree.line(0, format_args!("end: {end}"));
    tree.out
}

struct Tree {
    out: String,
    /// The last component of the section's id string.
    device: String,
}

impl Tree {
    fn line(&mut self, depth: usize, text: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.out, "{:1$}{text}", "", depth.saturating_mul(2));
    }

    fn head(&mut self, analysis: &Analysis) {
        let words: Vec<_> = analysis.dialects.iter().map(|dialect| dialect.word()).collect();
        let version = analysis.version.map_or("?".to_owned(), |version| version.to_string());
        self.line(0, format_args!("format: version {version}, {}", words.join(", ")));
        let Some(configuration) = &analysis.configuration else {
            self.line(0, format_args!("configuration: none"));
            return;
        };
        self.line(0, format_args!("configuration: machine {}", configuration.machine));
        if let Some(page) = configuration.target_page {
            self.line(1, format_args!("target page: {} bytes", page.bytes()));
        }
        if let Some(names) = &configuration.capabilities {
            let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
            self.line(1, format_args!("capabilities: {}", names.join(", ")));
        }
        if let Some(uuid) = configuration.uuid {
            self.line(1, format_args!("uuid: {}", uuid_text(uuid)));
        }
    }

    fn ram(&mut self, analysis: &Analysis) {
        let ram = &analysis.ram;
        self.line(0, format_args!("ram: {} blocks, pages of {} bytes", ram.blocks.len(), ram.page_bytes));
        for block in &ram.blocks {
            let counts = [
                (block.normal_pages, "normal"),
                (block.zero_pages, "zero"),
                (block.xbzrle_pages, "xbzrle"),
                (block.compressed_pages, "compressed"),
            ];
            let sent: Vec<_> =
                counts.iter().filter(|(pages, _)| *pages > 0).map(|(pages, kind)| format!("{pages} {kind}")).collect();
            let sent = if sent.is_empty() { "no pages".to_owned() } else { sent.join(" + ") };
            let (id, bytes) = (printable(&block.id), block.used_bytes);
            self.line(1, format_args!("{id}: 0x{bytes:x} bytes, {sent}, {} distinct", block.distinct_pages));
        }
    }

    fn section(&mut self, section: &SectionReport) {
        let parts = section.parts.map(|parts| format!(" in {parts} parts")).unwrap_or_default();
        let guessed = if section.is_end_guessed { ", end guessed" } else { "" };
        self.line(
            1,
            format_args!(
                "{} instance {} version {} (section {}, {} octets{parts} at 0x{:x}{guessed})",
                printable(&section.name),
                section.instance_id,
                section.version,
                section.section_id,
                section.body_bytes,
                section.offset
            ),
        );
        section.name.rsplit('/').next().unwrap_or_default().clone_into(&mut self.device);
        self.object(2, &section.state);
    }

    fn meaning(&self, field: &str, scalar: Scalar) -> Option<&'static str> {
        match scalar {
            Scalar::Unsigned(value) => named_values::meaning(&self.device, field, value),
            Scalar::Bool(_) | Scalar::Signed(_) => None,
        }
    }

    fn object(&mut self, depth: usize, object: &Object) {
        for (name, value) in &object.fields {
            self.value(depth, &printable(name), value);
        }
        for (name, subsection) in &object.subsections {
            self.line(depth, format_args!("subsection {}", printable(name)));
            self.object(depth.saturating_add(1), subsection);
        }
    }

    fn value(&mut self, depth: usize, name: &str, value: &Value) {
        match value {
            Value::Object(object) => {
                self.line(depth, format_args!("{name}"));
                self.object(depth.saturating_add(1), object);
            }
            Value::List(values) => {
                for (i, value) in values.iter().enumerate() {
                    self.value(depth, &format!("{name}[{i}]"), value);
                }
            }
            Value::Null => self.line(depth, format_args!("{name}: null")),
            Value::Text(text) => self.line(depth, format_args!("{name}: {}", printable(text))),
            Value::Scalar(scalar) => {
                let meaning = self.meaning(name, *scalar).map(|meaning| format!(" {meaning}")).unwrap_or_default();
                self.line(depth, format_args!("{name}: {}{meaning}", scalar_text(*scalar)));
            }
            Value::Scalars(array) => {
                let shown: Vec<_> = array.iter().take(SHOWN_ELEMENTS).map(element_text).collect();
                let more = if array.len() > SHOWN_ELEMENTS { " …" } else { "" };
                self.line(depth, format_args!("{name}: [{}{more}] ({})", shown.join(" "), array.len()));
            }
            Value::Octets(octets) => {
                let shown = octets.get(..SHOWN_OCTETS.min(octets.len())).unwrap_or_default();
                let more = if octets.len() > SHOWN_OCTETS { "…" } else { "" };
                let text = named_values::text(&self.device, name, octets).map(|text| format!(" {text:?}"));
                let text = text.unwrap_or_default();
                self.line(depth, format_args!("{name}: {}{more} ({} octets){text}", Hex(shown), octets.len()));
            }
        }
    }
}

/// Names come from the stream: control characters must not reach a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// In one notation: arrays are to be compared by eye.
pub(crate) fn element_text(scalar: Scalar) -> String {
    match scalar {
        Scalar::Unsigned(value) if value >= 10 => format!("0x{value:x}"),
        Scalar::Signed(value) => value.to_string(),
        scalar => scalar_text(scalar),
    }
}

fn scalar_text(scalar: Scalar) -> String {
    match scalar {
        Scalar::Bool(value) => value.to_string(),
        Scalar::Unsigned(value) if value < 10 => value.to_string(),
        Scalar::Unsigned(value) => format!("0x{value:x} ({value})"),
        Scalar::Signed(value) if (-9..10).contains(&value) => value.to_string(),
        Scalar::Signed(value) => {
            let sign = if value < 0 { "-" } else { "" };
            format!("{sign}0x{:x} ({value})", value.unsigned_abs())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_shown_in_both_notations_where_they_differ() {
        for (scalar, text) in [
            (Scalar::Unsigned(9), "9"),
            (Scalar::Unsigned(31), "0x1f (31)"),
            (Scalar::Signed(-9), "-9"),
            (Scalar::Signed(-31), "-0x1f (-31)"),
            (Scalar::Signed(i64::MIN), "-0x8000000000000000 (-9223372036854775808)"),
            (Scalar::Bool(true), "true"),
        ] {
            assert_eq!(scalar_text(scalar), text);
        }
        assert_eq!(element_text(Scalar::Unsigned(31)), "0x1f");
    }

    #[test]
    fn values_with_a_meaning_have_it_beside_them() {
        let mut tree = Tree { out: String::new(), device: "globalstate".to_owned() };
        tree.value(0, "runstate", &Value::Octets(b"running\0".as_slice().into()));
        tree.value(0, "vector", &Value::Scalar(Scalar::Unsigned(0xffff)));
        assert_eq!(tree.out, "runstate: 72756e6e696e6700 (8 octets) \"running\"\nvector: 0xffff (65535) none\n");
    }
}
