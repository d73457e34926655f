//! `vmferry predict`: whether a guest will converge, when, with what downtime, and which setting makes it.
//!
//! ```text
//!   running machine --calc-dirty-rate, several windows--> trace --+
//!   file ----------------------------------------------> trace --+--> the engine's own model of rounds
//! ```
//!
//! | ends with | when |
//! |---|---|
//! | 0 | it converges |
//! | 1 | it does not, with these settings |
//! | 2 | neither a machine nor a trace, or no bandwidth |
//! | 3 | the trace is none |
//! | 4 | nobody answers at the socket, or the machine cannot measure |

mod sampling;
mod trace;

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use serde_json::{Value, json};
use vmferry::convergence::{DirtyCurve, Prediction, Settings, ThrottleParameters, predict, smallest};
use vmferry_qmp::{Client, SocketPath};

use self::trace::Trace;
use crate::exit::{ExitCode, Failure, OrExit as _, Outcome};
use crate::output::Output;
use crate::size::Size;

/// Longest pause that is proposed, in milliseconds: what `downtime-limit` takes.
const DOWNTIME_MAX_MS: u64 = 2_000_000;
/// Fastest link that is proposed, in MiB per second.
const BANDWIDTH_MAX_MIB_S: u64 = 1 << 20;

/// Say whether a guest will converge, when, and with what downtime
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// QMP socket of a running machine, ours or QEMU's, which is sampled; its own settings are used
    #[arg(long, value_name = "unix:PATH", conflicts_with = "trace", required_unless_present = "trace")]
    qmp: Option<SocketPath>,
    /// How long to sample, 1 to 60
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// A trace of dirty rates
    trace: Option<PathBuf>,
    /// Bytes per second of the link; the machine's max-bandwidth otherwise
    #[arg(long, value_name = "SIZE")]
    bandwidth: Option<Size>,
    /// Pause that is aimed at, in milliseconds; the machine's downtime-limit, or 300, otherwise
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(0..=DOWNTIME_MAX_MS))]
    downtime_limit: Option<u64>,
    /// As if capability auto-converge were on
    #[arg(long)]
    auto_converge: bool,
    /// Write what was sampled to this file, as a trace
    #[arg(long, value_name = "FILE", requires = "qmp")]
    save: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  vmferry predict --qmp unix:/run/vm.sock --bandwidth 1G
  vmferry predict --qmp unix:/run/vm.sock --seconds 20 --save monday.trace
  vmferry predict monday.trace --bandwidth 100M --downtime-limit 100

A trace is text: 'vmferry-dirty-trace 1', 'memory BYTES', and for each window 'dirty MS BYTES'.";

/// What is known.
struct Case {
    curve: DirtyCurve,
    settings: Settings,
    bandwidth: u64,
}

impl Case {
    fn predict(&self) -> Prediction {
        self.with(self.bandwidth, &self.settings)
    }

    #[expect(clippy::cast_precision_loss, reason = "bytes per second")]
    fn with(&self, bandwidth: u64, settings: &Settings) -> Prediction {
        predict(&self.curve, bandwidth as f64, settings)
    }
}

/// A setting that makes the guest converge.
struct Remedy {
    setting: &'static str,
    value: Value,
    prediction: Prediction,
}

pub(crate) fn run(args: &Args, output: Output) -> Outcome {
    let case = case(args, output)?;
    let prediction = case.predict();
    let remedies = if prediction.converges { Vec::new() } else { remedies(&case) };
    let document = json!({
        "verdict": if prediction.converges { "converges" } else { "does-not-converge" },
        "memory_bytes": case.curve.memory_bytes(),
        "bandwidth_bytes_s": case.bandwidth,
        "downtime_limit_ms": case.settings.downtime_limit_ms,
        "auto_converge": case.settings.throttle.is_some(),
        "prediction": document(&prediction),
        "remedies": remedies.iter().map(|remedy| json!({
            "setting": remedy.setting, "value": remedy.value, "prediction": document(&remedy.prediction),
        })).collect::<Vec<_>>(),
    });
    output.result(&document, &text(&case, &prediction, &remedies))?;
    Ok(if prediction.converges { ExitCode::Done } else { ExitCode::No })
}

