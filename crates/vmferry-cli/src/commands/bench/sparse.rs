//! A guest that uses little of its memory: 8 GiB, of which 64 MiB hold random bytes, and nothing was ever in the rest.
//!
//! The physical limit beside it is what has to be moved: 64 MiB at the speed of the plain copy.

use anyhow::{Context as _, Result};

use super::peer::Peer;
use super::process::{Machine, Moved, Plan, migrate};
use super::results::{Also, Measured, Role, Target, Unit};
use super::rounds::{Contender, Took, alternate};
use super::scene::Scene;
use super::{Bench, copy};

/// Bytes of the guest's memory.
const MEMORY: u64 = 8 << 30;
/// Of so many bytes of memory one holds something.
const SPARSENESS: u64 = 128;
/// Fewest bytes that hold something: a smaller part is no measurement.
const POPULATED_MIN: u64 = 1 << 20;

/// Bytes of memory, and of those that hold something.
pub(super) fn sizes(memory: Option<u64>) -> (u64, u64) {
    let memory = memory.unwrap_or(MEMORY);
    (memory, (memory / SPARSENESS).max(POPULATED_MIN).min(memory))
}

fn run(bench: &Bench<'_>, scene: &Scene, source: Plan, destination: Plan) -> Result<Moved> {
    let mut source = Machine::start(bench, source).context("the source")?;
    scene.prepare()?;
    let mut destination = Machine::start(bench, destination).context("the destination")?;
    let moved = migrate(bench, scene, &mut source, &mut destination)?;
    source.quit()?;
    destination.quit()?;
    Ok(moved)
}

fn ours(bench: &Bench<'_>, scene: &Scene, memory: u64) -> Result<Moved> {
    let source = Plan::ours(scene, "source", memory)?.args(["--paused", "--guest"]).args([scene.random()]);
    let destination = Plan::ours(scene, "destination", memory)?.args(["--paused", "--incoming", "defer"]);
    run(bench, scene, source, destination)
}

fn theirs(bench: &Bench<'_>, peer: &Peer, scene: &Scene, memory: u64) -> Result<Moved> {
    let loader = format!("loader,file={},addr=0,force-raw=on", scene.random().display());
    let source = Plan::qemu(peer, scene, "source", memory).args(["-S", "-device", &loader]);
    let destination = Plan::qemu(peer, scene, "destination", memory).args(["-S", "-incoming", "defer"]);
    run(bench, scene, source, destination)
}

/// Measures it.
pub(super) fn measure(bench: &Bench<'_>) -> Result<Measured> {
    let (memory, populated) = sizes(bench.memory);
    let scene = &Scene::set(populated)?;
    let also = [Also { key: "destination_resident_mib", name: "most resident at the destination, MiB", digits: 0 }];
    let took = |moved: Moved| Took { figure: moved.seconds, also: vec![moved.resident_mib] };
    let mut contenders = vec![Contender::new("vmferry", Role::Ours, move || ours(bench, scene, memory).map(took))];
    if let Some(peer) = bench.peer {
        contenders.push(Contender::new(peer.name(), Role::Peer, move || theirs(bench, peer, scene, memory).map(took)));
    }
    let plain = move || Ok(copy::seconds(scene, false, 1)?.into());
    contenders.push(Contender::new("plain copy of what is populated", Role::Limit, plain));
    let rows = alternate(bench, "sparse", &also, contenders)?;
    Ok(Measured {
        name: "sparse",
        title: format!(
            "Moving a paused guest of {} MiB of which {} MiB hold random bytes",
            memory >> 20,
            populated >> 20
        ),
        unit: Unit::SECONDS,
        also: also.to_vec(),
        rows,
        targets: vec![Target { what: "five times as fast as QEMU", role: Role::Peer, times: 5.0 }],
        notes: vec!["What never held anything is asked of the kernel and not read.".to_owned()],
    })
}
