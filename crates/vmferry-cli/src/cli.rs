//! The command line: options common to all commands, and the list of commands.

use clap::{ArgAction, Parser, Subcommand};

use crate::commands::{
    analyze, bench, check, completions, demo, diff, edit, machines, man, migrate, predict, rehearse, run, schema,
};
use crate::exit::Outcome;
use crate::output::Output;

/// Moves running virtual machines between processes, hosts and versions; speaks QEMU's migration stream.
#[derive(Debug, Parser)]
#[command(
    name = "vmferry",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    done, or the verdict is yes
  1    the verdict is no: incompatible, differs, not verified, not migrated
  2    wrong usage
  3    bad or truncated input
  4    the peer or the environment failed
  130  interrupted";

#[derive(Debug, clap::Args)]
struct Common {
    /// Print one JSON document on standard output, and nothing else there
    #[arg(long, global = true, help_heading = "Common options")]
    json: bool,
    /// Print errors only
    #[arg(long, short, global = true, conflicts_with = "verbose", help_heading = "Common options")]
    quiet: bool,
    /// Print more on standard error; repeat for even more
    #[arg(long, short, global = true, action = ArgAction::Count, help_heading = "Common options")]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Run(run::Args),
    Migrate(migrate::Args),
    Machines(machines::Args),
    Schema(schema::Args),
    Analyze(analyze::Args),
    Check(check::Args),
    Predict(predict::Args),
    Rehearse(rehearse::Args),
    Diff(diff::Args),
    Edit(edit::Args),
    Bench(bench::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Cli {
    /// How to print.
    pub(crate) fn output(&self) -> Output {
        let Common { json, quiet, verbose } = self.common;
        Output { json, quiet, verbosity: verbose }
    }

    /// Executes the command.
    pub(crate) fn run(self) -> Outcome {
        let output = self.output();
        match self.command {
            Command::Demo(args) => demo::run(&args, output),
            Command::Run(args) => run::run(&args, output),
            Command::Migrate(args) => migrate::run(&args, output),
            Command::Machines(args) => machines::run(&args, output),
            Command::Schema(args) => schema::run(&args, output),
            Command::Analyze(args) => analyze::run(&args, output),
            Command::Check(args) => check::run(&args, output),
            Command::Predict(args) => predict::run(&args, output),
            Command::Rehearse(args) => rehearse::run(&args, output),
            Command::Diff(args) => diff::run(&args, output),
            Command::Edit(args) => edit::run(&args, output),
            Command::Bench(args) => bench::run(&args, output),
            Command::Completions(args) => completions::run(&args, output),
            Command::Man(args) => man::run(&args, output),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example_in_its_help() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let example = format!("vmferry {} ", command.get_name());
            assert!(help.contains("Example") && help.contains(&example), "{}", command.get_name());
        }
    }
}
