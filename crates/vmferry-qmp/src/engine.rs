//! A monitor made of a machine's migrations and the little that only the machine knows.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use vmferry::channel::Uri;
use vmferry::control::{Capabilities, MigrationInfo, Parameters, RunState};
use vmferry::dirty_limit::VcpuDirtyLimit;
use vmferry::dirty_rate::{DirtyRate, DirtyRateRequest};
use vmferry::{Error, Incoming, Migration};
use vmstate::machine::DeviceType;

use crate::error::CommandError;
use crate::monitor::{MachineInfo, Monitor};
use crate::settings::{CapabilitiesUpdate, ParametersUpdate};

/// The guest and its process, as clients command them.
///
/// [`Guest::stop`] and [`Guest::cont`] compete with the engine's own stops and starts. An implementation looks at the
/// run state and changes it under one lock: a `cont` that was allowed while the guest was `paused` must not start it
/// once a migration has entered `finish-migrate`, since what the guest writes then is lost.
pub trait Guest: Send + Sync + 'static {
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
    /// The state does not allow it: `inmigrate`, `finish-migrate`, `shutdown`, `internal-error`.
    fn cont(&self) -> Result<(), CommandError>;

    /// Ends the process.
    fn quit(&self);

    /// The machine types that the program can make; [`Monitor::machines`].
    fn machines(&self) -> Vec<MachineInfo>;

    /// The types of device that have properties.
    fn device_types(&self) -> Vec<DeviceType>;

    /// A guest that was awaited did not arrive: ends the process with status 1.
    fn incoming_failed(&self, error: &Error);
}

/// The monitor of a [`Guest`] that the engine moves by its [`Migration`].
pub struct EngineMonitor<G> {
    guest: Arc<G>,
    migration: Arc<Migration>,
    incoming: Incoming,
    /// Held while a setting is read, changed and written.
    settings: Mutex<()>,
}

impl<G: Guest> EngineMonitor<G> {
    /// `incoming` says what becomes of a guest that arrives.
    #[must_use]
    pub fn new(guest: Arc<G>, migration: Arc<Migration>, incoming: Incoming) -> Self {
        Self { guest, migration, incoming, settings: Mutex::new(()) }
    }
}

impl<G: Guest> Monitor for EngineMonitor<G> {
    fn run_state(&self) -> RunState {
        self.guest.run_state()
    }

    fn stop(&self) -> Result<(), CommandError> {
        self.guest.stop()
    }

    fn cont(&self) -> Result<(), CommandError> {
        self.guest.cont()
    }

    fn quit(&self) {
        self.guest.quit();
    }

    fn migrate(&self, uri: &Uri) -> Result<(), CommandError> {
        Ok(self.migration.migrate(uri)?)
    }

    /// Waits for the end of the migration itself, on a thread; nobody else may.
    fn migrate_incoming(&self, uri: &Uri, exit_on_error: bool) -> Result<(), CommandError> {
        self.migration.incoming(uri, self.incoming)?;
        if exit_on_error {
            let (guest, migration) = (Arc::clone(&self.guest), Arc::clone(&self.migration));
            let wait = move || {
                if let Err(error) = migration.wait() {
                    guest.incoming_failed(&error);
                }
            };
            if let Err(error) = thread::Builder::new().name("incoming-end".to_owned()).spawn(wait) {
                self.migration.cancel();
                return Err(CommandError::generic(format!("cannot start a thread: {error}")));
            }
        }
        Ok(())
    }

    fn migrate_cancel(&self) {
        // Of an incoming one only the source decides, as in QEMU.
        if !self.migration.info().incoming {
            self.migration.cancel();
        }
    }

    fn migration(&self) -> MigrationInfo {
        self.migration.info()
    }

    fn memory_bytes(&self) -> u64 {
        self.migration.memory_bytes()
    }

    fn calc_dirty_rate(&self, request: DirtyRateRequest) -> Result<(), CommandError> {
        Ok(self.migration.calc_dirty_rate(request)?)
    }

    fn dirty_rate(&self) -> DirtyRate {
        self.migration.dirty_rate()
    }

    fn set_vcpu_dirty_limit(&self, vcpu: Option<u64>, mb_per_s: u64) -> Result<(), CommandError> {
        Ok(self.migration.set_vcpu_dirty_limit(vcpu, mb_per_s)?)
    }

    fn cancel_vcpu_dirty_limit(&self, vcpu: Option<u64>) -> Result<(), CommandError> {
        Ok(self.migration.cancel_vcpu_dirty_limit(vcpu)?)
    }

    fn vcpu_dirty_limits(&self) -> Vec<VcpuDirtyLimit> {
        self.migration.vcpu_dirty_limits()
    }

    fn listening(&self) -> Option<Uri> {
        self.migration.listening()
    }

    fn parameters(&self) -> Parameters {
        self.migration.parameters()
    }

    fn set_parameters(&self, update: ParametersUpdate) -> Result<(), CommandError> {
        let _held = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.migration.set_parameters(update.applied_to(self.migration.parameters()))?)
    }

    fn capabilities(&self) -> Capabilities {
        self.migration.capabilities()
    }

    fn set_capabilities(&self, update: CapabilitiesUpdate) -> Result<(), CommandError> {
        let _held = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.migration.set_capabilities(update.applied_to(self.migration.capabilities()))?)
    }

    fn register_fd(&self, name: &str, descriptor: OwnedFd) -> Result<(), CommandError> {
        self.migration.descriptors().register(name, descriptor).map_err(CommandError::generic)
    }

    fn close_fd(&self, name: &str) -> Result<(), CommandError> {
        self.migration.descriptors().close(name).map_err(CommandError::generic)
    }

    fn machines(&self) -> Vec<MachineInfo> {
        self.guest.machines()
    }

    fn device_types(&self) -> Vec<DeviceType> {
        self.guest.device_types()
    }
}

impl<G> fmt::Debug for EngineMonitor<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineMonitor").field("migration", &self.migration).finish_non_exhaustive()
    }
}

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        Self::generic(error.to_string())
    }
}
