//! The reference machine: one hart, RAM, and the devices of QEMU's `virt` board.

pub mod board;
pub mod types;
mod vcpu;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use vm_memory::GuestAddress;
use vmferry::FIRST_DEVICE_SECTION_ID;
use vmferry::Machine;
use vmferry::control::{Event, RunState};
use vmferry::dirty::{DirtyLog, SoftDirtyLog};
use vmferry::dirty_limit::VcpuDirtyRings;
use vmferry::memory::{MappedBlock, RamBlock};
use vmstate::machine::{MachineType, SettingError, Settings};
use vmstate::{Place, Refused, Registry};

use self::board::{Board, RAM_BLOCK, RAM_START};
use self::vcpu::{SoftHooks, Vcpu};
use crate::accel::RING_ENTRIES;
use crate::cpu::Hart;
use crate::devices::clock::{Clock, ClockSection, HostClock};
use crate::devices::finisher::Finisher;
use crate::devices::mswi::Mswi;
use crate::devices::mtimer::Mtimer;
use crate::devices::plic::Plic;
use crate::devices::rtc::GoldfishRtc;
use crate::devices::uart::{CharSink, Uart};
use crate::devices::virtio::{HostEntropy, VirtioRng};
use crate::instance::Reference;
use crate::lifecycle::{EventSink, ExitStatus, Lifecycle};
use crate::memory_file;
use crate::run_control::RunControl;

/// Smallest RAM: the guest program and its pages.
pub const MEMORY_MIN: u64 = 4 << 20;
/// Largest RAM.
pub const MEMORY_MAX: u64 = 64 << 30;

/// What a machine is made of.
pub struct Config {
    /// Machine type and properties.
    pub settings: Settings,
    /// Bytes of RAM, [`MEMORY_MIN`] to [`MEMORY_MAX`], a multiple of 4096.
    pub memory_bytes: u64,
    /// A file to have RAM in, shared with whoever maps it as well; without one RAM is this process's alone.
    pub memory_file: Option<PathBuf>,
    /// Raw image put at the start of RAM; nothing for a machine that waits for its guest.
    pub image: Option<Vec<u8>>,
    /// Where the guest's characters go.
    pub serial: Box<dyn CharSink>,
    /// Told of events. Called from several threads, must not block.
    pub events: Box<dyn Fn(Event) + Send + Sync>,
    /// Wait for an incoming migration.
    pub incoming: bool,
    /// Refuse devices that cannot migrate, and blockers.
    pub only_migratable: bool,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("memory_bytes", &self.memory_bytes).finish_non_exhaustive()
    }
}

