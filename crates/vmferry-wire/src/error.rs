//! Why octets are not a migration stream.
//!
//! [`WireError`] is one word wide and says where: its offset counts from the first octet that the decoder was given,
//! and the caller, who knows where in the stream that was, adds its own position with [`WireError::at`].

use std::fmt;

/// A refusal: where, and why.
#[derive(Clone, PartialEq, Eq)]
pub struct WireError(Box<Detail>);

#[derive(Clone, PartialEq, Eq)]
struct Detail {
    offset: u64,
    reason: Reason,
}

impl WireError {
    /// A refusal at `offset`, counted from the first octet that the decoder was given.
    #[cold]
    pub fn new(offset: u64, reason: Reason) -> WireError {
        WireError(Box::new(Detail { offset, reason }))
    }

    /// Position of the octets that were refused: relative to the decoder's input until [`at`](WireError::at) was
    /// called.
    pub fn offset(&self) -> u64 {
        self.0.offset
    }

    /// What was found, and what would have been accepted.
    pub fn reason(&self) -> &Reason {
        &self.0.reason
    }

    /// The same refusal, with `base` (the position of the decoder's input in the stream) added to its offset.
    #[must_use]
    pub fn at(mut self, base: u64) -> WireError {
        self.0.offset = self.0.offset.saturating_add(base);
        self
    }
}

impl fmt::Debug for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireError").field("offset", &self.0.offset).field("reason", &self.0.reason).finish()
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at offset 0x{:x}: {}", self.0.offset, self.0.reason)
    }
}

impl std::error::Error for WireError {}

/// What was found, and what would have been accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The first word is not the magic.
    NotAMigrationStream {
        /// The first word.
        found: u32,
    },
    /// Version 2, the format before 2009.
    ObsoleteVersion,
    /// A version other than 3.
    UnsupportedVersion {
        /// The version.
        found: u32,
    },
    /// The configuration section was expected.
    ConfigurationMissing {
        /// The octet in its place.
        found: u8,
    },
    /// A word or octet that must have one value has another.
    Unexpected {
        /// What the value is.
        what: &'static str,
        /// The value.
        found: u64,
        /// The only value accepted.
        expected: u64,
    },
    /// A number is outside its limits.
    OutOfRange {
        /// What the number is.
        what: &'static str,
        /// The number.
        found: u64,
        /// The smallest accepted.
        min: u64,
        /// The largest accepted.
        max: u64,
    },
    /// The octet in element position starts no element.
    UnknownSectionType {
        /// The octet.
        found: u8,
    },
    /// The octet behind a section's body is not the footer's.
    MissingFooter {
        /// The octet in its place.
        found: u8,
    },
    /// The footer belongs to another section.
    MismatchedSectionId {
        /// The section id in the footer.
        found: u32,
        /// The section id of the section's header.
        expected: u32,
    },
    /// A name of no octets.
    EmptyName {
        /// What it would have named.
        what: &'static str,
    },
    /// A name that is not UTF-8 or holds a NUL.
    BadName {
        /// What it would have named.
        what: &'static str,
    },
    /// A subsection of the configuration that does not exist.
    UnknownSubsection {
        /// Its name.
        name: String,
    },
    /// A subsection, or another thing that may appear once, appears again.
    Repeated {
        /// What appears twice.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A command that does not exist. Unknown commands cannot be skipped.
    UnknownCommand {
        /// The number.
        found: u16,
    },
    /// The length of a command or return-path message does not fit it.
    BadLength {
        /// The command or message.
        what: &'static str,
        /// The length.
        found: u64,
        /// The lengths that are accepted.
        accepted: &'static str,
    },
    /// A return-path message that does not exist.
    UnknownMessage {
        /// The number.
        found: u16,
    },
    /// The flags of a RAM record are not exactly one kind.
    BadRecordFlags {
        /// The flags, without CONTINUE.
        flags: u64,
    },
    /// A record of a kind that QEMU gave up.
    ObsoleteRecord {
        /// The kind.
        what: &'static str,
    },
    /// The data of an XBZRLE page does not fit it.
    BadXbzrle {
        /// What is wrong.
        what: &'static str,
    },
    /// The lengths in the block list pass the total that announced it.
    BlockListOvershoot {
        /// Sum of the lengths so far.
        listed: u64,
        /// The total.
        total: u64,
    },
    /// The block list ends although its total is not reached, or a block has no octets.
    EmptyBlock {
        /// The block.
        name: String,
    },
    /// The description is not JSON, or JSON that describes nothing.
    BadDescription {
        /// What the parser says, with line and column.
        text: String,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NotAMigrationStream { found } => {
                write!(f, "not a migration stream: it starts with 0x{found:08x}, not with 0x5145564d (\"QEVM\")")
            }
            Reason::ObsoleteVersion => {
                f.write_str("stream version 2 is obsolete and not supported; version 3 is (QEMU since 2009)")
            }
            Reason::UnsupportedVersion { found } => write!(f, "stream version {found} is not supported, only 3 is"),
            Reason::ConfigurationMissing { found } => write!(
                f,
                "configuration section missing: found octet 0x{found:02x} instead of 0x07 (a machine type that sends \
                 none has send-configuration off)"
            ),
            Reason::Unexpected { what, found, expected } => {
                write!(f, "{what} is 0x{found:x}, only 0x{expected:x} is accepted")
            }
            Reason::OutOfRange { what, found, min, max } => write!(f, "{what} is {found}, accepted is {min} to {max}"),
            Reason::UnknownSectionType { found } => write!(
                f,
                "unknown section type 0x{found:02x}; expected a section (01 to 04), a command (08) or the \
                 end of the stream (00)"
            ),
            Reason::MissingFooter { found } => {
                write!(f, "missing section footer: found octet 0x{found:02x} instead of 0x7e")
            }
            Reason::MismatchedSectionId { found, expected } => {
                write!(f, "mismatched section id in the footer: {found}, but the section's is {expected}")
            }
            Reason::EmptyName { what } => write!(f, "the name of the {what} is empty"),
            Reason::BadName { what } => write!(f, "the name of the {what} is not UTF-8 text without NUL"),
            Reason::UnknownSubsection { name } => write!(f, "no such subsection of the configuration: {name:?}"),
            Reason::Repeated { what, name } => write!(f, "the {what} {name:?} appears twice"),
            Reason::UnknownCommand { found } => write!(f, "unknown command {found}; 1 to 11 are known"),
            Reason::BadLength { what, found, accepted } => {
                write!(f, "{what} has a payload of {found} octets, accepted is {accepted}")
            }
            Reason::UnknownMessage { found } => write!(f, "unknown return-path message {found}; 1 to 7 are known"),
            Reason::BadRecordFlags { flags } => {
                write!(f, "RAM record flags 0x{flags:x} are not exactly one known kind of record")
            }
            Reason::ObsoleteRecord { what } => write!(f, "RAM record of the obsolete kind {what}"),
            Reason::BadXbzrle { what } => write!(f, "the data of an XBZRLE page has {what}"),
            Reason::BlockListOvershoot { listed, total } => {
                write!(f, "the RAM block list sums to 0x{listed:x} octets, past its announced total of 0x{total:x}")
            }
            Reason::EmptyBlock { name } => write!(f, "RAM block {name:?} has no octets"),
            Reason::BadDescription { text } => write!(f, "the description cannot be read: {text}"),
        }
    }
}