fn case(args: &Args, output: Output) -> Result<Case, Failure> {
    let defaults = Settings {
        downtime_limit_ms: 300,
        downtime_limit_max_ms: 0,
        avail_switchover_bandwidth: 0,
        throttle: None,
        dirty_limit_mb_per_s: None,
        total_time_limit_ms: 0,
    };
    let (trace, mut settings, limit) = match (&args.qmp, &args.trace) {
        (Some(socket), _) => {
            let mut client = Client::connect(socket.path()).or_environment()?;
            let (settings, limit) = sampling::settings(&mut client).or_environment()?;
            let trace = sampling::sample(&mut client, args.seconds, output).or_environment()?;
            if let Some(path) = &args.save {
                std::fs::write(path, trace.text()).with_context(|| path.display().to_string()).or_environment()?;
            }
            (trace, settings, limit)
        }
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string()).or_environment()?;
            let trace = Trace::parse(&text).map_err(|what| Failure::input(anyhow!("{}: {what}", path.display())))?;
            (trace, defaults, 0)
        }
        (None, None) => return Err(Failure::usage(anyhow!("give --qmp or a trace"))),
    };
    let bandwidth = args.bandwidth.map_or(limit, |size| size.0);
    if bandwidth == 0 {
        let text = "how fast is the link? Give --bandwidth, in bytes per second";
        return Err(Failure::usage(anyhow!(text)));
    }
    settings.downtime_limit_ms = args.downtime_limit.unwrap_or(settings.downtime_limit_ms);
    if args.auto_converge {
        settings.throttle.get_or_insert_default();
    }
    Ok(Case { curve: trace.curve(), settings, bandwidth })
}

/// Each setting that makes the guest converge by itself, with the smallest value that does.
fn remedies(case: &Case) -> Vec<Remedy> {
    let Case { settings, bandwidth, .. } = case;
    let mut remedies = Vec::new();
    if settings.throttle.is_none() {
        let throttled = Settings { throttle: Some(ThrottleParameters::default()), ..*settings };
        let prediction = case.with(*bandwidth, &throttled);
        if prediction.converges {
            remedies.push(Remedy { setting: "auto-converge", value: json!("on"), prediction });
        }
    }
    let longer = |ms: u64| case.with(*bandwidth, &Settings { downtime_limit_ms: ms, ..*settings });
    if let Some(ms) = smallest(DOWNTIME_MAX_MS, |ms| longer(ms).converges) {
        remedies.push(Remedy { setting: "downtime-limit", value: json!(ms), prediction: longer(ms) });
    }
    let faster = |mib: u64| case.with(mib << 20, settings);
    if let Some(mib) = smallest(BANDWIDTH_MAX_MIB_S, |mib| faster(mib).converges) {
        remedies.push(Remedy { setting: "bandwidth", value: json!(mib << 20), prediction: faster(mib) });
    }
    remedies
}

fn document(prediction: &Prediction) -> Value {
    let Prediction { converges, is_overtime, rounds, seconds, downtime_ms, throttle_percent } = *prediction;
    json!({
        "converges": converges,
        "is_overtime": is_overtime,
        "rounds": rounds,
        "seconds": converges.then_some(seconds),
        "downtime_ms": (converges || is_overtime).then_some(downtime_ms),
        "throttle_percent": throttle_percent,
    })
}

fn text(case: &Case, prediction: &Prediction, remedies: &[Remedy]) -> String {
    let mut text = String::new();
    let mib = case.bandwidth >> 20;
    // Writing to a string cannot fail.
    let _ = if prediction.converges {
        let throttled = match prediction.throttle_percent {
            0 => String::new(),
            percent => format!(", with its vCPUs throttled to sleep {percent} % of their time"),
        };
        writeln!(
            text,
            "converges: after {:.1} s and {} rounds at {mib} MiB/s, with a pause of about {:.0} ms for pages{throttled}",
            prediction.seconds, prediction.rounds, prediction.downtime_ms
        )
    } else {
        writeln!(
            text,
            "does not converge: at {mib} MiB/s the guest never has so little dirty that it fits into {} ms",
            case.settings.downtime_limit_ms
        )
    };
    for remedy in remedies {
        let Prediction { seconds, downtime_ms, .. } = remedy.prediction;
        let value = match (remedy.setting, remedy.value.as_u64()) {
            ("bandwidth", Some(bytes)) => format!("{} MiB/s", bytes >> 20),
            (_, Some(ms)) => format!("{ms} ms"),
            _ => remedy.value.as_str().unwrap_or_default().to_owned(),
        };
        let _ = writeln!(
            text,
            "  {} {value}: converges after {seconds:.1} s, with a pause of about {downtime_ms:.0} ms",
            remedy.setting
        );
    }
    if !prediction.converges && remedies.is_empty() {
        text.push_str("  no single setting makes it: migrate by postcopy, or stop the guest\n");
    }
    text
}
