//! What the thread of a migration and the control plane share.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::control::{Capabilities, Event, MigrationInfo, Parameters, Restore, Status};
use crate::destination::mapped_ram::Restored;
use crate::dirty_rate::DirtyRate;
use crate::machine::Machine;

/// Settings, and the account of the current or last migration.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    parameters: Mutex<Parameters>,
    capabilities: Mutex<Capabilities>,
    info: Mutex<MigrationInfo>,
    dirty_rate: Mutex<DirtyRate>,
    /// Guest memory that came from a file by mapping.
    restored: Mutex<Option<Restored>>,
}

impl Shared {
    pub(crate) fn parameters(&self) -> MutexGuard<'_, Parameters> {
        self.parameters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn capabilities(&self) -> MutexGuard<'_, Capabilities> {
        self.capabilities.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn info(&self) -> MutexGuard<'_, MigrationInfo> {
        self.info.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn dirty_rate(&self) -> MutexGuard<'_, DirtyRate> {
        self.dirty_rate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what guest memory is mapped from, if it is.
    pub(crate) fn keep_restored(&self, restored: Option<Restored>) {
        if restored.is_some() {
            *self.restored.lock().unwrap_or_else(PoisonError::into_inner) = restored;
        }
    }

    /// How far a restore by mapping is, if there was one.
    pub(crate) fn restored(&self) -> Option<Restore> {
        self.restored.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Restored::account)
    }

    /// Enters `status` and tells the control plane.
    pub(crate) fn enter(&self, machine: &dyn Machine, status: Status) {
        self.info().status = status;
        machine.emit(Event::Migration(status));
    }
}

/// Milliseconds since `start`, with fractions.
pub(crate) fn ms_since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1000.0
}
