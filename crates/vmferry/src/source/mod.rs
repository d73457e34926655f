//! The source's driver: performs what the protocol asks for.
//!
//! On success the guest is at the destination and stopped here in `postmigrate`. On failure before the point of no
//! return it is here, in the state it was in, and another attempt may be made at once. Towards a peer that starts by
//! itself, a failure after the last octet leaves it stopped here with owner unknown (`docs/design.md` has the table).

pub(crate) mod background;
pub(crate) mod devices;
pub(crate) mod mapped_ram;
pub(crate) mod multifd;
pub(crate) mod pace;
pub(crate) mod ram;
pub(crate) mod return_path;
pub(crate) mod runs;

mod account;
mod xbzrle;

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use vmferry_wire::Name;
use vmferry_wire::command::Command;
use vmferry_wire::configuration::Configuration;
use vmferry_wire::description::{Description, Device};
use vmferry_wire::end::Trailer;
use vmferry_wire::header::Header;
use vmferry_wire::ram::block_list::{BlockEntry, BlockList};
use vmferry_wire::ram::{RAM_IDSTR, RAM_VERSION, Record};
use vmferry_wire::section::{Element, Footer, SectionHeader, SectionIdent};
use vmstate::Refused;
use vmstate::registry::Frozen;

use self::account::Account;
use self::devices::{RAM_SECTION_ID, save_devices, save_early_devices};
use self::mapped_ram::{MappedRam, PageFiles};
use self::multifd::{Connections, FlushRule, Multifd};
use self::ram::{NamedBlock, RamSender};
use self::return_path::Heard;
use crate::advice;
use crate::channel::{Channel, Interrupt, Transport};
use crate::control::{Capabilities, Owner, Parameters, RunState, Status, ZeroPageDetection};
use crate::convergence::{Convergence, Decision, OvertimeAction, Round, Settings, ThrottleStep};
use crate::dirty_limit::DirtyLimiter;
use crate::error::{Attribute as _, Doing as _, Error, ErrorKind, Side};
use crate::machine::Machine;
use crate::memory::ignored::ignored;
use crate::memory::release::release;
use crate::memory::{RamBlock, TARGET_PAGE_BYTES};
use crate::panicking::caught;
use crate::protocol::handover::{CONFIRM, HELLO, LOADED};
use crate::protocol::source::{Peer, Source, SourceAction, SourceEvent};
use crate::shared::Shared;

/// Most pages of one part while the guest runs: between two parts the source hears a cancellation.
const PAGES_PER_PART: usize = 512;

/// How long a source with nothing to send waits for the peer to say who it is, at a time.
const IDLE_WAIT: Duration = Duration::from_millis(5);

/// How long a source that gave its guest up waits for the word that it runs.
const HANDOVER_PATIENCE: Duration = Duration::from_secs(30);

/// How long the source of a broken connection listens for the destination's reason.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The way out of blocked writes, until it is too late to cancel.
pub(crate) type CancelGate = Arc<Mutex<Option<Interrupt>>>;

/// Everything that a source needs beside its channel.
pub(crate) struct Context {
    pub(crate) machine: Arc<dyn Machine>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) gate: CancelGate,
    /// Where cancellations arrive, and what the return path hears.
    pub(crate) heard: Receiver<Heard>,
    pub(crate) tell: Sender<Heard>,
    pub(crate) limiter: Arc<DirtyLimiter>,
    pub(crate) started: Instant,
    /// Keeps devices from coming and going; given back before the final status is told.
    pub(crate) frozen: Option<Frozen>,
}

