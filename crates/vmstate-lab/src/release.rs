//! A release: its machine types, its device types, and how it builds a machine.

use std::error::Error;

use vmstate::machine::{DeviceType, Global};
use vmstate::{MachineFamily, Settings};

use crate::machine::Machine;
use crate::refusal::{Refusal, Side};
use crate::running::Running;

/// Why a machine cannot be built.
pub type BuildError = Box<dyn Error + Send + Sync>;

/// Builds the machine that the settings ask for: its type, its properties, what the operator set.
pub type Build = fn(&Settings) -> Result<Machine, BuildError>;

/// One release of a program.
#[derive(Debug, Clone, Copy)]
pub struct Release {
    /// Its version, which is that of its machine family's release: `1.1`.
    pub name: &'static str,
    family: &'static MachineFamily,
    devices: &'static [DeviceType],
    build: Build,
    pub(crate) reader: Reader,
}

/// What a release's reader knows of the stream itself, as far as that grew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    /// The newest command that it knows, by number.
    pub newest_command: u16,
    /// Whether it knows the RAM record that waits for every multifd channel.
    pub knows_multifd_flush: bool,
}

impl Reader {
    /// What `vmferry-wire` knows.
    pub const NEWEST: Self = Self { newest_command: 11, knows_multifd_flush: true };
}

impl Release {
    /// The release `name` with the machine types of its time, the types of its devices that have properties, and its
    /// way to build a machine.
    #[must_use]
    pub const fn new(
        name: &'static str,
        family: &'static MachineFamily,
        devices: &'static [DeviceType],
        build: Build,
    ) -> Self {
        Self { name, family, devices, build, reader: Reader::NEWEST }
    }

    /// The same with a reader that knows less of the stream.
    #[must_use]
    pub const fn with_reader(mut self, reader: Reader) -> Self {
        self.reader = reader;
        self
    }

    /// Full names of its machine types, oldest first.
    #[must_use]
    pub fn machines(&self) -> Vec<String> {
        let mut names: Vec<String> = self.family.machine_types().map(|machine| machine.name()).collect();
        names.reverse();
        names
    }

    /// Whether it has a machine type.
    #[must_use]
    pub fn has(&self, machine: &str) -> bool {
        self.family.machine_types().any(|has| has.name() == machine)
    }

    /// Its machine types as data.
    #[must_use]
    pub fn family(&self) -> &'static MachineFamily {
        self.family
    }

    /// Starts a machine of this type, with the operator's settings.
    ///
    /// # Errors
    ///
    /// There is no such type; a compatibility entry or a setting fits no device; the machine cannot be built.
    pub fn start(&self, machine: &str, globals: &[Global]) -> Result<Running, Refusal> {
        let failed = |text: String| Refusal::new(Side::Start, None, text);
        let found = self.family.find(machine).ok_or_else(|| {
            failed(format!(
                "release {} has no machine type '{machine}'; it has {}",
                self.name,
                self.machines().join(", ")
            ))
        })?;
        let settings =
            Settings::new(found, globals.to_vec(), self.devices).map_err(|error| failed(error.to_string()))?;
        let built = (self.build)(&settings).map_err(|error| failed(error.to_string()))?;
        Ok(Running::new(*self, found.name(), built))
    }
}
