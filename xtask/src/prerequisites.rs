//! Cargo's subcommands that tasks need, installed where they are missing.

use std::process::Command;

use anyhow::Result;

use crate::workspace::{self, Workspace};

/// Whether `cargo NAME` exists; if not, it is installed.
///
/// # Errors
///
/// The installation's failure. What to do then is the caller's decision.
pub(crate) fn cargo_subcommand(workspace: &Workspace, name: &str) -> Result<()> {
    if workspace::answer(Command::new(format!("cargo-{name}")).arg("--version")).is_some()
        || workspace::answer(&mut workspace.cargo([name, "--version"])).is_some()
    {
        return Ok(());
    }
    let package = format!("cargo-{name}");
    eprintln!("{package} is not installed: installing it, which takes some minutes once");
    // Not in the repository: its toolchain file may be older than what the tool needs.
    let mut install = workspace.cargo(["install", "--locked", &package]);
    install.current_dir(std::env::temp_dir()).env_remove("RUSTUP_TOOLCHAIN");
    // The build's intermediate files are of no use to anybody afterwards.
    install.env_remove("CARGO_TARGET_DIR");
    workspace::run(&mut install)
}
