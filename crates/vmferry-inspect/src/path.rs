//! Paths of what a stream holds: one syntax for reports, `diff` and `edit`.
//!
//! ```text
//! PATH    = SECTION *( "." NAME *( "[" INDEX "]" ) )
//! SECTION = id string "/" instance id           ; "serial/0", "0000:00:03.0/virtio-net/0"
//! NAME    = name of a field, or full name of a subsection
//!
//! serial/0.divider                  a field
//! i8259/1.priority                  the field of another instance
//! cpu/0.segs[2].base                a field of an element; elements count from 0
//! pckbd/0.kbd.pckbd/extended_state  a subsection of a nested description
//! ```
//!
//! These are the keys on the way to the value in the document of `analyze`, whose key `subsections` is left out: the
//! full name of a subsection has a slash, which no field's name has. Names may hold dots and brackets themselves
//! (`uuid.data`, `config[0]`), so that a path is read beside the names that are there: the longest name that fits wins.
//! When a path is given, the instance may be left out, and of the id string all but its last component, where that is
//! unique.

use std::fmt::Write as _;

/// A path while a tree is walked.
#[derive(Clone, Debug, Default)]
pub(crate) struct PathText(String);

impl PathText {
    /// The path of a section.
    pub(crate) fn section(name: &str, instance_id: u32) -> PathText {
        PathText(format!("{name}/{instance_id}"))
    }

    /// A path of one plain word, for what is no device.
    pub(crate) fn word(word: &str) -> PathText {
        PathText(word.to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Runs `inside` with a name appended.
    pub(crate) fn with_name<T>(&mut self, name: &str, inside: impl FnOnce(&mut PathText) -> T) -> T {
        let length = self.0.len();
        self.0.push('.');
        self.0.push_str(name);
        let result = inside(self);
        self.0.truncate(length);
        result
    }

    /// Runs `inside` with the number of an element appended.
    pub(crate) fn with_index<T>(&mut self, index: usize, inside: impl FnOnce(&mut PathText) -> T) -> T {
        let length = self.0.len();
        // Writing to a String cannot fail.
        let _ = write!(self.0, "[{index}]");
        let result = inside(self);
        self.0.truncate(length);
        result
    }
}
