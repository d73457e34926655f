//! Machines in processes of their own, ours and QEMU's, commanded over QMP. A process ends with its value.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::{Value, json};
use vmferry_qmp::{Client, ReceivedEvent};

use super::Bench;
use super::peer::Peer;
use super::scene::Scene;

/// Longest time for a process to come up.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest time for a migration.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(120);
/// How often a control plane is tried.
const CONNECT_POLL: Duration = Duration::from_millis(2);
/// How often Ctrl-C is looked for.
const POLL: Duration = Duration::from_millis(100);
/// Longest piece of a process's last words that is told.
const LAST_WORDS: usize = 300;

/// A machine that is to be started.
#[derive(Debug)]
pub(super) struct Plan {
    /// Without its control plane.
    pub(super) command: Command,
    qmp: PathBuf,
    log: PathBuf,
}

impl Plan {
    fn new(command: Command, scene: &Scene, name: &str) -> Self {
        Self { command, qmp: scene.path(&format!("{name}.qmp")), log: scene.path(&format!("{name}.log")) }
    }

    /// One of ours. `name` tells the processes of a measurement apart.
    pub(super) fn ours(scene: &Scene, name: &str, memory_bytes: u64) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("the path of this program")?);
        command.args(["run", "--quiet", "--memory"]).arg(memory_bytes.to_string());
        let mut plan = Self::new(command, scene, name);
        plan.command.arg("--qmp").arg(format!("unix:{}", plan.qmp.display()));
        Ok(plan)
    }

    /// A QEMU without devices.
    pub(super) fn qemu(peer: &Peer, scene: &Scene, name: &str, memory_bytes: u64) -> Self {
        let mut command = Command::new(&peer.program);
        command.args(["-accel", "tcg", "-display", "none", "-nodefaults", "-m"]);
        command.arg(format!("{}K", memory_bytes >> 10));
        let mut plan = Self::new(command, scene, name);
        plan.command.arg("-qmp").arg(format!("unix:{},server=on,wait=off", plan.qmp.display()));
        plan
    }

    /// Adds arguments.
    pub(super) fn args<A: AsRef<std::ffi::OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }
}

/// A machine that answers.
#[derive(Debug)]
pub(super) struct Machine {
    child: Child,
    client: Client,
    log: PathBuf,
}

impl Machine {
    /// Starts one, with events, a return path and no limit to its bandwidth.
    pub(super) fn start(bench: &Bench<'_>, plan: Plan) -> Result<Self> {
        let Plan { mut command, qmp, log } = plan;
        let program = command.get_program().to_string_lossy().into_owned();
        // Of a process of the round before.
        let _ = std::fs::remove_file(&qmp);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
        let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        let client = match connect(bench, &mut child, &qmp) {
            Ok(client) => client,
            Err(error) => {
                end(&mut child);
                return Err(error.context(format!("{program} does not answer{}", last_words(&log))));
            }
        };
        let mut machine = Self { child, client, log };
        machine.capabilities(&["events", "return-path"])?;
        machine.execute("migrate-set-parameters", json!({ "max-bandwidth": 0 }))?;
        Ok(machine)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Executes a command of the control plane.
    pub(super) fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let reply = self.client.execute(command, arguments);
        reply.map_err(|error| anyhow!(error).context(format!("'{command}'{}", last_words(&self.log))))
    }

    /// Turns capabilities on.
    pub(super) fn capabilities(&mut self, names: &[&str]) -> Result<()> {
        names.iter().try_for_each(|name| self.capability(name, true))
    }

    /// Turns a capability on or off.
    pub(super) fn capability(&mut self, name: &str, state: bool) -> Result<()> {
        let list = json!([{ "capability": name, "state": state }]);
        self.execute("migrate-set-capabilities", json!({ "capabilities": list })).map(drop)
    }

    /// Waits for the event that says that the migration is over.
    pub(super) fn await_completion(&mut self, bench: &Bench<'_>) -> Result<()> {
        self.await_event(bench, |event| event.name == "MIGRATION" && status(event) == Some("completed"))
    }

