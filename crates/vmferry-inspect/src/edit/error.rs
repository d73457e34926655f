//! Why a stream was not edited.

use std::io;

use crate::error::AnalyzeError;

/// Nothing was written that should be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The stream is damaged, or cannot be read.
    #[error(transparent)]
    Analyze(AnalyzeError),
    /// The stream ends before its end.
    #[error("the stream is cut short at offset 0x{offset:x}: only a whole stream is edited")]
    Truncated {
        /// Where.
        offset: u64,
    },
    /// What was asked for does not fit the stream: the caller's fault.
    #[error("{what}: {reason}")]
    Unfit {
        /// The edit.
        what: String,
        /// What was found, and what would have been accepted.
        reason: String,
    },
    /// The result might be a stream that nobody can vouch for.
    #[error("{what}: {reason}{}", if *can_be_forced { "; --force does it all the same" } else { "" })]
    Refused {
        /// The edit.
        what: String,
        /// Why.
        reason: String,
        /// Whether it is done when forced.
        can_be_forced: bool,
    },
    /// The result was read again and is not what it should be.
    #[error("the result is not what it should be: {reason}")]
    NotVerified {
        /// What is wrong.
        reason: String,
    },
    /// The input could not be read again.
    #[error("reading the stream failed")]
    Read(#[source] io::Error),
    /// The result could not be written.
    #[error("writing the result failed")]
    Write(#[source] io::Error),
}

impl EditError {
    #[cold]
    pub(super) fn unfit(what: impl Into<String>, reason: impl Into<String>) -> EditError {
        EditError::Unfit { what: what.into(), reason: reason.into() }
    }

    #[cold]
    pub(super) fn refused(what: impl Into<String>, reason: impl Into<String>) -> EditError {
        EditError::Refused { what: what.into(), reason: reason.into(), can_be_forced: false }
    }
}

/// Whether edits are done whose result cannot be vouched for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Force(pub(super) bool);

impl Force {
    /// Refuses, unless forced.
    pub(super) fn or_refuse(self, what: &str, reason: impl Into<String>) -> Result<(), EditError> {
        if self.0 {
            return Ok(());
        }
        Err(EditError::Refused { what: what.to_owned(), reason: reason.into(), can_be_forced: true })
    }
}
