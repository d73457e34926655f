//! Compares two streams: configuration, device state by field, RAM by page.
//!
//! ```text
//!  A ─ analyze ─┬─ configuration ────────────┐
//!               ├─ bodies of sections ───────┤ octets first; where they differ, fields (states.rs)
//!               └─ pages, last one wins ─────┤ as sparse files (ram.rs)
//!  B ─ analyze ─┴────────────────────────────┴─> differences, each with its path
//! ```
//!
//! What counts is what a destination would have: the order of sections, section ids, commands, the dialect and the
//! description do not; of a page that was sent several times the last one does. A page that was never sent is zero.
//!
//! What could not be compared is said, and makes the streams not equal.

mod configuration;
mod difference;
mod ram;
mod render;
mod states;
mod values;

use std::io::{self, Seek as _, Write};

use serde::ser::{Serialize, SerializeMap, Serializer};
use tempfile::TempDir;

pub use difference::{Difference, DifferenceKind, OctetsDiffer};
pub use ram::{BlockDiff, RamDiff};
pub(crate) use states::body_offset;

use crate::analysis::Analysis;
use crate::diff::difference::Found;
use crate::error::AnalyzeError;
use crate::locate::{Located, find_description};
use crate::source::{Progress, ReadSeek, Source};
use crate::value::JsonInteger;
use crate::{Inputs, Options, analyze};

/// One of the two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The first.
    A,
    /// The second.
    B,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Side::A => "A",
            Side::B => "B",
        })
    }
}

/// Why nothing was compared.
#[derive(Debug, thiserror::Error)]
#[error("stream {side}")]
pub struct DiffError {
    /// The stream that is at fault.
    pub side: Side,
    /// What is wrong with it.
    #[source]
    pub fault: DiffFault,
}

/// What is wrong with a stream that was to be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiffFault {
    /// It is damaged, or cannot be read.
    #[error(transparent)]
    Analyze(AnalyzeError),
    /// It ends before its end.
    #[error("the stream is cut short at offset 0x{offset:x}")]
    Truncated {
        /// Where.
        offset: u64,
    },
    /// It could not be kept, or not be read again.
    #[error("reading the stream failed")]
    Io(#[source] io::Error),
}

/// How two streams differ.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Diff {
    /// Machine type and what else both ends agree on.
    pub configuration: Vec<Difference>,
    /// RAM.
    pub ram: RamDiff,
    /// Sections of devices, and what is in them.
    pub sections: Vec<Difference>,
    /// What could not be compared, and why.
    pub not_compared: Vec<String>,
    /// Differences beyond [`DIFFERENCE_COUNT_LIMIT`](crate::limits::DIFFERENCE_COUNT_LIMIT).
    pub left_out: u64,
}

impl Diff {
    /// Whether a destination would have the same from both streams. What was not compared is not equal.
    pub fn is_equal(&self) -> bool {
        self.configuration.is_empty()
            && self.sections.is_empty()
            && self.left_out == 0
            && self.not_compared.is_empty()
            && self.ram.blocks.iter().all(BlockDiff::is_equal)
    }

    /// Writes the JSON document.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_json(&self, out: impl Write) -> io::Result<()> {
        Ok(serde_json::to_writer_pretty(out, self)?)
    }

    /// The differences as text for people.
    pub fn to_text(&self) -> String {
        render::text(self)
    }
}

impl Serialize for Diff {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("equal", &self.is_equal())?;
        map.serialize_entry("configuration", &self.configuration)?;
        map.serialize_entry("ram", &self.ram)?;
        map.serialize_entry("sections", &self.sections)?;
        map.serialize_entry("not_compared", &self.not_compared)?;
        if self.left_out > 0 {
            map.serialize_entry("left_out", &JsonInteger(self.left_out))?;
        }
        map.end()
    }
}

