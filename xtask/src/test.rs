//! `cargo xtask test`: everything a fresh machine needs, then every test.
//!
//! 1. cargo-nextest, QEMU releases and a QMP client: what is missing is fetched; what cannot be is named with the way
//!    to get it.
//! 2. the documentation's tests, then all tests of the workspace: `cargo nextest run`, or `cargo test` where there is
//!    no nextest. Nextest comes last, so that its summary is where people and programs look for it.
//! 3. what tests skipped, with the reasons. `VMFERRY_NO_SKIP=1` makes that a failure.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::skips::Skips;
use crate::workspace::{self, Workspace};
use crate::{prerequisites, python, qemu};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Fetch no QEMU: tests against real ones are skipped where there is none already
    #[arg(long)]
    no_qemu: bool,
    /// Profile of .config/nextest.toml [default: "ci" if $CI is set, else "default"]
    #[arg(long)]
    profile: Option<String>,
    /// Compile with optimisations
    #[arg(long)]
    pub(crate) release: bool,
    /// Arguments for the test runner, such as `-p CRATE` or a filter; the documentation's tests are left out then
    #[arg(last = true)]
    arguments: Vec<String>,
}

impl Options {
    /// `--workspace`, unless the arguments choose packages: cargo would take both as all.
    fn workspace(&self) -> Option<&'static str> {
        let chooses = |argument: &String| argument.starts_with("-p") || argument.starts_with("--package");
        (!self.arguments.iter().any(chooses)).then_some("--workspace")
    }

    /// All tests in release mode.
    pub(crate) fn in_release_mode() -> Self {
        Self { no_qemu: false, profile: None, release: true, arguments: Vec::new() }
    }
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let nextest = prerequisites::cargo_subcommand(workspace, "nextest");
    let qemus = qemu::folder(workspace);
    if !options.no_qemu {
        qemu::provide(workspace, &qemus);
    }
    let mut environment = vec![("VMFERRY_QEMU_DIR", qemus.into_os_string())];
    if let Some(python) = python::provide(workspace) {
        environment.push(("VMFERRY_QMP_PYTHON", python));
    }

    let documentation = if options.arguments.is_empty() {
        workspace::run(
            workspace
                .cargo(["test", "--doc", "--workspace", "--all-features"])
                .args(options.release.then_some("--release")),
        )
    } else {
        Ok(())
    };

    let (outcome, skips) = match nextest {
        Ok(()) => with_nextest(workspace, options, &environment)?,
        Err(error) => {
            eprintln!(
                "note: running the tests with `cargo test`, because cargo-nextest could not be installed: {error:#}"
            );
            with_libtest(workspace, options, &environment)?
        }
    };
    if !skips.is_empty() {
        eprint!("\n{}", skips.report());
    }
    outcome.and(documentation)?;
    if !skips.is_empty() && workspace::no_skip() {
        bail!("tests were skipped (listed above), and VMFERRY_NO_SKIP is set");
    }
    Ok(())
}

type Environment = [(&'static str, std::ffi::OsString)];

/// Runs the tests with nextest. The first result is that of the tests, the second what they skipped.
fn with_nextest(workspace: &Workspace, options: &Options, environment: &Environment) -> Result<(Result<()>, Skips)> {
    let by_surroundings = if env::var_os("CI").is_some() { "ci" } else { "default" };
    let profile = options.profile.as_deref().unwrap_or(by_surroundings);
    // Nextest's store is in the repository's own target folder, wherever cargo builds.
    let report = workspace.root.join("target/nextest").join(profile).join("junit.xml");
    if report.exists() {
        fs::remove_file(&report).with_context(|| format!("cannot remove {}", report.display()))?;
    }
    let mut command = workspace.cargo(["nextest", "run", "--all-features", "--profile", profile]);
    command
        .args(options.workspace())
        .args(options.release.then_some("--release"))
        .args(&options.arguments)
        .envs(environment.iter().cloned());
    let outcome = workspace::run(&mut command);
    // Nothing is written where nothing compiled.
    let skips =
        if report.exists() || outcome.is_ok() { Skips::in_junit(&workspace::read(&report)?) } else { Skips::default() };
    Ok((outcome, skips))
}

/// Runs the tests with the harness that comes with Rust.
fn with_libtest(workspace: &Workspace, options: &Options, environment: &Environment) -> Result<(Result<()>, Skips)> {
    let mut command = workspace.cargo(["test", "--all-features", "--no-fail-fast", "--lib", "--bins", "--tests"]);
    command
        .args(options.workspace())
        .args(options.release.then_some("--release"))
        .args(&options.arguments)
        .args(["--", "--show-output"]);
    let shown = workspace::shown(&command);
    eprintln!("$ {shown}");
    let mut child = command
        .envs(environment.iter().cloned())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{shown}`"))?;
    let output = child.stdout.take().context("the output is not a pipe")?;
    let mut skips = Skips::default();
    // `---- NAME stdout ----` stands before each test's output.
    let mut test = String::from("?");
    for line in BufReader::new(output).lines() {
        let line = line.context("cannot read the tests' output")?;
        println!("{line}");
        if let Some(name) = line.strip_prefix("---- ").and_then(|line| line.strip_suffix(" stdout ----")) {
            name.clone_into(&mut test);
        }
        skips.see(&line, || test.clone());
    }
    let status = child.wait()?;
    let check = || {
        ensure!(status.success(), "`{shown}` failed: {status}");
        Ok(())
    };
    Ok((check(), skips))
}
