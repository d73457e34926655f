//! A saved guest comes up: from the start of the process to the event that says that the guest runs.
//!
//! The file is of capability `mapped-ram` and not in the kernel's cache. vmferry maps it, so that a page is read when
//! it is touched first; QEMU reads all of it, on multifd channels and past the kernel's cache. Beside them, a plain
//! loop that reads the file. The guest has written all of its memory before it is saved.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use vmferry_vmm::accel::Accel;
use vmferry_vmm::families::Family;
use vmferry_vmm::guest::GuestParameters;

use super::Bench;
use super::limits::{Way, call_memory, forget, read_file};
use super::peer::Peer;
use super::precopy::MULTIFD_CHANNELS;
use super::process::{Machine, Plan};
use super::results::{Also, Measured, Role, Target, Unit};
use super::rounds::{Contender, Took, alternate};
use super::scene::Scene;
use super::serial::{await_lines, read, reports};

/// Bytes of guest memory.
pub(super) const MEMORY: u64 = 4 << 30;
/// Bytes that are touched beforehand for the host to have them at hand, a third of what is.
const WARMED: u64 = MEMORY / 2;

/// How a machine of one side is started; the name tells the processes apart.
type Planner<'a> = Box<dyn Fn(&str) -> Result<Plan> + 'a>;

/// One side: how its machines are started, and what is set before it loads.
struct Side<'a> {
    plan: Planner<'a>,
    load: Value,
    /// Whether the guest's pages are on channels of their own.
    is_multifd: bool,
    file: PathBuf,
    is_saved: bool,
}

impl Side<'_> {
    fn prepare(&self, machine: &mut Machine) -> Result<()> {
        // Nobody is at the other end.
        machine.capability("return-path", false)?;
        machine.capability("mapped-ram", true)?;
        if self.is_multifd {
            machine.capability("multifd", true)?;
            let parameters = json!({ "multifd-channels": MULTIFD_CHANNELS, "direct-io": true });
            machine.execute("migrate-set-parameters", parameters)?;
        }
        Ok(())
    }

    fn uri(&self) -> Value {
        json!({ "uri": format!("file:{}", self.file.display()) })
    }

    /// Boots the guest, and saves it once it has written all of its memory.
    fn save(&mut self, bench: &Bench<'_>, scene: &Scene) -> Result<()> {
        let serial = scene.path("serial");
        std::fs::write(&serial, "").context("a file of a serial port")?;
        let mut machine = Machine::start(bench, (self.plan)("saved")?)?;
        await_lines(bench, 1, || Ok(reports(&read(&serial)?)))?;
        machine.execute("stop", Value::Null)?;
        self.prepare(&mut machine)?;
        machine.execute("migrate", self.uri())?;
        machine.await_completion(bench)?;
        machine.quit()
    }

    /// Seconds from the start of the process until the guest runs, and what is resident then.
    fn restore(&mut self, bench: &Bench<'_>, scene: &Scene) -> Result<Took> {
        if !self.is_saved {
            self.save(bench, scene).context("saving the guest")?;
            self.is_saved = true;
        }
        super::warm::warm(WARMED.min(scene.bytes))?;
        forget(&self.file)?;
        let plan = (self.plan)("restored")?.args(["-incoming", "defer"].map(|word| self.word(word)));
        let start = Instant::now();
        let mut machine = Machine::start(bench, plan)?;
        self.prepare(&mut machine)?;
        if !self.load.is_null() {
            machine.execute("migrate-set-parameters", self.load.clone())?;
        }
        machine.execute("migrate-incoming", self.uri())?;
        machine.await_completion(bench)?;
        // It was saved while it stood still.
        machine.execute("cont", Value::Null)?;
        machine.await_resume(bench)?;
        let seconds = start.elapsed().as_secs_f64();
        let resident_mib = machine.most_resident_mib()?;
        let state = machine.execute("query-status", Value::Null)?;
        if state.get("status").and_then(Value::as_str) != Some("running") {
            bail!("the guest does not run: {state}");
        }
        machine.quit()?;
        Ok(Took { figure: seconds, also: vec![resident_mib] })
    }

    /// An option as this side writes it.
    fn word(&self, word: &str) -> String {
        if self.is_multifd { word.to_owned() } else { word.replace("-incoming", "--incoming") }
    }
}