    /// Waits for the event that says that the guest runs.
    pub(super) fn await_resume(&mut self, bench: &Bench<'_>) -> Result<()> {
        self.await_event(bench, |event| event.name == "RESUME")
    }

    /// Waits for an event; a migration that fails ends the wait.
    fn await_event(&mut self, bench: &Bench<'_>, is_awaited: impl Fn(&ReceivedEvent) -> bool) -> Result<()> {
        let deadline = Instant::now() + MIGRATION_TIMEOUT;
        loop {
            bench.check_interrupt()?;
            let event = self.client.next_event(POLL);
            match event.map_err(|error| anyhow!(error).context(format!("it ended{}", last_words(&self.log))))? {
                Some(event) if is_awaited(&event) => return Ok(()),
                Some(event) if event.name == "MIGRATION" && status(&event) == Some("failed") => {
                    let info = self.execute("query-migrate", Value::Null)?;
                    let why = info.get("error-desc").and_then(Value::as_str).unwrap_or("it does not say why");
                    bail!("the migration failed: {why}{}", last_words(&self.log));
                }
                Some(_) => {}
                None if Instant::now() > deadline => {
                    bail!("the migration is not over within {} s", MIGRATION_TIMEOUT.as_secs())
                }
                None => {}
            }
        }
    }

    /// A number of `query-migrate`.
    pub(super) fn migration_number(&mut self, key: &str) -> Result<f64> {
        let info = self.execute("query-migrate", Value::Null)?;
        info.get(key).and_then(Value::as_f64).with_context(|| format!("no {key} in the reply to query-migrate"))
    }

    /// The most that was resident of the process, in MiB.
    pub(super) fn most_resident_mib(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM of a process")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }

    /// Ends the process by its own command; by force if it takes long.
    pub(super) fn quit(mut self) -> Result<()> {
        self.execute("quit", Value::Null)?;
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline && self.child.try_wait()?.is_none() {
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn status(event: &ReceivedEvent) -> Option<&str> {
    event.data.get("status").and_then(Value::as_str)
}

/// Both fail for one that has ended.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn connect(bench: &Bench<'_>, child: &mut Child, qmp: &std::path::Path) -> Result<Client> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        bench.check_interrupt()?;
        match Client::connect(qmp) {
            Ok(client) => return Ok(client),
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(_) => match child.try_wait()? {
                Some(status) => bail!("it ended with {status}"),
                None => thread::sleep(CONNECT_POLL),
            },
        }
    }
}

/// The last line that a process wrote to standard error, in brackets.
fn last_words(log: &std::path::Path) -> String {
    let said = std::fs::read(log).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    match said.lines().next_back() {
        Some(line) => format!(" (it said: {})", line.chars().take(LAST_WORDS).collect::<String>()),
        None => String::new(),
    }
}

/// What a migration took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moved {
    /// From the command to the receiver's word that all is there.
    pub(super) seconds: f64,
    /// As the source says.
    pub(super) downtime_ms: f64,
    /// The most that was resident of the destination's process.
    pub(super) resident_mib: f64,
}

/// Moves the guest of `source` into `destination`, which is told where to listen; both are left running.
pub(super) fn migrate(
    bench: &Bench<'_>,
    scene: &Scene,
    source: &mut Machine,
    destination: &mut Machine,
) -> Result<Moved> {
    let uri = format!("unix:{}", scene.path("stream").display());
    destination.execute("migrate-incoming", json!({ "uri": uri }))?;
    let start = Instant::now();
    source.execute("migrate", json!({ "uri": uri }))?;
    destination.await_completion(bench).context("the destination")?;
    let seconds = start.elapsed().as_secs_f64();
    source.await_completion(bench).context("the source")?;
    Ok(Moved {
        seconds,
        downtime_ms: source.migration_number("downtime")?,
        resident_mib: destination.most_resident_mib()?,
    })
}
