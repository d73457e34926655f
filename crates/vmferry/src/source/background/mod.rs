//! Capability `background-snapshot`: the image of one instant of a guest that runs on.
//!
//! ```text
//! head, block list, early devices | stop: save the devices, protect all memory | start | pages … | devices, end
//! ```
//!
//! The guest is the source's before, meanwhile and afterwards, whatever happens: an attempt that fails or is cancelled
//! ends the protection, and nothing else. Each page goes once, before the guest can write it ([`guard`]), so there is
//! no dirty log, no round, and no rate limit: a slow channel only holds up what the guest writes. The stream has no END
//! of RAM and no commands (`docs/spec/ram.md` A12). Nobody answers: whoever loads the image has a copy of the guest.

pub(crate) mod guard;
mod records;
mod sink;

use std::sync::{Arc, PoisonError};

use vmferry_wire::description::{Description, Device};
use vmferry_wire::end::Trailer;
use vmferry_wire::header::Header;
use vmferry_wire::ram::block_list::BlockList;
use vmferry_wire::ram::{RAM_VERSION, Record};
use vmferry_wire::section::{Element, Footer, SectionHeader, SectionIdent};

use self::guard::{Guard, SavedRun};
use self::sink::Sink;
use super::account::Account;
use super::devices::{RAM_SECTION_ID, save_devices, save_early_devices};
use super::mapped_ram::parts::part_from_what_follows;
use super::multifd::Connections;
use super::return_path::Heard;
use super::{Context, block_entries, channel_gone, configuration, named_blocks, ram_name};
use crate::channel::{Channel, Interrupt};
use crate::control::ZeroPageDetection;
use crate::control::{Capabilities, RunState, Status};
use crate::error::{Attribute as _, Doing as _, Error, ErrorKind, Side};
use crate::panicking::caught;
use crate::protocol::source::SourceEvent;

/// Writes the image of the guest to `channel`; returns when it is over.
pub(crate) fn run(context: Context, connections: Connections) -> Result<(), Error> {
    let Connections { main: channel, files, .. } = connections;
    let mut driver = Driver {
        account: Account::new(context.started),
        early_devices: Vec::new(),
        channel: Some(channel),
        has_places: files.is_some(),
        stopped_from: None,
        context,
    };
    let result = caught(Side::Source, || driver.drive());
    driver.finish(&result);
    result
}

struct Driver {
    account: Account,
    /// What the description has of the devices that were sent before RAM.
    early_devices: Vec<Device>,
    /// Gone once it was finished.
    channel: Option<Channel>,
    /// Pages go to fixed places of the file.
    has_places: bool,
    /// While the guest stands still: what it did before.
    stopped_from: Option<RunState>,
    context: Context,
}

/// What follows the pages.
struct Devices {
    sections: Vec<u8>,
    description: Description,
}

impl Driver {
    fn drive(&mut self) -> Result<(), Error> {
        let machine = Arc::clone(&self.context.machine);
        let mut guard = Guard::prepare(machine.ram()).doing(Side::Source, "preparing the background snapshot")?;
        let mut sink = self.send_head()?;
        self.context.shared.enter(&*machine, Status::Active);
        let devices = self.take_instant(&mut guard)?;
        self.send_pages(&mut guard, &mut sink)?;
        // All pages are out: nobody waits any more.
        drop(guard);
        self.send_devices(devices, &sink)
    }

    fn send_head(&mut self) -> Result<Sink, Error> {
        let machine = Arc::clone(&self.context.machine);
        let mut out = Vec::new();
        Header.encode(&mut out);
        configuration(&self.context)?.encode(&mut out);
        let ident = SectionIdent { idstr: ram_name()?, instance_id: 0, version_id: RAM_VERSION };
        SectionHeader::Start { section_id: RAM_SECTION_ID, ident }.encode(&mut out);
        let blocks = named_blocks(&*machine)?;
        let total = blocks.iter().map(|(_, block)| block.used_len()).sum();
        let channel = self.channel.as_ref().ok_or_else(channel_gone)?;
        let sink = if self.has_places {
            let detects_zero = self.context.shared.parameters().zero_page_detection != ZeroPageDetection::None;
            let (sink, octets) = Sink::places(channel, &blocks, std::mem::take(&mut out), detects_zero)?;
            self.account.sent_bytes(octets);
            sink
        } else {
            BlockList::encode(&block_entries(&self.context)?, &mut out);
            Sink::records(blocks)
        };
        Record::encode_eos(&mut out);
        Footer { section_id: RAM_SECTION_ID }.encode(&mut out);
        self.early_devices = save_early_devices(machine.registry(), &mut out)?;
        self.write(&out, "sending the head of the stream")?;
        if self.has_places {
            part_from_what_follows(self.channel.as_ref().ok_or_else(channel_gone)?)?;
        }
        self.account.set_up(&self.context, total);
        Ok(sink)
    }

