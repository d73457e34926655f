//! `vmferry check`: whether streams of one release load in another, by what their schemas say; with `--stream`, whether
//! one stream loads at one destination.
//!
//! | ends with | when |
//! |---|---|
//! | 0 | compatible in both directions; the stream loads |
//! | 1 | incompatible in one, or it depends on what is not known |
//! | 2 | a schema does not know the machine type, or the arguments do not fit each other |
//! | 3 | a file is no schema, no list of renames, or no sound stream |
//! | 4 | a file cannot be read, or the page not be written |

mod stream;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use vmferry_inspect::check::limits::{DUMP_BYTES_LIMIT, RENAMES_BYTES_LIMIT};
use vmferry_inspect::check::releases::{Release, Releases, check_all};
use vmferry_inspect::check::{self, Options, Renames, Report, Schema, Verdict};
use vmferry_inspect::html;

use crate::exit::{ExitCode, Failure, OrExit as _, Outcome};
use crate::output::{Output, printable};
use crate::whole_file::write_whole;

/// Tell whether streams of one release load in another, both ways, or whether one stream loads at a destination
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Schemas of releases, the oldest first: output of `vmferry schema`, or of QEMU's -dump-vmstate. Of more than two
    /// each is checked against each. With --stream, the schema of the destination
    #[arg(value_name = "OLD NEW")]
    schemas: Vec<PathBuf>,
    /// Check whether the destination will load this stream; - is standard input
    #[arg(long, value_name = "FILE")]
    stream: Option<PathBuf>,
    /// A stream that the destination saved, started afresh with the arguments that will be used, and paused
    #[arg(long, value_name = "FILE", requires = "stream")]
    reference: Option<PathBuf>,
    /// Check this machine type alone, not all that both know; with --stream, that of the destination
    #[arg(long, value_name = "TYPE")]
    machine: Option<String>,
    /// Read other names of fields and sections, and harmless differences, from a file
    #[arg(long, value_name = "FILE")]
    renames: Option<PathBuf>,
    /// Write a page for people to this file as well; one that exists is replaced
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  vmferry check schemas/1.1.json schemas/2.0.json
  qemu-system-x86_64 -M q35 -dump-vmstate new.json; vmferry check old.json new.json
  vmferry check old.json new.json --renames docs/qemu-renames.toml --json
  vmferry check schemas/1.0.json schemas/1.1.json schemas/2.0.json --html releases.html
  vmferry check --stream vm.stream new.json --machine pc-q35-9.2
  vmferry check --stream vm.stream --reference fresh.stream

docs/check-rules.md explains each rule.";

pub(crate) fn run(args: &Args, output: Output) -> Outcome {
    if let Some(path) = &args.stream {
        return stream::run(args, path, output);
    }
    let paths: Vec<&Path> = args.schemas.iter().map(PathBuf::as_path).collect();
    if paths.len() < 2 {
        return Err(Failure::usage(anyhow!("expected two schemas, OLD and NEW, or --stream FILE")));
    }
    let mut options = Options::default();
    options.machine.clone_from(&args.machine);
    if let Some(path) = &args.renames {
        options.renames = renames(path)?;
    }
    let named = |path: &&Path| Ok(Release { name: name(path, &paths), schema: schema(path)? });
    let releases: Vec<Release> = paths.iter().map(named).collect::<Result<_, Failure>>()?;
    let releases = match releases.as_slice() {
        // Which of the two is at fault, OLD or NEW says.
        [old, new] => {
            let report = check::check(&old.schema, &new.schema, &options);
            let report = report.map_err(|error| Failure::usage(error.into()))?;
            Releases::of_pair(old.name.clone(), new.name.clone(), report)
        }
        all => check_all(all, &options).map_err(|error| Failure::usage(error.into()))?,
    };
    show(&releases, output)?;
    if let Some(path) = &args.html {
        write_whole(path, |out| html::write_releases(&releases, out))?;
    }
    Ok(exit_code(releases.verdict()))
}

fn exit_code(verdict: Verdict) -> ExitCode {
    match verdict {
        Verdict::Compatible => ExitCode::Done,
        Verdict::Depends | Verdict::Incompatible => ExitCode::No,
    }
}

/// One pair is told as such, several as releases.
fn show(releases: &Releases, output: Output) -> Result<(), Failure> {
    let only = match releases.pairs.as_slice() {
        [pair] => Some(&pair.report),
        _ => None,
    };
    if output.json {
        let document = only.map_or_else(|| releases.to_json(), Report::to_json).or_environment()?;
        return output.document(|out| out.write_all(document.as_bytes()));
    }
    let with_infos = output.verbosity > 0;
    output.text(&only.map_or_else(|| releases.text(with_infos), |report| check::text(report, with_infos)))
}

/// What a release is called: its file without `.json`, with the folder if another file has the same name.
fn name(path: &Path, all: &[&Path]) -> String {
    let is_alone = all.iter().filter(|other| other.file_name() == path.file_name()).count() == 1;
    let last = path.file_name().filter(|_| is_alone);
    let name = printable(&last.map_or_else(|| path.to_string_lossy(), |last| last.to_string_lossy()));
    name.strip_suffix(".json").map(str::to_owned).unwrap_or(name)
}

fn schema(path: &Path) -> Result<Schema, Failure> {
    let text = read(path, DUMP_BYTES_LIMIT)?;
    let schema = Schema::from_json(&text).with_context(|| format!("{} is no schema", path.display()));
    schema.map_err(Failure::input)
}

fn renames(path: &Path) -> Result<Renames, Failure> {
    let is_no_list = || format!("{} is no list of renames", path.display());
    let text = String::from_utf8(read(path, RENAMES_BYTES_LIMIT)?).with_context(is_no_list).map_err(Failure::input)?;
    Renames::from_toml(&text).with_context(is_no_list).map_err(Failure::input)
}

/// Reads a file that may be any, up to a limit.
fn read(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let cannot = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(cannot).or_environment()?;
    let mut text = Vec::new();
    let more_than_limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(more_than_limit).read_to_end(&mut text).with_context(cannot).or_environment()?;
    if text.len() > limit {
        return Err(Failure::input(anyhow!("{} has more than {limit} octets", path.display())));
    }
    Ok(text)
}
