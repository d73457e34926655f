//! `cargo xtask lint`: format, clippy, rustdoc.

use anyhow::Result;

use crate::workspace::{self, Workspace};

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    workspace::run(&mut workspace.cargo(["fmt", "--all", "--check"]))?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    workspace::run(&mut workspace.cargo(clippy))?;
    let doc = ["doc", "--workspace", "--all-features", "--no-deps"];
    workspace::run(workspace.cargo(doc).env("RUSTDOCFLAGS", "-D warnings"))
}
