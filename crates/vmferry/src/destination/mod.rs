//! The destination's driver: reads the stream, loads it, and starts the guest when it is its to start.
//!
//! On success the guest is here. On failure before the source gave it up it is at the source, and nothing here was
//! started. If the source's last word is missing, the guest is loaded, stopped and startable by `cont`.

mod arrival;
mod direct;
mod held;
mod huge_cost;
mod inflate;
pub(crate) mod mapped_ram;
mod multifd;
mod ram;
mod reader;
mod regions;
mod sections;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vmferry_wire::Name;
use vmferry_wire::command::Command;
use vmferry_wire::configuration::Configuration;
use vmferry_wire::end::Trailer;
use vmferry_wire::header::Header;
use vmferry_wire::return_path::ReturnPathMessage;
use vmferry_wire::section::Element;
use vmstate::Input;

use self::held::Held;
use self::mapped_ram::MappedRam;
use self::multifd::gather::{Gathered, gather};
use self::multifd::{Alarms, Multifd};
use self::ram::{Pages, RamLoader};
use self::reader::next;
use self::sections::Sections;
use crate::advice;
use crate::channel::{Channel, Listener};
use crate::control::{MultifdParameters, RestoreMode, RunState, Status};
use crate::error::{Attribute as _, Doing as _, Error, ErrorKind, Side};
use crate::machine::Machine;
use crate::mapped_ram::file::PageFile;
use crate::memory::ignored::ignored;
use crate::panicking::caught;
use crate::protocol::destination::{Destination, DestinationAction, DestinationEvent, ReturnPath};
use crate::protocol::handover::encode_reason;
use crate::shared::Shared;

/// How long a destination that failed waits for the source to hear why.
const LAST_WORDS: Duration = Duration::from_secs(2);

const OPENING: &str = "opening the channel";

/// Everything that a destination needs beside its channel.
pub(crate) struct Context {
    pub(crate) machine: Arc<dyn Machine>,
    pub(crate) shared: Arc<Shared>,
    /// Start the guest if it ran at the source.
    pub(crate) autostart: bool,
    /// What is set for multifd, if pages come that way.
    pub(crate) multifd: Option<MultifdParameters>,
    /// How pages come out of a file that has places for them.
    pub(crate) restore: RestoreMode,
}

/// What a load reads from.
struct Connections {
    /// For answers.
    main: Channel,
    input: Input<'static>,
    ram: RamLoader,
}

fn connect(context: &Context, listener: Listener, files: Option<Vec<PageFile>>) -> Result<Connections, Error> {
    let multifd = context.multifd.filter(|_| files.is_none());
    let held = Held::new(multifd.map_or(0, |parameters| multifd::in_hand_pages(parameters.channels)));
    let ignore_shared = context.shared.capabilities().ignore_shared;
    let held = if ignore_shared { held.ignoring(ignored(context.machine.ram(), true)) } else { held };
    let held = Arc::new(held);
    let Some(parameters) = multifd else {
        let main = listener.accept().doing(Side::Destination, "waiting for the source")?;
        let mapped_ram = files.map(|files| MappedRam::open(&main, files, context.restore)).transpose()?;
        let input = main.try_clone().doing(Side::Destination, OPENING)?;
        let input = Arc::new(input);
        let pages = mapped_ram.map_or_else(|| Pages::Stream(Arc::clone(&input)), Pages::File);
        let ram = RamLoader::new(context.machine.ram(), held, pages);
        return Ok(Connections { main, input: reader::open(input, Vec::new()), ram });
    };
    let interrupt = listener.interrupt().clone();
    let alarm = || interrupt.child().doing(Side::Destination, OPENING);
    let alarms = Alarms { channels: alarm()?, main: alarm()? };
    let Gathered { main, prefix, channels } = gather(listener, &alarms, parameters.channels, context.machine.uuid())?;
    let multifd = Multifd::start(channels, alarms.clone(), context.machine.ram(), &held, parameters.compression)
        .doing(Side::Destination, "starting the multifd channels")?;
    // A channel that fails ends the reading, not the answering.
    let input = main.try_clone_with(alarms.main).doing(Side::Destination, OPENING)?;
    let main = main.try_clone_with(interrupt).doing(Side::Destination, OPENING)?;
    let ram = RamLoader::new(context.machine.ram(), held, Pages::Channels(multifd));
    Ok(Connections { main, input: reader::open(Arc::new(input), prefix), ram })
}

