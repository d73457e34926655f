//! `vmferry analyze`: decodes a stream of any dialect.
//!
//! | ends with | when |
//! |---|---|
//! | 0 | the stream was read to its end |
//! | 1 | `--device` names what is not in the stream |
//! | 3 | the stream is cut short or damaged; what was read before is printed |
//! | 4 | the file cannot be opened or read |

mod device;
mod progress;

use std::fs::File;
use std::io::{self, Seek as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use vmferry_inspect::{Analysis, AnalyzeError, Options, Source, analyze, render};

use self::device::Device;
use self::progress::Bar;
use crate::exit::{ExitCode, Failure, OrExit as _, Outcome};
use crate::output::Output;

/// Decode a migration stream: configuration, RAM, devices with their fields, commands, warnings
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The stream; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Show this device only: its name or the end of it, and an instance
    #[arg(long, value_name = "NAME[/INSTANCE]")]
    device: Option<Device>,
}

const EXAMPLES: &str = "\
Examples:
  vmferry analyze vm.stream
  vmferry analyze vm.stream --json --device serial/0
  zstd -dc vm.stream.zst | vmferry analyze -";

pub(crate) fn run(args: &Args, output: Output) -> Outcome {
    let name = if args.file == Path::new("-") { "standard input".into() } else { args.file.to_string_lossy() };
    let source = open(&args.file).with_context(|| format!("cannot open {name}")).or_environment()?;
    let mut bar = Bar::new(output);
    let analyzed = analyze(source, &Options::default(), &mut bar);
    drop(bar);

    let (mut analysis, failure) = match analyzed {
        Ok(analysis) if analysis.is_truncated() => {
            // The last warning says where.
            let warning = analysis.warnings.last();
            let at = warning.map(|warning| anyhow!("at offset 0x{:x}: {}", warning.offset, warning.text));
            let cut = format!("{name} is cut short");
            let failure = Failure::input(at.map_or_else(|| anyhow!("{cut}"), |at| at.context(cut.clone())));
            (analysis, Some(failure))
        }
        Ok(analysis) => (analysis, None),
        Err(AnalyzeError::Malformed(mut malformed)) => {
            let analysis = std::mem::take(&mut malformed.partial);
            let error = anyhow::Error::new(*malformed).context(format!("{name} is no sound migration stream"));
            (analysis, Some(Failure::input(error)))
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {name}")).or_environment(),
    };

    let absent = args.device.as_ref().and_then(|device| retain(&mut analysis, device));
    show(&analysis, output)?;
    match failure.or(absent) {
        None => Ok(ExitCode::Done),
        Some(failure) => Err(failure),
    }
}

fn open(path: &Path) -> io::Result<Source<'static>> {
    if path != Path::new("-") {
        return Source::open(path);
    }
    let mut file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    // A file that standard input was redirected to can be read from any place, if it is at its begin.
    let whole_file = file.metadata()?.is_file() && file.stream_position()? == 0;
    Ok(if whole_file { Source::Seekable(Box::new(file)) } else { Source::pipe(file) })
}

/// Keeps one device; gives the failure if it is not there.
fn retain(analysis: &mut Analysis, device: &Device) -> Option<Failure> {
    let mut names: Vec<_> =
        analysis.sections.iter().map(|section| format!("{}/{}", section.name, section.instance_id)).collect();
    analysis.retain_device(&device.name, device.instance_id);
    if !analysis.sections.is_empty() {
        return None;
    }
    names.sort();
    names.dedup();
    let present = printable(&names.join(", "));
    Some(Failure::no(anyhow!("device '{device}' is not in the stream, which has: {present}")))
}

/// Names come from the stream: control characters must not reach a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn show(analysis: &Analysis, output: Output) -> Result<(), Failure> {
    if output.json {
        output.document(|out| analysis.write_json(out))
    } else if analysis.version.is_some() {
        output.text(&render::tree(analysis))
    } else {
        // Not even the head of a stream: there is nothing to show.
        Ok(())
    }
}
