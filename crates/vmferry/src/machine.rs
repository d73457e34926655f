//! What the engine asks of a machine.

use std::sync::Arc;

use vmstate::{Refused, Registry};

use crate::control::{Event, RunState};
use crate::dirty::DirtyLog;
use crate::dirty_limit::VcpuDirtyRings;
use crate::memory::RamBlock;

/// First section id that is free for a machine's devices, what [`Registry::new`] is to be given: the ids below belong
/// to the engine's own sections.
pub const FIRST_DEVICE_SECTION_ID: u32 = 2;

/// A virtual machine that can be moved.
///
/// The engine never names a device: it saves and loads what the registry holds. The RAM blocks and the registry are
/// fixed while a migration runs.
pub trait Machine: Send + Sync + 'static {
    /// Canonical name of the machine type; it must be equal at both ends.
    fn machine_type(&self) -> &str;

    /// Names of the machine types that this release can make, for advice when a guest of another one arrives; empty if
    /// that is not to be told.
    fn machine_types(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether this machine type announces the stop phase (SWITCHOVER_START, `docs/spec/stream.md` section 10).
    fn sends_switchover_start(&self) -> bool {
        true
    }

    /// Whether multifd channels meet at the end of each section of RAM, as in machine types of QEMU up to 8.0, and not
    /// where records say so (`multifd-flush-after-each-section`, `docs/spec/multifd.md` section 6). A destination finds
    /// it out by itself.
    fn multifd_flush_after_each_section(&self) -> bool {
        false
    }

    /// The guest's UUID, zero if it has none; multifd channels are told apart from those of other guests by it.
    fn uuid(&self) -> [u8; 16] {
        [0; 16]
    }

    /// The devices.
    fn registry(&self) -> &Registry;

    /// The RAM blocks, in the order of [`Machine::dirty_log`].
    fn ram(&self) -> &[Arc<dyn RamBlock>];

    /// Where the guest's writes are recorded.
    fn dirty_log(&self) -> &dyn DirtyLog;

    /// What the guest does.
    fn run_state(&self) -> RunState;

    /// Stops the vCPUs and enters `state`, which is no running one. On return no vCPU runs and no device touches RAM.
    ///
    /// Returns the state that was left, decided in the same step: what an operator or the guest itself did just before
    /// counts, and is what the guest goes back to, or arrives as.
    ///
    /// # Errors
    ///
    /// The guest cannot be stopped.
    fn stop(&self, state: RunState) -> Result<RunState, Refused>;

    /// Starts the vCPUs; the run state is [`RunState::Running`] on return.
    ///
    /// # Errors
    ///
    /// The guest cannot be started.
    fn start(&self) -> Result<(), Refused>;

    /// The guest is at another machine for good, and its memory here is about to be given back: [`Machine::start`], and
    /// whatever else lets it run, is to be refused from now on.
    ///
    /// # Errors
    ///
    /// The guest was let run again meanwhile, or the machine cannot refuse that: the memory stays.
    fn forsake(&self) -> Result<(), Refused> {
        Err(Refused::new("this machine cannot give its guest's memory back"))
    }

    /// Makes each vCPU sleep `percent` per cent of its time, 0 to 99; 0 lets it run freely. A stop ends a sleep. Called
    /// with 0 to learn whether the machine can do this at all.
    ///
    /// # Errors
    ///
    /// The machine cannot throttle its vCPUs: capability `auto-converge` is refused.
    fn throttle(&self, percent: u8) -> Result<(), Refused> {
        let _ = percent;
        Err(Refused::new("this machine cannot throttle its vCPUs"))
    }

    /// The dirty rings of the vCPUs, by which each can be limited in what it dirties.
    ///
    /// # Errors
    ///
    /// The machine has none: capability `dirty-limit` and `set-vcpu-dirty-limit` are refused.
    fn vcpu_dirty_rings(&self) -> Result<&dyn VcpuDirtyRings, Refused> {
        Err(Refused::new("this machine has no dirty rings"))
    }

    /// Passes an event of the migration to the control plane. Must not block.
    fn emit(&self, event: Event);
}
