//! The `vmferry` command.
//!
//! `docs/cli.md` says what scripts may rely on: names, exit codes, JSON. Each command is a module under `commands`,
//! with its arguments, its `run`, and what it prints.

mod cli;
mod commands;
mod exit;
mod interrupt;
mod logging;
mod output;
mod size;
mod values;
mod whole_file;

use std::process;

use clap::Parser as _;

use crate::cli::Cli;
use crate::exit::ExitCode;

fn main() -> process::ExitCode {
    let cli = Cli::parse();
    logging::start(cli.output());
    let code = match cli.run() {
        Ok(code) => code,
        // Behind `| head` the reader has what it wanted.
        Err(failure) if failure.is_broken_pipe() => ExitCode::Done,
        Err(failure) => {
            failure.print();
            failure.code
        }
    };
    code.into()
}
