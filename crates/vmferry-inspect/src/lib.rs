//! Reads migration streams without a machine: what a file or a pipe of a real QEMU or of vmferry holds.
//!
//! ```
//! use vmferry_inspect::{Options, Source, analyze};
//!
//! # let octets = include_bytes!("../tests/data/none-10.0.bin");
//! let analysis = analyze(Source::from_octets(octets), &Options::default(), &mut ())?;
//! let globalstate = analysis.sections.last().ok_or("no section")?;
//! assert_eq!(globalstate.name, "globalstate");
//! assert!(analysis.end.eof && analysis.end.vmdesc);
//! println!("{}", analysis.to_json()?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Device sections have no length in the stream: they are cut and decoded with the help of the description behind it.
//! Of RAM one bit a page is kept, of devices at most what [`limits`] says; a stream can make the analysis neither take
//! more nor panic.
//!
//! # What it does not do
//!
//! It does not judge whether a stream is loadable.
//!
//! Checked against streams of QEMU 5.2, 7.2, 10.0 and 11.1, for x86, aarch64 and riscv64.

use std::path::PathBuf;

mod analysis;
pub mod baseline;
mod budget;
mod channels;
pub mod check;
mod collected;
mod described;
mod dialect;
pub mod diff;
pub mod edit;
mod error;
mod fields;
mod footer_search;
pub mod html;
mod inflate;
pub mod limits;
mod locate;
mod named_values;
mod pages;
mod path;
mod pointer_runs;
pub mod qcow2;
mod ram_files;
mod reader;
pub mod render;
pub mod schema_dump;
mod source;
mod spool;
pub mod stream_map;
mod value;
mod walk;
mod window;

pub use analysis::{Analysis, BlockReport, CommandReport, End, PageBytes, RamReport, SectionReport, Warning};
pub use channels::{Channel, Inputs};
pub use dialect::Dialect;
pub use error::{AnalyzeError, Malformed, StreamFault};
pub use source::{Progress, ReadSeek, Source};
pub use value::{Object, Scalar, ScalarArray, ScalarCodec, Value};

/// What can be chosen about an analysis.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Octets of a pipe that may be kept in an unlinked file.
    pub spool_bytes_limit: u64,
    /// Folder in which each RAM block becomes a sparse file of its length, named by the block with `/` as `_`. Files
    /// that exist are an error. What was written stays, whatever becomes of the analysis.
    pub extract_ram: Option<PathBuf>,
    /// RAM blocks whose contents are not in the stream, and the files that have them (`x-ignore-shared`).
    pub shared_ram: Vec<(String, PathBuf)>,
    /// Position of the stream in its file, in bytes, which the places of mapped-ram count from.
    pub stream_offset: u64,
    /// Whether bitmaps of mapped-ram were written by a big-endian host; nothing in the file tells.
    pub has_big_endian_bitmaps: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            spool_bytes_limit: limits::SPOOL_BYTES_LIMIT,
            extract_ram: None,
            shared_ram: Vec::new(),
            stream_offset: 0,
            has_big_endian_bitmaps: false,
        }
    }
}

/// Reads a stream and reports what it holds: its main channel, or [`Inputs`] with further ones.
///
/// A stream that is cut short gives what was read: [`Analysis::is_truncated`] holds, and the last warning says where.
///
/// # Errors
///
/// [`AnalyzeError::Malformed`] if the octets are not a migration stream, or damaged; it has the channel, the offset,
/// the section, and what was read before. [`AnalyzeError::Io`] and [`AnalyzeError::ChannelIo`] if reading or keeping
/// fails, [`AnalyzeError::Extract`] if RAM cannot be extracted.
pub fn analyze<'a>(
    inputs: impl Into<Inputs<'a>>,
    options: &Options,
    progress: &mut dyn Progress,
) -> Result<Analysis, AnalyzeError> {
    walk::walk(inputs.into(), options, progress)
}
