//! How long a guest stands still that writes memory while it moves: by the guest's own time stamps.
//!
//! The guest is the self-checking program ([`vmferry_vmm::guest`]), the same image on `ferry-virt` and on QEMU's `virt`
//! board: it dirties its memory at a fixed rate, reads the clock at each tick of a millisecond, and prints after each
//! pass the longest distance between two readings. The clock is a device that follows the host's real time, so that the
//! pause is in it whichever host the guest woke on.
//!
//! The gap across the move is in the first or the second line that the guest ends at the destination: a line may have
//! been begun at the source.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use vmferry_vmm::accel::Accel;
use vmferry_vmm::families::Family;
use vmferry_vmm::guest::{GuestParameters, GuestReport};

use super::Bench;
use super::peer::Peer;
use super::process::{Machine, Plan, migrate};
use super::results::{Also, Measured, Role, Target, Unit};
use super::rounds::{Contender, Took, alternate};
use super::scene::Scene;
use super::serial::{await_lines, read, reports};

/// Bytes of guest memory.
pub(super) const MEMORY: u64 = 1 << 30;
/// How fast the guest dirties it.
const DIRTY_RATE_BYTES_PER_S: u64 = 500_000_000;
/// Pause that both sides are allowed.
const DOWNTIME_LIMIT_MS: u64 = 100;
/// Lines of the guest before it is moved: it has written all of its memory then.
const LINES_BEFORE: usize = 2;
/// Lines that it ends at the destination before it is asked.
const LINES_AFTER: usize = 2;

/// What the guest prints, at both ends.
struct Serial {
    source: PathBuf,
    destination: PathBuf,
}

impl Serial {
    fn in_scene(scene: &Scene) -> Result<Self> {
        let serial = Self { source: scene.path("source.serial"), destination: scene.path("destination.serial") };
        for path in [&serial.source, &serial.destination] {
            std::fs::write(path, "").context("a file of a serial port")?;
        }
        Ok(serial)
    }

    /// The reports whose lines end at the source.
    fn before(&self) -> Result<Vec<GuestReport>> {
        Ok(reports(&read(&self.source)?))
    }

    /// The reports whose lines end at the destination, wherever they began.
    fn after(&self) -> Result<Vec<GuestReport>> {
        let source = read(&self.source)?;
        let begun = source.rsplit('\n').next().unwrap_or_default();
        Ok(reports(&format!("{begun}{}", read(&self.destination)?)))
    }
}

fn run(bench: &Bench<'_>, scene: &Scene, serial: &Serial, source: Plan, destination: Plan) -> Result<Took> {
    let mut source = Machine::start(bench, source).context("the source")?;
    await_lines(bench, LINES_BEFORE, || serial.before()).context("at the source")?;
    scene.prepare()?;
    let mut destination = Machine::start(bench, destination).context("the destination")?;
    source.execute("migrate-set-parameters", json!({ "downtime-limit": DOWNTIME_LIMIT_MS }))?;
    let moved = migrate(bench, scene, &mut source, &mut destination)?;
    let after = await_lines(bench, LINES_AFTER, || serial.after()).context("at the destination")?;
    source.quit()?;
    destination.quit()?;
    if let Some(report) = after.iter().find(|report| report.bad > 0) {
        bail!("the guest found {} bad pages", report.bad);
    }
    let gaps_us = after.iter().take(LINES_AFTER).map(|report| report.gap_us);
    #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
    let gap_ms = gaps_us.max().context("a line of the guest")? as f64 / 1000.0;
    Ok(Took { figure: gap_ms, also: vec![moved.downtime_ms, moved.seconds] })
}

fn ours(bench: &Bench<'_>, scene: &Scene, image: &Path, memory: u64) -> Result<Took> {
    let serial = Serial::in_scene(scene)?;
    let plan = |name: &str, path: &Path| -> Result<Plan> {
        Ok(Plan::ours(scene, name, memory)?.args(["--serial"]).args([path]))
    };
    let source = plan("source", &serial.source)?.args(["--guest"]).args([image]);
    let destination = plan("destination", &serial.destination)?.args(["--incoming", "defer"]);
    run(bench, scene, &serial, source, destination)
}

