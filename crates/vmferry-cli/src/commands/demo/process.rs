//! A machine in a process of its own, as the demo starts it.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use serde_json::{Value, json};
use vmferry_qmp::Client;
use vmferry_vmm::guest::{BadPage, GuestReport, parse_bad_page, parse_line};

/// Time for a process to answer at its control plane.
const START_TIMEOUT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);

/// One end of the demo. The process ends with it.
#[derive(Debug)]
pub(super) struct Machine {
    name: &'static str,
    child: Child,
    client: Client,
    serial: Serial,
    log: PathBuf,
}

impl Machine {
    /// Starts `vmferry run` with `arguments` and waits until it answers.
    pub(super) fn start(dir: &Path, name: &'static str, arguments: &[String]) -> anyhow::Result<Self> {
        let socket = dir.join(format!("{name}.qmp"));
        let serial = dir.join(format!("{name}.serial"));
        let log = dir.join(format!("{name}.log"));
        File::create(&serial).context("the file of the serial port")?;
        let mut command = Command::new(std::env::current_exe().context("the path of this program")?);
        command.arg("run").args(arguments).arg("--serial").arg(&serial);
        command.arg("--qmp").arg(format!("unix:{}", socket.display()));
        let errors = File::create(&log).context("the file of the log")?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .with_context(|| format!("starting the {name}"))?;
        let deadline = Instant::now() + START_TIMEOUT;
        let client = loop {
            match Client::connect(&socket) {
                Ok(client) => break client,
                Err(_) if child.try_wait()?.is_none() && Instant::now() < deadline => thread::sleep(POLL),
                Err(error) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    let said = std::fs::read_to_string(&log).unwrap_or_default();
                    bail!("the {name} does not answer: {error}; it said: {}", said.trim());
                }
            }
        };
        Ok(Self { name, child, client, serial: Serial::new(serial), log })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Executes a command of the control plane.
    pub(super) fn execute(&mut self, command: &str, arguments: Value) -> anyhow::Result<Value> {
        self.client
            .execute(command, arguments)
            .with_context(|| format!("'{command}' at the {}{}", self.name, self.last_words()))
    }

    /// The run state.
    pub(super) fn run_state(&mut self) -> anyhow::Result<String> {
        let reply = self.execute("query-status", json!({}))?;
        Ok(reply.get("status").and_then(Value::as_str).unwrap_or("unknown").to_owned())
    }

    /// What the guest has printed so far.
    pub(super) fn guest(&mut self) -> anyhow::Result<&Serial> {
        self.serial.read()?;
        Ok(&self.serial)
    }

    /// Puts `begun`, what the guest had printed of a line before it came here, in front of what it prints here.
    pub(super) fn continues(&mut self, begun: &str) {
        self.serial.rest.insert_str(0, begun);
    }

    /// Waits until the guest has printed `reports` lines.
    pub(super) fn wait_for_reports(&mut self, reports: usize, timeout: Duration) -> anyhow::Result<&Serial> {
        let deadline = Instant::now() + timeout;
        loop {
            self.serial.read()?;
            if self.serial.reports.len() >= reports {
                return Ok(&self.serial);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the {} ended with {status}{}", self.name, self.last_words());
            }
            if Instant::now() > deadline {
                return Err(anyhow!(
                    "the guest at the {} printed {} lines in {} s, not {reports}",
                    self.name,
                    self.serial.reports.len(),
                    timeout.as_secs()
                ));
            }
            thread::sleep(POLL);
        }
    }

    fn last_words(&self) -> String {
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        said.lines().last().map_or_else(String::new, |line| format!(" (it said: {line})"))
    }

    /// Ends the process.
    pub(super) fn quit(mut self) {
        // Drop does it by force where this does not.
        let _ = self.client.execute("quit", json!({}));
        let deadline = Instant::now() + Duration::from_secs(2);
        while Instant::now() < deadline && self.child.try_wait().is_ok_and(|status| status.is_none()) {
            thread::sleep(POLL);
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Both fail only if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a guest has printed into its file.
#[derive(Debug)]
pub(super) struct Serial {
    path: PathBuf,
    offset: u64,
    rest: String,
    /// A line a pass.
    pub(super) reports: Vec<GuestReport>,
    /// Pages that were not as they should be.
    pub(super) bad_pages: Vec<BadPage>,
}

impl Serial {
    fn new(path: PathBuf) -> Self {
        Self { path, offset: 0, rest: String::new(), reports: Vec::new(), bad_pages: Vec::new() }
    }

    /// What is there of a line that has no end yet.
    pub(super) fn begun(&self) -> &str {
        &self.rest
    }

    fn read(&mut self) -> anyhow::Result<()> {
        let mut file = File::open(&self.path).context("the file of the serial port")?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut octets = Vec::new();
        self.offset += file.read_to_end(&mut octets)? as u64;
        self.rest.push_str(&String::from_utf8_lossy(&octets));
        while let Some(end) = self.rest.find('\n') {
            let line: String = self.rest.drain(..=end).collect();
            self.reports.extend(parse_line(line.trim_end()));
            self.bad_pages.extend(parse_bad_page(line.trim_end()));
        }
        Ok(())
    }
}
