//! A paused guest full of random bytes moves from one process into another: ours and QEMU's, beside the plain copy; on
//! one channel, or on several by multifd beside a copy through as many sockets.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use vmferry_qmp::Client;

use crate::copy;
use crate::host::Scene;
use crate::report::{Row, Section};
use crate::samples::Samples;

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
        machine.client.execute(
            "migrate-set-capabilities",
            json!({"capabilities": [{"capability": "events", "state": true}, {"capability": "return-path", "state": true}]}),
        )?;
        machine.client.execute("migrate-set-parameters", json!({"max-bandwidth": 0}))?;
        Ok(machine)
    }

    /// Waits for the event that says that the migration is over.
    fn await_completion(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.client.next_event(left)?.context("the migration took too long")?;
            match event.data.get("status").and_then(Value::as_str) {
                Some("completed") if event.name == "MIGRATION" => return Ok(()),
                Some("failed") => bail!("the migration failed: {}", self.client.execute("query-migrate", Value::Null)?),
                _ => {}
            }
        }
    }

    fn quit(mut self) -> Result<()> {
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

/// What one migration took.
pub(crate) struct Took {
    pub(crate) seconds: f64,
    /// As the source says.
    downtime_ms: f64,
    /// The most that was resident of the destination's process.
    pub(crate) resident_mib: f64,
}

/// A machine that is to be started, and its control plane.
pub(crate) type Plan<'a> = (Command, &'a Path);

/// How pages move.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Channels {
    /// On the main channel.
    Main,
    /// On so many multifd channels.
    Multifd(u8),
}

impl Channels {
    fn prepare(self, machine: &mut Machine) -> Result<()> {
        let Self::Multifd(count) = self else { return Ok(()) };
        let on = json!({"capabilities": [{"capability": "multifd", "state": true}]});
        machine.client.execute("migrate-set-capabilities", on)?;
        machine.client.execute("migrate-set-parameters", json!({"multifd-channels": count}))?;
        Ok(())
    }

    /// Sockets of the plain copy.
    fn sockets(self) -> u8 {
        match self {
            Self::Main => 1,
            Self::Multifd(count) => count,
        }
    }
}

/// Moves the guest of `source`, which is paused, into `destination`, which waits to be told where to listen.
pub(crate) fn migrate(scene: &Scene, channels: Channels, source: Plan<'_>, destination: Plan<'_>) -> Result<Took> {
    let mut source = Machine::start(source.0, source.1)?;
    channels.prepare(&mut source)?;
    scene.prepare()?;
    let mut destination = Machine::start(destination.0, destination.1)?;
    channels.prepare(&mut destination)?;
    let uri = format!("unix:{}", scene.path("stream").display());
    destination.client.execute("migrate-incoming", json!({"uri": uri}))?;
    let start = Instant::now();
    source.client.execute("migrate", json!({"uri": uri}))?;
    destination.await_completion()?;
    let seconds = start.elapsed().as_secs_f64();
    source.await_completion()?;
    let info = source.client.execute("query-migrate", Value::Null)?;
    let downtime_ms = info.get("downtime").and_then(Value::as_f64).context("no downtime in query-migrate")?;
    let resident_mib = resident_mib(destination.child.id())?;
    source.quit()?;
    destination.quit()?;
    Ok(Took { seconds, downtime_ms, resident_mib })
}