/// Why a machine cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The size of memory.
    #[error("memory of {found} bytes; accepted are multiples of 4096 from {MEMORY_MIN} to {MEMORY_MAX}")]
    Memory {
        /// What was asked for.
        found: u64,
    },
    /// The image does not fit into memory.
    #[error("the guest image has {image} bytes and does not fit into {memory} bytes of memory")]
    Image {
        /// Bytes of the image.
        image: usize,
        /// Bytes of memory.
        memory: u64,
    },
    /// The file for memory.
    #[error("the memory file {}: {reason}", path.display())]
    MemoryFile {
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The host cannot give what the machine needs.
    #[error("{what}: {source}")]
    Host {
        /// What was asked for.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// A property.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The number of vCPUs.
    #[error("{found} vCPUs; {machine} has {accepted}")]
    Vcpus {
        /// What was asked for.
        found: u32,
        /// The machine type.
        machine: String,
        /// What it can have.
        accepted: &'static str,
    },
    /// The size of the dirty rings.
    #[error(
        "dirty rings of {found} entries; accepted are powers of two from {} to {}",
        RING_ENTRIES.start(),
        RING_ENTRIES.end()
    )]
    DirtyRing {
        /// What was asked for.
        found: u32,
    },
    /// There is no KVM.
    #[cfg(target_arch = "x86_64")]
    #[error(transparent)]
    NoKvm(#[from] crate::x86::NoKvm),
    /// Two devices at one place.
    #[error(transparent)]
    Device(#[from] Refused),
}

/// A `ferry-virt` machine.
#[derive(Debug)]
pub struct FerryVirt {
    name: String,
    machine_type: MachineType,
    lifecycle: Lifecycle,
    /// Ends with the machine.
    _vcpu: Vcpu,
    registry: Registry,
    ram: Vec<Arc<dyn RamBlock>>,
    log: SoftDirtyLog,
    exit: ExitStatus,
}

impl FerryVirt {
    /// Makes a machine, stopped.
    ///
    /// # Errors
    ///
    /// The configuration is out of range, or the host lacks memory or entropy.
    pub fn new(config: Config) -> Result<Arc<Self>, ConfigError> {
        let Config { settings, memory_bytes, memory_file, image, serial, events, incoming, only_migratable } = config;
        if !(MEMORY_MIN..=MEMORY_MAX).contains(&memory_bytes) || !memory_bytes.is_multiple_of(4096) {
            return Err(ConfigError::Memory { found: memory_bytes });
        }
        let bytes = usize::try_from(memory_bytes).map_err(|_| ConfigError::Memory { found: memory_bytes })?;
        let mapped = match &memory_file {
            None => MappedBlock::new(RAM_BLOCK, bytes),
            Some(path) => {
                MappedBlock::shared(RAM_BLOCK, memory_file::open(path, memory_bytes, incoming)?, 0, bytes, true)
            }
        };
        let ram = mapped
            .map_err(|error| ConfigError::Host { what: "mapping guest memory", source: io::Error::other(error) })?
            .at(RAM_START);
        if let Some(image) = &image {
            ram.write(0, image).map_err(|_| ConfigError::Image { image: image.len(), memory: memory_bytes })?;
        }
        let clock = Arc::new(HostClock::default());
        let board = make_board(&settings, ram, &clock, serial)?;
        let hart = Hart::new(0, GuestAddress(RAM_START), GuestAddress(0)).with_props(settings.properties(&[])?);
        let hart = Arc::new(Mutex::new(hart));
        let registry = Registry::new(FIRST_DEVICE_SECTION_ID);
        if only_migratable {
            registry.set_only_migratable()?;
        }
        register(&registry, &board, &clock, &hart)?;
        let (events, exit) = (EventSink::new(events), ExitStatus::default());
        let log = SoftDirtyLog::new([&board.ram]);
        let blocks: Vec<Arc<dyn RamBlock>> = vec![Arc::new(board.ram.clone())];
        let run_state = if incoming { RunState::InMigrate } else { RunState::Prelaunch };
        let hooks = SoftHooks { clock, exit: exit.clone(), events: events.clone() };
        let control = Arc::new(RunControl::new(1, run_state, Box::new(hooks)));
        let vcpu = Vcpu::spawn(Arc::clone(&control), hart, board)
            .map_err(|source| ConfigError::Host { what: "starting the vCPU's thread", source })?;
        let machine_type = settings.machine();
        Ok(Arc::new(Self {
            name: machine_type.name(),
            machine_type,
            lifecycle: Lifecycle { control, events, forsaken: AtomicBool::new(false) },
            _vcpu: vcpu,
            registry,
            ram: blocks,
            log,
            exit,
        }))
    }

    /// The machine type.
    #[must_use]
    pub fn kind(&self) -> MachineType {
        self.machine_type
    }

    /// Stops the guest for the operator: if it runs, it is `paused`; if it stands for another reason, that stays.
    ///
    /// # Errors
    ///
    /// It is not here yet, or on its way to somewhere else.
    pub fn pause(&self) -> Result<(), Refused> {
        self.lifecycle.pause()
    }

    /// Lets a guest run that never did; one that a client has started, stopped or sent away meanwhile is left alone.
    pub fn boot(&self) {
        self.lifecycle.boot();
    }

    /// Lets the guest run for the operator.
    ///
    /// # Errors
    ///
    /// It is not here yet, on its way to somewhere else, or at its end.
    pub fn cont(&self) -> Result<(), Refused> {
        self.lifecycle.cont()
    }

    /// What the guest said when it powered off; 0 is success.
    #[must_use]
    pub fn exit_code(&self) -> Option<u16> {
        self.exit.get()
    }
}

fn make_board(
    settings: &Settings,
    ram: MappedBlock,
    clock: &Arc<HostClock>,
    serial: Box<dyn CharSink>,
) -> Result<Board, ConfigError> {
    let time = || Arc::clone(clock) as Arc<dyn Clock>;
    let entropy =
        HostEntropy::open().map_err(|source| ConfigError::Host { what: "opening the host's entropy", source })?;
    Ok(Board {
        ram,
        finisher: Arc::new(Mutex::new(Finisher::default())),
        rtc: Arc::new(Mutex::new(GoldfishRtc::new(time()))),
        mswi: Arc::new(Mutex::new(Mswi::default())),
        mtimer: Arc::new(Mutex::new(Mtimer::new(time()))),
        plic: Arc::new(Mutex::new(Plic::default())),
        uart: Arc::new(Mutex::new(Uart::new(time(), serial, settings.properties(&[])?))),
        rng: Arc::new(Mutex::new(VirtioRng::new(Box::new(entropy)))),
    })
}

/// Names the devices for the stream, in the order of the board. The clock goes first: others depend on its time.
fn register(
    registry: &Registry,
    board: &Board,
    clock: &Arc<HostClock>,
    hart: &Arc<Mutex<Hart>>,
) -> Result<(), ConfigError> {
    registry.register(Place::default(), ClockSection(Arc::clone(clock)))?;
    registry.register(Place::default(), Arc::clone(hart))?;
    registry.register(Place::default(), Arc::clone(&board.mswi))?;
    registry.register(Place::default(), Arc::clone(&board.mtimer))?;
    registry.register(Place::default(), Arc::clone(&board.plic))?;
    registry.register(Place::default(), Arc::clone(&board.uart))?;
    registry.register(Place::default(), Arc::clone(&board.rtc))?;
    registry.register(Place::at("virtio-mmio@0000000010008000"), Arc::clone(&board.rng))?;
    Ok(())
}

impl Reference for FerryVirt {
    fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    fn exit(&self) -> &ExitStatus {
        &self.exit
    }
}

impl Machine for FerryVirt {
    fn machine_type(&self) -> &str {
        &self.name
    }

    fn machine_types(&self) -> Vec<String> {
        types::FERRY_VIRT.machine_types().map(|machine| machine.name()).collect()
    }

    fn registry(&self) -> &Registry {
        &self.registry
    }

    fn ram(&self) -> &[Arc<dyn RamBlock>] {
        &self.ram
    }

    fn dirty_log(&self) -> &dyn DirtyLog {
        &self.log
    }

    fn run_state(&self) -> RunState {
        self.lifecycle.control.run_state()
    }

    fn stop(&self, state: RunState) -> Result<RunState, Refused> {
        Ok(self.lifecycle.stop(state))
    }

    fn start(&self) -> Result<(), Refused> {
        self.lifecycle.start()
    }

    fn forsake(&self) -> Result<(), Refused> {
        self.lifecycle.forsake()
    }

    fn throttle(&self, percent: u8) -> Result<(), Refused> {
        self.lifecycle.control.throttle.set(percent);
        Ok(())
    }

    fn vcpu_dirty_rings(&self) -> Result<&dyn VcpuDirtyRings, Refused> {
        Err(Refused::new("a vCPU of the soft CPU has no dirty ring: run a guest by --accel kvm,dirty-ring-size=4096"))
    }

    fn emit(&self, event: Event) {
        self.lifecycle.events.emit(event);
    }
}
