//! The destination of a rehearsal: a process that is started paused, given the stream, and ended.
//!
//! ```text
//! start, with --incoming defer ─ capabilities ─ migrate-incoming ─ the stream ─┬ completed: loads
//!                                                                             └ failed, or the process ends: refused
//! ```
//!
//! It never runs the guest. Its disk images stay closed to writing (`late-block-activate`), so that the source may
//! still use them. It ends with this value.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;
use vmferry_qmp::Client;

use super::needs::{LATE_BLOCK_ACTIVATE, Needs, WayIn};

const POLL: Duration = Duration::from_millis(10);
/// Time for the process to answer at its control plane, and to end once it was told to.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for a process to end whose connections are closed already, even if the time for loading is over.
const END_PATIENCE: Duration = Duration::from_secs(5);
/// Most lines of the process that are kept: the last ones.
const LINES_KEPT: usize = 200;
/// Longest line that is kept, in octets.
const LINE_MAX: u64 = 4096;

/// Whose command line it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Style {
    /// `qemu-system-…`.
    Qemu,
    /// `vmferry run`.
    Vmferry,
}

impl Style {
    /// By the name of the program.
    pub(super) fn of(program: &str) -> Self {
        let name = Path::new(program).file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        if name.starts_with("vmferry") { Self::Vmferry } else { Self::Qemu }
    }

    fn arguments(self, control: &Path) -> Vec<String> {
        let control = control.display();
        let words = match self {
            Self::Qemu => format!("-S\n-display\nnone\n-incoming\ndefer\n-qmp\nunix:{control},server=on,wait=off"),
            Self::Vmferry => format!("--paused\n--incoming\ndefer\n--qmp\nunix:{control}"),
        };
        words.lines().map(str::to_owned).collect()
    }
}

/// What became of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was loaded, to the end.
    Loads,
    /// It was not.
    Refused,
}

/// A destination that waits.
pub(super) struct Destination {
    child: Child,
    client: Client,
    said: Arc<Mutex<Vec<String>>>,
    folder: TempDir,
    style: Style,
}

impl Destination {
    /// Starts `command` paused, waiting for a guest.
    pub(super) fn start(command: &[String], style: Style) -> Result<Self> {
        let folder = tempfile::tempdir().context("a folder for sockets")?;
        let control = folder.path().join("qmp");
        let (program, arguments) = command.split_first().context("there is no command")?;
        let mut child = Command::new(program)
            .args(arguments)
            .args(style.arguments(&control))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let said = listen(&mut child);
        let deadline = Instant::now() + START_TIMEOUT;
        let client = loop {
            match Client::connect(&control) {
                Ok(client) => break client,
                Err(_) if child.try_wait()?.is_none() && Instant::now() < deadline => thread::sleep(POLL),
                Err(error) => {
                    end(&mut child);
                    let said = lines(&said).join("\n");
                    bail!("the destination did not start: {error}; it said:\n{said}");
                }
            }
        };
        Ok(Self { child, client, said, folder, style })
    }

    /// Sets capabilities and parameters; gives QEMU's objection to one that it lacks.
    pub(super) fn prepare(&mut self, needs: &Needs) -> Result<Result<(), String>> {
        let mut wanted: Vec<&str> = needs.capabilities.iter().map(String::as_str).collect();
        if self.style == Style::Qemu {
            wanted.push(LATE_BLOCK_ACTIVATE);
        }
        for capability in wanted {
            let arguments = json!({"capabilities": [{"capability": capability, "state": true}]});
            if let Err(error) = self.client.execute("migrate-set-capabilities", arguments) {
                return Ok(Err(format!("capability '{capability}' is not taken: {error}")));
            }
        }
        if !needs.parameters.is_empty() {
            let arguments = Value::Object(needs.parameters.clone());
            if let Err(error) = self.client.execute("migrate-set-parameters", arguments) {
                return Ok(Err(format!("a parameter of the stream is refused: {error}")));
            }
        }
        Ok(Ok(()))
    }

