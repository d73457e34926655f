//! Errors of loading, saving and registering.
//!
//! A [`LoadError`] is one word wide; it is built in cold functions and collects its path while the decoder unwinds, so
//! the path of success carries nothing of it.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::ops::Range;

use crate::schema::Schema;

/// A device's own objection to being saved or loaded, in words for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(Cow<'static, str>);

impl Refused {
    /// An objection; the text starts in lower case and says what was found and what would have been accepted.
    #[must_use]
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Refused {}

/// Why a load failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reason {
    /// The stream ends inside an element.
    EndOfInput {
        /// Octets that the element still needs.
        needed: usize,
        /// Octets that are left.
        left: usize,
    },
    /// The source of the octets failed (a broken connection, an I/O error).
    Source(Box<dyn Error + Send + Sync>),
    /// The sender's version of the image is newer than this release knows.
    VersionTooNew {
        /// Version in the stream.
        found: u32,
        /// Newest version that this release loads.
        newest: u32,
    },
    /// The sender's version of the image is older than this release still loads.
    VersionTooOld {
        /// Version in the stream.
        found: u32,
        /// Oldest version that this release loads.
        oldest: u32,
    },
    /// A version between the oldest and the newest that this release loads, of which it knows no form.
    VersionUnknown {
        /// Version in the stream.
        found: u32,
    },
    /// A subsection that this release does not know.
    UnknownSubsection {
        /// Its name in the stream.
        name: String,
    },
    /// A subsection that came twice. Differs from QEMU: accepted there; no legitimate sender produces it.
    RepeatedSubsection {
        /// Its name in the stream.
        name: String,
    },
    /// A count above the declared limit.
    CountOverLimit {
        /// The count in the stream.
        found: u64,
        /// Largest accepted count.
        limit: u64,
    },
    /// A negative count. Differs from QEMU: zero elements there.
    NegativeCount {
        /// The count in the stream.
        found: i64,
    },
    /// A boolean octet other than 0 and 1. Differs from QEMU: any other value is true there.
    NotABool {
        /// The octet in the stream.
        found: u8,
    },
    /// A field that must equal this side's configuration does not.
    NotEqual {
        /// Value in the stream.
        found: u64,
        /// Value here.
        expected: u64,
        /// What to do about it.
        hint: Option<&'static str>,
    },
    /// A value that must be from 0 to this side's configuration is not.
    OutOfBounds {
        /// Value in the stream.
        found: i64,
        /// Largest value that is accepted here.
        limit: i64,
    },
    /// An element where this side has none.
    NotNull {
        /// The octet in place of the marker `30`.
        found: u8,
    },
    /// An octet other than 01 and 00 where a list goes on or ends. Differs from QEMU: any but 00 goes on there.
    NotAMarker {
        /// The octet in the stream.
        found: u8,
    },
    /// A tree with another number of nodes than it says.
    NodeCount {
        /// Number in the stream.
        declared: u64,
        /// Nodes that are there, or one more than declared.
        found: u64,
    },
    /// A key that a tree has twice. Differs from QEMU: the second replaces the first there.
    RepeatedKey,
    /// A subsection arrived for which the device gave no shape, although its decoding depends on local values.
    NoTemplate,
    /// The section is longer than its budget.
    OverBudget {
        /// Largest accepted size in octets.
        limit: u64,
    },
    /// The device, or a check beside a field, refused what was decoded.
    Refused(Refused),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndOfInput { needed, left } => write!(f, "stream ends: needs {needed} bytes, {left} left"),
            Self::Source(_) => f.write_str("the stream could not be read"),
            Self::VersionTooNew { found, newest } => {
                write!(f, "version {found} is too new: this release loads up to version {newest}")
            }
            Self::VersionTooOld { found, oldest } => {
                write!(f, "version {found} is too old: this release loads from version {oldest} on")
            }
            Self::VersionUnknown { found } => write!(f, "version {found} is not known to this release"),
            Self::UnknownSubsection { name } => {
                write!(f, "subsection '{}' is not known to this release", name.escape_debug())
            }
            Self::RepeatedSubsection { name } => write!(f, "subsection '{}' comes twice", name.escape_debug()),
            Self::CountOverLimit { found, limit } => write!(f, "count {found} is over the limit of {limit}"),
            Self::NegativeCount { found } => write!(f, "count {found} is negative"),
            Self::NotABool { found } => write!(f, "octet {found:#04x} is neither 0 nor 1, as a bool is"),
            Self::NotEqual { found, expected, hint } => {
                write!(f, "value {found:#x} does not equal {expected:#x} here")?;
                hint.map_or(Ok(()), |hint| write!(f, " ({hint})"))
            }
            Self::OutOfBounds { found, limit } => {
                write!(f, "value {found} is not from 0 to {limit}, as it must be here")
            }
            Self::NotNull { found } => {
                write!(f, "octet {found:#04x} is not the mark of an element that is absent, as it is here")
            }
            Self::NotAMarker { found } => {
                write!(f, "octet {found:#04x} neither announces an element nor ends the list")
            }
            Self::NodeCount { declared, found } if found > declared => {
                write!(f, "more nodes than the {declared} that the tree says it has")
            }
            Self::NodeCount { declared, found } => write!(f, "{found} nodes, but the tree says it has {declared}"),
            Self::RepeatedKey => f.write_str("key comes twice"),
            Self::NoTemplate => f.write_str("the device has no place for this subsection in its present configuration"),
            Self::OverBudget { limit } => write!(f, "section is longer than the limit of {limit} bytes"),
            Self::Refused(refused) => refused.fmt(f),
        }
    }
}

