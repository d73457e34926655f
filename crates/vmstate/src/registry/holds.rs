//! What keeps a machine where it is, and what keeps its devices while it moves.
//!
//! | guard | made by | while it lives |
//! |---|---|---|
//! | [`Blocker`] | [`Registry::block`] | the machine cannot be saved, for the reason given |
//! | [`Frozen`] | [`Registry::freeze_for_save`], [`Registry::freeze_for_load`] | no device comes or goes, nothing new blocks |
//!
//! Both are decided under one lock: a migration that starts has no blocker, and none can appear while it runs
//! (`docs/spec/vmstate.md` section 10).

use std::fmt;
use std::sync::{Arc, Mutex};

use super::{Registry, State, lock};
use crate::error::Refused;

/// A reason not to migrate that lasts as long as this guard: a passed-through device in use, a mounted share.
#[must_use = "the reason is gone when the guard is dropped"]
pub struct Blocker {
    state: Arc<Mutex<State>>,
    number: u64,
}

/// A migration that runs: until this guard is dropped, devices stay as they are.
#[must_use = "devices may come and go when the guard is dropped"]
pub struct Frozen {
    state: Arc<Mutex<State>>,
}

impl Registry {
    /// Blocks migration until the guard is dropped. Incoming migration is not affected.
    ///
    /// # Errors
    ///
    /// A migration runs; only what can migrate was asked for.
    pub fn block(&self, reason: impl Into<String>) -> Result<Blocker, Refused> {
        let reason = reason.into();
        let mut state = self.state();
        state.refuse_while_frozen(&format!("migration cannot be blocked ({reason})"))?;
        if state.only_migratable {
            let text = format!("{reason}: this would block migration, and only what can migrate was asked for");
            return Err(Refused::new(text));
        }
        let number = state.next_blocker;
        state.next_blocker = number.wrapping_add(1);
        state.blockers.push((number, reason));
        Ok(Blocker { state: Arc::clone(&self.state), number })
    }

    /// Why this machine cannot be saved: devices that cannot migrate, then blockers in the order of their making.
    #[must_use]
    pub fn blocked_reasons(&self) -> Vec<String> {
        self.state().blocked_reasons()
    }

    /// Keeps the devices as they are, for a migration away from here.
    ///
    /// # Errors
    ///
    /// A device cannot migrate, or something blocks; the text has every reason.
    pub fn freeze_for_save(&self) -> Result<Frozen, Refused> {
        let mut state = self.state();
        let reasons = state.blocked_reasons();
        if !reasons.is_empty() {
            return Err(Refused::new(reasons.join("; ")));
        }
        Ok(self.freeze(&mut state))
    }

    /// Keeps the devices as they are, for a migration to here.
    ///
    /// # Errors
    ///
    /// A device cannot migrate, so that no stream can hold its state.
    pub fn freeze_for_load(&self) -> Result<Frozen, Refused> {
        let mut state = self.state();
        let reasons = state.unmigratable();
        if !reasons.is_empty() {
            return Err(Refused::new(reasons.join("; ")));
        }
        Ok(self.freeze(&mut state))
    }

    fn freeze(&self, state: &mut State) -> Frozen {
        state.frozen = state.frozen.saturating_add(1);
        Frozen { state: Arc::clone(&self.state) }
    }
}

impl State {
    pub(super) fn blocked_reasons(&self) -> Vec<String> {
        let mut reasons = self.unmigratable();
        reasons.extend(self.blockers.iter().map(|(_, reason)| reason.clone()));
        reasons
    }

    fn unmigratable(&self) -> Vec<String> {
        let reason = |entry: &Arc<super::Entry>| {
            let reason = entry.section.schema().unmigratable?;
            Some(format!("device '{}' cannot migrate: {reason}", entry.idstr))
        };
        self.entries.iter().filter_map(reason).collect()
    }

    pub(super) fn refuse_while_frozen(&self, what: &str) -> Result<(), Refused> {
        match self.frozen {
            0 => Ok(()),
            _ => Err(Refused::new(format!("{what} while a migration runs"))),
        }
    }
}

impl Drop for Blocker {
    fn drop(&mut self) {
        lock(&self.state).blockers.retain(|(number, _)| *number != self.number);
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.frozen = state.frozen.saturating_sub(1);
    }
}

impl fmt::Debug for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocker").field("number", &self.number).finish_non_exhaustive()
    }
}

impl fmt::Debug for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Frozen")
    }
}