/// Moves the guest over `connections`; returns when it is over.
pub(crate) fn run(context: Context, connections: Connections) -> Result<(), Error> {
    let Connections { main: channel, multifd, files } = connections;
    let multifd = multifd.map(|channels| start_channels(&context, channels)).transpose()?;
    let Capabilities { return_path, xbzrle, ignore_shared, .. } = *context.shared.capabilities();
    let ignored = ignored(context.machine.ram(), ignore_shared);
    let parameters = *context.shared.parameters();
    let cache_bytes = xbzrle.then_some(parameters.xbzrle_cache_bytes);
    let detects_zero = parameters.zero_page_detection != ZeroPageDetection::None;
    let (protocol, actions) = Source::begin(channel.transport(), return_path);
    let mut driver = Driver {
        protocol,
        actions: actions.into(),
        ram: RamSender::new(named_blocks(&*context.machine)?, &ignored, detects_zero, cache_bytes),
        account: Account::new(context.started),
        convergence: Convergence::default(),
        before: context.machine.run_state(),
        early_devices: Vec::new(),
        description: None,
        ear: None,
        error: None,
        multifd,
        files,
        mapped_ram: None,
        limits_vcpus: false,
        channel: Some(channel),
        context,
    };
    driver.drive();
    driver.error.map_or(Ok(()), Err)
}

fn start_channels(context: &Context, (channels, alarm): (Vec<Channel>, Interrupt)) -> Result<Multifd, Error> {
    let machine = &*context.machine;
    let rule = if machine.multifd_flush_after_each_section() { FlushRule::Sections } else { FlushRule::Rounds };
    let gate = context.gate.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let interrupt = gate.unwrap_or_else(|| alarm.clone());
    let parameters = (*context.shared.parameters(), context.shared.capabilities().zero_copy_send);
    Multifd::start(channels, (alarm, interrupt), named_blocks(machine)?, rule, parameters)
        .doing(Side::Source, "starting the multifd channels")
}

fn block_entries(context: &Context) -> Result<Vec<BlockEntry>, Error> {
    let ignore_shared = context.shared.capabilities().ignore_shared;
    let entry = |(name, block): NamedBlock| BlockEntry {
        name,
        used_bytes: block.used_len(),
        page_bytes: None,
        guest_address: ignore_shared.then(|| block.guest_address()),
        mapped_ram: None,
    };
    Ok(named_blocks(&*context.machine)?.into_iter().map(entry).collect())
}

fn named_blocks(machine: &dyn Machine) -> Result<Vec<NamedBlock>, Error> {
    let named = |block: &Arc<dyn RamBlock>| {
        let name = Name::new(block.name(), "RAM block").map_err(|reason| Refused::new(reason.to_string()));
        Ok((name.at(Side::Source)?, Arc::clone(block)))
    };
    machine.ram().iter().map(named).collect()
}

fn configuration(context: &Context) -> Result<Configuration, Error> {
    let name = Name::new(context.machine.machine_type(), "machine")
        .map_err(|reason| Refused::new(reason.to_string()))
        .at(Side::Source)?;
    let capabilities = context.shared.capabilities().validated();
    let named = |name| Name::new(name, "capability").map_err(|reason| Refused::new(reason.to_string()));
    let on = capabilities.into_iter().filter(|(_, is_on)| *is_on).map(|(name, _)| named(name));
    let names = on.collect::<Result<Vec<_>, _>>().at(Side::Source)?;
    let capabilities = (!names.is_empty()).then_some(names);
    Ok(Configuration { capabilities, ..Configuration::of_machine(name) })
}

struct Driver {
    protocol: Source,
    actions: VecDeque<SourceAction>,
    ram: RamSender,
    account: Account,
    convergence: Convergence,
    /// What the guest did before the migration stopped it.
    before: RunState,
    /// What the description has of the devices that were sent before RAM.
    early_devices: Vec<Device>,
    description: Option<Description>,
    ear: Option<JoinHandle<()>>,
    error: Option<Error>,
    /// The channels of the pages, if they have some of their own.
    multifd: Option<Multifd>,
    /// The files for pages at fixed places, until their blocks are placed.
    files: Option<PageFiles>,
    /// The places of the pages, if they go to a file.
    mapped_ram: Option<MappedRam>,
    /// The vCPUs have dirty limits of this migration.
    limits_vcpus: bool,
    /// Gone once it was finished.
    channel: Option<Channel>,
    context: Context,
}

