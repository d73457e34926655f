//! `vmferry bench`: the paired measurements.
//!
//! | file | what |
//! |---|---|
//! | `precopy`, `sparse`, `downtime`, `mapped_ram`, `restore`, `zero_scan`, `xbzrle`, `limits` | measurements |
//! | `rounds`, `statistics`, `results` | kinds in turn, their figures, how they compare |
//! | `peer`, `process`, `part`, `copy`, `scene`, `serial`, `warm`, `host` | what is run, on what |
//! | `report` | what is told of it |
//!
//! A rate is the size of RAM over the time from the command `migrate` to the receiver's event that says `completed`;
//! the receiver is a real one of the same kind, in a process of its own.

mod copy;
mod downtime;
mod host;
mod limits;
mod mapped_ram;
mod part;
mod peer;
mod precopy;
mod process;
mod report;
mod restore;
mod results;
mod rounds;
mod scene;
mod serial;
mod sparse;
mod statistics;
mod warm;
mod xbzrle;
mod zero_scan;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use self::host::{Host, Needs};
use self::peer::Peer;
use self::precopy::{Channels, MULTIFD_CHANNELS};
use self::report::Report;
use self::results::{Ended, Measured};
use self::rounds::Interrupted;
use crate::exit::{ExitCode, Failure, OrExit as _, Outcome};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::size::Size;

/// Measure migrations beside QEMU's, in pairs, and what the machine can do
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The QEMU to measure beside, a path or a name; qemu-system-x86_64 if not given, or else one that `cargo xtask
    /// test` unpacked
    #[arg(long, value_name = "PROGRAM")]
    against: Option<String>,
    /// Write bench.json, bench.md and bench.svg into a folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace the tables in a Markdown file that has the marks for them
    #[arg(long, value_name = "FILE")]
    update: Option<PathBuf>,
    /// Measure this alone; may be repeated
    #[arg(long, value_enum, value_name = "NAME")]
    only: Vec<Measurement>,
    /// Rounds that count, after one that does not
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pairs: u16,
    /// Guest memory of each measurement, instead of its own size
    #[arg(long, value_name = "SIZE", value_parser = memory_size)]
    memory: Option<Size>,
    /// A process of the benchmark's own
    #[arg(long, hide = true, num_args = 1.., value_name = "NAME")]
    part: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  vmferry bench
  vmferry bench --against /opt/qemu/bin/qemu-system-x86_64 --out results
  vmferry bench --only precopy --only multifd --pairs 9 --memory 2G";

/// Smallest guest that the machines take, and largest that is measured.
const MEMORY_RANGE: std::ops::RangeInclusive<u64> = 16 << 20..=1 << 40;

fn memory_size(text: &str) -> Result<Size, String> {
    let size: Size = text.parse().map_err(|error: crate::size::SizeError| error.to_string())?;
    if !MEMORY_RANGE.contains(&size.0) || !size.0.is_multiple_of(1 << 20) {
        let (least, most) = (Size(*MEMORY_RANGE.start()), Size(*MEMORY_RANGE.end()));
        return Err(format!("found {size}, expected whole MiB from {least} to {most}"));
    }
    Ok(size)
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Measurement {
    /// A paused guest moves on one channel
    Precopy,
    /// A paused guest moves on multifd channels
    Multifd,
    /// A guest that uses little of its memory moves
    Sparse,
    /// How long a guest that writes memory stands still
    Downtime,
    /// A paused guest is saved to a file on the disk
    MappedRam,
    /// A guest that was saved to a file comes up
    Restore,
    /// Finding zero pages
    ZeroScan,
    /// Encoding differences of pages
    Xbzrle,
    /// What the machine can do
    Limits,
}

impl Measurement {
    const ALL: [Self; 9] = [
        Self::Precopy,
        Self::Multifd,
        Self::Sparse,
        Self::Downtime,
        Self::MappedRam,
        Self::Restore,
        Self::ZeroScan,
        Self::Xbzrle,
        Self::Limits,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Precopy => "precopy",
            Self::Multifd => "multifd",
            Self::Sparse => "sparse",
            Self::Downtime => "downtime",
            Self::MappedRam => "mapped-ram",
            Self::Restore => "restore",
            Self::ZeroScan => "zero-scan",
            Self::Xbzrle => "xbzrle",
            Self::Limits => "limits",
        }
    }

    /// What it takes at its peak.
    fn needs(self, memory: Option<u64>) -> Needs {
        // The file of random bytes, and two machines or what is touched for the second one of them.
        let moved = |bytes: u64| Needs { memory_bytes: bytes * (2 + warm::FACTOR), disk_bytes: 0 };
        match self {
            Self::Precopy | Self::Multifd => moved(memory.unwrap_or(precopy::MEMORY)),
            Self::Sparse => moved(sparse::sizes(memory).1),
            Self::Downtime => moved(memory.unwrap_or(downtime::MEMORY)),
            Self::MappedRam => {
                let bytes = memory.unwrap_or(mapped_ram::MEMORY);
                Needs { memory_bytes: bytes * 2, disk_bytes: bytes * 3 + bytes / 8 }
            }
            Self::Restore => {
                let bytes = memory.unwrap_or(restore::MEMORY);
                Needs { memory_bytes: bytes * 2, disk_bytes: bytes * 2 + bytes / 8 }
            }
            Self::ZeroScan => Needs { memory_bytes: 2 * memory.unwrap_or(zero_scan::BYTES), disk_bytes: 0 },
            Self::Xbzrle => Needs { memory_bytes: 2 * memory.unwrap_or(xbzrle::BYTES), disk_bytes: 0 },
            Self::Limits => {
                let bytes = memory.unwrap_or(limits::BYTES);
                Needs { memory_bytes: bytes * (3 + warm::FACTOR), disk_bytes: bytes }
            }
        }
    }

    fn measure(self, bench: &Bench<'_>) -> Result<Measured> {
        match self {
            Self::Precopy => precopy::measure(bench, Channels::Main),
            Self::Multifd => precopy::measure(bench, Channels::Multifd(MULTIFD_CHANNELS)),
            Self::Sparse => sparse::measure(bench),
            Self::Downtime => downtime::measure(bench),
            Self::MappedRam => mapped_ram::measure(bench),
            Self::Restore => restore::measure(bench),
            Self::ZeroScan => zero_scan::measure(bench),
            Self::Xbzrle => xbzrle::measure(bench),
            Self::Limits => limits::measure(bench),
        }
    }
}

