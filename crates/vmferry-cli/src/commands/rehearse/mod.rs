//! `vmferry rehearse`: will this stream load there? The answer of the destination itself.
//!
//! | ends with | when |
//! |---|---|
//! | 0 | it loads |
//! | 1 | the destination refuses it |
//! | 2 | the stream cannot be rehearsed as asked |
//! | 3 | the stream is damaged or cut short |
//! | 4 | the destination does not start, or gives no verdict in time |

mod cause;
mod destination;
mod needs;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use serde_json::json;
use vmferry_inspect::{Analysis, Dialect, Inputs, Options, Source, analyze};

use self::cause::Cause;
use self::destination::{Destination, Style, Verdict};
use self::needs::Needs;
use crate::commands::analyze::inputs::open_channels;
use crate::exit::{ExitCode, Failure, OrExit as _, Outcome};
use crate::output::{Output, printable};

/// Start the real destination, paused, and see whether it loads a stream
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The stream
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Files of the multifd channels, in any order
    #[arg(long = "channel", value_name = "FILE")]
    channels: Vec<PathBuf>,
    /// Seconds for the destination to load
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Whose command line it is; by the program's name if not given
    #[arg(long, value_enum)]
    style: Option<Style>,
    /// The destination's command line, without -incoming; -S, -display none, -incoming defer and -qmp are added
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  vmferry rehearse vm.stream -- qemu-system-x86_64 -machine pc-q35-9.2 -m 4G -device virtio-rng-pci
  vmferry rehearse vm.stream -- vmferry run --machine ferry-virt-1.1 --memory 256M

The guest does not run, and disk images stay closed to writing.";

pub(crate) fn run(args: &Args, output: Output) -> Outcome {
    let Some(program) = args.command.first() else { return Err(Failure::usage(anyhow!("there is no command"))) };
    if let Some(word) = args.command.iter().find(|word| ["-incoming", "--incoming"].contains(&word.as_str())) {
        return Err(Failure::usage(anyhow!("leave {word} out of the command: the rehearsal opens the way in itself")));
    }
    let analysis = read(args)?;
    let needs = Needs::of(&analysis, args.channels.len()).map_err(Failure::usage)?;
    let style = args.style.unwrap_or_else(|| Style::of(program));
    let mut destination = Destination::start(&args.command, style).or_environment()?;
    let (verdict, objection) = match destination.prepare(&needs).or_environment()? {
        Ok(()) => {
            let limit = Duration::from_secs(args.timeout);
            let verdict = destination.load(&args.file, &args.channels, needs.way_in, limit).or_environment()?;
            (verdict, None)
        }
        Err(objection) => (Verdict::Refused, Some(objection)),
    };
    let said: Vec<String> = destination.finish().iter().map(|line| printable(line)).collect();
    let mut causes: Vec<Cause> = objection.map(|text| cause::of_objection(&text)).into_iter().collect();
    if verdict == Verdict::Refused {
        causes.extend(cause::explain(&said, &analysis));
    }
    report(&verdict, &said, &causes, &needs, output)?;
    Ok(if verdict == Verdict::Loads { ExitCode::Done } else { ExitCode::No })
}

/// What the stream is, which decides how the destination is set up.
fn read(args: &Args) -> Result<Analysis, Failure> {
    let analysis = read_with(args, &[])?;
    if args.channels.is_empty() || !analysis.dialects.contains(&Dialect::Multifd) {
        return Ok(analysis);
    }
    // How the pages are compressed stands on their channels; the main one, without pages, is small.
    read_with(args, &args.channels)
}

fn read_with(args: &Args, channels: &[PathBuf]) -> Result<Analysis, Failure> {
    let name = args.file.display();
    // As it is: the destination reads the file itself, so an image is no stream here.
    let main = Source::open(&args.file).with_context(|| format!("cannot open {name}")).or_environment()?;
    let inputs = Inputs { main, channels: open_channels(channels)? };
    let analysis = analyze(inputs, &Options::default(), &mut ())
        .with_context(|| format!("{name} is no sound migration stream"))
        .map_err(Failure::input)?;
    if analysis.is_truncated() {
        return Err(Failure::input(anyhow!("{name} is cut short: no destination loads it")));
    }
    Ok(analysis)
}

fn report(verdict: &Verdict, said: &[String], causes: &[Cause], needs: &Needs, output: Output) -> Result<(), Failure> {
    let word = if *verdict == Verdict::Loads { "loads" } else { "refused" };
    let causes_json: Vec<_> = causes.iter().map(|cause| json!({"what": cause.what, "recipe": cause.recipe})).collect();
    let document = json!({"verdict": word, "capabilities": needs.capabilities, "said": said, "causes": causes_json});
    let mut text = match verdict {
        Verdict::Loads => "loads: the destination took the stream to its end\n".to_owned(),
        Verdict::Refused => "refused: the destination did not take the stream\n".to_owned(),
    };
    for Cause { what, recipe } in causes {
        text.push_str(&format!("  cause   {what}\n"));
        if !recipe.is_empty() {
            text.push_str(&format!("  do      {recipe}\n"));
        }
    }
    for line in said {
        text.push_str(&format!("  it said {line}\n"));
    }
    output.result(&document, &text)
}
