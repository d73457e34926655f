//! Writes HTML: elements that are always closed, and text that is always escaped.
//!
//! Tags and names of attributes are literals of the program. Everything else passes the escape, so that nothing of a
//! stream becomes markup. Pages go out as they are made; how many octets they may have is decided here, and what does
//! not fit any more is left out by whoever asks [`Page::is_full`].

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write};

/// What writing gives.
pub(super) type Done = io::Result<()>;

/// An attribute: its name and value.
pub(super) type Attribute<'a> = (&'static str, &'a dyn Display);

/// Characters of one text from a stream that are shown.
const SHOWN_CHARACTERS: usize = 240;

/// A page that is being written.
pub(super) struct Page<'w> {
    out: &'w mut dyn Write,
    written: u64,
    limit: u64,
    /// A text that is about to be written.
    scratch: String,
}

impl<'w> Page<'w> {
    /// A page of about `limit` octets.
    pub(super) fn new(out: &'w mut dyn Write, limit: u64) -> Page<'w> {
        Page { out, written: 0, limit, scratch: String::new() }
    }

    /// Whether rows of lists should be left out from here on.
    pub(super) fn is_full(&self) -> bool {
        self.written >= self.limit
    }

    /// Writes what is part of the program, as it is.
    pub(super) fn markup(&mut self, markup: &'static str) -> Done {
        self.put(markup)
    }

    fn put(&mut self, text: &str) -> Done {
        self.written = self.written.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX));
        self.out.write_all(text.as_bytes())
    }

    /// Writes text.
    pub(super) fn text(&mut self, text: impl Display) -> Done {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        // Writing to a String cannot fail.
        let _ = write!(Escaped(&mut scratch), "{text}");
        let done = self.put(&scratch);
        self.scratch = scratch;
        done
    }

    fn start(&mut self, tag: &'static str, attributes: &[Attribute<'_>]) -> Done {
        self.put("<")?;
        self.put(tag)?;
        for (name, value) in attributes {
            self.put(" ")?;
            self.put(name)?;
            self.put("=\"")?;
            self.text(value)?;
            self.put("\"")?;
        }
        self.put(">")
    }

    /// An element without contents, such as `<meta>`.
    pub(super) fn void(&mut self, tag: &'static str, attributes: &[Attribute<'_>]) -> Done {
        self.start(tag, attributes)?;
        self.put("\n")
    }

    /// An element around what `contents` writes.
    pub(super) fn element(
        &mut self,
        tag: &'static str,
        attributes: &[Attribute<'_>],
        contents: impl FnOnce(&mut Self) -> Done,
    ) -> Done {
        self.start(tag, attributes)?;
        contents(self)?;
        self.end(tag)
    }

    /// An element around text.
    pub(super) fn leaf(&mut self, tag: &'static str, attributes: &[Attribute<'_>], text: impl Display) -> Done {
        self.start(tag, attributes)?;
        self.text(text)?;
        self.end(tag)
    }

    fn end(&mut self, tag: &'static str) -> Done {
        self.put("</")?;
        self.put(tag)?;
        // A line for what is a block, so that the file can be read and compared as text.
        self.put(if matches!(tag, "a" | "b" | "i" | "code" | "span" | "td" | "th" | "bdi" | "small") {
            ">"
        } else {
            ">\n"
        })
    }

    /// A table in a box of its own that scrolls where it is too wide.
    pub(super) fn table(
        &mut self,
        label: &'static str,
        columns: &[Column],
        rows: impl FnOnce(&mut Self) -> Done,
    ) -> Done {
        let boxed: [Attribute<'_>; 4] =
            [("class", &"scroll"), ("tabindex", &0), ("role", &"region"), ("aria-label", &label)];
        self.element("div", &boxed, |page| {
            page.element("table", &[], |page| {
                page.element("thead", &[], |page| {
                    page.element("tr", &[], |page| {
                        columns.iter().try_for_each(|Column { name, class }| match *name {
                            "" => page.leaf("td", &[("class", class)], ""),
                            name => page.leaf("th", &[("scope", &"col"), ("class", class)], name),
                        })
                    })
                })?;
                page.element("tbody", &[], rows)
            })
        })
    }
}

/// A column of a table.
#[derive(Clone, Copy)]
pub(super) struct Column {
    /// Its heading; empty where the cells tell what they are.
    name: &'static str,
    class: &'static str,
}

impl Column {
    /// Of words.
    pub(super) const fn words(name: &'static str) -> Column {
        Column { name, class: "words" }
    }

    /// Of numbers.
    pub(super) const fn number(name: &'static str) -> Column {
        Column { name, class: "number" }
    }

    /// Of numbers that narrow screens have no room for.
    pub(super) const fn exact(name: &'static str) -> Column {
        Column { name, class: "number exact" }
    }
}

/// Text of a stream or schema, as long as a person reads it.
pub(super) struct Shown<'a>(pub(super) &'a str);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHOWN_CHARACTERS) {
            None => f.write_str(self.0),
            Some((at, _)) => {
                let count = self.0.chars().count();
                write!(f, "{}… ({count} characters)", self.0.get(..at).unwrap_or_default())
            }
        }
    }
}

/// Replaces what means something to a reader of HTML, and what is not to be seen.
struct Escaped<'s>(&'s mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' => self.0.push('\n'),
                c if c.is_control() || is_reordering(c) => self.0.push(char::REPLACEMENT_CHARACTER),
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

/// Whether it changes the direction of what follows: a name must not rearrange the page around it.
fn is_reordering(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Page<'_>) -> Done) -> String {
        let mut octets = Vec::new();
        write(&mut Page::new(&mut octets, 10)).unwrap();
        String::from_utf8(octets).unwrap()
    }

    #[test]
    fn text_and_attributes_are_escaped() {
        let hostile = "<script>alert('1')</script>\"&\0\u{1b}[31m\u{202e}";
        let html = written(|page| page.leaf("b", &[("title", &hostile)], hostile));
        let text = "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;&amp;\u{fffd}\u{fffd}[31m\u{fffd}";
        assert_eq!(html, format!("<b title=\"{text}\">{text}</b>"));
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let long = "ä".repeat(1000);
        assert_eq!(Shown(&long).to_string(), format!("{}… (1000 characters)", "ä".repeat(240)));
        assert_eq!(Shown("ä").to_string(), "ä");
    }

    #[test]
    fn a_page_says_when_it_is_full() {
        let mut octets = Vec::new();
        let mut page = Page::new(&mut octets, 10);
        page.leaf("b", &[], "1").unwrap();
        assert!(!page.is_full());
        page.leaf("b", &[], "1").unwrap();
        assert!(page.is_full());
    }
}