/// What all measurements are told.
struct Bench<'a> {
    output: Output,
    interrupt: &'a Interrupt,
    peer: Option<&'a Peer>,
    pairs: usize,
    memory: Option<u64>,
    /// Where files on a disk are.
    disk: &'a Path,
}

impl Bench<'_> {
    /// Fails once Ctrl-C was pressed.
    fn check_interrupt(&self) -> Result<()> {
        if self.interrupt.is_pressed() { Err(Interrupted.into()) } else { Ok(()) }
    }

    /// A folder for files on a disk, which goes with its value.
    fn disk_folder(&self) -> Result<TempDir> {
        let folder = tempfile::Builder::new().prefix(".vmferry-bench-").tempdir_in(self.disk);
        folder.with_context(|| format!("a folder in {}", self.disk.display()))
    }

    /// One measurement, to whatever end; Ctrl-C alone is an error.
    fn perform(&self, measurement: Measurement) -> Result<Ended> {
        let name = measurement.name();
        self.check_interrupt()?;
        if let Some(why) = measurement.needs(self.memory).missing(self.disk)? {
            self.output.note(&format!("{name}: left out: {why}"));
            return Ok(Ended::LeftOut { name, why });
        }
        self.output.note(&format!("{name}:"));
        match measurement.measure(self) {
            Ok(measured) => Ok(Ended::Measured(measured)),
            Err(error) if error.is::<Interrupted>() => Err(error),
            Err(error) => {
                let why = format!("{error:#}");
                self.output.note(&format!("{name}: failed: {why}"));
                Ok(Ended::Failed { name, why })
            }
        }
    }
}

pub(crate) fn run(args: &Args, output: Output) -> Outcome {
    if !args.part.is_empty() {
        part::play(&args.part).or_environment()?;
        return Ok(ExitCode::Done);
    }
    // Before hours of work, not behind them.
    let update = args.update.as_deref().map(report::update::Page::read).transpose()?;
    if let Some(folder) = &args.out {
        let made = std::fs::create_dir_all(folder);
        made.with_context(|| format!("cannot make the folder '{}'", folder.display())).or_environment()?;
    }
    let peer = Peer::find(args.against.as_deref()).or_environment()?;
    let interrupt = Interrupt::take_over().context("cannot take over Ctrl-C").or_environment()?;
    let temporary = std::env::temp_dir();
    let bench = Bench {
        output,
        interrupt: &interrupt,
        peer: peer.as_ref().ok(),
        pairs: usize::from(args.pairs),
        memory: args.memory.map(|size| size.0),
        disk: args.out.as_deref().unwrap_or(&temporary),
    };
    if cfg!(debug_assertions) {
        output.note("warning: this program was built without optimisation, its figures mean little");
    }
    match &peer {
        Ok(peer) => output.note(&format!("beside {}, {}", peer.name(), peer.place())),
        Err(why) => output.note(&format!("beside no QEMU: {why}")),
    }
    let wanted = Measurement::ALL.into_iter().filter(|name| args.only.is_empty() || args.only.contains(name));
    let ended = match wanted.map(|measurement| bench.perform(measurement)).collect::<Result<Vec<_>>>() {
        Ok(ended) => ended,
        Err(error) if error.is::<Interrupted>() => return Ok(ExitCode::Interrupted),
        Err(error) => return Err(Failure { code: ExitCode::Environment, error }),
    };
    let pairs = bench.pairs;
    let report = Report {
        host: Host::here(),
        command: command_line(),
        peer,
        pairs,
        is_optimized: !cfg!(debug_assertions),
        ended,
    };
    if let Some(folder) = &args.out {
        report.write_files(folder)?;
    }
    if let Some(page) = update {
        page.write(&report)?;
    }
    output.result(&report.document(), &report.text())?;
    Ok(if report.ended.iter().any(Ended::is_failure) { ExitCode::Environment } else { ExitCode::Done })
}

/// How this program was called, by its name and not its place.
fn command_line() -> String {
    std::iter::once("vmferry".to_owned())
        .chain(std::env::args().skip(1).map(without_home))
        .collect::<Vec<_>>()
        .join(" ")
}

/// A path with `~` for the home folder, whose name is of no interest to readers.
fn without_home(path: String) -> String {
    let home = std::env::var("HOME").unwrap_or_default();
    match path.strip_prefix(&home) {
        Some(rest) if rest.starts_with('/') && home.len() > 1 => format!("~{rest}"),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        use clap::ValueEnum as _;
        for measurement in Measurement::ALL {
            assert_eq!(Measurement::from_str(measurement.name(), false), Ok(measurement));
        }
        assert_eq!(Measurement::value_variants().len(), Measurement::ALL.len());
    }

    #[test]
    fn memory_is_of_whole_mib_within_limits() {
        assert_eq!(memory_size("16M"), Ok(Size(16 << 20)));
        for text in ["15M", "16777217", "2T", "x"] {
            assert!(memory_size(text).is_err(), "{text}");
        }
    }
}
