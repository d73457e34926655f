//! `vmferry completions`: completion scripts for shells.

use clap::CommandFactory as _;
use clap_complete::Shell;
use serde_json::json;

use crate::cli::Cli;
use crate::exit::{ExitCode, Outcome};
use crate::output::Output;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  vmferry completions bash > ~/.local/share/bash-completion/completions/vmferry")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &Args, output: Output) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "vmferry", &mut script);
    let script = String::from_utf8_lossy(&script);
    // The script is the result: `--quiet` does not concern it.
    let output = Output { quiet: false, ..output };
    output.result(&json!({ "shell": args.shell.to_string(), "script": script }), &script)?;
    Ok(ExitCode::Done)
}