fn ours<'a>(scene: &'a Scene, image: &'a Path, folder: &Path) -> Side<'a> {
    let plan = move |name: &str| -> Result<Plan> {
        let serial = scene.path("serial");
        let plan = Plan::ours(scene, name, scene.bytes)?.args([Path::new("--serial"), &serial]);
        Ok(if name == "saved" { plan.args([Path::new("--guest"), image]) } else { plan })
    };
    let load = json!({ "x-ferry-restore": "mapped" });
    Side { plan: Box::new(plan), load, is_multifd: false, file: folder.join("ours"), is_saved: false }
}

fn theirs<'a>(peer: &'a Peer, scene: &'a Scene, image: &'a Path, folder: &Path) -> Side<'a> {
    let plan = move |name: &str| -> Result<Plan> {
        let serial = format!("file:{}", scene.path("serial").display());
        Ok(Plan::qemu(peer, scene, name, scene.bytes).args(["-M", "virt", "-serial", &serial, "-bios"]).args([image]))
    };
    Side { plan: Box::new(plan), load: Value::Null, is_multifd: true, file: folder.join("theirs"), is_saved: false }
}

/// Measures it.
pub(super) fn measure(bench: &Bench<'_>) -> Result<Measured> {
    let memory = bench.memory.unwrap_or(MEMORY);
    let scene = &Scene::bare(memory)?;
    let folder = bench.disk_folder()?;
    let peer = bench.peer.map(|peer| peer.sibling("riscv64"));
    let image = &scene.path("guest");
    let parameters = GuestParameters { polls: true, ..GuestParameters::default() };
    std::fs::write(image, Family::of(&Accel::Soft)?.guest(&parameters)).context("the guest's image")?;
    let also = [Also { key: "resident_mib", name: "resident when it runs, MiB", digits: 0 }];
    let mut notes = vec![format!(
        "From the start of the process to the event `RESUME`; the file is not in the kernel's cache, in {}. vmferry with \
         `x-ferry-restore=mapped`; QEMU with `multifd` on {MULTIFD_CHANNELS} channels and `direct-io`. The same program on \
         the soft CPU and on QEMU's `virt` board.",
        bench.disk.display()
    )];
    let mut side = ours(scene, image, folder.path());
    let plain_file = &side.file.clone();
    let mut contenders = vec![Contender::new("vmferry", Role::Ours, move || side.restore(bench, scene))];
    match &peer {
        Some(Ok(peer)) => {
            let mut side = theirs(peer, scene, image, folder.path());
            contenders.push(Contender::new(peer.name(), Role::Peer, move || side.restore(bench, scene)));
        }
        Some(Err(error)) => notes.push(format!("No peer: {error:#}.")),
        None => {}
    }
    let mut call = call_memory();
    let bytes = usize::try_from(memory)?;
    contenders.push(Contender::new("plain reading, O_DIRECT", Role::Limit, move || {
        let took = read_file(plain_file, Way::Direct, bytes, &mut call)?;
        Ok((scene.gib() / took.figure).into())
    }));
    Ok(Measured {
        name: "restore",
        title: format!("Bringing up a guest of {} MiB that was saved at fixed places of a file", memory >> 20),
        unit: Unit::SECONDS,
        also: also.to_vec(),
        rows: alternate(bench, "restore", &also, contenders)?,
        targets: vec![Target { what: "fifty times as fast as QEMU", role: Role::Peer, times: 50.0 }],
        notes,
    })
}
