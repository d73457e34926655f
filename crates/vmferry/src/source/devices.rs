//! Saving devices: snapshots under the devices' locks, encoding without any, description on the way.

use std::time::Instant;

use vmferry_wire::Name;
use vmferry_wire::description::{Description, Device, DeviceBody, Vmsd};
use vmferry_wire::globalstate::{GLOBALSTATE_IDSTR, GLOBALSTATE_VERSION, GlobalState};
use vmferry_wire::section::{Footer, SectionHeader, SectionIdent};
use vmstate::describe::DescribeSink;
use vmstate::migrate::Saved;
use vmstate::{Refused, Registry};

use crate::control::{DeviceTime, RunState};
use crate::error::{Attribute as _, Error, ErrorKind, Side};
use crate::memory::TARGET_PAGE_BYTES;
use crate::panicking::caught;
use crate::shared::ms_since;

/// Section id of RAM in streams written here.
pub(crate) const RAM_SECTION_ID: u32 = 1;

/// Section id of the run state; the registry counts from [`FIRST_DEVICE_SECTION_ID`](crate::FIRST_DEVICE_SECTION_ID).
pub(crate) const GLOBALSTATE_SECTION_ID: u32 = 0;

/// A device's snapshot and the name of its section.
struct Snapshot {
    ident: SectionIdent,
    section_id: u32,
    saved: Box<dyn Saved>,
    ms: f64,
}

/// When a device's section is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// In the set-up phase, while the guest runs.
    Early,
    /// After the guest stopped.
    Last,
}

/// Writes the sections of the devices that are sent before RAM. Returns what the description has of them.
///
/// # Errors
///
/// As [`save_devices`].
pub(crate) fn save_early_devices(registry: &Registry, out: &mut Vec<u8>) -> Result<Vec<Device>, Error> {
    save(registry, Stage::Early, out).map(|(devices, _)| devices)
}

/// Writes one FULL section for each device that wants one and was not sent early, and the run state last. Returns the
/// description, with the `early` devices first, as they were sent, and how long each of the others took.
///
/// # Errors
///
/// A device refused, or its image contradicts its description.
pub(crate) fn save_devices(
    registry: &Registry,
    early: Vec<Device>,
    run_state: RunState,
    configuration: Vmsd,
    out: &mut Vec<u8>,
) -> Result<(Description, Vec<DeviceTime>), Error> {
    let mut devices = early;
    let (saved, times) = save(registry, Stage::Last, out)?;
    devices.extend(saved);
    devices.push(save_run_state(run_state, out)?);
    Ok((Description { configuration: Some(configuration), page_bytes: Some(TARGET_PAGE_BYTES), devices }, times))
}

fn save(registry: &Registry, stage: Stage, out: &mut Vec<u8>) -> Result<(Vec<Device>, Vec<DeviceTime>), Error> {
    let (mut devices, mut times) = (Vec::new(), Vec::new());
    for Snapshot { ident, section_id, saved, ms } in snapshots(registry, stage)? {
        let begun = Instant::now();
        let failed = |error: Error| error.in_section(ident.idstr.as_str(), ident.instance_id);
        let (idstr, instance_id) = (ident.idstr.as_str().to_owned(), ident.instance_id);
        SectionHeader::Full { section_id, ident: ident.clone() }.encode(out);
        let mut sink = DescribeSink::new(saved.schema(), out);
        let encoded = || saved.encode(&mut sink).map_err(|error| Error::new(Side::Source, ErrorKind::Save(error)));
        caught(Side::Source, encoded).map_err(failed)?;
        let vmsd = Vmsd::from(&sink.finish());
        Footer { section_id }.encode(out);
        times.push(DeviceTime { section: idstr.clone(), instance: instance_id, ms: ms + ms_since(begun) });
        devices.push(Device { idstr, instance_id, body: DeviceBody::Vmsd(vmsd) });
    }
    Ok((devices, times))
}

/// Snapshots of all devices of this stage, taken before the first is encoded.
fn snapshots(registry: &Registry, stage: Stage) -> Result<Vec<Snapshot>, Error> {
    let mut snapshots = Vec::new();
    for entry in registry.entries() {
        let its_stage = if entry.section().schema().early { Stage::Early } else { Stage::Last };
        if its_stage != stage {
            continue;
        }
        let failed = |error: Error| error.in_section(entry.idstr(), entry.instance());
        let begun = Instant::now();
        let saved = caught(Side::Source, || entry.section().save().at(Side::Source)).map_err(failed)?;
        let Some(saved) = saved else { continue };
        let idstr = Name::new(entry.idstr(), "section")
            .map_err(|reason| Refused::new(format!("{reason}")))
            .at(Side::Source)
            .map_err(failed)?;
        let ident = SectionIdent { idstr, instance_id: entry.instance(), version_id: entry.section().schema().version };
        snapshots.push(Snapshot { ident, section_id: entry.section_id(), saved, ms: ms_since(begun) });
    }
    Ok(snapshots)
}

fn save_run_state(run_state: RunState, out: &mut Vec<u8>) -> Result<Device, Error> {
    let refused =
        |reason: vmferry_wire::Reason| Error::new(Side::Source, ErrorKind::Refused(Refused::new(format!("{reason}"))));
    let state = GlobalState::new(run_state.name(), Some(false)).map_err(refused)?;
    let idstr = Name::new(GLOBALSTATE_IDSTR, "section").map_err(refused)?;
    let ident = SectionIdent { idstr, instance_id: 0, version_id: GLOBALSTATE_VERSION };
    SectionHeader::Full { section_id: GLOBALSTATE_SECTION_ID, ident }.encode(out);
    state.encode(out);
    Footer { section_id: GLOBALSTATE_SECTION_ID }.encode(out);
    Ok(Device {
        idstr: GLOBALSTATE_IDSTR.to_owned(),
        instance_id: 0,
        body: DeviceBody::Vmsd(GlobalState::description()),
    })
}
