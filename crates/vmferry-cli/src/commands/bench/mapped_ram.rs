//! A paused guest full of random bytes is saved to a file on the disk with `mapped-ram`: on multifd channels, past the
//! kernel's cache (`direct-io`), beside a plain loop that writes as much the same way.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::Bench;
use super::limits::{Way, call_memory, write_file};
use super::peer::Peer;
use super::precopy::MULTIFD_CHANNELS;
use super::process::{Machine, Plan};
use super::results::{Measured, Role, Target, Unit};
use super::rounds::{Contender, Took, alternate};
use super::scene::Scene;

/// Bytes of guest memory.
pub(super) const MEMORY: u64 = 1 << 30;

fn run(bench: &Bench<'_>, scene: &Scene, file: &Path, plan: Plan) -> Result<Took> {
    let mut machine = Machine::start(bench, plan)?;
    // Nobody is at the other end.
    machine.capability("return-path", false)?;
    machine.capabilities(&["mapped-ram", "multifd"])?;
    machine.execute("migrate-set-parameters", json!({ "multifd-channels": MULTIFD_CHANNELS, "direct-io": true }))?;
    let _ = std::fs::remove_file(file);
    let start = Instant::now();
    machine.execute("migrate", json!({ "uri": format!("file:{}", file.display()) }))?;
    machine.await_completion(bench)?;
    let seconds = start.elapsed().as_secs_f64();
    machine.quit()?;
    let octets = std::fs::metadata(file).context("the file that was saved")?.len();
    ensure!(octets >= scene.bytes, "the file has {octets} octets, fewer than the guest's {}", scene.bytes);
    Ok((scene.gib() / seconds).into())
}

fn ours(bench: &Bench<'_>, scene: &Scene, file: &Path) -> Result<Took> {
    let plan = Plan::ours(scene, "source", scene.bytes)?.args(["--paused", "--guest"]).args([scene.random()]);
    run(bench, scene, file, plan)
}

fn theirs(bench: &Bench<'_>, peer: &Peer, scene: &Scene, file: &Path) -> Result<Took> {
    let random = scene.random();
    let (bytes, path) = (scene.bytes, random.display());
    let backend = format!("memory-backend-file,id=m0,size={bytes},mem-path={path},share=on,prealloc=on");
    let plan = Plan::qemu(peer, scene, "source", bytes);
    run(bench, scene, file, plan.args(["-S", "-machine", "memory-backend=m0", "-object", &backend]))
}

/// Measures it.
pub(super) fn measure(bench: &Bench<'_>) -> Result<Measured> {
    let scene = &Scene::set(bench.memory.unwrap_or(MEMORY))?;
    let folder = bench.disk_folder()?;
    let [ours_file, theirs_file, plain_file] = &["ours", "theirs", "plain"].map(|name| folder.path().join(name));
    let bytes = usize::try_from(scene.bytes)?;
    let call = call_memory();
    let call = call.as_slice();
    let mut contenders = vec![Contender::new("vmferry", Role::Ours, move || ours(bench, scene, ours_file))];
    if let Some(peer) = bench.peer {
        contenders.push(Contender::new(peer.name(), Role::Peer, move || theirs(bench, peer, scene, theirs_file)));
    }
    contenders.push(Contender::new("plain writing, O_DIRECT", Role::Limit, move || {
        write_file(plain_file, Way::Direct, bytes, call)
    }));
    Ok(Measured {
        name: "mapped-ram",
        title: format!(
            "Saving a paused guest of {} MiB of random bytes to a file at fixed places, on {MULTIFD_CHANNELS} channels",
            scene.bytes >> 20
        ),
        unit: Unit::GIB_PER_S,
        also: Vec::new(),
        rows: alternate(bench, "mapped-ram", &[], contenders)?,
        targets: vec![
            Target { what: "at least 1.5 times QEMU's rate", role: Role::Peer, times: 1.5 },
            Target { what: "at least 0.8 of plain writing", role: Role::Limit, times: 0.8 },
        ],
        notes: vec![
            "`mapped-ram`, `multifd`, `direct-io`; the clock ends with the source's event that says `completed`. The plain \
             loop writes a new file in calls of 1 MiB by one thread, and ends with fdatasync."
                .to_owned(),
        ],
    })
}
