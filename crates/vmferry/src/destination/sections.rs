//! Sections of the stream and the devices they belong to.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use vmferry_wire::globalstate::{GLOBALSTATE_IDSTR, GLOBALSTATE_VERSION, GlobalState};
use vmferry_wire::ram::{RAM_IDSTR, RAM_VERSION};
use vmferry_wire::section::{Footer, SectionHeader, SectionIdent};
use vmstate::registry::Entry;
use vmstate::{Input, Registry, Schema};

use super::mapped_ram::Restored;
use super::multifd::Multifd;
use super::ram::RamLoader;
use super::reader::{mismatch, next, read_error};
use crate::advice;
use crate::control::{DeviceTime, RunState};
use crate::error::{Attribute as _, Error, Side};
use crate::machine::Machine;
use crate::panicking::caught;
use crate::shared::ms_since;

/// Longest body of a device's section, in bytes. Devices hold registers, queues and small buffers; the largest known
/// ones (framebuffers as state) stay below a tenth of this.
const SECTION_BYTES_LIMIT: u64 = 64 << 20;

/// Who takes the body of a section.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Target {
    Ram,
    RunState,
    Device(String, u32),
}

/// What was loaded so far.
#[derive(Debug)]
pub(super) struct Sections<'a> {
    registry: &'a Registry,
    ram: RamLoader,
    /// Section ids of this stream; empty at first, each bound once.
    bound: HashMap<u32, Target>,
    run_state: Option<RunState>,
    device_times: Vec<DeviceTime>,
}

impl<'a> Sections<'a> {
    pub(super) fn new(machine: &'a dyn Machine, ram: RamLoader) -> Self {
        Self { registry: machine.registry(), ram, bound: HashMap::new(), run_state: None, device_times: Vec::new() }
    }

    /// How long each device took that was sent while the guest stood still.
    pub(super) fn take_device_times(&mut self) -> Vec<DeviceTime> {
        std::mem::take(&mut self.device_times)
    }

    /// What became of a restore by mapping, if one was asked for.
    pub(super) fn take_restored(&mut self) -> Option<Restored> {
        self.ram.take_restored()
    }

    /// Pages taken: with content, of zeros.
    pub(super) fn pages(&self) -> (u64, u64) {
        let (normal, zero) = self.ram.multifd.as_ref().map_or((0, 0), Multifd::pages);
        (self.ram.normal_pages + normal, self.ram.zero_pages + zero)
    }

    /// Ends the multifd channels; tells why one of them failed, if one did.
    pub(super) fn close_channels(&mut self) -> Option<Error> {
        let multifd = self.ram.multifd.as_mut()?;
        let failure = multifd.failure();
        multifd.close();
        failure
    }

    /// Reads the multifd channels until the source has closed them, for `patience` at most.
    pub(super) fn linger(&mut self, patience: Duration) {
        if let Some(multifd) = &mut self.ram.multifd {
            multifd.linger(patience);
        }
    }

    /// What the guest did before it was stopped; running, if the stream does not say.
    pub(super) fn run_state(&self) -> RunState {
        self.run_state.unwrap_or(RunState::Running)
    }

    /// Loads the section behind `header`, which starts at `offset`, with its footer.
    pub(super) fn load(&mut self, header: &SectionHeader, offset: u64, input: &mut Input<'_>) -> Result<(), Error> {
        match header {
            SectionHeader::Start { section_id, ident } | SectionHeader::Full { section_id, ident } => {
                self.load_new(*section_id, ident, offset, input)
            }
            SectionHeader::Part { section_id } | SectionHeader::End { section_id } => {
                match self.bound.get(section_id) {
                    Some(Target::Ram) => self.load_ram(*section_id, input),
                    Some(target) => Err(mismatch(
                        offset,
                        "a section part",
                        format!("of {target:?}, which is sent as a whole"),
                        "parts of iterative sections",
                    )),
                    None => Err(mismatch(
                        offset,
                        "a section id",
                        format!("{section_id}, which no section before had"),
                        "the id of a section that was started",
                    )),
                }
            }
        }
    }

