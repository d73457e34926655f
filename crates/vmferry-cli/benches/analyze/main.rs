//! The benchmark of `vmferry analyze`, beside `cat`. Migrations are measured by `vmferry bench`.
//!
//! ```text
//! cargo bench -p vmferry-cli --bench analyze [-- OPTIONS]
//!   --pairs N       measured rounds, after one that warms up (5)
//!   --mib N         size of the guest (1024)
//!   --update FILE   replace the sections of this Markdown file, and write FILE.json beside it
//! ```
//!
//! Each round measures every kind once, in turn, so that what disturbs the machine disturbs all of them. The first
//! round is not counted.

mod analyze;
mod host;
mod peak;
mod recording;
mod report;
mod samples;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

/// The repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// What to measure.
struct Options {
    pairs: usize,
    bytes: u64,
    update: Option<PathBuf>,
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options> {
    let mut options = Options { pairs: 5, bytes: 1 << 30, update: None };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--bench" {
            continue; // Cargo's own.
        }
        let value = args.next().with_context(|| format!("{arg} needs a value"))?;
        match arg.as_str() {
            "--pairs" => options.pairs = value.parse().context("--pairs")?,
            "--mib" => options.bytes = value.parse::<u64>().context("--mib")? << 20,
            // Cargo starts benchmarks in their package; people name files from the root.
            "--update" => options.update = Some(Path::new(ROOT).join(value)),
            _ => bail!("unknown option {arg} {value}"),
        }
    }
    Ok(options)
}

fn run(options: &Options) -> Result<()> {
    println!("{}", host::description());
    let mut report = report::Report::new(options.update.as_deref())?;
    let scene = host::Scene::set(options.bytes)?;
    report.add(&analyze::measure(&scene, options.pairs)?)?;
    report.finish()
}
