//! The QEMU that is measured beside.
//!
//! | `--against` | what is taken |
//! |---|---|
//! | a path | that program |
//! | a name | that program of `$PATH` |
//! | not given | `qemu-system-x86_64` of `$PATH`, or else the newest of those that `cargo xtask test` unpacks |

use std::env;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::without_home;

/// What is looked for by default.
const DEFAULT: &str = "qemu-system-x86_64";
/// Time to say its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(20);
/// Most octets of the answer that are read.
const VERSION_OCTETS: u64 = 4096;
const VERSION_BEGINS: &str = "QEMU emulator version ";

/// A program that said that it is QEMU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) program: PathBuf,
    /// As it says: `10.0.2`.
    pub(super) version: String,
}

impl Peer {
    /// The one that `--against` asks for; without it one that is there, or the reason why there is none.
    ///
    /// # Errors
    ///
    /// The one that was asked for does not exist, or is no QEMU.
    pub(super) fn find(against: Option<&str>) -> Result<Result<Self, String>> {
        if let Some(asked) = against {
            let program = if asked.contains('/') {
                Some(PathBuf::from(asked)).filter(|path| path.exists())
            } else {
                on_path(asked)
            };
            let program = program.with_context(|| format!("there is no program '{asked}'"))?;
            return Self::ask(&program).map(Ok);
        }
        let Some(program) = on_path(DEFAULT).or_else(newest_unpacked) else {
            return Ok(Err(format!(
                "there is no {DEFAULT} in the search path, and none was unpacked by `cargo xtask test`"
            )));
        };
        Ok(Self::ask(&program).map_err(|error| format!("{error:#}")))
    }

    /// The one beside it that emulates `target`.
    pub(super) fn sibling(&self, target: &str) -> Result<Self> {
        let name = self.program.file_name().and_then(|name| name.to_str()).context("a program without a name")?;
        let name = name.replace("x86_64", target);
        let program = self.program.with_file_name(&name);
        if !name.contains(target) || !program.exists() {
            bail!("there is no QEMU for {target} beside {}", self.program.display());
        }
        Self::ask(&program)
    }

    /// `QEMU 10.0.2`.
    pub(super) fn name(&self) -> String {
        format!("QEMU {}", self.version)
    }

    /// Where it is, for readers.
    pub(super) fn place(&self) -> String {
        without_home(self.program.display().to_string())
    }

    /// First number of the version.
    pub(super) fn major(&self) -> u32 {
        self.version.split('.').next().and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    /// Asks a program for its version.
    fn ask(program: &Path) -> Result<Self> {
        let shown = program.display();
        let said = answer(program).with_context(|| format!("asking {shown} for its version"))?;
        let first = said.lines().next().unwrap_or_default();
        let version = first.strip_prefix(VERSION_BEGINS).and_then(|rest| rest.split([' ', '(']).next());
        match version.filter(|version| version.starts_with(|c: char| c.is_ascii_digit())) {
            Some(version) => Ok(Self { program: program.to_owned(), version: version.to_owned() }),
            None => {
                let first: String = first.chars().take(80).collect();
                bail!("{shown} is no QEMU: expected '{VERSION_BEGINS}…' of --version, found '{first}'")
            }
        }
    }
}

fn answer(program: &Path) -> Result<String> {
    let mut command = Command::new(program);
    let mut child =
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let deadline = Instant::now() + VERSION_TIMEOUT;
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            bail!("it does not end within {} s", VERSION_TIMEOUT.as_secs());
        }
        thread::sleep(Duration::from_millis(5));
    }
    let mut said = Vec::new();
    child.stdout.take().context("its standard output")?.take(VERSION_OCTETS).read_to_end(&mut said)?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn newest_unpacked() -> Option<PathBuf> {
    let folder = env::var_os("VMFERRY_QEMU_DIR").map(PathBuf::from).or_else(|| {
        let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))?;
        Some(cache.join("vmferry/qemu"))
    })?;
    newest(std::fs::read_dir(folder.join("bin")).ok()?.flatten().map(|entry| entry.path()))
}

/// The one of `qemu-VERSION-x86_64` with the largest version.
fn newest(programs: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    let version = |path: &PathBuf| -> Option<Vec<u32>> {
        let name = path.file_name()?.to_str()?.strip_prefix("qemu-")?.strip_suffix("-x86_64")?;
        name.split('.').map(|number| number.parse().ok()).collect()
    };
    programs.filter_map(|path| Some((version(&path)?, path))).max().map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn script(folder: &Path, name: &str, body: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn a_qemu_says_its_version_and_has_siblings() {
        let folder = tempfile::tempdir().unwrap();
        let says = "echo 'QEMU emulator version 10.0.2 (Debian 1:10.0.2)'; echo more";
        let program = script(folder.path(), "qemu-system-x86_64", says);
        script(folder.path(), "qemu-system-riscv64", says);
        let peer = Peer::find(program.to_str()).unwrap().unwrap();
        assert_eq!((peer.name().as_str(), peer.major()), ("QEMU 10.0.2", 10));
        assert_eq!(peer.sibling("riscv64").unwrap().program, folder.path().join("qemu-system-riscv64"));
        let error = peer.sibling("aarch64").unwrap_err().to_string();
        assert!(error.starts_with("there is no QEMU for aarch64 beside "), "{error}");
    }

    #[test]
    fn what_is_no_qemu_is_refused_with_what_it_said() {
        let folder = tempfile::tempdir().unwrap();
        for (body, found) in [("echo GNU bash 5", "found 'GNU bash 5'"), ("exit 1", "found ''")] {
            let program = script(folder.path(), "program", body);
            let error = Peer::find(program.to_str()).unwrap_err().to_string();
            assert!(
                error.contains("is no QEMU: expected 'QEMU emulator version ") && error.ends_with(found),
                "{error}"
            );
        }
        let error = Peer::find(Some("/nonexistent/qemu")).unwrap_err().to_string();
        assert_eq!(error, "there is no program '/nonexistent/qemu'");
        let error = Peer::find(Some("no-such-program-anywhere")).unwrap_err().to_string();
        assert_eq!(error, "there is no program 'no-such-program-anywhere'");
    }

    #[test]
    fn of_those_unpacked_the_newest_is_taken() {
        let paths = ["qemu-5.2-x86_64", "qemu-10.0-x86_64", "qemu-9.9-x86_64", "qemu-11.1-riscv64", "qemu-x-x86_64"];
        let found = newest(paths.iter().map(|name| Path::new("/bin").join(name)));
        assert_eq!(found, Some(PathBuf::from("/bin/qemu-10.0-x86_64")));
        assert_eq!(newest(std::iter::empty()), None);
    }
}