    /// Stops the guest for as long as it takes to save the devices and to protect the memory.
    fn take_instant(&mut self, guard: &mut Guard) -> Result<Devices, Error> {
        let machine = Arc::clone(&self.context.machine);
        let (registry, configuration) = (machine.registry(), configuration(&self.context)?.description());
        self.account.stopping();
        let before = machine.stop(RunState::FinishMigrate).at(Side::Source)?;
        self.stopped_from = Some(before);
        self.account.phase("stop");
        let mut sections = Vec::new();
        let early = std::mem::take(&mut self.early_devices);
        let (description, times) = save_devices(registry, early, before, configuration, &mut sections)?;
        self.context.shared.info().downtime_devices = times;
        self.account.phase("devices");
        guard.protect().doing(Side::Source, "protecting the guest's memory")?;
        self.account.phase("protect");
        self.restart()?;
        self.account.resumed();
        Ok(Devices { sections, description })
    }

    /// Lets the guest be what it was, if it stands still for the snapshot.
    fn restart(&mut self) -> Result<(), Error> {
        let machine = &self.context.machine;
        match self.stopped_from.take() {
            Some(RunState::Running) => machine.start(),
            Some(before) => machine.stop(before).map(drop),
            None => Ok(()),
        }
        .at(Side::Source)
    }

    fn send_pages(&mut self, guard: &mut Guard, sink: &mut Sink) -> Result<(), Error> {
        const DOING: &str = "sending RAM";
        let mut spare = Vec::new();
        while let Some(run) = guard.next(std::mem::take(&mut spare)).doing(Side::Source, DOING)? {
            let channel = self.channel.as_ref().ok_or_else(channel_gone)?;
            let sent = sink.write(channel, &run).doing(Side::Source, DOING)?;
            self.account.sent(sent);
            self.account.refresh(&self.context, guard.remaining_pages(), false);
            let SavedRun { bytes, .. } = run;
            spare = bytes;
            self.hear_cancellation()?;
        }
        self.account.refresh(&self.context, 0, true);
        Ok(())
    }

    fn hear_cancellation(&self) -> Result<(), Error> {
        let is_cancel = |heard: &Heard| matches!(heard, Heard::Event(SourceEvent::Cancel));
        if self.context.heard.try_iter().any(|heard| is_cancel(&heard)) {
            return Err(Error::new(Side::Source, ErrorKind::Cancelled));
        }
        Ok(())
    }

    fn send_devices(&mut self, devices: Devices, sink: &Sink) -> Result<(), Error> {
        let octets = sink.end().doing(Side::Source, "writing the bitmaps of RAM to the file")?;
        self.account.sent_bytes(octets);
        let Devices { sections: mut out, description } = devices;
        Element::Eof.encode(&mut out);
        Trailer::encode_description(&description.to_text(), &mut out);
        self.write(&out, "sending the devices")?;
        // The last moment to cancel.
        let gate = self.context.gate.lock().unwrap_or_else(PoisonError::into_inner).take();
        if gate.as_ref().is_some_and(Interrupt::is_raised) {
            return Err(Error::new(Side::Source, ErrorKind::Cancelled));
        }
        self.channel.take().ok_or_else(channel_gone)?.finish().doing(Side::Source, "finishing the channel")
    }

    fn finish(&mut self, result: &Result<(), Error>) {
        let machine = Arc::clone(&self.context.machine);
        let status = match result {
            Ok(()) => Status::Completed,
            Err(error) if error.kind().is_cancellation() => {
                self.context.shared.enter(&*machine, Status::Cancelling);
                Status::Cancelled
            }
            Err(_) => Status::Failed,
        };
        if let Err(error) = self.restart() {
            tracing::error!(%error, "the guest could not be resumed");
        }
        if let Some(channel) = self.channel.take() {
            channel.shut_down();
        }
        self.account.finish(&self.context, status, result.as_ref().err());
        self.context.frozen = None;
        self.context.shared.enter(&*machine, status);
    }

    fn write(&mut self, bytes: &[u8], what: &'static str) -> Result<(), Error> {
        self.channel.as_ref().ok_or_else(channel_gone)?.write_all(bytes).doing(Side::Source, what)?;
        self.account.sent_bytes(bytes.len() as u64);
        Ok(())
    }
}

/// Why capability `background-snapshot` does not go together with another one; `None` if it does.
///
/// Differs from QEMU: `return-path` may be on, since it is by default; a snapshot opens none. And it may go to a file
/// of `mapped-ram`, which restores by mapping.
pub(crate) fn conflict(capabilities: &Capabilities) -> Option<String> {
    let others = [
        ("xbzrle", capabilities.xbzrle),
        ("auto-converge", capabilities.auto_converge),
        ("dirty-limit", capabilities.dirty_limit),
        ("multifd", capabilities.multifd),
        ("zero-copy-send", capabilities.zero_copy_send),
        ("release-ram", capabilities.release_ram),
        // Memory that is left out goes on changing, so there is no image of one instant. QEMU refuses a background
        // snapshot of shared memory altogether.
        ("x-ignore-shared", capabilities.ignore_shared),
    ];
    let (name, _) = others.into_iter().find(|(_, is_on)| capabilities.background_snapshot && *is_on)?;
    Some(format!("background-snapshot and {name} exclude each other"))
}
