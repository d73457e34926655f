//! The paired benchmark of what moves gigabytes: a migration beside QEMU's and beside a plain copy through a socket,
//! and
//! `vmferry analyze` beside `cat`.
//!
//! ```text
//! cargo bench -p vmferry-cli --bench throughput [-- OPTIONS]
//!   --pairs N       measured rounds, after one that warms up (5)
//!   --mib N         size of the guest (1024)
//!   --only WHAT     migration, multifd, sparse or analyze
//!   --channels N    multifd channels (2)
//!   --memory HOW    warm (`warm` says why) or as-it-is
//!   --update FILE   replace the sections of this Markdown file, and write FILE.json beside it
//! ```
//!
//! Each round measures every kind once, in turn, so that what disturbs the machine disturbs all of them. The first
//! round is not counted, and memory is warmed before each measurement.
//!
//! A migration: a paused guest full of random bytes, `max-bandwidth` 0, `return-path` on, a real receiver of the same
//! kind in a process of its own, a unix socket between them. The clock runs from the `migrate` command to the
//! receiver's event that says `completed`.

mod analyze;
mod copy;
mod host;
mod migration;
mod peak;
mod report;
mod samples;
mod sparse;
mod warm;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::host::Memory;
use crate::migration::Channels;

/// The repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// What to measure.
struct Options {
    pairs: usize,
    bytes: u64,
    only: Option<String>,
    channels: u8,
    memory: Memory,
    update: Option<PathBuf>,
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let result = match args.next().as_deref() {
        Some(copy::SENDER) => copy::send(&mut args),
        Some(copy::RECEIVER) => copy::receive(&mut args),
        Some(warm::TOUCHER) => warm::touch(&mut args),
        _ => options().and_then(|options| run(&options)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options> {
    let mut options = Options { pairs: 5, bytes: 1 << 30, only: None, channels: 2, memory: Memory::Warm, update: None };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--bench" {
            continue; // Cargo's own.
        }
        let value = args.next().with_context(|| format!("{arg} needs a value"))?;
        match arg.as_str() {
            "--pairs" => options.pairs = value.parse().context("--pairs")?,
            "--mib" => options.bytes = value.parse::<u64>().context("--mib")? << 20,
            "--memory" if value == "warm" => options.memory = Memory::Warm,
            "--memory" if value == "as-it-is" => options.memory = Memory::AsItIs,
            "--only" if ["migration", "multifd", "sparse", "analyze"].contains(&value.as_str()) => {
                options.only = Some(value)
            }
            "--channels" => options.channels = value.parse().context("--channels")?,
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
    let wants = |what: &str| options.only.as_ref().is_none_or(|only| only == what);
    if wants("sparse") {
        let scene = host::Scene::set(sparse::POPULATED, options.memory)?;
        report.add(&sparse::measure(&scene, options.pairs)?)?;
    }
    let scene = host::Scene::set(options.bytes, options.memory)?;
    if wants("migration") {
        report.add(&migration::measure(&scene, Channels::Main, options.pairs)?)?;
    }
    if wants("multifd") {
        report.add(&migration::measure(&scene, Channels::Multifd(options.channels), options.pairs)?)?;
    }
    if wants("analyze") {
        report.add(&analyze::measure(&scene, options.pairs)?)?;
    }
    report.finish()
}
