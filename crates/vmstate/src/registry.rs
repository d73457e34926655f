//! The devices of a machine, under the names that a stream calls them by.

use std::fmt;

use crate::error::Refused;
use crate::migrate::{Described, Migrate, Section};
use crate::schema::Priority;

/// Longest id string, in octets: it is a counted string with one length octet (`docs/spec/stream.md` section 4.5).
pub const IDSTR_MAX: usize = 255;

/// Where a device stands: its path on the buses, and which of several equal ones it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Device path; the id string is `path/name`, or the name alone without a path.
    pub path: Option<String>,
    /// Instance id; the next free one of equal id strings if not given.
    pub instance: Option<u32>,
}

/// One registered device.
pub struct Entry {
    idstr: String,
    instance: u32,
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

    fn priority(&self) -> Priority {
        self.section.schema().priority
    }
}

/// Devices in the order in which they are saved.
#[derive(Debug, Default)]
pub struct Registry {
    /// Sorted by priority (higher first), stable by registration.
    entries: Vec<Entry>,
    next_section_id: u32,
}

impl Registry {
    /// An empty registry whose section ids start at `first_section_id` (those below belong to the caller's own
    /// iterative sections).
    #[must_use]
    pub fn new(first_section_id: u32) -> Self {
        Self { entries: Vec::new(), next_section_id: first_section_id }
    }

    /// Registers a device.
    ///
    /// # Errors
    ///
    /// Id string empty or longer than [`IDSTR_MAX`]; id string and instance id taken; a path with a name that is taken,
    /// without an instance id; instance id 0xffff_ffff, which is reserved.
    pub fn register<M: Migrate>(&mut self, place: Place, device: M) -> Result<(), Refused> {
        self.register_section(place, Box::new(Described::new(device)))
    }

    fn register_section(&mut self, place: Place, section: Box<dyn Section>) -> Result<(), Refused> {
        let name = section.schema().name;
        let has_path = place.path.is_some();
        let idstr = place.path.map_or_else(|| name.to_owned(), |path| format!("{path}/{name}"));
        if idstr.is_empty() || idstr.len() > IDSTR_MAX {
            return Err(Refused::new(format!("id string '{idstr}' has {} octets, not 1 to {IDSTR_MAX}", idstr.len())));
        }
        let taken = |instance| self.entries.iter().any(|entry| entry.idstr == idstr && entry.instance == instance);
        let instance = match place.instance {
            Some(u32::MAX) => return Err(Refused::new(format!("instance id 0xffffffff of '{idstr}' is reserved"))),
            Some(instance) if taken(instance) => {
                return Err(Refused::new(format!("'{idstr}' instance {instance} is registered already")));
            }
            Some(instance) => instance,
            None => {
                let equal = self.entries.iter().filter(|entry| entry.idstr == idstr);
                equal.map(|entry| entry.instance.saturating_add(1)).max().unwrap_or(0)
            }
        };
        if instance == u32::MAX {
            return Err(Refused::new(format!("there is no instance id left for '{idstr}'")));
        }
        if has_path && place.instance.is_none() && instance != 0 {
            return Err(Refused::new(format!("'{idstr}' is registered already: a device path belongs to one device")));
        }
        let section_id = self.next_section_id;
        self.next_section_id = section_id.saturating_add(1);
        let entry = Entry { idstr, instance, section_id, section };
        let at = self.entries.partition_point(|other| other.priority() >= entry.priority());
        self.entries.insert(at, entry);
        Ok(())
    }

    /// The devices in save order: by priority, then by registration.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The device that a section header names.
    #[must_use]
    pub fn find(&self, idstr: &str, instance: u32) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.idstr == idstr && entry.instance == instance)
    }
}
