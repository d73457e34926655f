//! What goes wrong with a migration, and whose side it is on.

use std::error::Error as StdError;
use std::fmt::{self, Write as _};
use std::io;

use vmferry_wire::WireError;
use vmstate::{LoadError, Refused, SaveError};

use crate::advice;
use crate::memory::OutOfBlock;

/// The end at which an error arose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The end that has the guest.
    Source,
    /// The end that is to get it.
    Destination,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Destination => "destination",
        })
    }
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The stream breaks the rules of framing.
    #[error("{0}")]
    Wire(WireError),
    /// A device's section could not be loaded.
    #[error("{0}")]
    Load(LoadError),
    /// A device's section could not be written.
    #[error("{0}")]
    Save(SaveError),
    /// A device, or the machine, refused.
    #[error("{0}")]
    Refused(Refused),
    /// A page record lies outside its block.
    #[error("{0}")]
    Memory(#[from] OutOfBlock),
    /// The channel or the kernel failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The stream ended before its end mark.
    #[error("the stream ends at byte {offset:#x}, before its end mark: the source stopped or the connection was cut")]
    Truncated {
        /// Offset at which the next octet was expected.
        offset: u64,
    },
    /// What is in the stream does not fit this machine.
    #[error("at byte {offset:#x}: {what} is {found}, accepted is {accepted}")]
    Mismatch {
        /// Offset of the element.
        offset: u64,
        /// What does not fit.
        what: &'static str,
        /// What is in the stream.
        found: String,
        /// What would fit.
        accepted: String,
    },
    /// The peer said that it failed.
    #[error("the destination could not load the guest: {reason}")]
    Peer {
        /// Its own words, or the status of its SHUT.
        reason: String,
    },
    /// The return path ended before the destination's verdict.
    #[error("the destination closed the connection before it said whether it has the guest")]
    NoVerdict,
    /// The operator cancelled.
    #[error("the migration was cancelled")]
    Cancelled,
    /// The migration took longer than it may.
    #[error("the migration did not converge within x-ferry-total-time-limit, {limit_ms} ms")]
    Overtime {
        /// The limit.
        limit_ms: u64,
    },
    /// A request that does not fit the state of things.
    #[error("{0}")]
    State(String),
}

impl ErrorKind {
    /// Whether the migration was ended on purpose.
    pub(crate) fn is_cancellation(&self) -> bool {
        matches!(self, Self::Cancelled | Self::Overtime { .. })
    }
}

#[derive(Debug)]
struct Inner {
    side: Side,
    /// Number of the multifd channel, where it is about one.
    channel: Option<usize>,
    section: Option<(String, u32)>,
    kind: ErrorKind,
    advice: Option<String>,
}

/// Why a migration failed: side, section, cause, and where there is one, the next step.
#[derive(Debug)]
pub struct Error(Box<Inner>);

impl Error {
    /// An error at `side`.
    #[cold]
    #[must_use]
    pub fn new(side: Side, kind: ErrorKind) -> Self {
        let advice = advice::general(side, &kind);
        Self(Box::new(Inner { side, channel: None, section: None, kind, advice }))
    }

    /// The same error, told of a section.
    #[must_use]
    pub fn in_section(mut self, idstr: &str, instance: u32) -> Self {
        self.0.section.get_or_insert_with(|| (idstr.to_owned(), instance));
        self
    }

    /// The same error, told of a multifd channel.
    #[must_use]
    pub(crate) fn in_channel(mut self, id: usize) -> Self {
        self.0.channel.get_or_insert(id);
        self
    }

    /// The same error with the next step, if there is one.
    #[must_use]
    pub(crate) fn advised(mut self, advice: Option<String>) -> Self {
        self.0.advice = advice.or(self.0.advice);
        self
    }

    /// Whose side it is on.
    #[must_use]
    pub fn side(&self) -> Side {
        self.0.side
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// What went wrong, with all that belongs to it.
    pub(crate) fn into_kind(self) -> ErrorKind {
        self.0.kind
    }

    /// Id string and instance of the section, where it is about one.
    #[must_use]
    pub fn section(&self) -> Option<(&str, u32)> {
        self.0.section.as_ref().map(|(idstr, instance)| (idstr.as_str(), *instance))
    }

    /// The next step, where there is one.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.0.advice.as_deref()
    }
}

/// A text that ends up on a terminal and in logs, with control characters escaped: names in it may be the peer's.
struct Printable<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Printable<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(char::is_control) {
            let plain = part.trim_end_matches(char::is_control);
            self.0.write_str(plain)?;
            write!(self.0, "{}", part.get(plain.len()..).unwrap_or_default().escape_default())?;
        }
        Ok(())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let f = &mut Printable(f);
        write!(f, "{}: ", self.0.side)?;
        if let Some(id) = self.0.channel {
            write!(f, "multifd channel {id}: ")?;
        }
        if let Some((idstr, instance)) = &self.0.section {
            write!(f, "section '{idstr}' instance {instance}: ")?;
        }
        write!(f, "{}", self.0.kind)?;
        self.0.advice.as_ref().map_or(Ok(()), |advice| write!(f, " ({advice})"))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.kind {
            ErrorKind::Io { source, .. } => Some(source),
            ErrorKind::Load(error) => error.source(),
            _ => None,
        }
    }
}

/// Side and place for what the layers below report.
pub(crate) trait Attribute<T> {
    fn at(self, side: Side) -> Result<T, Error>;
}

impl<T> Attribute<T> for Result<T, LoadError> {
    fn at(self, side: Side) -> Result<T, Error> {
        self.map_err(|error| Error::new(side, ErrorKind::Load(error)))
    }
}

impl<T> Attribute<T> for Result<T, WireError> {
    fn at(self, side: Side) -> Result<T, Error> {
        self.map_err(|error| Error::new(side, ErrorKind::Wire(error)))
    }
}

impl<T> Attribute<T> for Result<T, Refused> {
    fn at(self, side: Side) -> Result<T, Error> {
        self.map_err(|refused| Error::new(side, ErrorKind::Refused(refused)))
    }
}

impl<T> Attribute<T> for Result<T, OutOfBlock> {
    fn at(self, side: Side) -> Result<T, Error> {
        self.map_err(|outside| Error::new(side, ErrorKind::Memory(outside)))
    }
}

/// Says what was being done when the kernel refused.
pub(crate) trait Doing<T> {
    fn doing(self, side: Side, what: &'static str) -> Result<T, Error>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, side: Side, what: &'static str) -> Result<T, Error> {
        self.map_err(|source| {
            let kind = if crate::channel::interrupt::is_cancellation(&source) {
                ErrorKind::Cancelled
            } else {
                ErrorKind::Io { what, source }
            };
            Error::new(side, kind)
        })
    }
}
