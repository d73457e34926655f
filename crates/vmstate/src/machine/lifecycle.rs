//! How long a machine type lives: a rule, not a decision of each release.
//!
//! | in release A.B, a machine type M.m | is | and |
//! |---|---|---|
//! | before (M+3).m | current | |
//! | from (M+3).m | deprecated | starts with a warning |
//! | from (M+6).m | removed | does not start; the answer to its name says since when |
//!
//! The numbers 3 and 6 are QEMU's since 9.1 (`docs/spec/compat.md` section 3.1). A bug-fix machine type M.m.k lives as
//! long as M.m. `Differs from QEMU:` it enforces removal from 10.1 on; here it is always enforced, and a removed name
//! gets another answer than one that never was.

use std::error::Error;
use std::fmt;

use super::{MachineFamily, MachineType, Version};

/// After how many major releases a machine type is deprecated, and removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LifeCycle {
    /// Major releases until it is deprecated.
    pub deprecated_after: u16,
    /// Major releases until it is removed.
    pub removed_after: u16,
}

/// Where a machine type is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// In use.
    Current,
    /// Starts with a warning.
    Deprecated {
        /// The first release that warned.
        since: Version,
        /// The first release that will not have it.
        removed_in: Version,
    },
    /// Does not start any more.
    Removed {
        /// The first release that did not have it.
        since: Version,
    },
}

impl LifeCycle {
    /// QEMU's: three and six major releases, one a year.
    pub const QEMU: Self = Self { deprecated_after: 3, removed_after: 6 };

    /// Where a machine type of this version is in the release `release`.
    #[must_use]
    pub const fn status(self, machine: Version, release: Version) -> Status {
        let (deprecated, removed) = (machine.later(self.deprecated_after), machine.later(self.removed_after));
        if !release.is_before(removed) {
            Status::Removed { since: removed }
        } else if !release.is_before(deprecated) {
            Status::Deprecated { since: deprecated, removed_in: removed }
        } else {
            Status::Current
        }
    }
}

/// Why there is no machine type of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MachineError {
    /// There never was.
    Unknown {
        /// The name that was given.
        name: String,
        /// Names of those that there are, newest first.
        known: Vec<String>,
        /// The name that stands for the newest.
        alias: &'static str,
    },
    /// There is none any more.
    Removed {
        /// Its name.
        name: String,
        /// The first release that did not have it.
        since: Version,
        /// The newest machine type.
        newest: String,
    },
}

impl fmt::Display for MachineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, known, alias } => {
                let known = known.join(", ");
                write!(f, "there is no machine type '{name}'; there are {known} (and {alias}, the newest)")
            }
            Self::Removed { name, since, newest } => write!(
                f,
                "machine type '{name}' was removed in release {since}: a guest that runs on it stays with releases before \
                 that until it is powered off; then start it with a newer machine type, at best '{newest}'"
            ),
        }
    }
}

impl Error for MachineError {}

impl MachineFamily {
    /// The machine type called `name`; the newest for the family's own name.
    ///
    /// # Errors
    ///
    /// There never was one, or it was removed.
    pub fn select(&'static self, name: &str) -> Result<MachineType, MachineError> {
        if let Some(machine) = self.find(name) {
            return Ok(machine);
        }
        let names = self.machine_types().map(|machine| machine.name());
        let Some(machine) = self.removed().find(|machine| machine.name() == name) else {
            return Err(MachineError::Unknown { name: name.to_owned(), known: names.collect(), alias: self.name });
        };
        let since = machine.removed_in();
        let newest = self.listed().next().map_or_else(|| self.name.to_owned(), |machine| machine.name());
        Err(MachineError::Removed { name: name.to_owned(), since, newest })
    }
}

impl MachineType {
    /// Where it is in its life, in this release.
    #[must_use]
    pub fn status(&self) -> Status {
        self.family().life_cycle.status(self.version(), self.family().release)
    }

    /// The first release that warns of it.
    #[must_use]
    pub fn deprecated_in(&self) -> Version {
        self.version().later(self.family().life_cycle.deprecated_after)
    }

    /// The first release that does not have it.
    #[must_use]
    pub fn removed_in(&self) -> Version {
        self.version().later(self.family().life_cycle.removed_after)
    }

    /// Whether it starts with a warning.
    #[must_use]
    pub fn is_deprecated(&self) -> bool {
        matches!(self.status(), Status::Deprecated { .. })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn status(machine: &str, release: &str) -> &'static str {
        match LifeCycle::QEMU.status(Version::parse(machine).unwrap(), Version::parse(release).unwrap()) {
            Status::Current => "current",
            Status::Deprecated { .. } => "deprecated",
            Status::Removed { .. } => "removed",
        }
    }

    /// What `query-machines` of the two releases says; 10.0 did not enforce removal yet.
    #[test]
    fn machine_types_age_as_qemus_do() {
        for (machine, in_10_0, in_11_1) in [
            ("11.1", "current", "current"),
            ("8.2", "current", "current"),
            ("8.1", "current", "deprecated"),
            ("8.0", "current", "deprecated"),
            ("7.1", "current", "deprecated"),
            ("7.0", "deprecated", "deprecated"),
            ("5.2", "deprecated", "deprecated"),
            ("5.1", "deprecated", "removed"),
            ("4.0.1", "removed", "removed"),
            ("4.0", "removed", "removed"),
        ] {
            assert_eq!((status(machine, "10.0.2"), status(machine, "11.1.3")), (in_10_0, in_11_1), "{machine}");
        }
    }

    #[test]
    fn the_status_names_the_releases_of_the_next_steps() {
        let version = |text| Version::parse(text).unwrap();
        assert_eq!(
            LifeCycle::QEMU.status(version("7.2"), version("10.2")),
            Status::Deprecated { since: version("10.2"), removed_in: version("13.2") }
        );
        assert_eq!(LifeCycle::QEMU.status(version("5.1"), version("12.0")), Status::Removed { since: version("11.1") });
    }
}
