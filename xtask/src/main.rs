//! Development tasks: `cargo xtask COMMAND`.
//!
//! | command | what it does |
//! |---|---|
//! | `test` | installs what the tests need, runs all of them, lists what was skipped |
//! | `lint` | format, clippy and rustdoc; a warning is an error |
//! | `deny` | licences and sources of the dependencies |
//! | `fuzz-smoke` | each fuzz target for a moment |
//! | `build-time` | how long the compiler takes for many images |
//! | `thorough` | what takes too long for every change |
//!
//! Tasks run the ordinary tools and print each command before it runs, so that each can be repeated by hand.
//! Nothing is installed on the system: tools go where `cargo install` puts them, everything else into a cache folder.

mod build_time;
mod deny;
mod fuzz;
mod lint;
mod prerequisites;
mod python;
mod qemu;
mod skips;
mod test;
mod thorough;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Development tasks of vmferry")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Installs what the tests need and runs all of them
    Test(test::Options),
    /// Checks format, lints and documentation; a warning is an error
    Lint,
    /// Checks licences and sources of the dependencies with cargo-deny
    Deny,
    /// Runs each fuzz target for a moment, from its committed seeds
    FuzzSmoke(fuzz::Options),
    /// Builds a crate of many images, and the same structs for a peer, and says how long that takes
    BuildTime(build_time::Options),
    /// Runs what takes too long for every change: release mode, more cases, longer fuzzing, each crate alone
    Thorough(thorough::Options),
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        // Without the backtrace that returning it would print where RUST_BACKTRACE is set for the tests' sake.
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    match task {
        Task::Test(options) => test::run(&workspace, &options),
        Task::Lint => lint::run(&workspace),
        Task::Deny => deny::run(&workspace),
        Task::FuzzSmoke(options) => fuzz::run(&workspace, options.seconds),
        Task::BuildTime(options) => build_time::run(&workspace, &options),
        Task::Thorough(options) => thorough::run(&workspace, &options),
    }
}