    /// Gives it the stream, and waits for its verdict.
    pub(super) fn load(
        &mut self,
        stream: &Path,
        channels: &[PathBuf],
        way_in: WayIn,
        limit: Duration,
    ) -> Result<Verdict> {
        let socket = self.folder.path().join("migration");
        let uri = match way_in {
            WayIn::Socket => format!("unix:{}", socket.display()),
            WayIn::File => format!("file:{}", stream.canonicalize().context("the stream's path")?.display()),
        };
        self.client.execute("migrate-incoming", json!({ "uri": uri })).context("opening the way in")?;
        let deadline = Instant::now() + limit;
        if way_in == WayIn::Socket {
            for file in std::iter::once(stream).chain(channels.iter().map(PathBuf::as_path)) {
                let octets = File::open(file).with_context(|| format!("opening {}", file.display()))?;
                if let Err(error) = feed(octets, &socket) {
                    // One that has refused the main channel takes no further one.
                    self.await_end(deadline).with_context(|| format!("sending {}: {error}", file.display()))?;
                    return Ok(Verdict::Refused);
                }
            }
        }
        self.await_verdict(deadline, limit)
    }

    fn await_verdict(&mut self, deadline: Instant, limit: Duration) -> Result<Verdict> {
        loop {
            if self.ended()?.is_some() {
                return Ok(Verdict::Refused);
            }
            match self.client.execute("query-migrate", json!({})) {
                Ok(reply) => match reply.get("status").and_then(Value::as_str) {
                    Some("completed") => return Ok(Verdict::Loads),
                    Some("failed") => {
                        if let Some(text) = reply.get("error-desc").and_then(Value::as_str) {
                            remember(&self.said, text.to_owned());
                        }
                        return Ok(Verdict::Refused);
                    }
                    _ => {}
                },
                // It is about to end: that is its verdict.
                Err(error) => {
                    self.await_end(deadline).with_context(|| format!("asking the destination: {error}"))?;
                    return Ok(Verdict::Refused);
                }
            }
            if Instant::now() >= deadline {
                bail!("the destination neither loaded nor refused the stream within {} s", limit.as_secs());
            }
            thread::sleep(POLL);
        }
    }

    /// Waits for the process to end, which it is about to.
    fn await_end(&mut self, deadline: Instant) -> Result<()> {
        let deadline = deadline.max(Instant::now() + END_PATIENCE);
        while self.ended()?.is_none() {
            if Instant::now() >= deadline {
                bail!("the destination does not answer, and does not end");
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("watching the destination")
    }

    /// Ends it, and tells what it said.
    pub(super) fn finish(mut self) -> Vec<String> {
        // It may have ended by itself.
        let _ = self.client.execute("quit", json!({}));
        let deadline = Instant::now() + START_TIMEOUT;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(POLL);
        }
        end(&mut self.child);
        lines(&self.said)
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Ends a process and waits for it; one that has ended is only waited for.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Sends a file over a connection of its own, from a thread; what comes back is of no interest.
fn feed(mut file: File, socket: &Path) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    let mut answers = stream.try_clone()?;
    thread::spawn(move || io::copy(&mut answers, &mut io::sink()));
    thread::spawn(move || {
        // A destination that refuses closes the connection; it says why itself.
        if io::copy(&mut file, &mut stream).is_ok() {
            let _ = stream.shutdown(Shutdown::Write);
        }
        // The destination's end of the connection decides when it is over.
        let _ = stream.read(&mut [0]);
    });
    Ok(())
}

/// Keeps what the process says on standard error.
fn listen(child: &mut Child) -> Arc<Mutex<Vec<String>>> {
    let said = Arc::new(Mutex::new(Vec::new()));
    if let Some(errors) = child.stderr.take() {
        let kept = Arc::clone(&said);
        thread::spawn(move || {
            let mut errors = BufReader::new(errors);
            loop {
                let mut line = Vec::new();
                match errors.by_ref().take(LINE_MAX).read_until(b'\n', &mut line) {
                    Ok(1..) => remember(&kept, String::from_utf8_lossy(&line).trim_end().to_owned()),
                    Ok(0) | Err(_) => return,
                }
            }
        });
    }
    said
}

fn remember(said: &Mutex<Vec<String>>, line: String) {
    let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
    if said.len() >= LINES_KEPT {
        said.remove(0);
    }
    said.push(line);
}

/// What was said so far; a process that has just ended may have words on their way.
fn lines(said: &Mutex<Vec<String>>) -> Vec<String> {
    thread::sleep(POLL * 5);
    said.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