/// The most that was resident of a process, in MiB.
fn resident_mib(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM in a process's status")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}

/// Options of one of our machines.
pub(crate) fn ours(memory: u64, qmp: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vmferry"));
    command.args(["run", "--paused", "--quiet", "--memory"]).arg(memory.to_string());
    command.arg("--qmp").arg(format!("unix:{}", qmp.display()));
    command
}

/// Writes the stream of one of our machines, full of random bytes, into a file.
pub(crate) fn record(scene: &Scene, file: &Path) -> Result<()> {
    let qmp = scene.path("a.qmp");
    let mut command = ours(scene.bytes, &qmp);
    command.arg("--guest").arg(scene.random());
    let mut machine = Machine::start(command, &qmp)?;
    machine.client.execute("migrate", json!({"uri": format!("file:{}", file.display())}))?;
    machine.await_completion()?;
    machine.quit()
}

/// Writes a mapped-ram file of a QEMU full of random bytes.
pub(crate) fn record_mapped(binary: &Path, scene: &Scene, file: &Path) -> Result<()> {
    let qmp = scene.path("a.qmp");
    let mib = scene.bytes >> 20;
    let full = format!("memory-backend-file,id=m0,size={mib}M,mem-path={},share=on", scene.random().display());
    let mut machine = Machine::start(qemu(binary, scene, full.as_ref(), &qmp), &qmp)?;
    let mapped = json!({"capabilities": [{"capability": "mapped-ram", "state": true},
        {"capability": "return-path", "state": false}]});
    machine.client.execute("migrate-set-capabilities", mapped)?;
    machine.client.execute("migrate", json!({"uri": format!("file:{}", file.display())}))?;
    machine.await_completion()?;
    machine.quit()
}

fn move_ours(scene: &Scene, channels: Channels) -> Result<Took> {
    let (qmp_a, qmp_b) = (scene.path("a.qmp"), scene.path("b.qmp"));
    let mut source = ours(scene.bytes, &qmp_a);
    source.arg("--guest").arg(scene.random());
    let mut destination = ours(scene.bytes, &qmp_b);
    destination.args(["--incoming", "defer"]);
    migrate(scene, channels, (source, &qmp_a), (destination, &qmp_b))
}

fn qemu(binary: &Path, scene: &Scene, backend: &OsStr, qmp: &Path) -> Command {
    let mut command = Command::new(binary);
    command.args(["-accel", "tcg", "-display", "none", "-nodefaults", "-S", "-m"]);
    command.arg(format!("{}M", scene.bytes >> 20)).arg("-object").arg(backend);
    command.args(["-machine", "memory-backend=m0", "-qmp"]).arg(format!("unix:{},server=on,wait=off", qmp.display()));
    command
}

fn move_qemu(binary: &Path, scene: &Scene, channels: Channels) -> Result<Took> {
    let (qmp_a, qmp_b) = (scene.path("a.qmp"), scene.path("b.qmp"));
    let mib = scene.bytes >> 20;
    // Populated before the clock starts, as ours is.
    let full =
        format!("memory-backend-file,id=m0,size={mib}M,mem-path={},share=on,prealloc=on", scene.random().display());
    let empty = format!("memory-backend-ram,id=m0,size={mib}M");
    let source = qemu(binary, scene, full.as_ref(), &qmp_a);
    let mut destination = qemu(binary, scene, empty.as_ref(), &qmp_b);
    destination.args(["-incoming", "defer"]);
    migrate(scene, channels, (source, &qmp_a), (destination, &qmp_b))
}

/// A real QEMU 10.0, where there is one.
pub(crate) fn find_qemu() -> Option<PathBuf> {
    let folder = std::env::var_os("VMFERRY_QEMU_DIR")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/vmferry/qemu")))?;
    let binary = folder.join("bin/qemu-10.0-x86_64");
    binary.exists().then_some(binary)
}

#[derive(Default)]
struct Kind {
    gib_s: Samples,
    downtime_ms: Samples,
}

impl Kind {
    fn add(&mut self, scene: &Scene, took: &Took) {
        #[expect(clippy::cast_precision_loss, reason = "gigabytes")]
        let gib = scene.bytes as f64 / f64::from(1 << 30);
        self.gib_s.0.push(gib / took.seconds);
        self.downtime_ms.0.push(took.downtime_ms);
    }
}

/// Measures `pairs` rounds after one that is not counted.
pub(crate) fn measure(scene: &Scene, channels: Channels, pairs: usize) -> Result<Section> {
    let qemu = find_qemu();
    if qemu.is_none() {
        println!("skipped: no qemu-10.0-x86_64 in $VMFERRY_QEMU_DIR/bin: nothing to pair with");
    }
    let [mut ferry, mut theirs, mut fresh, mut populated] = [(); 4].map(|()| Kind::default());
    for round in 0..=pairs {
        let ours = move_ours(scene, channels).context("our migration")?;
        let paired =
            qemu.as_ref().map(|binary| move_qemu(binary, scene, channels).context("QEMU's migration")).transpose()?;
        let plain = |into_populated| -> Result<Took> {
            let seconds = copy::measure(scene, into_populated, channels.sockets()).context("the plain copy")?;
            Ok(Took { seconds, downtime_ms: f64::NAN, resident_mib: f64::NAN })
        };
        let (into_fresh, into_populated) = (plain(false)?, plain(true)?);
        if round == 0 {
            continue;
        }
        ferry.add(scene, &ours);
        fresh.add(scene, &into_fresh);
        populated.add(scene, &into_populated);
        if let Some(paired) = &paired {
            theirs.add(scene, paired);
        }
        eprintln!(
            "round {round}: ours {:.2}, QEMU {:.2}, plain copy {:.2} into fresh memory, {:.2} into populated (GiB/s)",
            ferry.gib_s.0.last().unwrap_or(&f64::NAN),
            theirs.gib_s.0.last().unwrap_or(&f64::NAN),
            fresh.gib_s.0.last().unwrap_or(&f64::NAN),
            populated.gib_s.0.last().unwrap_or(&f64::NAN),
        );
    }
    let row = |name: &str, kind: &Kind, downtime: bool| Row {
        name: name.to_owned(),
        cells: vec![
            kind.gib_s.text(2),
            if downtime { kind.downtime_ms.text(1) } else { "–".to_owned() },
            ferry.gib_s.over(&kind.gib_s).text(2),
        ],
        json: json!({ "gib_per_s": kind.gib_s.json(), "downtime_ms": downtime.then(|| kind.downtime_ms.json()) }),
    };
    let mut rows = vec![row("vmferry", &ferry, true)];
    if qemu.is_some() {
        rows.push(row("QEMU 10.0", &theirs, true));
    }
    rows.push(row("plain copy, into fresh memory", &fresh, false));
    rows.push(row("plain copy, into populated memory", &populated, false));
    let (key, way) = match channels {
        Channels::Main => ("migration", String::new()),
        Channels::Multifd(count) => ("multifd", format!(" on {count} multifd channels")),
    };
    Ok(Section {
        key,
        title: format!(
            "Moving a paused guest of {} MiB of random bytes{way}, host memory {}",
            scene.bytes >> 20,
            scene.memory.name()
        ),
        head: vec!["", "GiB/s", "downtime, as the source says, ms", "vmferry is times as fast"],
        rows,
        pairs,
    })
}
