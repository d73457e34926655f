//! `vmferry analyze`: decodes a stream of any dialect.
//!
//! | ends with | when |
//! |---|---|
//! | 0 | the stream was read to its end |
//! | 1 | `--device` names what is not in the stream |
//! | 2 | `--snapshot` or `--shared-ram` names what is not there |
//! | 3 | the stream is cut short or damaged; what was read before is printed |
//! | 4 | a file cannot be opened or read, RAM not be extracted, or the page not be written |

mod device;
pub(crate) mod inputs;
pub(crate) mod progress;

use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use vmferry_inspect::html::{self, AnalysisPage};
use vmferry_inspect::{Analysis, AnalyzeError, analyze, render};

use self::device::Device;
use self::inputs::{SharedRam, StreamFile};
use self::progress::Bar;
use crate::exit::{ExitCode, Failure, OrExit as _, Outcome};
use crate::output::{Output, printable};
use crate::size::Size;
use crate::whole_file::write_whole;

/// Decode a migration stream: configuration, RAM, devices with their fields, commands, warnings
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The stream; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A further channel that was captured beside it, of multifd or the preempt channel; repeat for each
    #[arg(long, value_name = "FILE")]
    channel: Vec<PathBuf>,
    /// The channel of postcopy-preempt
    #[arg(long, value_name = "FILE")]
    preempt: Option<PathBuf>,
    /// The file of a RAM block that is in shared memory and not in the stream; repeat for each
    #[arg(long, value_name = "BLOCK=FILE")]
    shared_ram: Vec<SharedRam>,
    /// Write each RAM block to a sparse file in this folder, named by the block with / as _
    #[arg(long, value_name = "DIR")]
    extract_ram: Option<PathBuf>,
    /// Where the stream starts in the file
    #[arg(long, value_name = "BYTES", default_value = "0")]
    offset: Size,
    /// Which snapshot, if the file is a qcow2 image that holds several; its name or id
    #[arg(long, value_name = "NAME", conflicts_with = "offset")]
    snapshot: Option<String>,
    /// Bitmaps of mapped-ram were written by a big-endian host, which nothing in the file tells
    #[arg(long)]
    big_endian_bitmaps: bool,
    /// Show this device only: its name or the end of it, and an instance
    #[arg(long, value_name = "NAME[/INSTANCE]")]
    device: Option<Device>,
    /// Write a page for people to this file as well; one that exists is replaced
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  vmferry analyze vm.stream
  vmferry analyze vm.stream --json --device serial/0
  vmferry analyze vm.stream --html vm.html
  vmferry analyze vm.stream --channel vm.ch0 --channel vm.ch1 --extract-ram ram
  zstd -dc vm.stream.zst | vmferry analyze -";

impl Args {
    fn stream(&self) -> StreamFile<'_> {
        StreamFile { path: &self.file, offset: self.offset.0, snapshot: self.snapshot.as_deref() }
    }
}

pub(crate) fn run(args: &Args, output: Output) -> Outcome {
    let name = inputs::name(&args.file);
    let inputs = args.stream().open_with(args.channel.iter().chain(&args.preempt))?;
    let options = inputs::options(args);
    let mut bar = Bar::new(output);
    let analyzed = analyze(inputs, &options, &mut bar);
    drop(bar);

    let mut fault = None;
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
            fault = Some(malformed.to_string());
            let error = anyhow::Error::new(*malformed).context(format!("{name} is no sound migration stream"));
            (analysis, Some(Failure::input(error)))
        }
        // Of a qcow2 image, whose tables are input as well.
        Err(AnalyzeError::Io { source, .. }) if source.kind() == ErrorKind::InvalidData => {
            return Err(Failure::input(anyhow::Error::new(source).context(format!("{name} is damaged"))));
        }
        Err(error @ AnalyzeError::Io { .. }) => {
            return Err(error).with_context(|| format!("cannot read {name}")).or_environment();
        }
        Err(error) => return Err(error).or_environment(),
    };

    let unknown = inputs::unknown_shared_ram(args, &analysis);
    let absent = args.device.as_ref().and_then(|device| retain(&mut analysis, device));
    show(&analysis, output)?;
    if let Some(path) = &args.html {
        let page = AnalysisPage { analysis: &analysis, name: &inputs::title(&args.file), fault: fault.as_deref() };
        write_whole(path, |out| html::write_analysis(page, out))?;
    }
    match failure.or(unknown).or(absent) {
        None => Ok(ExitCode::Done),
        Some(failure) => Err(failure),
    }
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
