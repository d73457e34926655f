//! `vmferry diff`: compares two streams of the same or of different dialects.
//!
//! | ends with | when |
//! |---|---|
//! | 0 | a destination would have the same from both |
//! | 1 | they differ, or something could not be compared |
//! | 3 | a stream is cut short or damaged |
//! | 4 | a file cannot be opened or read, or RAM not be kept for the comparison |

use std::path::PathBuf;

use anyhow::anyhow;
use vmferry_inspect::diff::{DiffFault, Side, diff};
use vmferry_inspect::{AnalyzeError, Options};

use crate::commands::analyze::inputs::{SharedRam, StreamFile, is_stdin, name};
use crate::commands::analyze::progress::Bar;
use crate::exit::{ExitCode, Failure, Outcome};
use crate::output::Output;
use crate::size::Size;

/// Compare two migration streams: configuration, devices by field, RAM by page
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The first stream; - is standard input
    #[arg(value_name = "A")]
    a: PathBuf,
    /// The second stream; - is standard input
    #[arg(value_name = "B")]
    b: PathBuf,
    /// A further channel that was captured beside A; repeat for each
    #[arg(long, value_name = "FILE")]
    channel_a: Vec<PathBuf>,
    /// A further channel that was captured beside B; repeat for each
    #[arg(long, value_name = "FILE")]
    channel_b: Vec<PathBuf>,
    /// The file of a RAM block that A leaves in shared memory; repeat for each
    #[arg(long, value_name = "BLOCK=FILE")]
    shared_ram_a: Vec<SharedRam>,
    /// The file of a RAM block that B leaves in shared memory; repeat for each
    #[arg(long, value_name = "BLOCK=FILE")]
    shared_ram_b: Vec<SharedRam>,
    /// Where A starts in its file
    #[arg(long, value_name = "BYTES", default_value = "0")]
    offset_a: Size,
    /// Where B starts in its file
    #[arg(long, value_name = "BYTES", default_value = "0")]
    offset_b: Size,
    /// Which snapshot is A, if its file is a qcow2 image that holds several; its name or id
    #[arg(long, value_name = "NAME", conflicts_with = "offset_a")]
    snapshot_a: Option<String>,
    /// Which snapshot is B, if its file is a qcow2 image that holds several; its name or id
    #[arg(long, value_name = "NAME", conflicts_with = "offset_b")]
    snapshot_b: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  vmferry diff before.stream after.stream
  vmferry diff disk.qcow2 disk.qcow2 --snapshot-a before --snapshot-b after
  vmferry diff plain.stream multifd.stream --channel-b multifd.ch0 --channel-b multifd.ch1
  zstd -dc vm.stream.zst | vmferry diff - vm.mended --json";

pub(crate) fn run(args: &Args, output: Output) -> Outcome {
    if is_stdin(&args.a) && is_stdin(&args.b) {
        return Err(Failure::usage(anyhow!("only one of the streams can be standard input")));
    }
    let a = StreamFile { path: &args.a, offset: args.offset_a.0, snapshot: args.snapshot_a.as_deref() };
    let b = StreamFile { path: &args.b, offset: args.offset_b.0, snapshot: args.snapshot_b.as_deref() };
    let options = [(a, &args.shared_ram_a), (b, &args.shared_ram_b)].map(|(stream, shared)| {
        let mut options = Options::default();
        options.stream_offset = stream.offset;
        options.shared_ram = shared.iter().map(|shared| (shared.block.clone(), shared.file.clone())).collect();
        options
    });
    let (a, b) = (a.open_with(&args.channel_a)?, b.open_with(&args.channel_b)?);
    let mut bar = Bar::new(output);
    let [options_a, options_b] = &options;
    let compared = diff(a, b, [options_a, options_b], &mut bar);
    drop(bar);
    let found =
        compared.map_err(|error| failure(error.fault, &name(if error.side == Side::A { &args.a } else { &args.b })))?;
    if output.json {
        output.document(|out| found.write_json(out))?;
    } else {
        output.text(&found.to_text())?;
    }
    Ok(if found.is_equal() { ExitCode::Done } else { ExitCode::No })
}

fn failure(fault: DiffFault, name: &str) -> Failure {
    match fault {
        DiffFault::Analyze(AnalyzeError::Malformed(fault)) => {
            Failure::input(anyhow::Error::new(*fault).context(format!("{name} is no sound migration stream")))
        }
        fault @ DiffFault::Truncated { .. } => {
            Failure::input(anyhow::Error::new(fault).context(format!("{name} is cut short")))
        }
        fault => {
            let error = anyhow::Error::new(fault).context(format!("cannot read {name}"));
            Failure { code: ExitCode::Environment, error }
        }
    }
}
