//! `vmferry check`: whether streams of one release load in another, by what their schemas say.
//!
//! | ends with | when |
//! |---|---|
//! | 0 | compatible in both directions |
//! | 1 | incompatible in one, or it depends on what no schema says |
//! | 2 | a schema does not know the machine type |
//! | 3 | a file is no schema, or no list of renames |
//! | 4 | a file cannot be read |

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use vmferry_inspect::check::limits::{DUMP_BYTES_LIMIT, RENAMES_BYTES_LIMIT};
use vmferry_inspect::check::{self, Options, Renames, Schema, Verdict};

use crate::exit::{ExitCode, Failure, OrExit as _, Outcome};
use crate::output::Output;

/// Tell whether streams of one release load in another, both ways, from their schemas
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Schema of the older release: output of `vmferry schema`, or of QEMU's -dump-vmstate
    old: PathBuf,
    /// Schema of the newer release
    new: PathBuf,
    /// Check this machine type alone, not all that both know
    #[arg(long, value_name = "TYPE")]
    machine: Option<String>,
    /// Read other names of fields and sections, and harmless differences, from a file
    #[arg(long, value_name = "FILE")]
    renames: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  vmferry check schemas/1.1.json schemas/2.0.json
  qemu-system-x86_64 -M q35 -dump-vmstate new.json; vmferry check old.json new.json
  vmferry check old.json new.json --renames docs/qemu-renames.toml --json

docs/check-rules.md explains each rule.";

pub(crate) fn run(args: &Args, output: Output) -> Outcome {
    let (old, new) = (schema(&args.old)?, schema(&args.new)?);
    let mut options = Options::default();
    options.machine.clone_from(&args.machine);
    if let Some(path) = &args.renames {
        options.renames = renames(path)?;
    }
    let report = check::check(&old, &new, &options).map_err(|error| Failure::usage(error.into()))?;
    if output.json {
        let document = report.to_json().or_environment()?;
        output.document(|out| out.write_all(document.as_bytes()))?;
    } else {
        output.text(&check::text(&report, output.verbosity > 0))?;
    }
    Ok(match report.verdict() {
        Verdict::Compatible => ExitCode::Done,
        Verdict::Depends | Verdict::Incompatible => ExitCode::No,
    })
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