/// Waits for the source, loads the guest, and returns when it is over. With pages at fixed places of a file, `files`
/// has one for each channel.
pub(crate) fn run(context: &Context, listener: Listener, files: Option<Vec<PageFile>>) -> Result<(), Error> {
    let connections = connect(context, listener, files);
    let started = Instant::now();
    let mut over = None;
    let result = connections.and_then(|Connections { main: channel, input, ram }| {
        let _frozen = context.machine.registry().freeze_for_load().at(Side::Destination)?;
        context.shared.enter(&*context.machine, Status::Active);
        let mut driver = Driver {
            protocol: Destination::begin(),
            actions: VecDeque::new(),
            input,
            channel,
            sections: Sections::new(&*context.machine, ram),
            unchecked: None,
            context,
            speaks_handover: false,
            error: None,
        };
        over = Some(driver.drive());
        context.shared.keep_restored(driver.sections.take_restored());
        let (normal_pages, zero_pages) = driver.sections.pages();
        {
            let mut info = context.shared.info();
            info.ram.normal_pages = normal_pages;
            info.ram.zero_pages = zero_pages;
            info.ram.transferred = driver.input.offset();
            info.downtime_devices = driver.sections.take_device_times();
            info.owner = driver.protocol.owner();
        }
        let fatal = driver.protocol == Destination::Failed;
        match driver.error.take() {
            Some(error) if fatal => Err(error),
            Some(error) => {
                tracing::warn!(%error, "the guest is here");
                context.shared.info().error = Some(error.to_string());
                Ok(())
            }
            None => Ok(()),
        }
    });
    let mut info = context.shared.info();
    let total = over.unwrap_or_else(Instant::now).duration_since(started);
    info.total_time_ms = total.as_millis().try_into().unwrap_or(u64::MAX);
    if let Err(error) = &result {
        info.error = Some(error.to_string());
    }
    drop(info);
    let cancelled = matches!(&result, Err(error) if matches!(error.kind(), ErrorKind::Cancelled));
    let status = match &result {
        Ok(()) => Status::Completed,
        Err(_) if cancelled => Status::Cancelled,
        Err(_) => Status::Failed,
    };
    context.shared.enter(&*context.machine, status);
    result
}

struct Driver<'a> {
    protocol: Destination,
    actions: VecDeque<DestinationAction>,
    input: Input<'static>,
    channel: Channel,
    sections: Sections<'a>,
    /// The configuration and its offset, until it was checked.
    unchecked: Option<(u64, Configuration)>,
    context: &'a Context,
    /// The source is of our own kind and understands a reason.
    speaks_handover: bool,
    error: Option<Error>,
}

