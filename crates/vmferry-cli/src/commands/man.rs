//! `vmferry man`: manual pages.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::CommandFactory as _;
use serde_json::json;

use crate::cli::Cli;
use crate::exit::{ExitCode, OrExit as _, Outcome};
use crate::output::Output;

/// Write manual pages, one for each command, into a folder
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  vmferry man ~/.local/share/man/man1")]
pub(crate) struct Args {
    /// The folder; made if it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(crate) fn run(args: &Args, output: Output) -> Outcome {
    let folder = args.folder.display();
    std::fs::create_dir_all(&args.folder)
        .with_context(|| format!("cannot make the folder '{folder}'"))
        .or_environment()?;
    clap_mangen::generate_to(Cli::command(), &args.folder)
        .with_context(|| format!("cannot write manual pages into '{folder}'"))
        .or_environment()?;
    output.result(&json!({ "folder": args.folder }), &format!("manual pages are in {folder}\n"))?;
    Ok(ExitCode::Done)
}
