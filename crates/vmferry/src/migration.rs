//! The handle that a control plane holds: starts, watches and cancels migrations of one machine.

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use vmferry_wire::globalstate::GLOBALSTATE_IDSTR;
use vmferry_wire::ram::RAM_IDSTR;
use vmstate::{Refused, Registry};

use crate::channel::{Descriptors, Interrupt, Listener, Transport, Uri, open};
use crate::control::{Capabilities, MigrationInfo, Parameters, RunState, Status};
use crate::destination;
use crate::dirty_limit::{self, DirtyLimiter, VcpuDirtyLimit};
use crate::dirty_rate::{self, DirtyRate, DirtyRateMode, DirtyRateRequest, DirtyRateStatus};
use crate::error::{Attribute as _, Doing as _, Error, ErrorKind, Side};
use crate::machine::Machine;
use crate::mapped_ram::{self, file::Access};
use crate::panicking::caught;
use crate::protocol::source::SourceEvent;
use crate::shared::Shared;
use crate::source::background::{self, guard};
use crate::source::mapped_ram::PageFiles;
use crate::source::multifd::{Connections, advice, connect, refusal};
use crate::source::return_path::Heard;
use crate::source::{self, CancelGate};

/// How an incoming migration ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incoming {
    /// Start the guest if it ran at the source; otherwise it stays stopped until `cont`.
    pub autostart: bool,
}

impl Default for Incoming {
    fn default() -> Self {
        Self { autostart: true }
    }
}

/// Migrations of one machine, one at a time.
pub struct Migration {
    machine: Arc<dyn Machine>,
    shared: Arc<Shared>,
    descriptors: Descriptors,
    limiter: Arc<DirtyLimiter>,
    attempt: Mutex<Option<Attempt>>,
}

struct Attempt {
    tell: Option<Sender<Heard>>,
    gate: CancelGate,
    listening: Option<Uri>,
    /// Gone once somebody waits for it.
    thread: Option<JoinHandle<Result<(), Error>>>,
}

impl std::fmt::Debug for Migration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Migration").field("info", &*self.shared.info()).finish_non_exhaustive()
    }
}

impl Migration {
    /// The migrations of `machine`.
    #[must_use]
    pub fn new(machine: Arc<dyn Machine>) -> Self {
        let shared = Arc::new(Shared::default());
        let limiter = DirtyLimiter::new(Arc::clone(&machine), Arc::clone(&shared));
        Self { machine, shared, descriptors: Descriptors::default(), limiter, attempt: Mutex::new(None) }
    }

    /// Descriptors that `fd:` addresses name.
    #[must_use]
    pub fn descriptors(&self) -> &Descriptors {
        &self.descriptors
    }

    /// The parameters in force.
    #[must_use]
    pub fn parameters(&self) -> Parameters {
        *self.shared.parameters()
    }

    /// Sets the parameters; they act at once.
    ///
    /// # Errors
    ///
    /// A value is outside its range.
    pub fn set_parameters(&self, parameters: Parameters) -> Result<(), Error> {
        if let Some(fault) = parameters.fault().or_else(|| mapped_ram::conflict(self.capabilities(), &parameters)) {
            return Err(state(fault));
        }
        *self.shared.parameters() = parameters;
        Ok(())
    }

