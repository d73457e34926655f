//! A stream as a check sees it: configuration, RAM blocks, and sections taken apart.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read as _, SeekFrom};

use vmferry_wire::description::{Description, DeviceBody, Vmsd};

use super::tree::{self, Node};
use crate::analysis::{Analysis, SectionReport};
use crate::budget::Budget;
use crate::diff::{DiffFault, Stream, body_offset};
use crate::error::AnalyzeError;
use crate::limits::SECTION_BODY_BYTES_LIMIT;
use crate::source::Progress;
use crate::{Inputs, Options};

/// A stream that was read for checks.
#[derive(Debug)]
pub struct Recorded {
    pub(super) analysis: Analysis,
    pub(super) sections: Vec<RecordedSection>,
    /// Whether it has a description at all.
    pub(super) is_described: bool,
}

/// A section of it.
#[derive(Debug)]
pub(super) struct RecordedSection {
    pub(super) idstr: String,
    pub(super) instance_id: u32,
    pub(super) version: u32,
    /// Position in the stream.
    pub(super) offset: u64,
    /// Whether it came in parts, as iterative sections do.
    pub(super) is_iterative: bool,
    /// What the stream's description says of it.
    pub(super) vmsd: Option<Vmsd>,
    /// Its state; `None` without a description, or with one that does not fit.
    pub(super) state: Option<Node>,
}

/// Why a stream cannot be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is damaged, or cannot be read.
    #[error(transparent)]
    Analyze(AnalyzeError),
    /// It ends before its end: no destination loads it.
    #[error("the stream is cut short at offset 0x{offset:x}: no destination loads it")]
    Truncated {
        /// Where.
        offset: u64,
    },
    /// It could not be kept, or not be read again.
    #[error("reading the stream failed")]
    Io(#[source] io::Error),
}

impl From<DiffFault> for ReadError {
    fn from(fault: DiffFault) -> Self {
        match fault {
            DiffFault::Analyze(error) => Self::Analyze(error),
            DiffFault::Truncated { offset } => Self::Truncated { offset },
            DiffFault::Io(error) => Self::Io(error),
        }
    }
}

impl Recorded {
    /// Reads a stream to its end; one from a pipe is kept in an unlinked file. Of RAM nothing is kept.
    ///
    /// # Errors
    ///
    /// The stream is damaged or cut short, or reading it fails.
    pub fn read<'a>(
        inputs: impl Into<Inputs<'a>>,
        options: &Options,
        progress: &mut dyn Progress,
    ) -> Result<Self, ReadError> {
        let Stream { mut file, analysis, located } = Stream::read(inputs.into(), options, progress)?;
        let mut budget = Budget::new();
        let is_described = located.is_some();
        let mut described = Described::new(located.map(|located| located.description));
        let mut sections = Vec::with_capacity(analysis.sections.len());
        for report in &analysis.sections {
            let SectionReport { name, instance_id, version, offset, body_bytes, parts, .. } = report;
            let vmsd = if parts.is_none() { described.take(name, *instance_id) } else { None };
            let mut section = RecordedSection {
                idstr: name.clone(),
                instance_id: *instance_id,
                version: *version,
                offset: *offset,
                is_iterative: parts.is_some(),
                vmsd,
                state: None,
            };
            let body_len = usize::try_from(*body_bytes).unwrap_or(usize::MAX);
            if let Some(vmsd) = &section.vmsd
                && body_len <= SECTION_BODY_BYTES_LIMIT
                && budget.take_octets(body_len)
            {
                let mut body = Vec::new();
                file.seek(SeekFrom::Start(body_offset(report))).map_err(ReadError::Io)?;
                file.as_mut().take(*body_bytes).read_to_end(&mut body).map_err(ReadError::Io)?;
                section.state = tree::cut(vmsd, &body, &mut budget);
            }
            sections.push(section);
        }
        Ok(Self { analysis, sections, is_described })
    }

    /// The machine type that the stream names.
    #[must_use]
    pub fn machine(&self) -> Option<&str> {
        self.analysis.configuration.as_ref().map(|configuration| configuration.machine.as_str())
    }
}

impl RecordedSection {
    /// Name of its description: told by the stream, or what the id string ends with.
    pub(super) fn description_name(&self) -> &str {
        match &self.vmsd {
            Some(vmsd) => &vmsd.name,
            None => self.idstr.rsplit('/').next().unwrap_or_default(),
        }
    }
}

/// The descriptions of sections, each of which is given out once: several sections of one name are in stream order.
struct Described(HashMap<(String, u32), VecDeque<Option<Vmsd>>>);

impl Described {
    fn new(description: Option<Description>) -> Self {
        let mut of = HashMap::<_, VecDeque<_>>::new();
        for device in description.map(|description| description.devices).unwrap_or_default() {
            let vmsd = match device.body {
                DeviceBody::Vmsd(vmsd) => Some(vmsd),
                DeviceBody::Opaque(_) => None,
            };
            of.entry((device.idstr, device.instance_id)).or_default().push_back(vmsd);
        }
        Self(of)
    }

    fn take(&mut self, idstr: &str, instance_id: u32) -> Option<Vmsd> {
        self.0.get_mut(&(idstr.to_owned(), instance_id))?.pop_front()?
    }
}
