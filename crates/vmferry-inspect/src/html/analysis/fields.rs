//! The fields of one device as a tree: values in both notations, with their meaning where it is known.
//!
//! | value | shown as |
//! |---|---|
//! | integer | hexadecimal and decimal, and what it means |
//! | array of integers | the first ones; folded, more of them; how many |
//! | octets | the first ones; folded, a dump; how many |
//! | object, list | folded, if there is much in it |

use std::fmt::Write as _;

use crate::analysis::SectionReport;
use crate::html::page::{Done, Page, Shown};
use crate::html::quantity::{Count, len};
use crate::limits::HTML_DEVICE_ROW_COUNT_LIMIT;
use crate::named_values;
use crate::render::element_text;
use crate::value::{Hex, Object, Scalar, ScalarArray, Value};

/// Octets of a buffer that are shown at once, and folded.
const SHOWN_OCTETS: (usize, usize) = (16, 512);

/// Elements of an array of integers that are shown at once, and folded.
const SHOWN_ELEMENTS: (usize, usize) = (8, 512);

/// An object of so many fields is open, unless it is deep inside.
const OPEN_FIELDS: usize = 12;

/// An object of so many integers is one row.
const ROW_FIELDS: usize = 5;

/// How deep objects are open.
const OPEN_DEPTH: usize = 2;

/// The tree of one device.
pub(super) struct Tree<'a> {
    /// The last component of the section's id string.
    device: &'a str,
    rows_left: usize,
    left_out: u64,
}

