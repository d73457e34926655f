//! A paused guest full of random bytes moves from one process into another: ours and QEMU's, beside the plain copy; on
//! one channel (`precopy`), or on several by multifd beside a copy through as many sockets (`multifd`).

use anyhow::{Context as _, Result};
use serde_json::json;

use super::peer::Peer;
use super::process::{Machine, Moved, Plan, migrate};
use super::results::{Also, Measured, Role, Target, Unit};
use super::rounds::{Contender, Took, alternate};
use super::scene::Scene;
use super::{Bench, copy};

/// Bytes of guest memory.
pub(super) const MEMORY: u64 = 1 << 30;
/// Channels of multifd.
pub(super) const MULTIFD_CHANNELS: u8 = 2;

/// How pages move.
#[derive(Debug, Clone, Copy)]
pub(super) enum Channels {
    /// On the main channel.
    Main,
    /// On so many multifd channels.
    Multifd(u8),
}

impl Channels {
    fn prepare(self, machine: &mut Machine) -> Result<()> {
        let Self::Multifd(count) = self else { return Ok(()) };
        machine.capabilities(&["multifd"])?;
        machine.execute("migrate-set-parameters", json!({ "multifd-channels": count })).map(drop)
    }

    /// Sockets of the plain copy.
    fn sockets(self) -> u8 {
        match self {
            Self::Main => 1,
            Self::Multifd(count) => count,
        }
    }
}

fn run(bench: &Bench<'_>, scene: &Scene, channels: Channels, source: Plan, destination: Plan) -> Result<Moved> {
    let mut source = Machine::start(bench, source).context("the source")?;
    channels.prepare(&mut source)?;
    scene.prepare()?;
    let mut destination = Machine::start(bench, destination).context("the destination")?;
    channels.prepare(&mut destination)?;
    let moved = migrate(bench, scene, &mut source, &mut destination)?;
    source.quit()?;
    destination.quit()?;
    Ok(moved)
}

fn ours(bench: &Bench<'_>, scene: &Scene, channels: Channels) -> Result<Moved> {
    let random = scene.random();
    let source = Plan::ours(scene, "source", scene.bytes)?.args(["--paused", "--guest"]).args([random]);
    let destination = Plan::ours(scene, "destination", scene.bytes)?.args(["--paused", "--incoming", "defer"]);
    run(bench, scene, channels, source, destination)
}

fn theirs(bench: &Bench<'_>, peer: &Peer, scene: &Scene, channels: Channels) -> Result<Moved> {
    let (bytes, random) = (scene.bytes, scene.random());
    let backend = |plan: Plan, text: String| plan.args(["-S", "-machine", "memory-backend=m0", "-object"]).args([text]);
    // Populated before the clock starts, as ours is.
    let full = format!("memory-backend-file,id=m0,size={bytes},mem-path={},share=on,prealloc=on", random.display());
    let source = backend(Plan::qemu(peer, scene, "source", bytes), full);
    let empty = format!("memory-backend-ram,id=m0,size={bytes}");
    let destination = backend(Plan::qemu(peer, scene, "destination", bytes), empty).args(["-incoming", "defer"]);
    run(bench, scene, channels, source, destination)
}

/// Measures one of the two.
pub(super) fn measure(bench: &Bench<'_>, channels: Channels) -> Result<Measured> {
    let scene = &Scene::set(bench.memory.unwrap_or(MEMORY))?;
    let also = [Also { key: "downtime_ms", name: "downtime, as the source says, ms", digits: 1 }];
    let took = |moved: Moved| Took { figure: scene.gib() / moved.seconds, also: vec![moved.downtime_ms] };
    let plain = |into_populated: bool| {
        move || -> Result<Took> { Ok((scene.gib() / copy::seconds(scene, into_populated, channels.sockets())?).into()) }
    };
    let mut contenders = vec![Contender::new("vmferry", Role::Ours, move || ours(bench, scene, channels).map(took))];
    if let Some(peer) = bench.peer {
        contenders
            .push(Contender::new(peer.name(), Role::Peer, move || theirs(bench, peer, scene, channels).map(took)));
    }
    contenders.push(Contender::new("plain copy into fresh memory", Role::Limit, plain(false)));
    contenders.push(Contender::new("plain copy into populated memory", Role::Limit, plain(true)));
    let (name, way) = match channels {
        Channels::Main => ("precopy", String::new()),
        Channels::Multifd(count) => ("multifd", format!(" on {count} multifd channels")),
    };
    let peer = match channels {
        Channels::Main => Target { what: "at least twice QEMU's rate", role: Role::Peer, times: 2.0 },
        Channels::Multifd(_) => Target { what: "at least 1.5 times QEMU's rate", role: Role::Peer, times: 1.5 },
    };
    let rows = alternate(bench, name, &also, contenders)?;
    Ok(Measured {
        name,
        title: format!("Moving a paused guest of {} MiB of random bytes{way}", scene.bytes >> 20),
        unit: Unit::GIB_PER_S,
        also: also.to_vec(),
        rows,
        targets: vec![
            peer,
            Target { what: "or at least 0.8 of a plain copy into fresh memory", role: Role::Limit, times: 0.8 },
        ],
        notes: vec![format!(
            "Unix sockets, `max-bandwidth` 0, `return-path` on; soft CPU and `-accel tcg`, paused. The plain copy goes \
             through as many sockets ({}) in calls of 1 MiB.",
            channels.sockets()
        )],
    })
}