impl Driver<'_> {
    /// Loads the guest; returns when that was over. What the source still says is read for a while behind that.
    fn drive(&mut self) -> Instant {
        if let Err(error) = self.head() {
            self.fail(error);
        }
        while !self.protocol.is_final() || !self.actions.is_empty() {
            let step = match self.actions.pop_front() {
                Some(action) => {
                    tracing::trace!(?action, state = ?self.protocol, "destination");
                    caught(Side::Destination, || self.perform(action))
                }
                None => caught(Side::Destination, || self.element()),
            };
            if let Err(error) = step {
                self.fail(error);
            }
        }
        let over = Instant::now();
        if self.protocol == Destination::Failed {
            self.channel.linger(LAST_WORDS);
        }
        self.channel.shut_down();
        self.sections.linger(LAST_WORDS);
        over
    }

    fn handle(&mut self, event: DestinationEvent) {
        let (next, actions) = self.protocol.handle(event);
        tracing::trace!(?event, from = ?self.protocol, to = ?next, "destination");
        self.speaks_handover |= next == Destination::Loading(ReturnPath::Ferry);
        self.protocol = next;
        self.actions.extend(actions);
        self.context.shared.info().owner = next.owner();
    }

    fn fail(&mut self, error: Error) {
        // Where a multifd channel failed, everything else only ended with it.
        let error = self.sections.close_channels().unwrap_or(error);
        self.error.get_or_insert(error);
        self.actions.clear();
        self.handle(DestinationEvent::Failed);
    }

    /// Header and configuration. The latter is checked with the first section, behind the commands that open the return
    /// path, so that the source can be told.
    fn head(&mut self) -> Result<(), Error> {
        next(&mut self.input, Header::decode)?;
        let offset = self.input.offset();
        self.unchecked = Some((offset, next(&mut self.input, Configuration::decode)?));
        Ok(())
    }

    fn check_configuration(&mut self) -> Result<(), Error> {
        let Some((offset, configuration)) = self.unchecked.take() else { return Ok(()) };
        let (found, accepted) = (configuration.machine.as_str(), self.context.machine.machine_type());
        let mismatch = |what, found: String, accepted: String| {
            Err(Error::new(Side::Destination, ErrorKind::Mismatch { offset, what, found, accepted }))
        };
        // Differs from QEMU: there a prefix of the local name is accepted (docs/spec/stream.md section 3.3).
        if found != accepted {
            let accepted = advice::of_machine_type(found, accepted, &self.context.machine.machine_types());
            return mismatch("the machine type", format!("'{found}'"), accepted);
        }
        if let Some(page) = configuration.target_page
            && page.bytes() != crate::memory::TARGET_PAGE_BYTES
        {
            return mismatch("the target page size", page.bytes().to_string(), "4096".to_owned());
        }
        let validated = self.context.shared.capabilities().validated();
        let there: Vec<&str> = configuration.capabilities.iter().flatten().map(Name::as_str).collect();
        let what = "a capability that both ends must have";
        if let Some(name) = there.iter().find(|name| !validated.iter().any(|(known, _)| known == *name)) {
            return mismatch(what, format!("'{name}'"), "none of that name: turn it off at the source".to_owned());
        }
        for (name, is_on) in validated {
            match (there.contains(&name), is_on) {
                (true, false) => {
                    return mismatch(
                        what,
                        format!("'{name}'"),
                        "none: turn it on here, or off at the source".to_owned(),
                    );
                }
                (false, true) => {
                    return mismatch(
                        what,
                        "none".to_owned(),
                        format!("'{name}': turn it off here, or on at the source"),
                    );
                }
                (true, true) | (false, false) => {}
            }
        }
        Ok(())
    }

    /// One element of the stream.
    fn element(&mut self) -> Result<(), Error> {
        let offset = self.input.offset();
        match next(&mut self.input, Element::decode)? {
            Element::Section(header) => {
                self.check_configuration()?;
                self.sections.load(&header, offset, &mut self.input)
            }
            Element::Command(command) => self.command(&command, offset),
            Element::Eof => self.end(offset),
        }
    }

    fn command(&mut self, command: &Command, offset: u64) -> Result<(), Error> {
        match command {
            Command::OpenReturnPath if self.channel.has_return_direction() => {
                self.handle(DestinationEvent::ReturnPathOpened);
                Ok(())
            }
            // A recorded stream: there is nobody to answer, and nobody waits.
            Command::OpenReturnPath => Ok(()),
            Command::Ping(_) if !self.channel.has_return_direction() => Ok(()),
            Command::Ping(value) if self.protocol != Destination::Loading(ReturnPath::None) => {
                self.handle(DestinationEvent::Ping(*value));
                Ok(())
            }
            Command::SwitchoverStart => Ok(()),
            other => Err(Error::new(
                Side::Destination,
                ErrorKind::Mismatch {
                    offset,
                    what: "a command",
                    found: format!("'{}'", other.name()),
                    accepted: "those of a precopy stream: turn postcopy and the like off at the source".to_owned(),
                },
            )),
        }
    }

    /// The end mark: everything must be here.
    fn end(&mut self, offset: u64) -> Result<(), Error> {
        self.check_configuration()?;
        self.sections.finish(offset)?;
        // The description is of no use here, but the source waits until it is read.
        let trailer = self.input.peek(1).is_ok_and(|octets| !octets.is_empty());
        if trailer
            && let Ok(Trailer::Description { length }) = next(&mut self.input, Trailer::decode)
            && let Err(error) = self.input.skip(usize::try_from(length).unwrap_or(usize::MAX))
        {
            // The result was decided by the end mark (docs/spec/stream.md section 7).
            tracing::warn!(%error, "the description behind the stream is cut short");
        }
        self.handle(DestinationEvent::Loaded);
        Ok(())
    }

    fn perform(&mut self, action: DestinationAction) -> Result<(), Error> {
        match action {
            DestinationAction::Pong(value) => self.send(&ReturnPathMessage::Pong(value)),
            DestinationAction::Shut(status) => {
                self.shut(status)?;
                self.handle(DestinationEvent::Done);
                Ok(())
            }
            DestinationAction::AwaitPing => self.await_ping(),
            DestinationAction::StartGuest => {
                self.start_guest()?;
                self.handle(DestinationEvent::Done);
                Ok(())
            }
            DestinationAction::Finish => {
                if self.protocol == Destination::Orphaned {
                    // Not `inmigrate` any more: `cont` is allowed.
                    self.context.machine.stop(RunState::Paused).at(Side::Destination)?;
                }
                Ok(())
            }
        }
    }

    fn send(&mut self, message: &ReturnPathMessage) -> Result<(), Error> {
        let mut out = Vec::new();
        message.encode(&mut out);
        self.channel.write_all(&out).doing(Side::Destination, "answering on the return path")
    }

    fn shut(&mut self, status: u32) -> Result<(), Error> {
        let answer = self.answer(status);
        // After a failure the answer is a courtesy: the source resumes without it, too.
        if self.protocol.is_final() { Ok(()) } else { answer }
    }

    fn answer(&mut self, status: u32) -> Result<(), Error> {
        if status != 0
            && self.speaks_handover
            && let Some(error) = &self.error
        {
            let reason = encode_reason(&error.to_string());
            self.channel.write_all(&reason).doing(Side::Destination, "saying why")?;
        }
        self.send(&ReturnPathMessage::Shut(status))
    }

    /// Waits for the source's last word.
    fn await_ping(&mut self) -> Result<(), Error> {
        match next(&mut self.input, Element::decode) {
            Ok(Element::Command(Command::Ping(value))) => {
                if value == crate::protocol::handover::ABORT {
                    self.error.get_or_insert(Error::new(Side::Source, ErrorKind::Cancelled));
                }
                self.handle(DestinationEvent::Ping(value));
                Ok(())
            }
            Ok(other) => Err(Error::new(
                Side::Destination,
                ErrorKind::State(format!("the source sent {other:?} where its last word was due")),
            )),
            Err(error) => {
                let lost = "the guest is loaded and stopped here, but the source's last word did not arrive: \
                            start it with cont if, and only if, the source is in postmigrate or dead";
                tracing::warn!(%error, "{lost}");
                self.error = Some(Error::new(Side::Destination, ErrorKind::State(lost.to_owned())));
                self.handle(DestinationEvent::Closed);
                Ok(())
            }
        }
    }

    fn start_guest(&mut self) -> Result<(), Error> {
        let machine = &*self.context.machine;
        match self.sections.run_state() {
            RunState::Running if self.context.autostart => machine.start(),
            // What never ran, or has ended, is here what it was there.
            state @ (RunState::Prelaunch | RunState::Shutdown | RunState::InternalError) => {
                machine.stop(state).map(drop)
            }
            _ => machine.stop(RunState::Paused).map(drop),
        }
        .at(Side::Destination)
    }
}