/// A stream that was read, and can be read again.
pub(crate) struct Stream<'a> {
    pub(crate) file: Box<dyn ReadSeek + 'a>,
    pub(crate) analysis: Analysis,
    pub(crate) located: Option<Located>,
}

/// Compares two streams; `options` are those of their analyses, but for `extract_ram`: RAM is extracted to a folder for
/// temporary files, as sparse files.
///
/// # Errors
///
/// The first stream that cannot be read to its end, and why.
pub fn diff<'a>(
    a: impl Into<Inputs<'a>>,
    b: impl Into<Inputs<'a>>,
    options: [&Options; 2],
    progress: &mut dyn Progress,
) -> Result<Diff, DiffError> {
    let [options_a, options_b] = options;
    let fault = |side| move |fault| DiffError { side, fault };
    let io = |(side, error)| DiffError { side, fault: DiffFault::Io(error) };
    let mut a = WithRam::read(a.into(), options_a, progress).map_err(fault(Side::A))?;
    let mut b = WithRam::read(b.into(), options_b, progress).map_err(fault(Side::B))?;
    let mut found = Found::default();
    configuration::compare(&a.stream.analysis, &b.stream.analysis, &mut found);
    let configuration = std::mem::take(&mut found.differences);
    states::Compare::new(&mut a.stream, &mut b.stream, &mut found).sections().map_err(io)?;
    let ram = ram::compare(&a, &b, &mut found).map_err(io)?;
    let Found { differences, not_compared, left_out, .. } = found;
    Ok(Diff { configuration, ram, sections: differences, not_compared, left_out })
}

/// Differences but for RAM, and how many more there are.
pub(crate) fn changes(a: &mut Stream<'_>, b: &mut Stream<'_>) -> Result<(Vec<Difference>, u64), (Side, io::Error)> {
    let mut found = Found::default();
    configuration::compare(&a.analysis, &b.analysis, &mut found);
    states::Compare::new(a, b, &mut found).sections()?;
    Ok((found.differences, found.left_out))
}

/// A stream with its RAM in files.
struct WithRam<'a> {
    stream: Stream<'a>,
    folder: TempDir,
    /// Blocks whose contents were given beside the stream.
    shared: Vec<String>,
}

impl<'a> WithRam<'a> {
    fn read(inputs: Inputs<'a>, options: &Options, progress: &mut dyn Progress) -> Result<WithRam<'a>, DiffFault> {
        let folder = tempfile::tempdir().map_err(DiffFault::Io)?;
        let options = Options { extract_ram: Some(folder.path().to_owned()), ..options.clone() };
        let shared = options.shared_ram.iter().map(|(block, _)| block.clone()).collect();
        Ok(WithRam { stream: Stream::read(inputs, &options, progress)?, folder, shared })
    }
}

impl<'a> Stream<'a> {
    /// Analyzes a stream; one from a pipe is kept in an unlinked file first.
    pub(crate) fn read(
        inputs: Inputs<'a>,
        options: &Options,
        progress: &mut dyn Progress,
    ) -> Result<Stream<'a>, DiffFault> {
        let Inputs { main, channels } = inputs;
        let mut file: Box<dyn ReadSeek + 'a> = match main {
            Source::Seekable(file) => file,
            Source::Pipe(mut pipe) => {
                let mut file = tempfile::tempfile().map_err(DiffFault::Io)?;
                io::copy(&mut pipe, &mut file).and_then(|_| file.rewind()).map_err(DiffFault::Io)?;
                Box::new(file)
            }
        };
        let inputs = Inputs { main: Source::Seekable(Box::new(&mut file)), channels };
        let analysis = analyze(inputs, options, progress).map_err(DiffFault::Analyze)?;
        if analysis.is_truncated() {
            let offset = analysis.warnings.last().map_or(0, |warning| warning.offset);
            return Err(DiffFault::Truncated { offset });
        }
        let located = find_description(&mut *file).map_err(DiffFault::Io)?;
        Ok(Stream { file, analysis, located })
    }
}
