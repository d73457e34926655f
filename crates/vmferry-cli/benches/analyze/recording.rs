//! The streams that are read: of a paused guest full of random bytes, ours as a stream, QEMU's as a mapped-ram file.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use vmferry_qmp::Client;

use crate::host::Scene;

/// Longest time for a process to come up, and for a migration.
const PATIENCE: Duration = Duration::from_secs(120);

/// A machine in a process of its own, with its control plane.
struct Machine {
    child: Child,
    client: Client,
}

impl Machine {
    fn start(mut command: Command, qmp: &Path) -> Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let deadline = Instant::now() + PATIENCE;
        let client = loop {
            match Client::connect(qmp) {
                Ok(client) => break client,
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_) if child.try_wait()?.is_some() => bail!("{command:?} ended at once"),
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        };
        let mut machine = Self { child, client };
        machine.capabilities(&["events"])?;
        machine.client.execute("migrate-set-parameters", json!({ "max-bandwidth": 0 }))?;
        Ok(machine)
    }

    fn capabilities(&mut self, names: &[&str]) -> Result<()> {
        let list: Vec<Value> = names.iter().map(|name| json!({ "capability": name, "state": true })).collect();
        self.client.execute("migrate-set-capabilities", json!({ "capabilities": list }))?;
        Ok(())
    }

    /// Saves the guest to a file, and ends the process.
    fn save(mut self, file: &Path) -> Result<()> {
        self.client.execute("migrate", json!({ "uri": format!("file:{}", file.display()) }))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.client.next_event(left)?.context("the migration took too long")?;
            match event.data.get("status").and_then(Value::as_str) {
                Some("completed") if event.name == "MIGRATION" => break,
                Some("failed") => bail!("the migration failed: {}", self.client.execute("query-migrate", Value::Null)?),
                _ => {}
            }
        }
        self.client.execute("quit", Value::Null)?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Both fail for one that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes the stream of one of our machines into a file.
pub(crate) fn record(scene: &Scene, file: &Path) -> Result<()> {
    let qmp = scene.path("a.qmp");
    let mut command = Command::new(env!("CARGO_BIN_EXE_vmferry"));
    command.args(["run", "--paused", "--quiet", "--memory"]).arg(scene.bytes.to_string());
    command.arg("--qmp").arg(format!("unix:{}", qmp.display())).arg("--guest").arg(scene.random());
    Machine::start(command, &qmp)?.save(file)
}

/// Writes a mapped-ram file of a QEMU.
pub(crate) fn record_mapped(binary: &Path, scene: &Scene, file: &Path) -> Result<()> {
    let qmp = scene.path("a.qmp");
    let mib = scene.bytes >> 20;
    let full = format!("memory-backend-file,id=m0,size={mib}M,mem-path={},share=on", scene.random().display());
    let mut command = Command::new(binary);
    command.args(["-accel", "tcg", "-display", "none", "-nodefaults", "-S", "-m"]).arg(format!("{mib}M"));
    command.args(["-machine", "memory-backend=m0", "-object", &full, "-qmp"]);
    command.arg(format!("unix:{},server=on,wait=off", qmp.display()));
    let mut machine = Machine::start(command, &qmp)?;
    machine.capabilities(&["mapped-ram"])?;
    machine.save(file)
}

/// A real QEMU 10.0, where there is one.
pub(crate) fn find_qemu() -> Option<PathBuf> {
    let folder = std::env::var_os("VMFERRY_QEMU_DIR")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/vmferry/qemu")))?;
    let binary = folder.join("bin/qemu-10.0-x86_64");
    binary.exists().then_some(binary)
}
