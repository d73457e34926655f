//! `vmferry analyze` on a recorded stream, beside `cat` of the same file into nowhere, and of both behind a pipe.
//!
//! From a file the contents of pages are passed over without being read; through a pipe every octet is.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::host::Scene;
use crate::migration::record;
use crate::peak;
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

/// Measures `pairs` rounds after one that is not counted.
pub(crate) fn measure(scene: &Scene, pairs: usize) -> Result<Section> {
    let stream = scene.path("stream.vm");
    record(scene, &stream).context("recording a stream")?;
    let [mut file, mut cat, mut pipe, mut cats] = [(); 4].map(|()| Kind::default());
    for round in 0..=pairs {
        let analyze = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_vmferry"));
            command.args(["analyze", "--json"]);
            command
        };
        let from_file = timed(analyze().arg(&stream), None)?;
        let from_pipe = timed(analyze().arg("-"), Some(&stream))?;
        let plain = timed(Command::new("cat").arg(&stream), None)?;
        let plain_pipe = timed(&mut Command::new("cat"), Some(&stream))?;
        if round == 0 {
            continue;
        }
        eprintln!(
            "round {round}: file {:.3} s, cat {:.3} s, pipe {:.3} s, cat to cat {:.3} s",
            from_file.0, plain.0, from_pipe.0, plain_pipe.0
        );
        let kinds = [(&mut file, from_file), (&mut cat, plain), (&mut pipe, from_pipe), (&mut cats, plain_pipe)];
        for (kind, (seconds, mib)) in kinds {
            kind.seconds.0.push(seconds);
            kind.peak_mib.0.push(mib);
        }
    }
    let row = |name: &str, kind: &Kind, peer: &Kind| Row {
        name: name.to_owned(),
        cells: vec![
            kind.seconds.text(3),
            format!("{:.1}", kind.peak_mib.most()),
            kind.seconds.over(&peer.seconds).text(2),
        ],
        json: json!({ "seconds": kind.seconds.json(), "peak_mib": kind.peak_mib.json() }),
    };
    Ok(Section {
        key: "analyze",
        title: format!("Reading a stream of {} MiB, in memory", std::fs::metadata(&stream)?.len() >> 20),
        head: vec!["", "seconds", "peak memory, MiB", "times its peer"],
        rows: vec![
            row("`vmferry analyze --json FILE`", &file, &cat),
            row("`cat FILE > /dev/null`", &cat, &cat),
            row("`cat FILE \\| vmferry analyze --json -`", &pipe, &cats),
            row("`cat FILE \\| cat > /dev/null`", &cats, &cats),
        ],
        pairs,
    })
}
