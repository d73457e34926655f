//! A guest that uses little of its memory: 8 GiB, of which 64 MiB hold random bytes, and nothing was ever in the rest.
//!
//! The physical limit beside it is what has to be moved: 64 MiB at the speed of the plain copy.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::host::Scene;
use crate::migration::{Channels, Took, find_qemu, migrate, ours};
use crate::report::{Row, Section};
use crate::samples::Samples;

/// Bytes of the guest's memory.
const MEMORY: u64 = 8 << 30;
/// Bytes of it that hold something.
pub(crate) const POPULATED: u64 = 64 << 20;

fn move_ours(scene: &Scene) -> Result<Took> {
    let (qmp_a, qmp_b) = (scene.path("a.qmp"), scene.path("b.qmp"));
    let mut source = ours(MEMORY, &qmp_a);
    source.arg("--guest").arg(scene.random());
    let mut destination = ours(MEMORY, &qmp_b);
    destination.args(["--incoming", "defer"]);
    migrate(scene, Channels::Main, (source, &qmp_a), (destination, &qmp_b))
}

fn move_qemu(binary: &Path, scene: &Scene) -> Result<Took> {
    let (qmp_a, qmp_b) = (scene.path("a.qmp"), scene.path("b.qmp"));
    let machine = |qmp: &Path| {
        let mut command = Command::new(binary);
        command.args(["-accel", "tcg", "-display", "none", "-nodefaults", "-S", "-m"]);
        command.arg(format!("{}M", MEMORY >> 20)).arg("-qmp").arg(format!("unix:{},server=on,wait=off", qmp.display()));
        command
    };
    let mut source = machine(&qmp_a);
    source.arg("-device").arg(format!("loader,file={},addr=0,force-raw=on", scene.random().display()));
    let mut destination = machine(&qmp_b);
    destination.args(["-incoming", "defer"]);
    migrate(scene, Channels::Main, (source, &qmp_a), (destination, &qmp_b))
}

#[derive(Default)]
struct Kind {
    seconds: Samples,
    resident_mib: Samples,
}

impl Kind {
    fn add(&mut self, took: &Took) {
        self.seconds.0.push(took.seconds);
        self.resident_mib.0.push(took.resident_mib);
    }
}

/// Measures `pairs` rounds after one that is not counted. `scene` has [`POPULATED`] random bytes.
pub(crate) fn measure(scene: &Scene, pairs: usize) -> Result<Section> {
    let qemu = find_qemu();
    if qemu.is_none() {
        println!("skipped: no qemu-10.0-x86_64 in $VMFERRY_QEMU_DIR/bin: nothing to pair with");
    }
    let (mut ferry, mut theirs, mut copy) = (Kind::default(), Kind::default(), Samples::default());
    for round in 0..=pairs {
        let ours = move_ours(scene).context("our migration")?;
        let paired = qemu.as_ref().map(|binary| move_qemu(binary, scene).context("QEMU's migration")).transpose()?;
        let plain = crate::copy::measure(scene, false, 1).context("the plain copy")?;
        if round == 0 {
            continue;
        }
        ferry.add(&ours);
        copy.0.push(plain);
        if let Some(paired) = &paired {
            theirs.add(paired);
        }
        eprintln!(
            "round {round}: ours {:.3} s, QEMU {:.3} s",
            ours.seconds,
            paired.map_or(f64::NAN, |took| took.seconds)
        );
    }
    let row = |name: &str, seconds: &Samples, resident: Option<&Samples>| Row {
        name: name.to_owned(),
        cells: vec![
            seconds.text(3),
            resident.map_or_else(|| "–".to_owned(), |resident| resident.text(0)),
            seconds.over(&ferry.seconds).text(1),
        ],
        json: json!({ "seconds": seconds.json(), "destination_resident_mib": resident.map(Samples::json) }),
    };
    let mut rows = vec![row("vmferry", &ferry.seconds, Some(&ferry.resident_mib))];
    if qemu.is_some() {
        rows.push(row("QEMU 10.0", &theirs.seconds, Some(&theirs.resident_mib)));
    }
    rows.push(row("plain copy of what is populated", &copy, None));
    Ok(Section {
        key: "sparse",
        title: format!("Moving a paused guest of {} MiB of which {} MiB are populated", MEMORY >> 20, POPULATED >> 20),
        head: vec!["", "seconds", "most resident at the destination, MiB", "times the time of vmferry"],
        rows,
        pairs,
    })
}
