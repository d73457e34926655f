//! Where things are, and how commands are run and shown.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};

/// The folders that tasks work in.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The repository.
    pub(crate) root: PathBuf,
    /// Cargo's target folder. Fuzzing builds in a folder within it.
    pub(crate) target: PathBuf,
    /// What is worth keeping between checkouts: unpacked QEMUs, a Python environment.
    pub(crate) cache: PathBuf,
}

impl Workspace {
    pub(crate) fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask is not inside the repository")?;
        ensure!(
            root.join("Cargo.lock").is_file(),
            "{} is no longer the repository; run `cargo xtask` from it",
            root.display()
        );
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target));
        let cache = match env::var_os("XDG_CACHE_HOME").filter(|folder| Path::new(folder).is_absolute()) {
            Some(folder) => PathBuf::from(folder),
            None => PathBuf::from(env::var_os("HOME").context("HOME is not set")?).join(".cache"),
        };
        Ok(Self { root: root.to_owned(), target, cache: cache.join("vmferry") })
    }

    /// `cargo` of the toolchain that the repository asks for.
    pub(crate) fn cargo<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new("cargo");
        command.args(arguments).current_dir(&self.root);
        forget_outer_cargo(&mut command);
        command
    }

    /// `cargo` of the nightly toolchain, for the tools that need one.
    pub(crate) fn nightly_cargo<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new("rustup");
        command.args(["run", "nightly", "cargo"]).args(arguments).current_dir(&self.root);
        forget_outer_cargo(&mut command);
        command.env_remove("RUSTUP_TOOLCHAIN");
        command
    }

    /// The manifests of the crates, sorted.
    pub(crate) fn manifests(&self) -> Result<Vec<PathBuf>> {
        let crates = self.root.join("crates");
        let mut manifests = Vec::new();
        for entry in fs::read_dir(&crates).with_context(|| format!("cannot list {}", crates.display()))? {
            manifests.push(entry?.path().join("Cargo.toml"));
        }
        manifests.sort();
        Ok(manifests)
    }
}

/// Takes away what `cargo run` sets for this process and an inner cargo or rustup would take for a wish of the user.
fn forget_outer_cargo(command: &mut Command) {
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH"] {
        command.env_remove(variable);
    }
    for (variable, _) in env::vars_os() {
        if variable.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_")) {
            command.env_remove(variable);
        }
    }
}

/// Prints the command, runs it and requires success.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    eprintln!("$ {shown}");
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot run `{shown}`"))?;
    ensure!(status.success(), "`{shown}` failed: {status}");
    Ok(())
}

/// What the command prints on standard output, or `None` if it cannot be run or fails. For questions to tools.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let mut text = String::new();
    for (name, value) in command.get_envs() {
        if let (Some(name), Some(value)) = (name.to_str(), value) {
            let _ = write!(text, "{name}={} ", quoted(&value.to_string_lossy()));
        }
    }
    text.push_str(&quoted(&command.get_program().to_string_lossy()));
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&quoted(&argument.to_string_lossy()));
    }
    text
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+%@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The text of a file in the repository.
pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Fails if skips are forbidden (`VMFERRY_NO_SKIP=1`, as in CI), otherwise prints the reason.
pub(crate) fn skip(what: &str, reason: &str) -> Result<()> {
    if no_skip() {
        bail!("{what} would be skipped, and VMFERRY_NO_SKIP is set: {reason}");
    }
    eprintln!("skipped: {what}: {reason}");
    Ok(())
}

/// Whether a skipped test is a failure.
pub(crate) fn no_skip() -> bool {
    env::var_os("VMFERRY_NO_SKIP").is_some_and(|value| !value.is_empty() && value != "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_command_can_be_pasted_into_a_shell() {
        let mut command = Command::new("cargo");
        command.args(["doc", "it's", ""]).env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(shown(&command), r"RUSTDOCFLAGS='-D warnings' cargo doc 'it'\''s' ''");
    }
}
