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
//! It does not read the further channels of multifd and preempt streams (the main channel is walked, with a warning),
//! and does not judge whether a stream is loadable.
//!
//! Checked against streams of QEMU 5.2, 7.2, 10.0 and 11.1, for x86, aarch64 and riscv64.

mod analysis;
mod budget;
mod collected;
mod described;
mod dialect;
mod error;
mod fields;
mod footer_search;
pub mod limits;
mod locate;
mod pages;
mod pointer_runs;
mod reader;
pub mod render;
pub mod schema_dump;
mod source;
mod spool;
mod value;
mod walk;

pub use analysis::{Analysis, BlockReport, CommandReport, End, RamReport, SectionReport, Warning};
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
}

impl Default for Options {
    fn default() -> Options {
        Options { spool_bytes_limit: limits::SPOOL_BYTES_LIMIT }
    }
}

/// Reads the main channel of a stream and reports what it holds.
///
/// A stream that is cut short gives what was read: [`Analysis::is_truncated`] holds, and the last warning says where.
///
/// # Errors
///
/// [`AnalyzeError::Malformed`] if the octets are not a migration stream, or damaged; it has the offset, the section,
/// and what was read before. [`AnalyzeError::Io`] if reading or keeping fails.
pub fn analyze(source: Source<'_>, options: &Options, progress: &mut dyn Progress) -> Result<Analysis, AnalyzeError> {
    walk::walk(source, options, progress)
}