impl Schema {
    /// Why `version`, which is not loaded, is not.
    #[must_use]
    pub fn refusal(&self, version: u32) -> Reason {
        let (newest, oldest) = (self.version, self.oldest_version());
        if version > newest {
            Reason::VersionTooNew { found: version, newest }
        } else if version < oldest {
            Reason::VersionTooOld { found: version, oldest }
        } else {
            Reason::VersionUnknown { found: version }
        }
    }
}

#[derive(Debug)]
struct Inner {
    offset: u64,
    /// Innermost element first: pushed while unwinding.
    path: Vec<Cow<'static, str>>,
    reason: Reason,
}

/// Why and where a load failed: absolute offset in the stream, path of the field, reason.
#[derive(Debug)]
pub struct LoadError(Box<Inner>);

impl LoadError {
    /// A failure at absolute stream offset `offset`, in octets.
    #[cold]
    #[must_use]
    pub fn new(offset: u64, reason: Reason) -> Self {
        Self(Box::new(Inner { offset, path: Vec::new(), reason }))
    }

    /// Adds the name of the element that encloses what failed.
    #[cold]
    #[must_use]
    pub fn within(mut self, element: impl Into<Cow<'static, str>>) -> Self {
        self.0.path.push(element.into());
        self
    }

    /// Attributes a failure to read at once the elements of an array, each of `width` octets, that starts at offset
    /// `start` of the stream with element `first`: to the element in which the input ends.
    #[cold]
    #[must_use]
    pub(crate) fn in_array(mut self, start: u64, width: usize, first: usize) -> Self {
        let mut index = first;
        if let Reason::EndOfInput { needed, left } = &mut self.0.reason {
            // What was consumed before the input ended counts as left: the window may be shorter than the array.
            let whole = usize::try_from(self.0.offset.saturating_sub(start)).unwrap_or(0).saturating_add(*left);
            let elements = whole.checked_div(width).unwrap_or(0);
            index = first.saturating_add(elements);
            *left = whole.saturating_sub(elements.saturating_mul(width));
            *needed = width;
            self.0.offset = start.saturating_add((whole - *left) as u64);
        }
        self.within(format!("[{index}]"))
    }

    /// Attributes a failure to read at once the octets of `schema.fields[range]`, of fixed width each, that start at
    /// offset `start` of the stream: to the field in which the input ends.
    #[cold]
    #[must_use]
    pub(crate) fn in_run(mut self, start: u64, schema: &Schema, range: Range<usize>) -> Self {
        let mut fields = schema.fields.get(range).unwrap_or_default().iter();
        let Some(mut field) = fields.next() else { return self };
        if let Reason::EndOfInput { needed, left } = &mut self.0.reason {
            let mut rest = usize::try_from(self.0.offset.saturating_sub(start)).unwrap_or(0).saturating_add(*left);
            let mut at = start;
            let mut width = field.kind.octets().unwrap_or(0);
            while rest >= width {
                let Some(next) = fields.next() else { break };
                rest -= width;
                at = at.saturating_add(width as u64);
                field = next;
                width = field.kind.octets().unwrap_or(0);
            }
            self.0.offset = at;
            *needed = width;
            *left = rest;
            if let (Some(1..), Some(element)) = (field.kind.elements(), field.kind.element().octets())
                && matches!(field.kind, crate::schema::Kind::Array { .. })
            {
                return self.in_array(at, element, 0).within(field.name);
            }
        }
        self.within(field.name)
    }

    /// The same place in words, another offset and reason.
    pub(crate) fn because(mut self, offset: u64, reason: Reason) -> Self {
        self.0.offset = offset;
        self.0.reason = reason;
        self
    }

    /// Absolute offset in the stream, in octets, of what failed.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.0.offset
    }

    /// Names from the section down to the field, separated by dots.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = String::new();
        for element in self.0.path.iter().rev() {
            if !path.is_empty() && !element.starts_with('[') {
                path.push('.');
            }
            path.push_str(element);
        }
        path
    }

    /// The reason.
    #[must_use]
    pub fn reason(&self) -> &Reason {
        &self.0.reason
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        if !path.is_empty() {
            write!(f, "{path} ")?;
        }
        write!(f, "at byte {:#x}: {}", self.0.offset, self.0.reason)
    }
}

impl Error for LoadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0.reason {
            Reason::Source(source) => Some(&**source),
            _ => None,
        }
    }
}

/// Why an image could not be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaveError {
    /// Names from the section down to the field, separated by dots.
    pub path: String,
    /// What is wrong with it.
    pub reason: Refused,
}

impl SaveError {
    /// An image that contradicts its description.
    #[cold]
    #[must_use]
    pub fn new(reason: Refused) -> Self {
        Self { path: String::new(), reason }
    }

    /// Adds the name of the element that encloses what is wrong.
    #[cold]
    #[must_use]
    pub fn within(mut self, element: impl AsRef<str>) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{}{dot}{}", element.as_ref(), self.path);
        self
    }
}

impl fmt::Display for SaveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        self.reason.fmt(f)
    }
}

impl Error for SaveError {}
