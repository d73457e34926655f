//! What a machine lends to its control plane.

use std::os::fd::OwnedFd;

use vmferry::channel::Uri;
use vmferry::control::{Capabilities, MigrationInfo, Parameters, RunState};
use vmferry::dirty_limit::VcpuDirtyLimit;
use vmferry::dirty_rate::{DirtyRate, DirtyRateRequest};
use vmstate::machine::{DeviceType, MachineType};

use crate::error::CommandError;
use crate::settings::{CapabilitiesUpdate, ParametersUpdate};

/// The machine as the server sees it. Methods are called from the threads of several clients at once, one command a
/// client at a time, and never while the server holds a lock.
///
/// Methods that act answer quickly: what takes time goes on in the machine's own threads, and shows in
/// [`Monitor::migration`] and in the events that the machine gives to its [`EventBus`](crate::EventBus).
pub trait Monitor: Send + Sync {
    /// What the guest does now.
    fn run_state(&self) -> RunState;

    /// Stops the guest; success if it is stopped.
    ///
    /// # Errors
    /// The state does not allow it.
    fn stop(&self) -> Result<(), CommandError>;

    /// Lets the guest run; success if it runs.
    ///
    /// # Errors
    /// The state does not allow it, for instance while a migration owns the guest.
    fn cont(&self) -> Result<(), CommandError>;

    /// Ends the process. Called when the reply is out, or its client too slow to take it.
    fn quit(&self);

    /// Starts an outgoing migration to `uri` and returns; a connection that fails shows later as status `failed`.
    ///
    /// When it returns, [`Monitor::migration`] tells of the new migration already: a client that polls would else take
    /// the end of the one before for its own.
    ///
    /// # Errors
    /// An unknown name of an `fd:`, a file that cannot be opened, a migration that runs,
    /// a run state of `inmigrate` or `postmigrate`, a blocker (`docs/spec/control.md` section 2.1).
    fn migrate(&self, uri: &Uri) -> Result<(), CommandError>;

    /// Listens at `uri` for an incoming migration and returns once it listens.
    ///
    /// With `exit_on_error` a load that fails ends the process with status 1; without, it shows as status `failed`.
    ///
    /// # Errors
    /// Not started with `-incoming defer`, started already, address in use.
    fn migrate_incoming(&self, uri: &Uri, exit_on_error: bool) -> Result<(), CommandError>;

    /// Asks for cancellation; does nothing if nothing runs.
    fn migrate_cancel(&self);

    /// What is known of the current or last migration.
    fn migration(&self) -> MigrationInfo;

    /// Bytes of the guest's memory.
    fn memory_bytes(&self) -> u64;

    /// Starts to measure how fast the guest dirties its memory.
    ///
    /// # Errors
    /// A measurement is under way, or a migration that needs the same dirty log.
    fn calc_dirty_rate(&self, request: DirtyRateRequest) -> Result<(), CommandError>;

    /// The last such measurement.
    fn dirty_rate(&self) -> DirtyRate;

    /// Limits what one vCPU, or each, may dirty, in MiB per second; 0 lifts the limit.
    ///
    /// # Errors
    /// The vCPUs have no dirty rings, there is no such vCPU, or a migration limits them itself.
    fn set_vcpu_dirty_limit(&self, vcpu: Option<u64>, mb_per_s: u64) -> Result<(), CommandError>;

    /// Lifts the limit of one vCPU, or of all.
    ///
    /// # Errors
    /// There is no such vCPU, or a migration limits them itself.
    fn cancel_vcpu_dirty_limit(&self, vcpu: Option<u64>) -> Result<(), CommandError>;

    /// The vCPUs that are limited.
    fn vcpu_dirty_limits(&self) -> Vec<VcpuDirtyLimit>;

    /// Where an incoming migration listens, with the port that the kernel chose.
    fn listening(&self) -> Option<Uri>;

    /// Parameters in force.
    fn parameters(&self) -> Parameters;

    /// Applies a change whose values were found to be within their ranges; a running migration obeys at once.
    ///
    /// # Errors
    /// The machine cannot take the value.
    fn set_parameters(&self, update: ParametersUpdate) -> Result<(), CommandError>;

    /// Capabilities in force.
    fn capabilities(&self) -> Capabilities;

    /// Applies a change, all of it or nothing.
    ///
    /// # Errors
    /// A migration runs, or the machine cannot take the combination.
    fn set_capabilities(&self, update: CapabilitiesUpdate) -> Result<(), CommandError>;

    /// Keeps a descriptor for an `fd:` address, usually in [`vmferry::channel::Descriptors`]; a descriptor kept under
    /// the same name before is closed.
    ///
    /// # Errors
    /// Too many are kept.
    fn register_fd(&self, name: &str, fd: OwnedFd) -> Result<(), CommandError>;

    /// Closes a descriptor that was kept.
    ///
    /// # Errors
    /// No such name.
    fn close_fd(&self, name: &str) -> Result<(), CommandError>;

    /// The machine types that the program can make, newest first in each family.
    fn machines(&self) -> Vec<MachineInfo>;

    /// The types of device that have properties.
    fn device_types(&self) -> Vec<DeviceType>;
}

/// A machine type as `query-machines` tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineInfo {
    /// Its name, and what sets it apart from the newest.
    pub machine_type: MachineType,
    /// Whether the program makes one of these if it is not told which.
    pub is_default: bool,
    /// Most CPUs.
    pub cpu_max: u64,
    /// Whether CPUs can be added to a running machine.
    pub has_hotpluggable_cpus: bool,
    /// Whether memory can be put on several NUMA nodes.
    pub has_numa_memory: bool,
    /// Whether it has ACPI tables.
    pub has_acpi: bool,
    /// Name of the block of main memory.
    pub default_ram_id: Option<String>,
    /// Type of its CPUs.
    pub default_cpu_type: Option<String>,
}
