//! One machine as a process: machine, serial port, control plane, and how it ends.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use vmferry::channel::Uri;
use vmferry::control::{Capabilities, Event, Parameters, RestoreMode, RunState};
use vmferry::{Error, Incoming, Machine, Migration};
use vmferry_qmp::{
    CapabilitiesUpdate, CommandError, EngineMonitor, EventBus, Guest, MachineInfo, Monitor as _, ParametersUpdate,
    Server,
};
use vmstate::machine::{DeviceType, Settings};

use crate::accel::Accel;
use crate::devices::uart::CharSink;
use crate::families::{Family, FamilyError};
use crate::lifecycle::{ExitStatus, Lifecycle};
use crate::machine::{Config, ConfigError, FerryVirt};

/// Where the guest's characters go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Serial {
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
    /// Nowhere.
    Null,
}

/// Where the guest comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// An image put into RAM.
    Image(Vec<u8>),
    /// An incoming migration from this address.
    Incoming(Uri),
    /// An incoming migration whose address comes by `migrate-incoming`.
    Defer,
}

/// What an instance is made of.
#[derive(Debug)]
pub struct Options {
    /// What runs the guest.
    pub accel: Accel,
    /// Machine type and properties.
    pub settings: Settings,
    /// Number of vCPUs.
    pub vcpus: u32,
    /// Bytes of RAM.
    pub memory_bytes: u64,
    /// File to have RAM in.
    pub memory_file: Option<PathBuf>,
    /// The guest.
    pub origin: Origin,
    /// Its serial port.
    pub serial: Serial,
    /// Socket of the control plane.
    pub qmp: Option<PathBuf>,
    /// Do not start the guest by ourselves.
    pub paused: bool,
    /// Refuse what cannot migrate.
    pub only_migratable: bool,
    /// The guest that is awaited comes out of a file of capability `mapped-ram`, which is turned on, in this way.
    pub restore: Option<RestoreMode>,
    /// Capabilities of its migrations, set before anything else.
    pub capabilities: CapabilitiesUpdate,
    /// Parameters of its migrations, set before anything else.
    pub parameters: ParametersUpdate,
}

/// Why an instance cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The machine.
    #[error("the machine cannot be made: {0}")]
    Machine(#[from] ConfigError),
    /// There is none that runs on this accelerator.
    #[error(transparent)]
    Family(#[from] FamilyError),
    /// The file of the serial port.
    #[error("the serial port cannot write to {path}: {source}")]
    Serial {
        /// Its path.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The socket of the control plane.
    #[error("the control plane cannot be opened: {0}")]
    Qmp(#[from] vmferry_qmp::ServerError),
    /// A capability or a parameter.
    #[error("{0}")]
    MigrationSetting(String),
    /// The address of the incoming migration.
    #[error("{0}")]
    Incoming(String),
}

/// How an instance ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// A client of the control plane said `quit`.
    Quit,
    /// The guest powered itself off with this verdict; 0 is success.
    Shutdown {
        /// The guest's verdict.
        code: u16,
    },
    /// The guest that was awaited did not arrive.
    IncomingFailed(String),
}

/// A machine of either kind.
pub(crate) trait Reference: Machine {
    /// Its run states.
    fn lifecycle(&self) -> &Lifecycle;

    /// How its guest ended.
    fn exit(&self) -> &ExitStatus;
}

/// A running instance.
pub struct Instance {
    machine: Arc<dyn Reference>,
    migration: Arc<Migration>,
    /// Ends with the instance.
    _server: Option<Server>,
    ends: Receiver<End>,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("machine", &self.machine.machine_type()).finish_non_exhaustive()
    }
}

impl Instance {
    /// Starts one.
    ///
    /// # Errors
    ///
    /// Each of its parts may be refused.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let Options {
            accel,
            settings,
            vcpus,
            memory_bytes,
            memory_file,
            origin,
            serial,
            qmp,
            paused,
            only_migratable,
            restore,
            capabilities,
            parameters,
        } = options;
        let (tell, ends) = channel();
        let bus = EventBus::new();
        let events = {
            let (bus, tell) = (bus.clone(), tell.clone());
            Box::new(move |event: Event| {
                let shut_down = event == Event::Shutdown;
                bus.emit(event);
                if shut_down {
                    // The code is asked of the machine by whoever waits; nobody waits after another end.
                    let _ = tell.send(End::Shutdown { code: 0 });
                }
            })
        };
        let (image, incoming) = match origin {
            Origin::Image(image) => (Some(image), None),
            Origin::Incoming(uri) => (None, Some(Some(uri))),
            Origin::Defer => (None, Some(None)),
        };
        let (serial, incoming_is_awaited) = (sink(serial)?, incoming.is_some());
        let config = Config {
            settings,
            memory_bytes,
            memory_file,
            image,
            serial,
            events,
            incoming: incoming_is_awaited,
            only_migratable,
        };
        let family = Family::of(&accel)?;
        let machine = make(accel, vcpus, config)?;
        let migration = Arc::new(Migration::new(Arc::<dyn Reference>::clone(&machine)));
        if let Some(restore) = restore {
            let capabilities = Capabilities { mapped_ram: true, ..migration.capabilities() };
            let set = migration
                .set_capabilities(capabilities)
                .and_then(|()| migration.set_parameters(Parameters { restore, ..migration.parameters() }));
            set.map_err(|error| StartError::Incoming(error.to_string()))?;
        }
        let guest = Arc::new(Process { machine: Arc::clone(&machine), family, tell });
        let monitor = Arc::new(EngineMonitor::new(guest, Arc::clone(&migration), Incoming { autostart: !paused }));
        let set = monitor.set_capabilities(capabilities).and_then(|()| monitor.set_parameters(parameters));
        set.map_err(|error| StartError::MigrationSetting(error.desc))?;
        bus.set_migration_events(monitor.capabilities().events);
        match incoming {
            None if paused => {}
            None => machine.lifecycle().boot(),
            Some(None) => {}
            Some(Some(uri)) => {
                monitor.migrate_incoming(&uri, true).map_err(|error| StartError::Incoming(error.to_string()))?;
            }
        }
        // Last: whoever finds the control plane may rely on the address of the incoming migration.
        let server = match qmp {
            Some(path) => Some(Server::bind(&path, monitor, bus)?),
            None => None,
        };
        Ok(Self { machine, migration, _server: server, ends })
    }

    /// The machine.
    #[must_use]
    pub fn machine(&self) -> &dyn Machine {
        &*self.machine
    }

    /// Its migrations.
    #[must_use]
    pub fn migration(&self) -> &Arc<Migration> {
        &self.migration
    }

    /// Waits for the end. A migration that is under way is cancelled, so that the guest is not left between two places.
    #[must_use]
    pub fn wait(self) -> End {
        // The sender lives in the machine, which this holds.
        let end = self.ends.recv().unwrap_or(End::Quit);
        if !self.migration.info().incoming {
            self.migration.cancel();
        }
        match end {
            End::Shutdown { .. } => End::Shutdown { code: self.machine.exit().get().unwrap_or(0) },
            other => other,
        }
    }
}

