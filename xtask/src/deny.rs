//! `cargo xtask deny`: licences and sources of everything that is linked, by `deny.toml`.
//!
//! Advisories are left out: their database is fetched from the network and changes by itself, so a check of them says
//! nothing about the change at hand.

use anyhow::Result;

use crate::prerequisites;
use crate::workspace::{self, Workspace};

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    if let Err(error) = prerequisites::cargo_subcommand(workspace, "deny") {
        return workspace::skip("the check of licences", &format!("cargo-deny could not be installed: {error:#}"));
    }
    workspace::run(&mut workspace.cargo(["deny", "--all-features", "check", "licenses", "bans", "sources"]))
}
