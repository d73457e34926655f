//! `vmferry analyze` on a recorded stream, beside `cat` of the same file into nowhere, and of both behind a pipe.
//!
//! From a file the contents of pages are passed over without being read; through a pipe every octet is.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::host::Scene;
use crate::peak;
use crate::recording::{find_qemu, record, record_mapped};
use crate::report::{Row, Section};
use crate::samples::Samples;

/// Runs a command to its end, behind a `cat` of `piped` if there is such: seconds, and the most memory in MiB.
fn timed(command: &mut Command, piped: Option<&Path>) -> Result<(f64, f64)> {
    let start = Instant::now();
    let mut feeder = piped.map(|file| Command::new("cat").arg(file).stdout(Stdio::piped()).spawn()).transpose()?;
    let input = feeder.as_mut().and_then(|feeder| feeder.stdout.take()).map_or_else(Stdio::null, Stdio::from);
    let child = command.stdin(input).stdout(Stdio::null()).spawn()?;
    // Its copy of the pipe would keep the feeder waiting if the child ended early.
    command.stdin(Stdio::null());
    let peak_bytes = peak::wait(&child).with_context(|| format!("{command:?}"))?;
    let seconds = start.elapsed().as_secs_f64();
    if let Some(mut feeder) = feeder {
        feeder.wait()?;
    }
    #[expect(clippy::cast_precision_loss, reason = "megabytes")]
    let peak_mib = peak_bytes as f64 / f64::from(1 << 20);
    Ok((seconds, peak_mib))
}

#[derive(Default)]
struct Kind {
    seconds: Samples,
    peak_mib: Samples,
}

/// What is run: a name, a command, and the file that a `cat` feeds it, if one does.
struct Run {
    name: &'static str,
    command: Command,
    piped: Option<PathBuf>,
    /// Which of the runs it is compared with.
    peer: usize,
    octets: u64,
}

/// Measures `pairs` rounds after one that is not counted.
pub(crate) fn measure(scene: &Scene, pairs: usize) -> Result<Section> {
    let stream = scene.path("stream.vm");
    record(scene, &stream).context("recording a stream")?;
    let mut runs = runs(&stream)?;
    let mapped = scene.path("mapped.vm");
    match find_qemu() {
        Some(binary) => {
            record_mapped(&binary, scene, &mapped).context("recording a mapped-ram file")?;
            runs.extend(mapped_runs(&mapped)?);
        }
        None => println!("skipped: no qemu-10.0-x86_64: no mapped-ram file"),
    }
    let mut kinds: Vec<Kind> = runs.iter().map(|_| Kind::default()).collect();
    for round in 0..=pairs {
        for (run, kind) in runs.iter_mut().zip(&mut kinds) {
            let (seconds, mib) = timed(&mut run.command, run.piped.as_deref()).context(run.name)?;
            if round > 0 {
                eprintln!("round {round}: {} {seconds:.3} s", run.name);
                kind.seconds.0.push(seconds);
                kind.peak_mib.0.push(mib);
            }
        }
    }
    let row = |run: &Run, kind: &Kind| -> Option<Row> {
        let peer = &kinds.get(run.peer)?.seconds;
        #[expect(clippy::cast_precision_loss, reason = "gigabytes")]
        let gigabytes = run.octets as f64 / 1e9;
        Some(Row {
            name: run.name.to_owned(),
            cells: vec![
                kind.seconds.text(3),
                format!("{:.1}", gigabytes / kind.seconds.median()),
                format!("{:.1}", kind.peak_mib.most()),
                kind.seconds.over(peer).text(2),
            ],
            json: json!({ "seconds": kind.seconds.json(), "peak_mib": kind.peak_mib.json(), "octets": run.octets }),
        })
    };
    Ok(Section {
        // The one of the page's first table, and one for any other size.
        key: if scene.bytes == 1 << 30 { "analyze" } else { "analyze-other-size" },
        title: format!("Reading a stream of {} MiB, in memory", std::fs::metadata(&stream)?.len() >> 20),
        head: vec!["", "seconds", "GB/s", "peak memory, MiB", "times its peer"],
        rows: runs.iter().zip(&kinds).filter_map(|(run, kind)| row(run, kind)).collect(),
        pairs,
    })
}

fn analyze(file: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vmferry"));
    command.args(["analyze", "--json"]).arg(file);
    command
}

fn cat(file: Option<&Path>) -> Command {
    let mut command = Command::new("cat");
    command.args(file);
    command
}

fn runs(stream: &Path) -> Result<Vec<Run>> {
    let octets = std::fs::metadata(stream)?.len();
    let run =
        |name, command, piped: bool, peer| Run { name, command, piped: piped.then(|| stream.to_owned()), peer, octets };
    Ok(vec![
        run("`vmferry analyze --json FILE`", analyze(stream), false, 1),
        run("`cat FILE > /dev/null`", cat(Some(stream)), false, 1),
        run("`cat FILE \\| vmferry analyze --json -`", analyze(Path::new("-")), true, 3),
        run("`cat FILE \\| cat > /dev/null`", cat(None), true, 3),
    ])
}

fn mapped_runs(mapped: &Path) -> Result<Vec<Run>> {
    let octets = std::fs::metadata(mapped)?.len();
    let run = |name, command| Run { name, command, piped: None, peer: 5, octets };
    Ok(vec![
        run("`vmferry analyze --json MAPPED-RAM`", analyze(mapped)),
        run("`cat MAPPED-RAM > /dev/null`", cat(Some(mapped))),
    ])
}
