//! Names on the wire: `u8` length, then that many octets, no terminator (`docs/spec/stream.md` section 1).
//!
//! Id strings of sections, RAM blocks, subsections and capabilities are named so. A [`Name`] has 1 to 255 octets.
//!
//! Differs from QEMU: a name must be UTF-8 and must not hold a NUL. QEMU compares names as C strings, so that `ram\0x`
//! finds the block `ram` (`docs/spec/ram.md` section A3).

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

use crate::error::Reason;
use crate::limits::NAME_LIMIT;

/// A name that fits a counted string: 1 to 255 octets of UTF-8 without NUL.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

impl Name {
    /// The name `text`, or why it cannot be one. `what` is what it names, for the message.
    ///
    /// # Errors
    ///
    /// The text is empty, longer than 255 octets, or holds a NUL.
    pub fn new(text: &str, what: &'static str) -> Result<Name, Reason> {
        Name::check(text.as_bytes(), what).map(Name::from_checked)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Octets on the wire, with the octet of length.
    pub fn encoded_len(&self) -> usize {
        1_usize.saturating_add(self.0.len())
    }

    /// Appends the length and the text.
    pub fn encode(&self, out: &mut Vec<u8>) {
        // The constructor admits at most 255 octets.
        out.push(u8::try_from(self.0.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(self.0.as_bytes());
    }

    pub(crate) fn from_checked(text: &str) -> Name {
        Name(text.into())
    }

    pub(crate) fn check<'a>(octets: &'a [u8], what: &'static str) -> Result<&'a str, Reason> {
        if octets.is_empty() {
            return Err(Reason::EmptyName { what });
        }
        if octets.len() > NAME_LIMIT {
            let found = u64::try_from(octets.len()).unwrap_or(u64::MAX);
            return Err(Reason::BadLength { what, found, accepted: "1 to 255 octets" });
        }
        match std::str::from_utf8(octets) {
            Ok(text) if !text.contains('\0') => Ok(text),
            _ => Err(Reason::BadName { what }),
        }
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_255_octets_is_the_longest() {
        let longest = "n".repeat(255);
        let mut out = Vec::new();
        Name::new(&longest, "section").unwrap().encode(&mut out);
        assert_eq!(out.len(), 256);
        assert_eq!(out[0], 255);
        assert!(Name::new(&"n".repeat(256), "section").is_err());
    }

    #[test]
    fn an_empty_name_is_refused() {
        assert_eq!(Name::new("", "section"), Err(Reason::EmptyName { what: "section" }));
    }
}
