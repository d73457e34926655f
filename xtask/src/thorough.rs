//! `cargo xtask thorough`: what takes too long for every change. For releases, and for changes of the wire or of the
//! protocol.

use anyhow::Result;
use clap::Args;

use crate::workspace::{self, Workspace};
use crate::{fuzz, test};

/// Cases for each property; the default is 256.
const PROPERTY_CASES: &str = "16384";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Minutes of fuzzing, for all targets together
    #[arg(long, default_value_t = 60)]
    fuzz_minutes: u64,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    // In release mode arithmetic wraps and other races appear.
    test::run(workspace, &test::Options::in_release_mode())?;
    let properties = ["nextest", "run", "--workspace", "--all-features", "--release", "--profile", "thorough"];
    workspace::run(workspace.cargo(properties).env("PROPTEST_CASES", PROPERTY_CASES))?;
    // Features are united in a build of the workspace; alone, a crate shows what it forgot to ask for.
    for manifest in workspace.manifests()? {
        workspace::run(workspace.cargo(["check", "--all-targets", "--manifest-path"]).arg(&manifest))?;
    }
    fuzz::run(workspace, options.fuzz_minutes.saturating_mul(60))
}