fn theirs(bench: &Bench<'_>, peer: &Peer, scene: &Scene, image: &Path, memory: u64) -> Result<Took> {
    let serial = Serial::in_scene(scene)?;
    let plan = |name: &str, path: &Path| {
        let file = format!("file:{}", path.display());
        Plan::qemu(peer, scene, name, memory).args(["-M", "virt", "-serial", &file, "-bios"]).args([image])
    };
    let source = plan("source", &serial.source);
    let destination = plan("destination", &serial.destination).args(["-incoming", "defer"]);
    run(bench, scene, &serial, source, destination)
}

/// Measures it.
pub(super) fn measure(bench: &Bench<'_>) -> Result<Measured> {
    let memory = bench.memory.unwrap_or(MEMORY);
    let scene = &Scene::bare(memory)?;
    let peer = bench.peer.map(|peer| peer.sibling("riscv64"));
    // QEMU 10.0 forgets the timer of a guest that sleeps when it arrives.
    let polls = matches!(&peer, Some(Ok(peer)) if peer.major() < 11);
    let parameters =
        GuestParameters { dirty_rate_bytes_per_s: Some(DIRTY_RATE_BYTES_PER_S), polls, ..GuestParameters::default() };
    let image = &scene.path("guest");
    std::fs::write(image, Family::of(&Accel::Soft)?.guest(&parameters)).context("the guest's image")?;
    let also = [
        Also { key: "downtime_ms", name: "downtime, as the source says, ms", digits: 1 },
        Also { key: "total_s", name: "the whole migration, s", digits: 2 },
    ];
    let mut contenders = vec![Contender::new("vmferry", Role::Ours, move || ours(bench, scene, image, memory))];
    let mut notes = vec![format!(
        "The guest writes {} MB/s while it moves, each page counted whole; both sides may pause it for {DOWNTIME_LIMIT_MS} \
         ms. The same program on vmferry's soft CPU and on QEMU's `virt` board with `-accel tcg`{}. The figure is the \
         longest distance between two readings of the host's clock by the guest itself, which holds what a busy host's \
         scheduler takes from it as well.",
        DIRTY_RATE_BYTES_PER_S / 1_000_000,
        if polls { ", polling the time between two bursts" } else { "" },
    )];
    match &peer {
        Some(Ok(peer)) => {
            contenders.push(Contender::new(peer.name(), Role::Peer, move || theirs(bench, peer, scene, image, memory)))
        }
        Some(Err(error)) => notes.push(format!("No peer: {error:#}.")),
        None => {}
    }
    let rows = alternate(bench, "downtime", &also, contenders)?;
    Ok(Measured {
        name: "downtime",
        title: format!("How long a guest of {} MiB stands still that writes memory meanwhile", memory >> 20),
        unit: Unit::MS,
        also: also.to_vec(),
        rows,
        targets: vec![Target { what: "at most half of QEMU's", role: Role::Peer, times: 2.0 }],
        notes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "pages=6 checked=7 bad=0 ticks=3 rng=1 gap_us=1021 max_gap_us=30444 max_gap_at_us=17 time_us=18";

    #[test]
    fn a_line_that_was_begun_at_the_source_ends_at_the_destination() {
        let folder = tempfile::tempdir().unwrap();
        let serial = Serial { source: folder.path().join("source"), destination: folder.path().join("destination") };
        let passes = |reports: Vec<GuestReport>| reports.iter().map(|report| report.pass).collect::<Vec<_>>();
        std::fs::write(&serial.source, format!("ferry pass=1 {LINE}\nferry pa")).unwrap();
        std::fs::write(&serial.destination, format!("ss=2 {LINE}\nferry pass=3 {LINE}\nferry pass=4 {LINE}")).unwrap();
        assert_eq!(passes(serial.before().unwrap()), [1]);
        // The last one has not ended.
        assert_eq!(passes(serial.after().unwrap()), [2, 3]);
    }
}