impl<'a> Tree<'a> {
    pub(super) fn new(section: &'a SectionReport) -> Tree<'a> {
        let device = section.name.rsplit('/').next().unwrap_or_default();
        Tree { device, rows_left: HTML_DEVICE_ROW_COUNT_LIMIT, left_out: 0 }
    }

    /// Writes the fields, and how many were too many.
    pub(super) fn write(&mut self, page: &mut Page<'_>, state: &Object) -> Done {
        if state.fields.is_empty() && state.subsections.is_empty() {
            return page.leaf("p", &[("class", &"faint")], "No fields.");
        }
        self.object(page, 0, state)?;
        if self.left_out == 0 {
            return Ok(());
        }
        let text = format_args!("{} left out; `analyze --json` has all.", Count(self.left_out, "value"));
        page.leaf("p", &[("class", &"faint")], text)
    }

    /// Whether there is room for one more row.
    fn has_room(&mut self, page: &Page<'_>) -> bool {
        match self.rows_left.checked_sub(1).filter(|_| !page.is_full()) {
            Some(left) => self.rows_left = left,
            None => self.left_out = self.left_out.saturating_add(1),
        }
        self.left_out == 0
    }

    fn object(&mut self, page: &mut Page<'_>, depth: usize, object: &Object) -> Done {
        page.element("ul", &[("class", &"tree")], |page| {
            object.fields.iter().try_for_each(|(name, value)| self.value(page, depth, Label::Field(name), value))?;
            object.subsections.iter().try_for_each(|(name, subsection)| {
                if !self.has_room(page) {
                    return Ok(());
                }
                page.element("li", &[], |page| {
                    let what = Count(len(&subsection.fields), "field").to_string();
                    self.folded(page, depth, Label::Subsection(name), &what, true, |tree, page| {
                        tree.object(page, depth.saturating_add(1), subsection)
                    })
                })
            })
        })
    }

    fn value(&mut self, page: &mut Page<'_>, depth: usize, label: Label<'_>, value: &Value) -> Done {
        if !self.has_room(page) {
            return Ok(());
        }
        match value {
            Value::Object(object) if is_short(object) => page.element("li", &[("class", &"field")], |page| {
                label.write(page)?;
                page.element("div", &[], |page| {
                    object.fields.iter().try_for_each(|(name, value)| {
                        page.element("span", &[("class", &"pair")], |page| {
                            page.leaf("small", &[], Shown(name))?;
                            page.text(" ")?;
                            self.plain(page, name, value)
                        })?;
                        page.text(" ")
                    })
                })
            }),
            Value::Object(object) => page.element("li", &[], |page| {
                let fields = object.fields.len().saturating_add(object.subsections.len());
                let what = Count(u64::try_from(fields).unwrap_or(u64::MAX), "field").to_string();
                let is_open = depth < OPEN_DEPTH && fields <= OPEN_FIELDS && !matches!(label, Label::Element(..));
                self.folded(page, depth, label, &what, is_open, |tree, page| {
                    tree.object(page, depth.saturating_add(1), object)
                })
            }),
            Value::List(values) => page.element("li", &[], |page| {
                let what = Count(len(values), "element").to_string();
                let is_open = depth < OPEN_DEPTH && values.len() <= OPEN_FIELDS;
                self.folded(page, depth, label, &what, is_open, |tree, page| {
                    page.element("ul", &[("class", &"tree")], |page| {
                        values.iter().enumerate().try_for_each(|(index, value)| {
                            tree.value(page, depth.saturating_add(1), Label::Element(label.field(), index), value)
                        })
                    })
                })
            }),
            _ => page.element("li", &[("class", &"field")], |page| {
                label.write(page)?;
                page.element("div", &[], |page| self.plain(page, label.field(), value))
            }),
        }
    }

    /// A row that unfolds.
    fn folded(
        &mut self,
        page: &mut Page<'_>,
        depth: usize,
        label: Label<'_>,
        what: &str,
        is_open: bool,
        inside: impl FnOnce(&mut Self, &mut Page<'_>) -> Done,
    ) -> Done {
        let open = [("open", &"" as &dyn std::fmt::Display)];
        let is_open = is_open && depth < OPEN_DEPTH;
        page.element("details", if is_open { &open } else { &[] }, |page| {
            page.element("summary", &[], |page| {
                label.write(page)?;
                page.text(" ")?;
                page.leaf("small", &[], what)
            })?;
            inside(self, page)
        })
    }

    /// A value without parts.
    fn plain(&self, page: &mut Page<'_>, field: &str, value: &Value) -> Done {
        match value {
            Value::Scalar(scalar) => {
                scalar_text(page, *scalar)?;
                let meaning = match scalar {
                    Scalar::Unsigned(value) => named_values::meaning(self.device, field, *value),
                    Scalar::Bool(_) | Scalar::Signed(_) => None,
                };
                meaning.map_or(Ok(()), |meaning| {
                    page.text(" ")?;
                    page.leaf("b", &[], meaning)
                })
            }
            Value::Scalars(array) => scalars(page, array),
            Value::Octets(octets) => {
                if let Some(text) = named_values::text(self.device, field, octets) {
                    page.leaf("b", &[], text)?;
                    page.text(" ")?;
                }
                buffer(page, octets)
            }
            Value::Text(text) => page.text(Shown(text)),
            // Lists and objects are rows of their own.
            Value::Null | Value::List(_) | Value::Object(_) => page.leaf("code", &[], "null"),
        }
    }
}

/// Whether all of it fits into a row.
fn is_short(object: &Object) -> bool {
    let is_scalar = |(_, value): &(String, Value)| matches!(value, Value::Scalar(_) | Value::Null);
    object.subsections.is_empty() && object.fields.len() <= ROW_FIELDS && object.fields.iter().all(is_scalar)
}

/// What a row is called.
#[derive(Clone, Copy)]
enum Label<'a> {
    Field(&'a str),
    Element(&'a str, usize),
    Subsection(&'a str),
}

impl Label<'_> {
    fn field(&self) -> &str {
        match self {
            Label::Field(name) | Label::Element(name, _) | Label::Subsection(name) => name,
        }
    }

    fn write(&self, page: &mut Page<'_>) -> Done {
        let class = [("class", &"name" as &dyn std::fmt::Display)];
        match self {
            Label::Field(name) => page.leaf("span", &class, Shown(name)),
            Label::Element(name, index) => page.leaf("span", &class, format_args!("{}[{index}]", Shown(name))),
            Label::Subsection(name) => {
                page.leaf("small", &[], "subsection ")?;
                page.leaf("span", &class, Shown(name))
            }
        }
    }
}

fn scalar_text(page: &mut Page<'_>, scalar: Scalar) -> Done {
    let (hex, decimal) = match scalar {
        Scalar::Bool(value) => (value.to_string(), None),
        Scalar::Unsigned(value) if value < 10 => (value.to_string(), None),
        Scalar::Unsigned(value) => (format!("0x{value:x}"), Some(value.to_string())),
        Scalar::Signed(value) if (-9..10).contains(&value) => (value.to_string(), None),
        Scalar::Signed(value) => {
            let sign = if value < 0 { "-" } else { "" };
            (format!("{sign}0x{:x}", value.unsigned_abs()), Some(value.to_string()))
        }
    };
    page.leaf("code", &[], hex)?;
    decimal.map_or(Ok(()), |decimal| {
        page.text(" ")?;
        page.leaf("small", &[], decimal)
    })
}

fn scalars(page: &mut Page<'_>, array: &ScalarArray) -> Done {
    let count = Count(u64::try_from(array.len()).unwrap_or(u64::MAX), "element").to_string();
    let mut values = array.iter();
    if let Some(first) = values.next().filter(|_| array.len() > 1)
        && values.all(|value| value == first)
    {
        page.leaf("code", &[], element_text(first))?;
        return page.leaf("small", &[], format_args!(" in each of {count}"));
    }
    let texts = |up_to: usize| array.iter().take(up_to).map(element_text).collect::<Vec<_>>().join(" ");
    if array.len() <= SHOWN_ELEMENTS.0 {
        page.leaf("code", &[], texts(SHOWN_ELEMENTS.0))?;
        return page.leaf("small", &[], format_args!(" {count}"));
    }
    page.element("details", &[], |page| {
        page.element("summary", &[], |page| {
            page.leaf("code", &[], format_args!("{} …", texts(SHOWN_ELEMENTS.0)))?;
            page.leaf("small", &[], format_args!(" {count}"))
        })?;
        page.leaf("pre", &[("tabindex", &0)], wrapped(&texts(SHOWN_ELEMENTS.1)))?;
        not_shown(page, array.len(), SHOWN_ELEMENTS.1, "element")
    })
}

/// Words in lines that fit a page.
fn wrapped(words: &str) -> String {
    let mut text = String::new();
    let mut column = 0_usize;
    for word in words.split(' ') {
        if column > 0 {
            let is_new = column.saturating_add(word.len()) > 76;
            text.push(if is_new { '\n' } else { ' ' });
            column = if is_new { 0 } else { column };
        }
        text.push_str(word);
        column = column.saturating_add(word.len()).saturating_add(1);
    }
    text
}

fn buffer(page: &mut Page<'_>, octets: &[u8]) -> Done {
    let count = Count(len(octets), "octet").to_string();
    if let Some((first, rest)) = octets.split_first().filter(|(_, rest)| !rest.is_empty())
        && rest.iter().all(|octet| octet == first)
    {
        page.leaf("code", &[], format_args!("{first:02x}"))?;
        return page.leaf("small", &[], format_args!(" in each of {count}"));
    }
    let head = Hex(octets.get(..SHOWN_OCTETS.0).unwrap_or(octets));
    if octets.len() <= SHOWN_OCTETS.0 {
        page.leaf("code", &[], head)?;
        return page.leaf("small", &[], format_args!(" {count}"));
    }
    page.element("details", &[], |page| {
        page.element("summary", &[], |page| {
            page.leaf("code", &[], format_args!("{head}…"))?;
            page.leaf("small", &[], format_args!(" {count}"))
        })?;
        page.leaf("pre", &[("tabindex", &0)], dump(octets.get(..SHOWN_OCTETS.1).unwrap_or(octets)))?;
        not_shown(page, octets.len(), SHOWN_OCTETS.1, "octet")
    })
}

/// Lines of 16 octets: position, hexadecimal, text.
fn dump(octets: &[u8]) -> String {
    let mut text = String::new();
    for (line, octets) in octets.chunks(16).enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{:04x} ", line.saturating_mul(16));
        for octet in octets {
            let _ = write!(text, " {octet:02x}");
        }
        let padding = 16_usize.saturating_sub(octets.len()).saturating_mul(3).saturating_add(2);
        let _ = write!(text, "{:padding$}", "");
        let shown = octets.iter().map(|octet| if matches!(octet, 0x20..0x7f) { char::from(*octet) } else { '.' });
        text.extend(shown);
        text.push('\n');
    }
    text
}

fn not_shown(page: &mut Page<'_>, all: usize, shown: usize, what: &'static str) -> Done {
    let Some(more) = all.checked_sub(shown).filter(|more| *more > 0) else { return Ok(()) };
    let more = Count(u64::try_from(more).unwrap_or(u64::MAX), what);
    page.leaf("p", &[("class", &"faint")], format_args!("{more} left out; `analyze --json` has all."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_has_position_octets_and_text() {
        let text = dump(b"0123456789abcdef<\0");
        let expected = "0000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef\n\
                        0010  3c 00                                            <.\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn lines_of_elements_fit() {
        let text = wrapped(&vec!["0x12345678"; 30].join(" "));
        assert_eq!(text.split_whitespace().count(), 30);
        assert!(text.lines().all(|line| line.len() <= 76), "{text}");
    }
}