    /// The capabilities in force.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        *self.shared.capabilities()
    }

    /// Sets the capabilities.
    ///
    /// # Errors
    ///
    /// A migration runs, one of them needs or excludes another one, or the machine cannot do what is asked for.
    pub fn set_capabilities(&self, capabilities: Capabilities) -> Result<(), Error> {
        // Nobody begins a migration while this is held: what its checks saw is what its thread finds.
        let _attempt = self.attempt();
        if self.shared.info().status.is_running() {
            return Err(state("capabilities are fixed while a migration runs"));
        }
        capabilities.check().map_err(state)?;
        if let Some(conflict) = mapped_ram::conflict(capabilities, &self.parameters()) {
            return Err(state(conflict));
        }
        if capabilities.auto_converge {
            let refused = |refused| state(format!("auto-converge cannot be turned on: {refused}"));
            self.machine.throttle(0).map_err(refused)?;
        }
        if capabilities.background_snapshot {
            let refused = |error| state(format!("background-snapshot cannot be turned on: {error}"));
            guard::probe(self.machine.ram()).map_err(refused)?;
        }
        if capabilities.dirty_limit {
            self.machine.vcpu_dirty_rings().map_err(|refused| dirty_limit::refusal(&refused))?;
        }
        *self.shared.capabilities() = capabilities;
        Ok(())
    }

    /// The account of the current or last migration.
    #[must_use]
    pub fn info(&self) -> MigrationInfo {
        let info = self.shared.info().clone();
        let dirty_limit = self.capabilities().dirty_limit.then(|| self.limiter.stats()).flatten();
        let blocked_reasons = self.machine.registry().blocked_reasons();
        MigrationInfo { blocked_reasons, dirty_limit, restore: self.shared.restored(), ..info }
    }

    /// Limits what one vCPU, or each, may dirty, in MiB per second; 0 lifts the limit.
    ///
    /// # Errors
    ///
    /// The machine has no dirty rings or no such vCPU, or a migration with capability `dirty-limit` runs.
    pub fn set_vcpu_dirty_limit(&self, vcpu: Option<u64>, mb_per_s: u64) -> Result<(), Error> {
        self.change_dirty_limit(vcpu, (mb_per_s > 0).then_some(mb_per_s))
    }

    /// Lifts the limit of one vCPU, or of all; nothing if there is none.
    ///
    /// # Errors
    ///
    /// There is no such vCPU, or a migration with capability `dirty-limit` runs.
    pub fn cancel_vcpu_dirty_limit(&self, vcpu: Option<u64>) -> Result<(), Error> {
        self.change_dirty_limit(vcpu, None)
    }

    fn change_dirty_limit(&self, vcpu: Option<u64>, limit_mb_per_s: Option<u64>) -> Result<(), Error> {
        // Nobody begins a migration while this is held.
        let _attempt = self.attempt();
        if self.capabilities().dirty_limit && self.shared.info().status.is_running() {
            return Err(state("a migration that limits the vCPUs itself (dirty-limit) runs"));
        }
        self.limiter.set(vcpu, limit_mb_per_s)
    }

    /// The vCPUs that are limited in what they may dirty.
    #[must_use]
    pub fn vcpu_dirty_limits(&self) -> Vec<VcpuDirtyLimit> {
        self.limiter.limits()
    }

    /// Starts to measure how fast the guest dirties its memory, and returns; [`Migration::dirty_rate`] has the result.
    ///
    /// # Errors
    ///
    /// A measurement is under way, or, in mode `dirty-bitmap`, a migration, which has the dirty log.
    pub fn calc_dirty_rate(&self, request: DirtyRateRequest) -> Result<(), Error> {
        // Nobody begins a migration while this is held.
        let _attempt = self.attempt();
        let uses_log = request.mode == DirtyRateMode::DirtyBitmap;
        if uses_log && self.shared.info().status.is_running() {
            return Err(state("the dirty log is in use by a migration: measure by mode page-sampling"));
        }
        let mut rate = self.shared.dirty_rate();
        if rate.status == DirtyRateStatus::Measuring {
            return Err(state("the dirty rate is being measured already"));
        }
        let begun = DirtyRate::begun(&request);
        let (machine, shared) = (Arc::clone(&self.machine), Arc::clone(&self.shared));
        let work = move || {
            let found = caught(Side::Source, || dirty_rate::measure(&*machine, &request)).unwrap_or_else(|error| {
                tracing::error!(%error, "the dirty rate could not be measured");
                None
            });
            *shared.dirty_rate() = begun.ended(found);
        };
        thread::Builder::new().name("dirty-rate".to_owned()).spawn(work).doing(Side::Source, "starting a thread")?;
        *rate = begun;
        Ok(())
    }

    /// Bytes of RAM that the machine's guest uses.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.machine.ram().iter().map(|block| block.used_len()).sum()
    }

    /// The last measurement of the dirty rate.
    #[must_use]
    pub fn dirty_rate(&self) -> DirtyRate {
        *self.shared.dirty_rate()
    }

    /// Address that an incoming migration listens on, with the port that the kernel chose.
    #[must_use]
    pub fn listening(&self) -> Option<Uri> {
        self.attempt().as_ref().and_then(|attempt| attempt.listening.clone())
    }

    /// Starts to move the guest to `uri` and returns; the outcome is in [`Migration::info`].
    ///
    /// # Errors
    ///
    /// A migration runs, the guest is not here, something blocks (see [`vmstate::Registry::blocked_reasons`]), or the
    /// address cannot be opened. A socket that nobody listens on is
    /// found out later, as in QEMU: the status becomes `failed`.
    pub fn migrate(&self, uri: &Uri) -> Result<(), Error> {
        let mut attempt = self.vacant()?;
        match self.machine.run_state() {
            RunState::InMigrate => return Err(state("the guest is not here: an incoming migration is awaited")),
            RunState::PostMigrate => {
                return Err(state("the guest was migrated away: only if the destination is lost, cont it here first"));
            }
            RunState::InternalError => return Err(state("the guest is in an error state and cannot be migrated")),
            _ => {}
        }
        let (capabilities, parameters) = (self.capabilities(), self.parameters());
        if let Some(text) = refused(uri, capabilities, parameters) {
            return Err(state(text));
        }
        let rate = self.dirty_rate();
        if rate.status == DirtyRateStatus::Measuring && rate.mode == DirtyRateMode::DirtyBitmap {
            return Err(state("the dirty rate is being measured by the dirty log, which a migration needs"));
        }
        check_names(self.machine.registry()).at(Side::Source)?;
        let frozen = self.machine.registry().freeze_for_save().map_err(|refused| {
            let blocked = Refused::new(format!("migration is blocked: {refused}"));
            Error::new(Side::Source, ErrorKind::Refused(blocked))
        })?;
        let started = Instant::now();
        let interrupt = Interrupt::new().doing(Side::Source, "preparing the migration")?;
        let gate: CancelGate = Arc::new(Mutex::new(Some(interrupt.clone())));
        let (tell, heard) = channel();
        let connect: Box<dyn FnOnce() -> io::Result<Connections> + Send> = match uri {
            Uri::Unix(_) | Uri::Tcp { .. } => {
                let (uri, uuid) = (uri.clone(), self.machine.uuid());
                let channels = capabilities.multifd.then_some(parameters.multifd.channels);
                Box::new(move || connect(&uri, interrupt, channels, uuid))
            }
            Uri::File { .. } | Uri::Fd(_) | Uri::Exec(_) => {
                let open = || {
                    // First, so that a file that cannot be written as is wanted keeps what it has.
                    let channels = mapped_ram::channels(uri, capabilities, &parameters, Access::Write)?;
                    let main = open::open(uri, &self.descriptors, interrupt)?;
                    let files = channels.map(|channels| PageFiles::of(channels, &main)).transpose()?;
                    Ok(Connections { main, multifd: None, files })
                };
                let connections = open().doing(Side::Source, "opening the channel")?;
                Box::new(move || Ok(connections))
            }
        };
        let context = source::Context {
            machine: Arc::clone(&self.machine),
            shared: Arc::clone(&self.shared),
            gate: Arc::clone(&gate),
            heard,
            tell: tell.clone(),
            limiter: Arc::clone(&self.limiter),
            started,
            frozen: Some(frozen),
        };
        self.reset(false);
        let (machine, shared) = (Arc::clone(&self.machine), Arc::clone(&self.shared));
        let thread = thread::Builder::new()
            .name("migration".to_owned())
            .spawn(move || ended(&*machine, &shared, Side::Source, || outgoing(context, connect)))
            .doing(Side::Source, "starting the migration's thread");
        let thread = thread.inspect_err(|error| fail(&*self.machine, &self.shared, error))?;
        *attempt = Some(Attempt { tell: Some(tell), gate, listening: None, thread: Some(thread) });
        Ok(())
    }

    /// Starts to wait for a guest at `uri`; returns once the address is open.
    ///
    /// # Errors
    ///
    /// This machine does not wait for a guest, has a device that cannot migrate, or the address cannot be opened.
    pub fn incoming(&self, uri: &Uri, options: Incoming) -> Result<(), Error> {
        let mut attempt = self.vacant()?;
        if self.machine.run_state() != RunState::InMigrate {
            return Err(state("this machine was not started with --incoming, or has its guest already"));
        }
        let last = self.info();
        if last.incoming && last.status.is_final() {
            return Err(state(
                "an incoming migration failed here, and parts of it may have been loaded: start a fresh destination",
            ));
        }
        // Zero copy is the source's alone.
        let capabilities = Capabilities { zero_copy_send: false, ..self.capabilities() };
        let parameters = self.parameters();
        if let Some(text) = refused(uri, capabilities, parameters) {
            return Err(state(text));
        }
        check_names(self.machine.registry()).at(Side::Destination)?;
        // Devices may still come until the stream does; what cannot be loaded is better said at once.
        drop(self.machine.registry().freeze_for_load().at(Side::Destination)?);
        let interrupt = Interrupt::new().doing(Side::Destination, "preparing the migration")?;
        let gate: CancelGate = Arc::new(Mutex::new(Some(interrupt.clone())));
        let files = mapped_ram::channels(uri, capabilities, &parameters, Access::Read)
            .doing(Side::Destination, "opening the channel")?;
        let listener =
            Listener::bind(uri, &self.descriptors, interrupt).doing(Side::Destination, "opening the channel")?;
        let listening = listener.local_uri();
        self.reset(true);
        let context = destination::Context {
            machine: Arc::clone(&self.machine),
            shared: Arc::clone(&self.shared),
            autostart: options.autostart,
            multifd: capabilities.multifd.then_some(parameters.multifd),
            restore: parameters.restore,
        };
        let (machine, shared) = (Arc::clone(&self.machine), Arc::clone(&self.shared));
        let thread = thread::Builder::new()
            .name("incoming".to_owned())
            .spawn(move || ended(&*machine, &shared, Side::Destination, || destination::run(&context, listener, files)))
            .doing(Side::Destination, "starting the migration's thread");
        let thread = thread.inspect_err(|error| fail(&*self.machine, &self.shared, error))?;
        *attempt = Some(Attempt { tell: None, gate, listening, thread: Some(thread) });
        Ok(())
    }

    /// Asks the running migration to end. It may be too late: once the destination has the guest, it stays there.
    pub fn cancel(&self) {
        let attempt = self.attempt();
        let Some(attempt) = attempt.as_ref() else { return };
        let gate = attempt.gate.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(interrupt) = gate.as_ref() {
            if let Some(tell) = &attempt.tell {
                // The thread may have ended just now; then there is nothing to cancel.
                let _ = tell.send(Heard::Event(SourceEvent::Cancel));
            }
            interrupt.raise();
        }
    }

    /// Waits until the current migration is over.
    ///
    /// # Errors
    ///
    /// How it failed; or there is none to wait for.
    pub fn wait(&self) -> Result<(), Error> {
        let thread = self.attempt().as_mut().and_then(|attempt| attempt.thread.take());
        match thread.map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(state("the migration's thread panicked")),
            None => Err(state("there is no migration to wait for")),
        }
    }

    fn attempt(&self) -> MutexGuard<'_, Option<Attempt>> {
        self.attempt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of the attempt, if it is free.
    fn vacant(&self) -> Result<MutexGuard<'_, Option<Attempt>>, Error> {
        let mut attempt = self.attempt();
        if self.shared.info().status.is_running() {
            return Err(state("a migration is under way"));
        }
        // Its status is final, so the thread has nothing left to do but end.
        if let Some(thread) = attempt.take().and_then(|attempt| attempt.thread) {
            let _ = thread.join();
        }
        Ok(attempt)
    }

    fn reset(&self, incoming: bool) {
        *self.shared.info() = MigrationInfo { incoming, ..MigrationInfo::default() };
        self.shared.enter(&*self.machine, Status::Setup);
    }
}

