//! A machine as a release builds it: devices, the guest's side of each, and what else of it is in a stream.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex};

use vmferry_wire::command::Command;
use vmstate::{Migrate, Place, Refused, Registry};

use crate::guest::{Guest, Observation, Unsupported};

/// First section id of devices in the laboratory's streams, as in the engine's; RAM has 1.
const FIRST_DEVICE_SECTION_ID: u32 = 2;

/// A RAM block as streams list it. The laboratory moves no pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RamBlock {
    /// The id on the wire.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// The devices of a machine and what its guest can do with them.
pub struct Machine {
    registry: Registry,
    guests: Vec<(String, Box<dyn Guest>)>,
    pub(crate) commands: Vec<Command>,
    pub(crate) ram: Vec<RamBlock>,
    pub(crate) multifd_flush: bool,
    kept: Vec<Box<dyn Any + Send>>,
}

impl Machine {
    /// A machine without devices.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Registry::new(FIRST_DEVICE_SECTION_ID))
    }

    /// A machine of devices that are registered already, with section ids from 2 on.
    #[must_use]
    pub fn of(registry: Registry) -> Self {
        Self {
            registry,
            guests: Vec::new(),
            commands: Vec::new(),
            ram: Vec::new(),
            multifd_flush: false,
            kept: Vec::new(),
        }
    }

    /// Registers a device, which scenarios call `name`, and returns it.
    ///
    /// # Errors
    ///
    /// As [`Registry::register`].
    pub fn add<D: Migrate + Guest>(
        &mut self,
        name: impl Into<String>,
        place: Place,
        device: D,
    ) -> Result<Arc<Mutex<D>>, Refused> {
        let device = Arc::new(Mutex::new(device));
        self.registry.register(place, Arc::clone(&device))?;
        self.show(name, Arc::clone(&device));
        Ok(device)
    }

    /// Shows the guest a device that is registered in another way, or not at all.
    pub fn show(&mut self, name: impl Into<String>, guest: impl Guest + 'static) {
        self.guests.push((name.into(), Box::new(guest)));
    }

    /// Sends a command before the devices, as a machine does that announces the stop phase.
    pub fn send_command(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// Adds a RAM block: its name and its length must be the same at both ends.
    pub fn add_ram(&mut self, name: impl Into<String>, bytes: u64) {
        self.ram.push(RamBlock { name: name.into(), bytes });
    }

    /// Sends the RAM record that has a reader wait for every multifd channel.
    pub fn send_multifd_flush(&mut self) {
        self.multifd_flush = true;
    }

    /// Keeps something as long as the machine: a blocker, a thread's handle.
    pub fn keep(&mut self, kept: impl Any + Send) {
        self.kept.push(Box::new(kept));
    }

    /// The devices.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Has the guest do something: `uart.divider` is `divider` of the device that is called `uart` here.
    ///
    /// # Errors
    ///
    /// This machine has no such device, or the device nothing of that name.
    pub fn act(&mut self, register: &str, value: u64) -> Result<(), Unsupported> {
        let (device, inner) = register.split_once('.').unwrap_or((register, ""));
        let named = self.guests.iter_mut().find(|(name, _)| name == device);
        named.map_or_else(|| Err(Unsupported::register(register)), |(_, guest)| guest.act(inner, value))
    }

    /// What the guest sees of all devices.
    #[must_use]
    pub fn observe(&self) -> Observation {
        let mut seen = Observation::new();
        for (name, guest) in &self.guests {
            seen.add(name, guest.observe());
        }
        seen
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guests: Vec<_> = self.guests.iter().map(|(name, _)| name).collect();
        f.debug_struct("Machine").field("registry", &self.registry).field("guests", &guests).finish_non_exhaustive()
    }
}
