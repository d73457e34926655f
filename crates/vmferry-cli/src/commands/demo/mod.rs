//! `vmferry demo`: a running guest moves from one process to another, and checks its own memory.
//!
//! ```text
//!   source process ── boots the self-checking guest ── a whole pass ─┐
//!   destination process ── waits ───────────────────────────────────┤ migrate (unix socket, live)
//!                                                                    └─► two more passes, the guest's verdict
//! ```
//!
//! | ends with | when |
//! |---|---|
//! | 0 | verified |
//! | 1 | anything is not as it was |
//! | 4 | a process or socket failed |
//! | 130 | interrupted |

mod process;
mod report;

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use serde_json::json;
use vmferry::control::Parameters;
use vmferry_vmm::accel::Accel;
use vmferry_vmm::families::Family;

use self::process::Machine;
use self::report::Report;
use crate::commands::migrate::progress::Progress;
use crate::commands::migrate::snapshot::Snapshot;
use crate::exit::{ExitCode, Failure, OrExit as _, Outcome};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::size::Size;

const POLL: Duration = Duration::from_millis(20);
/// Pause that is aimed at first, in milliseconds: short enough that the rounds can be seen at work.
const DOWNTIME_LIMIT_MS: u64 = 20;
/// Rounds after which a guest that dirties memory too fast is given twice the pause.
const ROUNDS_PER_LIMIT: u64 = 10;
/// Longest time for the whole migration; a guest that dirties memory faster than it can be sent never converges.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(120);

/// How the guest is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    /// While it runs, in rounds, with a short stop at the end
    Precopy,
    /// The same, its pages on two channels of their own
    Multifd,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Mode::Precopy => "precopy",
            Mode::Multifd => "multifd",
        }
    }

    /// Sets what the mode needs, which is the same at both ends.
    fn prepare(self, machine: &mut Machine) -> anyhow::Result<()> {
        match self {
            Mode::Precopy => Ok(()),
            Mode::Multifd => {
                let multifd = json!([{ "capability": "multifd", "state": true }]);
                machine.execute("migrate-set-capabilities", json!({ "capabilities": multifd })).map(drop)
            }
        }
    }
}

/// Move a running guest from one process to another and let it check its own memory
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How to migrate
    #[arg(long, value_enum, default_value_t = Mode::Precopy)]
    mode: Mode,
    /// Size of guest RAM
    #[arg(long, value_name = "SIZE", default_value = "256M")]
    memory: Size,
    /// How fast the guest dirties its memory; 0 is as fast as it can
    #[arg(long, value_name = "MB/S", default_value_t = 200)]
    dirty_rate: u64,
    /// What runs the guest: soft, the embedded RISC-V CPU, anywhere; or kvm, x86-64 at full speed
    #[arg(long, value_name = "soft|kvm[,dirty-ring-size=N][,device=PATH]", default_value = "soft")]
    accel: Accel,
    /// Number of vCPUs; more than one with kvm only
    #[arg(long, value_name = "N", default_value_t = 1)]
    vcpus: u32,
}

const EXAMPLES: &str = "\
Examples:
  vmferry demo
  vmferry demo --memory 1G --dirty-rate 500
  vmferry demo --mode multifd
  vmferry demo --accel kvm --vcpus 2 --dirty-rate 1000
  vmferry demo --json";

pub(crate) fn run(args: &Args, output: Output) -> Outcome {
    let machine = Family::of(&args.accel).and_then(|family| family.select(None)).or_environment()?.name();
    let interrupt = Interrupt::take_over().context("cannot take over Ctrl-C").or_environment()?;
    let dir = tempfile::Builder::new().prefix("vmferry-demo-").tempdir().context("a folder").or_environment()?;
    output.note(&format!(
        "vmferry demo: a {machine} with {} of RAM, whose guest rewrites and checks all of it{}",
        args.memory,
        if args.dirty_rate == 0 { String::new() } else { format!(", {} MB/s", args.dirty_rate) }
    ));
    let Some(report) = perform(args, &machine, output, &interrupt, dir.path()).map_err(environment)? else {
        return Ok(ExitCode::Interrupted);
    };
    output.result(&report.document(), &report.text())?;
    Ok(if report.is_verified() { ExitCode::Done } else { ExitCode::No })
}

fn environment(error: anyhow::Error) -> Failure {
    Failure { code: ExitCode::Environment, error }
}

