//! The machine as the engine and its operator see it.

use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use kvm_bindings::{CpuId, KVM_CAP_SPLIT_IRQCHIP, KVM_MAX_CPUID_ENTRIES, kvm_enable_cap};
use kvm_ioctls::{Cap, Kvm, VmFd};
use vmferry::control::{Event, RunState};
use vmferry::dirty::DirtyLog;
use vmferry::dirty_limit::VcpuDirtyRings;
use vmferry::memory::{MappedBlock, RamBlock};
use vmferry::{FIRST_DEVICE_SECTION_ID, Machine};
use vmstate::machine::MachineType;
use vmstate::{Place, Refused, Registry};

use super::bus::{Devices, lock};
use super::clock::KvmClock;
use super::dirty_log::{KvmDirtyLog, Protection};
use super::dirty_ring::{self, KvmDirtyRing};
use super::guest::{boot, layout};
use super::kvm::host;
use super::kvm::ioctls::xsave_bytes;
use super::kvm::mapping::VcpuMapping;
use super::kvm::slots::Slot;
use super::state::msrs::MsrSet;
use super::state::vcpu::{HostCpu, KvmVcpu};
use super::types;
use super::vcpu::{Kicker, Throttler, VcpuThreads, Work};
use crate::accel::{KvmOptions, RING_ENTRIES};
use crate::devices::clock::{Clock, ClockSection, HostClock};
use crate::devices::finisher::Finisher;
use crate::devices::rtc::GoldfishRtc;
use crate::devices::uart::Uart;
use crate::instance::Reference;
use crate::lifecycle::{EventSink, ExitStatus, Lifecycle};
use crate::machine::{Config, ConfigError, MEMORY_MAX, MEMORY_MIN};
use crate::memory_file;
use crate::run_control::{Halt, Hooks, RunControl};

/// Id of the RAM block.
pub const RAM_BLOCK: &str = "ferry-x86.ram";

/// Pins of an I/O APIC that the kernel is to expect; there is none.
const IOAPIC_PINS: u64 = 24;

/// What a machine is made of.
#[derive(Debug)]
pub struct X86Config {
    /// What all machines have.
    pub config: Config,
    /// Number of vCPUs, 1 to [`layout::VCPUS_MAX`].
    pub vcpus: u32,
    /// How KVM is used.
    pub kvm: KvmOptions,
}

/// A `ferry-x86` machine.
#[derive(Debug)]
pub struct FerryX86 {
    name: String,
    machine_type: MachineType,
    lifecycle: Lifecycle,
    throttler: Throttler,
    /// End with the machine, and before what they use.
    _threads: VcpuThreads,
    registry: Registry,
    ram: Vec<Arc<dyn RamBlock>>,
    log: Log,
    exit: ExitStatus,
}

#[derive(Debug)]
enum Log {
    Bitmap(KvmDirtyLog),
    Ring(Arc<KvmDirtyRing>),
}

/// What this machine does at the turns: its clocks go and stand.
struct KvmHooks {
    clock: Arc<HostClock>,
    kvm_clock: KvmClock,
    vcpus: Vec<Arc<Mutex<KvmVcpu>>>,
    kicker: Arc<Kicker>,
    exit: ExitStatus,
    events: EventSink,
}

impl Hooks for KvmHooks {
    fn resumes(&self) {
        self.kvm_clock.start();
        for vcpu in &self.vcpus {
            // A guest without kvmclock has nobody to be told that it stood.
            let _ = lock(vcpu).fd.kvmclock_ctrl();
        }
        self.clock.start();
    }

    fn stands(&self) {
        self.clock.stop();
        self.kvm_clock.stop();
    }

    fn kick(&self) {
        self.kicker.kick();
    }

    fn halted(&self, halt: Halt) {
        self.exit.end(halt, &self.events);
    }
}

fn host_error(what: &'static str) -> impl FnOnce(kvm_ioctls::Error) -> ConfigError {
    move |errno| ConfigError::Host { what, source: errno.into() }
}

fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> ConfigError {
    move |source| ConfigError::Host { what, source }
}