impl Drop for Migration {
    fn drop(&mut self) {
        self.limiter.lift();
    }
}

/// The whole of a migration's thread: however `work` ends, the status is final afterwards.
fn ended(
    machine: &dyn Machine,
    shared: &Shared,
    side: Side,
    work: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    let result = caught(side, work);
    if let Err(error) = &result
        && !shared.info().status.is_final()
    {
        fail(machine, shared, error);
    }
    result
}

/// Ends an attempt that came to nothing.
fn fail(machine: &dyn Machine, shared: &Shared, error: &Error) {
    shared.info().error = Some(error.to_string());
    let status = if matches!(error.kind(), ErrorKind::Cancelled) {
        shared.enter(machine, Status::Cancelling);
        Status::Cancelled
    } else {
        Status::Failed
    };
    shared.enter(machine, status);
}

/// Refuses a device that is called like a section of the engine's own: its state would be taken for that.
fn check_names(registry: &Registry) -> Result<(), Refused> {
    let entries = registry.entries();
    let taken = entries.iter().find(|entry| {
        let present = (entry.idstr(), entry.instance());
        let mut names = std::iter::once(present).chain(entry.other_names());
        names.any(|(idstr, instance)| [RAM_IDSTR, GLOBALSTATE_IDSTR].contains(&idstr) && instance == 0)
    });
    match taken {
        Some(entry) => Err(Refused::new(format!(
            "device '{}' instance {} is called like a section that every stream has: give it a path or another name",
            entry.idstr(),
            entry.instance()
        ))),
        None => Ok(()),
    }
}

/// The thread of an outgoing migration. Where nobody is reached, the devices are given back with the context.
fn outgoing(context: source::Context, connect: impl FnOnce() -> io::Result<Connections>) -> Result<(), Error> {
    let multifd = context.shared.capabilities().multifd;
    let connections = connect().doing(Side::Source, "connecting").map_err(|error| {
        // Somebody listens there, and closes.
        let is_closed =
            |io: &io::Error| matches!(io.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset);
        match error.kind() {
            ErrorKind::Io { source, .. } if multifd && is_closed(source) => error.advised(Some(advice())),
            _ => error,
        }
    })?;
    tracing::debug!(socket = connections.main.transport() == Transport::Socket, "connected");
    if context.shared.capabilities().background_snapshot {
        return background::run(context, connections);
    }
    source::run(context, connections)
}

/// Why the settings do not fit `uri`; `None` if they do.
fn refused(uri: &Uri, capabilities: Capabilities, parameters: Parameters) -> Option<String> {
    mapped_ram::refusal(uri, capabilities, &parameters).or_else(|| refusal(uri, capabilities, parameters))
}

fn state(text: impl Into<String>) -> Error {
    Error::new(Side::Source, ErrorKind::State(text.into()))
}