impl Driver {
    fn drive(&mut self) {
        while let Some(action) = self.actions.pop_front() {
            tracing::trace!(?action, state = ?self.protocol, "source");
            match caught(Side::Source, || self.perform(action)) {
                Ok(Some(event)) => self.handle(event),
                Ok(None) => {}
                Err(error) => self.fail(error),
            }
            while let Ok(heard) = self.context.heard.try_recv() {
                self.hear(heard);
            }
        }
    }

    /// An action failed. If the channel broke, the destination may have said why, which is the better reason.
    fn fail(&mut self, error: Error) {
        // Where a multifd channel failed, everything else only ended with it.
        let first = self.multifd.as_ref().and_then(Multifd::failure);
        let error = first
            .map_or(Ok(error), |source| Err(source).doing(Side::Source, "sending RAM"))
            .unwrap_or_else(|first| first);
        let patience = Instant::now() + LAST_WORDS;
        if self.ear.is_some() && matches!(error.kind(), ErrorKind::Io { .. }) {
            while !self.protocol.is_final()
                && let Ok(heard) = self.context.heard.recv_timeout(patience.saturating_duration_since(Instant::now()))
            {
                if matches!(heard, Heard::Event(SourceEvent::ReturnPathClosed)) {
                    break;
                }
                self.hear(heard);
            }
        }
        let is_early = self.multifd.is_some() && matches!(self.protocol, Source::SettingUp(_));
        let advice = (is_early && matches!(error.kind(), ErrorKind::Io { .. })).then(multifd::advice);
        let is_file = self.channel.as_ref().is_some_and(|channel| channel.transport() == Transport::File);
        let advice =
            advice.or_else(|| (is_file && matches!(error.kind(), ErrorKind::Io { .. })).then(mapped_ram::advice));
        self.error.get_or_insert_with(|| error.advised(advice));
        self.handle(SourceEvent::Failed);
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Event(event) => self.handle(event),
            Heard::Reason(reason) => {
                let advice = advice::of_peer(&reason, self.context.machine.registry());
                let error = Error::new(Side::Source, ErrorKind::Peer { reason }).advised(advice);
                self.error.get_or_insert(error);
            }
            Heard::Violation(text) => {
                self.error.get_or_insert(Error::new(Side::Source, ErrorKind::State(text)));
            }
        }
    }

    fn handle(&mut self, mut event: SourceEvent) {
        // The last moment to cancel: from here on the interrupt must not break what the destination relies on.
        let commits = (self.protocol == Source::Verdict(Peer::Ferry) && event == SourceEvent::Pong(LOADED))
            || (self.protocol == Source::Confirming && event == SourceEvent::Pong(CONFIRM))
            || (matches!(self.protocol, Source::Devices(Peer::Mute(_))) && event == SourceEvent::Done);
        if commits && !self.close_gate() {
            event = SourceEvent::Cancel;
        }
        let (next, actions) = self.protocol.handle(event);
        tracing::trace!(?event, from = ?self.protocol, to = ?next, "source");
        self.note_cause(event, next);
        if next.is_final() && !self.protocol.is_final() {
            // A guest that is not ours any more is put aside, also where the word comes before that was done.
            let is_completed = matches!(next, Source::Completed(_));
            self.actions.retain(|action| is_completed && *action == SourceAction::Relinquish);
        }
        self.account.crossed(self.protocol, next);
        self.protocol = next;
        self.actions.extend(actions);
        self.context.shared.info().owner = next.owner();
    }

    /// Gives the interrupt up; false if it was raised before.
    fn close_gate(&self) -> bool {
        let mut gate = self.context.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let raised = gate.as_ref().is_some_and(Interrupt::is_raised);
        if !raised {
            *gate = None;
        }
        !raised
    }

    /// Remembers why the migration ends, if no better reason is known.
    fn note_cause(&mut self, event: SourceEvent, next: Source) {
        if !matches!(next, Source::Failed(_)) || self.protocol.is_final() {
            return;
        }
        let kind = match event {
            SourceEvent::Cancel => {
                self.context.shared.enter(&*self.context.machine, Status::Cancelling);
                self.error = None;
                ErrorKind::Cancelled
            }
            SourceEvent::Shut(status) => ErrorKind::Peer { reason: format!("it answered with status {status}") },
            SourceEvent::ReturnPathClosed => ErrorKind::NoVerdict,
            // A write that the cancellation interrupted.
            SourceEvent::Failed if self.is_cancelled() => {
                self.context.shared.enter(&*self.context.machine, Status::Cancelling);
                return;
            }
            _ => return,
        };
        self.error.get_or_insert(Error::new(Side::Source, kind));
    }

    fn perform(&mut self, action: SourceAction) -> Result<Option<SourceEvent>, Error> {
        match action {
            SourceAction::SetUp { return_path } => self.set_up(return_path).map(Some),
            SourceAction::SendPages => self.send_pages().map(Some),
            SourceAction::StopGuest => self.stop_guest().map(Some),
            SourceAction::SendLastPages => self.send_last_pages().map(Some),
            SourceAction::SendDevices => self.send_devices().map(Some),
            SourceAction::SendEnd => self.send_end().map(Some),
            SourceAction::AwaitVerdict => {
                self.await_verdict();
                Ok(None)
            }
            SourceAction::Relinquish => {
                self.context.machine.stop(RunState::PostMigrate).at(Side::Source)?;
                Ok(None)
            }
            SourceAction::Ping(value) => {
                let mut out = Vec::new();
                Element::Command(Command::Ping(value)).encode(&mut out);
                let sent = self.write(&out, "sending the hand-over");
                // After a cancellation the word is a courtesy.
                if self.protocol.is_final() { Ok(None) } else { sent.map(|()| Some(SourceEvent::Done)) }
            }
            SourceAction::Resume => {
                self.resume();
                Ok(None)
            }
            SourceAction::Finish => {
                self.finish();
                Ok(None)
            }
        }
    }

    fn set_up(&mut self, return_path: bool) -> Result<SourceEvent, Error> {
        let machine = Arc::clone(&self.context.machine);
        let mut out = Vec::new();
        Header.encode(&mut out);
        configuration(&self.context)?.encode(&mut out);
        if return_path {
            for command in [Command::OpenReturnPath, Command::Ping(1), Command::Ping(HELLO)] {
                Element::Command(command).encode(&mut out);
            }
        }
        machine.dirty_log().start().doing(Side::Source, "starting the dirty log")?;
        self.account.synchronised(&self.context, 0, 0);
        let ident = SectionIdent { idstr: ram_name()?, instance_id: 0, version_id: RAM_VERSION };
        SectionHeader::Start { section_id: RAM_SECTION_ID, ident }.encode(&mut out);
        let ignored = ignored(machine.ram(), self.context.shared.capabilities().ignore_shared);
        let taking_part = machine.ram().iter().zip(ignored).filter(|(_, is_ignored)| !is_ignored);
        let total = taking_part.map(|(block, _)| block.used_len()).sum();
        if let Some(files) = self.files.take() {
            self.place_blocks(files, std::mem::take(&mut out))?;
        } else {
            BlockList::encode(&block_entries(&self.context)?, &mut out);
        }
        self.announce_sync(&mut out)?;
        Record::encode_eos(&mut out);
        Footer { section_id: RAM_SECTION_ID }.encode(&mut out);
        self.early_devices = save_early_devices(machine.registry(), &mut out)?;
        if return_path {
            self.start_ear()?;
        }
        self.write(&out, "sending the head of the stream")?;
        self.part_places_from_what_follows()?;
        self.wait_for_channels()?;
        self.account.set_up(&self.context, total);
        self.context.shared.enter(&*machine, Status::Active);
        Ok(SourceEvent::Done)
    }

    fn start_ear(&mut self) -> Result<(), Error> {
        let channel = self.channel()?;
        // It hears the destination's last words also where the alarm of the channels has ended all else.
        let interrupt = self.multifd.as_ref().map_or_else(|| channel.interrupt(), |multifd| &multifd.interrupt);
        let channel = channel.try_clone_with(interrupt.clone()).doing(Side::Source, "opening the return path")?;
        let tell = self.context.tell.clone();
        let ear = thread::Builder::new()
            .name("return-path".to_owned())
            .spawn(move || return_path::listen(&channel, &tell))
            .doing(Side::Source, "starting the return path's thread")?;
        self.ear = Some(ear);
        Ok(())
    }

    /// Sends one part, as the rate limit allows, and looks whether the rest fits into the downtime.
    fn send_pages(&mut self) -> Result<SourceEvent, Error> {
        let parameters = *self.context.shared.parameters();
        let settings = parameters.convergence(&self.context.shared.capabilities());
        if self.convergence.is_overtime(&settings, self.account.since_set_up()) {
            return self.overtime(&parameters);
        }
        let allowance = self.account.pace.allowance(Instant::now(), parameters.max_bandwidth);
        if allowance == 0 {
            self.wait_for_events(self.account.pace.rest_of_window(Instant::now()));
            self.account.refresh(&self.context, self.ram.runs.remaining_pages(), false);
            return Ok(SourceEvent::Done);
        }
        self.ram.set_xbzrle_cache_bytes(parameters.xbzrle_cache_bytes);
        let pages =
            usize::try_from(allowance / TARGET_PAGE_BYTES).unwrap_or(usize::MAX).clamp(1, self.pages_per_part());
        self.send_part(pages)?;
        let remaining = self.ram.runs.remaining_pages();
        self.account.refresh(&self.context, remaining, remaining == 0);
        let (now, (round_time, round_bytes)) = (self.account.since_set_up(), self.account.round_so_far());
        let threshold = self.convergence.threshold_bytes(&settings, round_time, round_bytes);
        if remaining > 0
            && remaining.saturating_mul(TARGET_PAGE_BYTES) > threshold
            && !self.convergence.wants_sync(&settings, now)
        {
            return Ok(SourceEvent::Done);
        }
        let Some(round) = self.synchronise()? else { return Ok(SourceEvent::Done) };
        let decision = self.convergence.round(&settings, round);
        self.tell_convergence(&settings);
        match decision {
            Decision::SwitchOver => {
                if self.protocol == Source::Precopy(Peer::Unknown) {
                    self.wait_for_events(IDLE_WAIT);
                }
                return Ok(SourceEvent::Converged);
            }
            Decision::Continue { throttle: Some(ThrottleStep::Percent(percent)) } => {
                self.context.machine.throttle(percent).at(Side::Source)?;
                self.context.shared.info().cpu_throttle_percent = Some(percent);
            }
            Decision::Continue { throttle: Some(ThrottleStep::DirtyLimit(mb_per_s)) } => {
                self.context.limiter.set(None, Some(mb_per_s))?;
                self.limits_vcpus = true;
            }
            Decision::Continue { throttle: None } => {}
        }
        Ok(SourceEvent::Done)
    }

    /// The time is up.
    fn overtime(&mut self, parameters: &Parameters) -> Result<SourceEvent, Error> {
        match parameters.overtime_action {
            OvertimeAction::Cancel => {
                let limit_ms = parameters.total_time_limit_ms;
                Err(Error::new(Side::Source, ErrorKind::Overtime { limit_ms }))
            }
            OvertimeAction::Pause => {
                tracing::info!("the time before the guest is stopped is up: it is stopped now");
                Ok(SourceEvent::Converged)
            }
        }
    }

    fn tell_convergence(&self, settings: &Settings) {
        let mut info = self.context.shared.info();
        info.is_stalled = self.convergence.is_stalled();
        if let Some(ms) = self.convergence.expected_downtime_ms(settings) {
            info.expected_downtime_ms = ms;
        }
    }

    /// Lets the vCPUs run freely.
    fn end_throttling(&mut self) {
        if std::mem::take(&mut self.limits_vcpus) {
            self.context.limiter.lift();
        }
        if self.context.shared.info().cpu_throttle_percent.take().is_some()
            && let Err(refused) = self.context.machine.throttle(0)
        {
            tracing::error!(%refused, "the vCPUs could not be let run freely again");
        }
    }

    /// Whether it ends because somebody wants it to.
    fn is_cancelled(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.kind().is_cancellation())
    }

    fn send_part(&mut self, pages: usize) -> Result<u64, Error> {
        if self.multifd.is_some() {
            return self.send_part_on_channels(pages);
        }
        if self.mapped_ram.is_some() {
            return self.send_part_to_places(pages);
        }
        let mut head = Vec::with_capacity(5);
        SectionHeader::Part { section_id: RAM_SECTION_ID }.encode(&mut head);
        let mut tail = Vec::with_capacity(5);
        Footer { section_id: RAM_SECTION_ID }.encode(&mut tail);
        let channel = self.channel.as_ref().ok_or_else(channel_gone)?;
        let log = self.context.machine.dirty_log();
        let sent = self.ram.send(channel, log, pages, &head, &tail).doing(Side::Source, "sending RAM")?;
        self.account.sent(sent);
        Ok(sent.pages())
    }

    /// Takes new dirty pages out of the log; what the round was that this ends.
    fn synchronise(&mut self) -> Result<Option<Round>, Error> {
        self.sync_channels()?;
        self.wait_for_places()?;
        let dirty = self.ram.synchronise(self.context.machine.dirty_log());
        let dirty = dirty.doing(Side::Source, "reading the dirty log")?;
        let round = self.account.synchronised(&self.context, dirty, self.ram.runs.remaining_pages());
        self.context.shared.info().xbzrle = self.ram.xbzrle_stats();
        Ok(round)
    }

    /// Waits for an event, or until `timeout` is over.
    fn wait_for_events(&mut self, timeout: Duration) {
        match self.context.heard.recv_timeout(timeout) {
            Ok(heard) => self.hear(heard),
            // `tell` lives in the context, so the channel cannot be disconnected.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }

    fn stop_guest(&mut self) -> Result<SourceEvent, Error> {
        let machine = Arc::clone(&self.context.machine);
        self.account.stopping();
        self.before = machine.stop(RunState::FinishMigrate).at(Side::Source)?;
        self.account.phase("stop");
        self.end_throttling();
        self.context.shared.enter(&*machine, Status::Device);
        Ok(SourceEvent::Done)
    }

    fn send_last_pages(&mut self) -> Result<SourceEvent, Error> {
        self.synchronise()?;
        self.account.phase("final-sync");
        if self.context.machine.sends_switchover_start() {
            let mut out = Vec::new();
            Element::Command(Command::SwitchoverStart).encode(&mut out);
            self.write(&out, "announcing the switch-over")?;
        }
        self.ram.begin_last_stage();
        while self.send_part(usize::MAX)? > 0 {}
        self.end_places()?;
        self.context.shared.info().xbzrle = self.ram.xbzrle_stats();
        let mut out = Vec::new();
        SectionHeader::End { section_id: RAM_SECTION_ID }.encode(&mut out);
        self.announce_sync(&mut out)?;
        Record::encode_eos(&mut out);
        Footer { section_id: RAM_SECTION_ID }.encode(&mut out);
        self.write(&out, "sending the end of RAM")?;
        self.wait_for_channels()?;
        self.account.refresh(&self.context, 0, true);
        self.account.phase("last-pages");
        Ok(SourceEvent::Done)
    }

    fn send_devices(&mut self) -> Result<SourceEvent, Error> {
        let mut out = Vec::new();
        let configuration = configuration(&self.context)?.description();
        let registry = self.context.machine.registry();
        let early = std::mem::take(&mut self.early_devices);
        let (description, times) = save_devices(registry, early, self.before, configuration, &mut out)?;
        self.description = Some(description);
        self.context.shared.info().downtime_devices = times;
        self.write(&out, "sending the devices")?;
        self.account.phase("devices");
        Ok(SourceEvent::Done)
    }

    fn send_end(&mut self) -> Result<SourceEvent, Error> {
        let mut out = Vec::new();
        Element::Eof.encode(&mut out);
        if let Some(description) = self.description.take() {
            Trailer::encode_description(&description.to_text(), &mut out);
        }
        self.write(&out, "sending the end of the stream")?;
        if matches!(self.protocol, Source::Ending(Peer::Mute(_))) {
            let channel = self.channel.take().ok_or_else(channel_gone)?;
            channel.finish().doing(Side::Source, "finishing the channel")?;
            self.account.phase("finish");
        }
        Ok(SourceEvent::Done)
    }

    /// Hears one thing, and comes back here if that did not end the wait.
    fn await_verdict(&mut self) {
        // What was awaited may have been heard already, and left something to do.
        if !self.actions.is_empty() {
            return;
        }
        // RUN is out and the guest is not here any more: an answer that does not come changes nothing.
        let patience = if self.protocol == Source::HandingOver { HANDOVER_PATIENCE } else { Duration::MAX };
        match self.context.heard.recv_timeout(patience) {
            Ok(heard) => self.hear(heard),
            Err(_) => self.handle(SourceEvent::ReturnPathClosed),
        }
        if !self.protocol.is_final() && self.actions.is_empty() {
            self.actions.push_back(SourceAction::AwaitVerdict);
        }
    }

    fn resume(&mut self) {
        let machine = &*self.context.machine;
        let stopped = machine.run_state() == RunState::FinishMigrate;
        let resumed = match (stopped, self.before) {
            (true, RunState::Running) => machine.start(),
            (true, before) => machine.stop(before).map(drop),
            (false, _) => Ok(()),
        };
        if let Err(refused) = resumed {
            tracing::error!(%refused, "the guest could not be resumed");
            self.error.get_or_insert(Error::new(Side::Source, ErrorKind::Refused(refused)));
        }
    }

    fn finish(&mut self) {
        self.end_throttling();
        self.context.machine.dirty_log().stop();
        self.multifd = None;
        self.mapped_ram = None;
        if let Some(channel) = self.channel.take() {
            channel.shut_down();
        }
        if let Some(ear) = self.ear.take() {
            // It ends with the socket; what it still said is of no consequence.
            let _ = ear.join();
        }
        let status = match self.protocol {
            Source::Completed(_) => Status::Completed,
            _ if self.is_cancelled() => Status::Cancelled,
            _ => Status::Failed,
        };
        if status == Status::Completed {
            if let Some(error) = self.error.take() {
                tracing::warn!(%error, "the guest was handed over, but the destination's answer is missing");
            }
        } else if self.protocol == Source::Failed(Owner::Unknown) {
            tracing::warn!("it is not known whether the destination has the guest: it stays stopped here");
            if let Err(refused) = self.context.machine.stop(RunState::PostMigrate) {
                tracing::error!(%refused, "the guest could not be put aside");
            }
        }
        if self.context.shared.capabilities().release_ram && self.protocol.owner() == Owner::Destination {
            self.release_ram();
        }
        self.account.finish(&self.context, status, self.error.as_ref());
        self.context.frozen = None;
        self.context.shared.enter(&*self.context.machine, status);
    }

    /// Gives the memory of a guest that is elsewhere back to the host. What cannot be given back is only told: the
    /// guest is where it should be.
    fn release_ram(&self) {
        let machine = &*self.context.machine;
        if let Err(refused) = machine.forsake() {
            tracing::warn!(%refused, "the memory of the guest that was moved stays (release-ram)");
            return;
        }
        for block in machine.ram() {
            match release(&**block) {
                Ok(is_freed) => tracing::debug!(block = block.name(), is_freed, "release-ram"),
                Err(error) => tracing::warn!(block = block.name(), %error, "the memory of a RAM block stays"),
            }
        }
    }

    fn write(&mut self, bytes: &[u8], what: &'static str) -> Result<(), Error> {
        self.channel()?.write_all(bytes).doing(Side::Source, what)?;
        self.account.sent_bytes(bytes.len() as u64);
        Ok(())
    }

    fn channel(&self) -> Result<&Channel, Error> {
        self.channel.as_ref().ok_or_else(channel_gone)
    }
}

fn ram_name() -> Result<Name, Error> {
    Name::new(RAM_IDSTR, "section").map_err(|reason| Refused::new(reason.to_string())).at(Side::Source)
}

fn channel_gone() -> Error {
    let source = io::Error::from(io::ErrorKind::NotConnected);
    Error::new(Side::Source, ErrorKind::Io { what: "using the channel", source })
}
