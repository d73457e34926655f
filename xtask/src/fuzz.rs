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
use std::process::Command;
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
        if let Err(error) = run_one(workspace, target, (remaining_s / turns_left).max(1)) {
            eprintln!("{error:#}");
            failed.push(target);
        }
        remaining_s = remaining_s.saturating_sub(started.elapsed().as_secs());
    }
    if !failed.is_empty() {
        bail!("fuzzing found faults in {}; their inputs are in fuzz/artifacts/", failed.join(", "));
    }
    eprintln!("{} fuzz targets, no fault found", targets.len());
    Ok(())
}

fn run_one(workspace: &Workspace, target: &str, seconds: u64) -> Result<()> {
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
        "-verbosity=0".to_owned(),
    ]);
    workspace::run(&mut command)
}