/// The demo; `None` if it was interrupted.
fn perform(
    args: &Args,
    machine_type: &str,
    output: Output,
    interrupt: &Interrupt,
    dir: &Path,
) -> anyhow::Result<Option<Report>> {
    let uri = format!("unix:{}", dir.join("migration").display());
    let machine = |more: &[String]| {
        let (memory, accel, vcpus) = (args.memory.to_string(), args.accel.to_string(), args.vcpus.to_string());
        let options = ["--machine", machine_type, "--memory", &memory, "--accel", &accel, "--vcpus", &vcpus];
        let mut arguments = options.map(str::to_owned).to_vec();
        arguments.extend_from_slice(more);
        arguments
    };
    let mut source =
        Machine::start(dir, "source", &machine(&["--dirty-rate".to_owned(), args.dirty_rate.to_string()]))?;
    let mut destination = Machine::start(dir, "destination", &machine(&["--incoming".to_owned(), "defer".to_owned()]))?;
    args.mode.prepare(&mut source)?;
    args.mode.prepare(&mut destination)?;
    destination.execute("migrate-incoming", json!({ "uri": uri }))?;
    output.note(&format!("  source       process {}, the guest boots", source.pid()));
    output.note(&format!("  destination  process {}, waits", destination.pid()));

    let pass = pass_time(args);
    source.wait_for_reports(2, pass * 2)?;
    source.execute("migrate-set-parameters", json!({ "max-bandwidth": 0, "downtime-limit": DOWNTIME_LIMIT_MS }))?;
    source.execute("migrate", json!({ "uri": uri }))?;
    let Some(migration) = follow(&mut source, output, interrupt)? else { return Ok(None) };

    let mut complaints = Vec::new();
    if migration.status() != "completed" {
        complaints.push(format!(
            "the migration is {}: {}",
            migration.status(),
            migration.error().unwrap_or("no reason was given")
        ));
    }
    let source_state = source.run_state()?;
    if source_state != "postmigrate" {
        complaints.push(format!("the source is '{source_state}', not 'postmigrate'"));
    }
    let source_guest = source.guest()?;
    let before = source_guest.reports.last().copied();
    // The guest may have moved amid a line.
    let begun = source_guest.begun().to_owned();
    destination.continues(&begun);
    let (mut passes_after, mut checked, mut bad, mut gap) = (0, 0, 0, 0);
    if complaints.is_empty() {
        let state = destination.run_state()?;
        if state != "running" {
            complaints.push(format!("the destination is '{state}', not 'running'"));
        }
        // The first line ends the pass that the move interrupted; the next two cover every page at the new place.
        match destination.wait_for_reports(3, pass * 3) {
            Err(error) => complaints.push(error.to_string()),
            Ok(guest) => {
                let first = guest.reports.first().copied();
                if let (Some(first), Some(last)) = (first, guest.reports.last()) {
                    passes_after = guest.reports.len() as u64;
                    (checked, bad, gap) = (last.checked, last.bad, first.gap_us);
                    check_continuity(before.map(|report| report.pass), first.pass, &mut complaints);
                }
                complaints.extend(guest.bad_pages.iter().map(|page| {
                    format!(
                        "page {:#x}, pass {}: {:#x} where {:#x} was left",
                        page.page, page.pass, page.found, page.expected
                    )
                }));
            }
        }
    }
    if bad > 0 {
        complaints.push(format!("the guest found {bad} bad pages"));
    }
    let loaded = destination.execute("query-migrate", json!({}))?;
    let loaded = loaded.get("x-ferry-downtime-devices").cloned().unwrap_or_else(|| json!([]));
    source.quit();
    destination.quit();
    Ok(Some(Report {
        mode: args.mode.name(),
        accel: args.accel.name(),
        machine: machine_type.to_owned(),
        memory_bytes: args.memory.0,
        dirty_rate_mb_s: args.dirty_rate,
        migration: migration.reply().clone(),
        passes_before: before.map_or(0, |report| report.pass),
        passes_after,
        checked_pages: checked,
        bad_pages: bad,
        guest_gap_us: gap,
        loaded,
        complaints,
    }))
}

/// The first pass that ends at the destination is the one that was under way.
fn check_continuity(before: Option<u64>, first: u64, complaints: &mut Vec<String>) {
    let expected = before.unwrap_or(0) + 1;
    if first != expected {
        complaints.push(format!("the guest went on with pass {first}, where pass {expected} was under way"));
    }
}

/// Watches the source until the migration is over; `None` if interrupted.
fn follow(source: &mut Machine, output: Output, interrupt: &Interrupt) -> anyhow::Result<Option<Snapshot>> {
    let mut progress = Progress::new(output);
    let deadline = Instant::now() + MIGRATION_TIMEOUT;
    let (mut limit_ms, mut rounds) = (DOWNTIME_LIMIT_MS, ROUNDS_PER_LIMIT);
    loop {
        let snapshot = Snapshot::new(source.execute("query-migrate", json!({}))?);
        if snapshot.is_final() {
            return Ok(Some(snapshot));
        }
        if snapshot.round() > rounds {
            rounds = snapshot.round() + ROUNDS_PER_LIMIT;
            limit_ms = (limit_ms * 2).min(Parameters::DOWNTIME_LIMIT_MAX_MS);
            output.note(&format!("  round {}: not converging; a pause of {limit_ms} ms is allowed", snapshot.round()));
            source.execute("migrate-set-parameters", json!({ "downtime-limit": limit_ms }))?;
        }
        progress.show(&snapshot);
        if interrupt.is_pressed() {
            return Ok(None);
        }
        if Instant::now() > deadline {
            return Err(anyhow!("the migration does not end ({}): try a lower --dirty-rate", snapshot.line()));
        }
        thread::sleep(POLL);
    }
}

/// An upper bound of the time that the guest needs for one pass: at the asked rate, or a tenth of the CPU's own speed.
fn pass_time(args: &Args) -> Duration {
    /// Slower than any machine that was seen.
    const SLOWEST_BYTES_PER_S: u64 = 50_000_000;
    let rate = match args.dirty_rate {
        0 => SLOWEST_BYTES_PER_S,
        megabytes => megabytes.saturating_mul(1_000_000).min(SLOWEST_BYTES_PER_S),
    };
    Duration::from_secs(20) + Duration::from_secs(args.memory.0 / rate * 2)
}