/// A machine that `accel` runs, stopped, without process and control plane around it.
///
/// # Errors
///
/// The machine cannot be made.
pub fn bare_machine(accel: Accel, vcpus: u32, config: Config) -> Result<Arc<dyn Machine>, StartError> {
    Ok(make(accel, vcpus, config)?)
}

/// Makes the machine that `accel` runs.
fn make(accel: Accel, vcpus: u32, config: Config) -> Result<Arc<dyn Reference>, StartError> {
    match accel {
        Accel::Soft => {
            if vcpus != 1 {
                let machine = config.settings.machine().name();
                return Err(ConfigError::Vcpus { found: vcpus, machine, accepted: "1" }.into());
            }
            Ok(FerryVirt::new(config)?)
        }
        #[cfg(target_arch = "x86_64")]
        Accel::Kvm(kvm) => Ok(crate::x86::FerryX86::new(crate::x86::X86Config { config, vcpus, kvm })?),
        #[cfg(not(target_arch = "x86_64"))]
        Accel::Kvm(_) => Err(FamilyError::Host { accel: accel.name() }.into()),
    }
}

/// The guest and its process, as the control plane commands them.
struct Process {
    machine: Arc<dyn Reference>,
    family: &'static Family,
    tell: Sender<End>,
}

impl Guest for Process {
    fn run_state(&self) -> RunState {
        self.machine.run_state()
    }

    fn stop(&self) -> Result<(), CommandError> {
        self.machine.lifecycle().pause().map_err(|refused| CommandError::generic(refused.to_string()))
    }

    fn cont(&self) -> Result<(), CommandError> {
        self.machine.lifecycle().cont().map_err(|refused| CommandError::generic(refused.to_string()))
    }

    fn quit(&self) {
        // Nobody listens any more if the process is ending for another reason.
        let _ = self.tell.send(End::Quit);
    }

    fn machines(&self) -> Vec<MachineInfo> {
        self.family
            .machines
            .machine_types()
            .map(|machine_type| MachineInfo {
                machine_type,
                is_default: machine_type.is_newest(),
                cpu_max: self.family.vcpus_max.into(),
                has_hotpluggable_cpus: false,
                has_numa_memory: false,
                has_acpi: false,
                default_ram_id: Some(self.family.ram_block.to_owned()),
                default_cpu_type: None,
            })
            .collect()
    }

    fn device_types(&self) -> Vec<DeviceType> {
        self.family.device_types.to_vec()
    }

    fn incoming_failed(&self, error: &Error) {
        let _ = self.tell.send(End::IncomingFailed(error.to_string()));
    }
}

fn sink(serial: Serial) -> Result<Box<dyn CharSink>, StartError> {
    match serial {
        Serial::Null => Ok(Box::new(|_| true)),
        Serial::Stdout => Ok(lines_to(io::stdout())),
        Serial::File(path) => match OpenOptions::new().create(true).append(true).open(&path) {
            Ok(file) => Ok(lines_to(file)),
            Err(source) => Err(StartError::Serial { path, source }),
        },
    }
}

fn lines_to(out: impl Write + Send + 'static) -> Box<dyn CharSink> {
    Box::new(Lines { out, line: Vec::with_capacity(LINE_MAX) })
}

/// Longest piece that is kept back for its line to end.
const LINE_MAX: usize = 512;

/// Writes whole lines, so that two processes that append to one file do not mix theirs; what is there of a line when
/// the guest stops is written then.
struct Lines<W> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write + Send> CharSink for Lines<W> {
    fn accept(&mut self, byte: u8) -> bool {
        self.line.push(byte);
        if byte == b'\n' || self.line.len() >= LINE_MAX {
            self.flush();
        }
        true
    }

    fn flush(&mut self) {
        // The guest must not stop because nobody reads its characters.
        let _ = self.out.write_all(&self.line).and_then(|()| self.out.flush());
        self.line.clear();
    }
}