impl FerryX86 {
    /// Makes a machine, stopped.
    ///
    /// # Errors
    ///
    /// There is no KVM, or it lacks what the machine needs; the configuration is out of range; the host lacks memory.
    pub fn new(config: X86Config) -> Result<Arc<Self>, ConfigError> {
        let X86Config { config, vcpus, kvm: options } = config;
        let Config { settings, memory_bytes, memory_file, image, serial, events, incoming, only_migratable } = config;
        let machine_type = settings.machine();
        let count = u8::try_from(vcpus)
            .ok()
            .filter(|count| (1..=layout::VCPUS_MAX).contains(count))
            .ok_or_else(|| ConfigError::Vcpus { found: vcpus, machine: machine_type.name(), accepted: "1 to 16" })?;
        if !(MEMORY_MIN..=MEMORY_MAX).contains(&memory_bytes) || !memory_bytes.is_multiple_of(4096) {
            return Err(ConfigError::Memory { found: memory_bytes });
        }
        let bytes = usize::try_from(memory_bytes).map_err(|_| ConfigError::Memory { found: memory_bytes })?;
        let kvm = host::open(&options.device)?;
        let mapped = match &memory_file {
            None => MappedBlock::memfd(RAM_BLOCK, bytes),
            Some(path) => {
                let file = memory_file::open(path, memory_bytes, incoming)?;
                MappedBlock::shared(RAM_BLOCK, file, 0, bytes, true).map_err(io::Error::other)
            }
        };
        let ram = mapped.map_err(io_error("mapping guest memory"))?.at(layout::RAM.0);
        if let Some(image) = &image {
            let fits = image.len() <= layout::STATUS as usize;
            let written = ram.write(0, image).and_then(|()| boot::write_tables(&ram, count));
            if !fits || written.is_err() {
                return Err(ConfigError::Image { image: image.len(), memory: layout::STATUS.into() });
            }
        }
        let parts = Parts::make(&kvm, &options, ram.clone(), count)?;

        let clock = Arc::new(HostClock::default());
        let time = || Arc::clone(&clock) as Arc<dyn Clock>;
        let devices = Devices {
            uart: Arc::new(Mutex::new(Uart::new(time(), serial, settings.properties(&[])?))),
            rtc: Arc::new(Mutex::new(GoldfishRtc::new(time()))),
            finisher: Arc::new(Mutex::new(Finisher::default())),
        };
        let kvm_clock = KvmClock::new(&parts.vm);
        let registry = Registry::new(FIRST_DEVICE_SECTION_ID);
        if only_migratable {
            registry.set_only_migratable()?;
        }
        registry.register(Place::default(), ClockSection(Arc::clone(&clock)))?;
        registry.register(Place::default(), kvm_clock.clone())?;
        for vcpu in &parts.vcpus {
            registry.register(Place::default(), Arc::clone(vcpu))?;
        }
        registry.register(Place::default(), Arc::clone(&devices.uart))?;
        registry.register(Place::default(), Arc::clone(&devices.rtc))?;

        let (events, exit) = (EventSink::new(events), ExitStatus::default());
        let Parts { vm: _, vcpus, kicker, log } = parts;
        let hooks = KvmHooks {
            clock,
            kvm_clock,
            vcpus: vcpus.clone(),
            kicker: Arc::clone(&kicker),
            exit: exit.clone(),
            events: events.clone(),
        };
        let run_state = if incoming { RunState::InMigrate } else { RunState::Prelaunch };
        let control = Arc::new(RunControl::new(vcpus.len(), run_state, Box::new(hooks)));
        let ring = match &log {
            Log::Ring(ring) => Some(Arc::clone(ring)),
            Log::Bitmap(_) => None,
        };
        let work = Work { control: Arc::clone(&control), devices, ring };
        let throttler = Throttler::new(Arc::clone(&control), Arc::clone(&kicker));
        let threads = VcpuThreads::spawn(kicker, &vcpus, &work).map_err(io_error("starting the vCPUs' threads"))?;
        Ok(Arc::new(Self {
            name: machine_type.name(),
            machine_type,
            lifecycle: Lifecycle { control, events, forsaken: AtomicBool::new(false) },
            throttler,
            _threads: threads,
            registry,
            ram: vec![Arc::new(ram)],
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

    /// How often a vCPU had to leave its guest because its dirty ring was full; 0 without rings.
    #[must_use]
    pub fn dirty_ring_full_exits(&self) -> u64 {
        match &self.log {
            Log::Ring(ring) => ring.full_exits(),
            Log::Bitmap(_) => 0,
        }
    }

    /// What the guest said when it powered off; 0 is success.
    #[must_use]
    pub fn exit_code(&self) -> Option<u16> {
        self.exit.get()
    }
}

/// What the kernel holds of a machine.
pub(super) struct Parts {
    vm: Arc<VmFd>,
    pub(super) vcpus: Vec<Arc<Mutex<KvmVcpu>>>,
    kicker: Arc<Kicker>,
    log: Log,
}

impl Parts {
    pub(super) fn make(kvm: &Kvm, options: &KvmOptions, ram: MappedBlock, count: u8) -> Result<Self, ConfigError> {
        let ram_bytes = ram.used_len();
        let vm = Arc::new(kvm.create_vm().map_err(host_error("KVM_CREATE_VM"))?);
        let mut cap = kvm_enable_cap { cap: KVM_CAP_SPLIT_IRQCHIP, ..kvm_enable_cap::default() };
        if let Some(first) = cap.args.first_mut() {
            *first = IOAPIC_PINS;
        }
        vm.enable_cap(&cap).map_err(host_error("KVM_CAP_SPLIT_IRQCHIP"))?;
        if let Some(entries) = options.dirty_ring_size {
            if !RING_ENTRIES.contains(&entries) || !entries.is_power_of_two() {
                return Err(ConfigError::DirtyRing { found: entries });
            }
            dirty_ring::enable(&vm, entries).map_err(io_error("dirty rings"))?;
        }
        let slot = Slot::new(&vm, 0, layout::RAM, ram).map_err(io_error("KVM_SET_USER_MEMORY_REGION"))?;
        let slots = vec![Arc::new(slot)];
        let supported =
            kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).map_err(host_error("KVM_GET_SUPPORTED_CPUID"))?;
        let mut fds = Vec::new();
        for index in 0..count {
            let fd = vm.create_vcpu(index.into()).map_err(host_error("KVM_CREATE_VCPU"))?;
            let cpuid = cpuid_of(&supported, index);
            fd.set_cpuid2(&cpuid).map_err(host_error("KVM_SET_CPUID2"))?;
            fds.push((fd, cpuid));
        }
        let Some((first, _)) = fds.first() else {
            return Err(ConfigError::Host { what: "making vCPUs", source: io::ErrorKind::InvalidInput.into() });
        };
        let host = Arc::new(HostCpu {
            msrs: MsrSet::probe(kvm, first).map_err(io_error("listing MSRs"))?,
            xsave_bytes: xsave_bytes(vm.check_extension_int(Cap::Xsave2)),
            xcr0: supported_xcr0(&supported),
        });
        let log = match options.dirty_ring_size {
            Some(entries) => {
                let ring = KvmDirtyRing::new(&vm, slots, fds.iter().map(|(fd, _)| fd), entries);
                Log::Ring(Arc::new(ring.map_err(io_error("mapping the dirty rings"))?))
            }
            None => {
                let protection = if options.manual_protect {
                    Protection::enable(&vm).map_err(io_error("KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2"))?
                } else {
                    Protection::AtSync
                };
                Log::Bitmap(KvmDirtyLog::new(slots, protection))
            }
        };
        let (mut vcpus, mut pages) = (Vec::new(), Vec::new());
        for ((fd, cpuid), index) in fds.into_iter().zip(0..) {
            let reset = fd.get_sregs().map_err(host_error("KVM_GET_SREGS"))?;
            fd.set_sregs(&boot::special_registers(index, &reset)).map_err(host_error("KVM_SET_SREGS"))?;
            fd.set_regs(&boot::registers(index, count, ram_bytes)).map_err(host_error("KVM_SET_REGS"))?;
            // All start by themselves: no guest here sends the others INIT and SIPI.
            let runnable = kvm_bindings::kvm_mp_state { mp_state: kvm_bindings::KVM_MP_STATE_RUNNABLE };
            fd.set_mp_state(runnable).map_err(host_error("KVM_SET_MP_STATE"))?;
            pages.push(VcpuMapping::new(&fd, 0, 4096).map_err(io_error("mapping a vCPU's page"))?);
            vcpus.push(Arc::new(Mutex::new(KvmVcpu { fd, cpuid, host: Arc::clone(&host) })));
        }
        Ok(Self { vm, vcpus, kicker: Arc::new(Kicker::new(pages)), log })
    }
}

/// What vCPU `index` is told of its processor: what KVM supports here, with a number of its own.
fn cpuid_of(supported: &CpuId, index: u8) -> CpuId {
    let mut cpuid = supported.clone();
    for entry in cpuid.as_mut_slice() {
        match entry.function {
            // The initial APIC id.
            1 => entry.ebx = entry.ebx & 0x00ff_ffff | u32::from(index) << 24,
            // The x2APIC id.
            0xb | 0x1f => entry.edx = index.into(),
            _ => {}
        }
    }
    cpuid
}

/// The components of extended state that a guest may enable: CPUID 0xd, index 0.
fn supported_xcr0(supported: &CpuId) -> u64 {
    let leaf = supported.as_slice().iter().find(|entry| entry.function == 0xd && entry.index == 0);
    // x87 and SSE are always there.
    leaf.map_or(3, |leaf| u64::from(leaf.edx) << 32 | u64::from(leaf.eax))
}

impl Reference for FerryX86 {
    fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    fn exit(&self) -> &ExitStatus {
        &self.exit
    }
}

impl Machine for FerryX86 {
    fn machine_type(&self) -> &str {
        &self.name
    }

    fn machine_types(&self) -> Vec<String> {
        types::FERRY_X86.machine_types().map(|machine| machine.name()).collect()
    }

    fn registry(&self) -> &Registry {
        &self.registry
    }

    fn ram(&self) -> &[Arc<dyn RamBlock>] {
        &self.ram
    }

    fn dirty_log(&self) -> &dyn DirtyLog {
        match &self.log {
            Log::Bitmap(log) => log,
            Log::Ring(ring) => &**ring,
        }
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
        self.throttler.set(percent).map_err(|error| Refused::new(format!("the vCPUs cannot be throttled: {error}")))
    }

    fn vcpu_dirty_rings(&self) -> Result<&dyn VcpuDirtyRings, Refused> {
        match &self.log {
            Log::Ring(ring) => Ok(&**ring),
            Log::Bitmap(_) => Err(Refused::new(
                "the vCPUs have no dirty rings: start the machine with --accel kvm,dirty-ring-size=4096",
            )),
        }
    }

    fn emit(&self, event: Event) {
        self.lifecycle.events.emit(event);
    }
}