    fn load_new(
        &mut self,
        section_id: u32,
        ident: &SectionIdent,
        offset: u64,
        input: &mut Input<'_>,
    ) -> Result<(), Error> {
        let (idstr, instance) = (ident.idstr.as_str(), ident.instance_id);
        let within = |error: Error| error.in_section(idstr, instance);
        let entry = match (idstr, instance) {
            (RAM_IDSTR | GLOBALSTATE_IDSTR, 0) => None,
            _ => Some(self.registry.find(idstr, instance).ok_or_else(|| self.unknown(ident, offset))?),
        };
        let target = match &entry {
            // By its present name: a stream may have an older one.
            Some(entry) => Target::Device(entry.idstr().to_owned(), entry.instance()),
            None if idstr == RAM_IDSTR => Target::Ram,
            None => Target::RunState,
        };
        // Differs from QEMU: a second section for the same device, or under the same id, is loaded there.
        let repeated = self.bound.values().any(|bound| *bound == target);
        if repeated || self.bound.insert(section_id, target).is_some() {
            let found = format!("'{idstr}' instance {instance} with id {section_id}, where one was loaded before");
            return Err(mismatch(offset, "a section", found, "each device and each id once"));
        }
        match entry {
            Some(entry) => {
                let begun = Instant::now();
                load_device(&entry, section_id, ident.version_id, offset, input).map_err(within)?;
                if !entry.section().schema().early {
                    let time = DeviceTime { section: idstr.to_owned(), instance, ms: ms_since(begun) };
                    self.device_times.push(time);
                }
                Ok(())
            }
            None if idstr == RAM_IDSTR => {
                require_version(offset, ident.version_id, RAM_VERSION).map_err(within)?;
                self.load_ram(section_id, input)
            }
            None => {
                require_version(offset, ident.version_id, GLOBALSTATE_VERSION).map_err(within)?;
                let state = next(input, GlobalState::decode).map_err(within)?;
                self.run_state = Some(known_run_state(&state, offset).map_err(within)?);
                footer(input, section_id).map_err(within)
            }
        }
    }

    fn load_ram(&mut self, section_id: u32, input: &mut Input<'_>) -> Result<(), Error> {
        let within = |error: Error| error.in_section(RAM_IDSTR, 0);
        self.ram.load(input).map_err(within)?;
        footer(input, section_id).map_err(within)
    }

    #[cold]
    fn unknown(&self, ident: &SectionIdent, offset: u64) -> Error {
        let mut known: Vec<String> =
            self.registry.entries().iter().map(|entry| format!("{}/{}", entry.idstr(), entry.instance())).collect();
        known.sort();
        let found = format!("'{}' instance {}", ident.idstr.as_str(), ident.instance_id);
        let accepted = format!("one that this machine has ({})", advice::shown(&known));
        mismatch(offset, "a section", found, accepted).advised(Some(advice::of_unknown_section(ident, self.registry)))
    }

    /// Checks at the end mark that nothing is missing, and names devices that received nothing.
    ///
    /// Differs from QEMU: a stream without RAM is accepted there by a machine that has some.
    pub(super) fn finish(&mut self, offset: u64) -> Result<(), Error> {
        tracing::debug!(pages = self.ram.pages_read_directly(), "read straight into guest memory");
        if !self.ram.is_listed() {
            return Err(mismatch(offset, "the end of the stream", "before any RAM", "behind the RAM section"));
        }
        self.ram.multifd.as_ref().map_or(Ok(()), Multifd::finish)?;
        self.ram.finish(offset)?;
        for entry in self.registry.entries() {
            let target = Target::Device(entry.idstr().to_owned(), entry.instance());
            if !self.bound.values().any(|bound| *bound == target) {
                tracing::warn!(section = entry.idstr(), instance = entry.instance(), "nothing came for this device");
            }
        }
        Ok(())
    }
}

fn load_device(entry: &Entry, section_id: u32, version: u32, offset: u64, input: &mut Input<'_>) -> Result<(), Error> {
    let load = || try_load_device(entry, section_id, version, offset, input);
    caught(Side::Destination, load).map_err(|error| {
        let advice = advice::of_section(error.kind(), entry);
        error.advised(advice)
    })
}

fn try_load_device(
    entry: &Entry,
    section_id: u32,
    version: u32,
    offset: u64,
    input: &mut Input<'_>,
) -> Result<(), Error> {
    let schema = entry.section().schema();
    if !schema.loads(version) {
        return Err(vmstate::LoadError::new(offset, schema.refusal(version))).at(Side::Destination);
    }
    input.set_budget(SECTION_BYTES_LIMIT);
    let loaded = entry.section().load(version, input).map_err(|error| read_error(error, offset))?;
    input.clear_budget();
    footer(input, section_id)?;
    loaded.commit().at(Side::Destination)
}

/// The engine's own sections have one version each.
fn require_version(offset: u64, found: u32, known: u32) -> Result<(), Error> {
    if found == known {
        return Ok(());
    }
    Err(vmstate::LoadError::new(offset, Schema::new("", known).refusal(found))).at(Side::Destination)
}

fn footer(input: &mut Input<'_>, section_id: u32) -> Result<(), Error> {
    next(input, |octets| Footer::decode(octets, section_id)).map(drop)
}

fn known_run_state(state: &GlobalState, offset: u64) -> Result<RunState, Error> {
    const KNOWN: [RunState; 8] = [
        RunState::Prelaunch,
        RunState::InMigrate,
        RunState::Running,
        RunState::Paused,
        RunState::FinishMigrate,
        RunState::PostMigrate,
        RunState::Shutdown,
        RunState::InternalError,
    ];
    KNOWN.into_iter().find(|known| known.name() == state.runstate()).ok_or_else(|| {
        let accepted = KNOWN.map(RunState::name).join(", ");
        mismatch(offset, "the run state", format!("'{}'", state.runstate()), accepted)
    })
}
