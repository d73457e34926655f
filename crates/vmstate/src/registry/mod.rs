//! The devices of a machine, under the names that a stream calls them by, and what keeps them from moving.
//!
//! | what | where |
//! |---|---|
//! | a device's place: path, instance id, other names that old streams use | [`Place`] |
//! | devices come and go at run time, but not while a migration runs | [`Registry::register`], [`Registry::unregister`], [`Frozen`] |
//! | what cannot move: devices that say so, and blockers that come and go | [`crate::Unmigratable`], [`Blocker`] |
//!
//! A registry is shared: all methods take `&self`, and a clone is the same registry.
//!
//! Source: `docs/spec/stream.md` sections 4.5 and 4.6, `docs/spec/vmstate.md` section 10.

mod holds;
mod place;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Refused;
use crate::migrate::{Described, Migrate, Section};
use crate::schema::Priority;

pub use self::holds::{Blocker, Frozen};
pub use self::place::{IDSTR_MAX, Place};

/// One registered device.
pub struct Entry {
    idstr: String,
    instance: u32,
    /// Names that streams of older releases have for it.
    others: Vec<(String, u32)>,
    section_id: u32,
    section: Box<dyn Section>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} (section {})", self.idstr, self.instance, self.section_id)
    }
}

impl Entry {
    /// Id string in section headers.
    #[must_use]
    pub fn idstr(&self) -> &str {
        &self.idstr
    }

    /// Instance id in section headers.
    #[must_use]
    pub fn instance(&self) -> u32 {
        self.instance
    }

    /// Section id of streams that are written here.
    #[must_use]
    pub fn section_id(&self) -> u32 {
        self.section_id
    }

    /// The device.
    #[must_use]
    pub fn section(&self) -> &dyn Section {
        &*self.section
    }

    /// Alias ids and older names under which a section is loaded as well, as id strings and instance ids.
    pub fn other_names(&self) -> impl Iterator<Item = (&str, u32)> {
        self.others.iter().map(|(idstr, instance)| (idstr.as_str(), *instance))
    }

    fn priority(&self) -> Priority {
        self.section.schema().priority
    }

    fn is_called(&self, idstr: &str, instance: u32) -> bool {
        (self.idstr == idstr && self.instance == instance) || self.other_names().any(|other| other == (idstr, instance))
    }
}

/// Devices in the order in which they are saved. A clone is the same registry.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Sorted by priority (higher first), stable by registration.
    entries: Vec<Arc<Entry>>,
    next_section_id: u32,
    blockers: Vec<(u64, String)>,
    next_blocker: u64,
    /// Migrations that run.
    frozen: usize,
    only_migratable: bool,
}

impl Registry {
    /// An empty registry whose section ids start at `first_section_id` (those below belong to the caller's own
    /// iterative sections).
    #[must_use]
    pub fn new(first_section_id: u32) -> Self {
        let state = State { next_section_id: first_section_id, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Has every device refused that cannot migrate, and every blocker (QEMU's `--only-migratable`).
    ///
    /// # Errors
    ///
    /// There is one already.
    pub fn set_only_migratable(&self) -> Result<(), Refused> {
        let mut state = self.state();
        if let Some(reason) = state.blocked_reasons().first() {
            return Err(Refused::new(format!("{reason}, and only what can migrate was asked for")));
        }
        state.only_migratable = true;
        Ok(())
    }

    /// Registers a device.
    ///
    /// # Errors
    ///
    /// Id string empty, longer than [`IDSTR_MAX`] or with a NUL; a name that another device is called by, at present or
    /// in old streams; a path with a name that is taken, without an instance id; instance id 0xffff_ffff, which is
    /// reserved (`Differs from QEMU:` there it matches every instance on load); a migration runs; the device cannot
    /// migrate, and only those that can were asked for.
    pub fn register<M: Migrate>(&self, place: Place, device: M) -> Result<Arc<Entry>, Refused> {
        self.register_section(place, Box::new(Described::new(device)))
    }

    fn register_section(&self, place: Place, section: Box<dyn Section>) -> Result<Arc<Entry>, Refused> {
        let mut state = self.state();
        let schema = section.schema();
        let idstr = place.idstr(schema.name)?;
        state.refuse_while_frozen(&format!("device '{idstr}' cannot be added"))?;
        if let Some(reason) = schema.unmigratable.filter(|_| state.only_migratable) {
            return Err(Refused::new(format!(
                "device '{idstr}' cannot migrate ({reason}), and only what can was asked for"
            )));
        }
        let instance = match place.instance {
            Some(instance) => instance,
            None => {
                let equal = state.entries.iter().filter(|entry| entry.idstr == idstr);
                equal.map(|entry| entry.instance.saturating_add(1)).max().unwrap_or(0)
            }
        };
        if place.path.is_some() && place.instance.is_none() && instance != 0 {
            return Err(Refused::new(format!("'{idstr}' is registered already: a device path belongs to one device")));
        }
        let others = place.other_names(&idstr);
        let mut names = vec![(idstr.clone(), instance)];
        names.extend(others.iter().cloned());
        for (index, (idstr, instance)) in names.iter().enumerate() {
            if *instance == u32::MAX {
                return Err(Refused::new(format!("instance id 0xffffffff of '{idstr}' is reserved")));
            }
            let earlier = names.iter().take(index).any(|name| (&name.0, name.1) == (idstr, *instance));
            if earlier || state.entries.iter().any(|entry| entry.is_called(idstr, *instance)) {
                return Err(Refused::new(format!("'{idstr}' instance {instance} is registered already")));
            }
        }
        let section_id = state.next_section_id;
        state.next_section_id = section_id.saturating_add(1);
        let entry = Arc::new(Entry { idstr, instance, others, section_id, section });
        let at = state.entries.partition_point(|other| other.priority() >= entry.priority());
        state.entries.insert(at, Arc::clone(&entry));
        Ok(entry)
    }

    /// Takes a device out that was unplugged. Others keep their instance ids.
    ///
    /// # Errors
    ///
    /// It is not in this registry; a migration runs.
    pub fn unregister(&self, entry: &Arc<Entry>) -> Result<(), Refused> {
        let mut state = self.state();
        state.refuse_while_frozen(&format!("device '{}' cannot be removed", entry.idstr))?;
        match state.entries.iter().position(|other| Arc::ptr_eq(other, entry)) {
            Some(at) => {
                state.entries.remove(at);
                Ok(())
            }
            None => Err(Refused::new(format!("'{}' instance {} is not registered", entry.idstr, entry.instance))),
        }
    }

    /// The devices of now in save order: by priority, then by registration.
    #[must_use]
    pub fn entries(&self) -> Vec<Arc<Entry>> {
        self.state().entries.clone()
    }

    /// The device that a section header names: by its present name, an alias id or an older name.
    #[must_use]
    pub fn find(&self, idstr: &str, instance: u32) -> Option<Arc<Entry>> {
        self.state().entries.iter().find(|entry| entry.is_called(idstr, instance)).cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// The state, also after a panic elsewhere: every change of it is complete in itself.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
