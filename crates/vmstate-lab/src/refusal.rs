//! Why a step of a migration failed, in words.

use std::fmt;

/// Where it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Side {
    /// When the machine was to be started.
    Start,
    /// While saving.
    Source,
    /// While loading.
    Destination,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Source => "source",
            Self::Destination => "destination",
        })
    }
}

/// Why a machine did not start, was not saved, or refused a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// Where it failed.
    pub side: Side,
    /// Id string and instance id of the section that it is about.
    pub section: Option<(String, u32)>,
    /// What was found and what would have been accepted.
    pub text: String,
    /// Devices of the destination that had taken their sections before: id strings and instance ids.
    pub loaded: Vec<(String, u32)>,
}

impl Refusal {
    pub(crate) fn new(side: Side, section: Option<(&str, u32)>, text: impl Into<String>) -> Self {
        let section = section.map(|(idstr, instance)| (idstr.to_owned(), instance));
        Self { side, section, text: text.into(), loaded: Vec::new() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.side)?;
        if let Some((idstr, instance)) = &self.section {
            write!(f, "section '{idstr}' instance {instance}: ")?;
        }
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refusal {}
