//! `cargo xtask fuzz-smoke`: each target of `fuzz/` in turn, from its committed seeds.
//!
//! | folder | what |
//! |---|---|
//! | `fuzz/fuzz_targets/NAME.rs` | a target; its page says what must hold |
//! | `fuzz/seeds/NAME/` | committed inputs, small, each named for what it is |
//! | `fuzz/artifacts/NAME/` | inputs that broke it (not committed; the fix commits one as a seed or a test) |
//! | `TARGET/fuzz/` | build |
//! | `TARGET/fuzz-corpus/NAME/` | inputs found on this machine |

use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::prerequisites;
use crate::workspace::{self, Workspace};

/// Longest time that the smoke may be asked to take, in seconds: it runs for every change.
const SMOKE_LIMIT_S: u64 = 240;
/// Most memory of a target, in MiB. Unbounded memory that a stream can reach is a bug.
const MEMORY_MIB: u32 = 2048;
/// Longest time for one input, in seconds. So is unbounded time.
const INPUT_S: u32 = 10;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Time for all targets together, without that for building them
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=SMOKE_LIMIT_S))]
    pub(crate) seconds: u64,
}

/// Runs every target for an equal part of `seconds`, all of them even if one fails.
pub(crate) fn run(workspace: &Workspace, seconds: u64) -> Result<()> {
    ensure!(workspace.root.join("fuzz/Cargo.toml").is_file(), "there is no fuzz/Cargo.toml");
    if workspace::answer(Command::new("rustup").args(["run", "nightly", "rustc", "--version"])).is_none() {
        return workspace::skip("fuzzing", "no nightly toolchain; `rustup toolchain install nightly` gets one");
    }
    if let Err(error) = prerequisites::cargo_subcommand(workspace, "fuzz") {
        return workspace::skip("fuzzing", &format!("cargo-fuzz could not be installed: {error:#}"));
    }
    let list = workspace::answer(&mut workspace.nightly_cargo(["fuzz", "list"])).context("`cargo fuzz list` failed")?;
    let targets: Vec<&str> = list.split_whitespace().collect();
    ensure!(!targets.is_empty(), "fuzz/Cargo.toml lists no target");

    let build = workspace.target.join("fuzz");
    workspace::run(workspace.nightly_cargo(["fuzz", "build", "--target-dir"]).arg(&build))?;
    let mut failed = Vec::new();
    let mut remaining_s = seconds;
    for (index, &target) in targets.iter().enumerate() {
        let turns_left = u64::try_from(targets.len() - index)?;
        let started = Instant::now();
        match run_one(workspace, target, (remaining_s / turns_left).max(1)) {
            Ok(inputs) => eprintln!("{target}: {inputs} inputs in {} s, no fault", started.elapsed().as_secs()),
            Err(error) => {
                eprintln!("{target}: {error:#}");
                failed.push(target);
            }
        }
        remaining_s = remaining_s.saturating_sub(started.elapsed().as_secs());
    }
    if !failed.is_empty() {
        bail!("fuzzing found faults in {}; their inputs are in fuzz/artifacts/", failed.join(", "));
    }
    eprintln!("{} fuzz targets, no fault found", targets.len());
    Ok(())
}

/// Runs one target and returns how many inputs it was given.
fn run_one(workspace: &Workspace, target: &str, seconds: u64) -> Result<u64> {
    let found = workspace.target.join("fuzz-corpus").join(target);
    fs::create_dir_all(&found).with_context(|| format!("cannot make {}", found.display()))?;
    let seeds = workspace.root.join("fuzz/seeds").join(target);
    let mut command = workspace.nightly_cargo(["fuzz", "run", "--target-dir"]);
    command.arg(workspace.target.join("fuzz")).arg(target).arg(&found).args(seeds.is_dir().then_some(&seeds));
    command.args([
        "--".to_owned(),
        format!("-max_total_time={seconds}"),
        format!("-rss_limit_mb={MEMORY_MIB}"),
        format!("-timeout={INPUT_S}"),
        "-print_final_stats=1".to_owned(),
    ]);
    // libFuzzer says a great deal; it is worth reading only where something was found.
    let shown = workspace::shown(&command);
    eprintln!("$ {shown}");
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run `{shown}`"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        eprint!("{said}");
        bail!("`{shown}` failed: {}", output.status);
    }
    let inputs = inputs(&said).with_context(|| format!("libFuzzer did not say how much it did:\n{said}"))?;
    ensure!(inputs > 0, "not one input was tried");
    Ok(inputs)
}

/// The number of inputs in libFuzzer's final statistics.
fn inputs(said: &str) -> Option<u64> {
    said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_inputs_is_read_from_the_statistics() {
        let said = "Done 332277 runs in 6 second(s)\nstat::number_of_executed_units: 332277\nstat::peak_rss_mb: 288\n";
        assert_eq!(inputs(said), Some(332_277));
        assert_eq!(inputs("Done"), None);
    }
}
