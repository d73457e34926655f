//! Families of machine types: names, inheritance, and lists of what sets each version apart.
//!
//! ```text
//!   4.1 ── 4.0 ── 3.1 ── 3.0       from new to old: each has the lists of all to its left, then its own
//!             └── 4.0.1            a bug-fix machine type: the lists of its base, then its own; nobody inherits it
//! ```
//!
//! Names are `FAMILY-MAJOR.MINOR[.MICRO]`. A version with a MICRO is a bug-fix machine type of the version
//! `MAJOR.MINOR`, which has to be listed: a released machine type is never changed, not even where its default turned
//! out harmful. QEMU does the same (`docs/spec/compat.md` section 3): to QEMU 10.0 the lists of `pc-q35-4.0.1` and
//! `pc-q35-4.0` are equal.

use std::fmt;

use super::{Island, LifeCycle, Status, Version};

/// One setting of a compatibility list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompatProperty {
    /// Type of device, or a type that it derives from.
    pub device: &'static str,
    /// Name of the property.
    pub property: &'static str,
    /// Its value, as text.
    pub value: &'static str,
    /// Whether types of device that derive from `device` and lack the property are passed over.
    pub optional: bool,
}

/// The settings that a machine type makes; [`compat!`](crate::compat!) writes them.
pub type Compat = &'static [CompatProperty];

/// Settings of a machine type, each a triple of device, property and value, and `optional` if not every type that
/// derives from the device has the property.
///
/// ```
/// use vmstate::{Compat, compat};
///
/// const COMPAT_5_1: Compat = compat![
///     ("pl011", "migrate-clk", "off"),
///     ("virtio-device", "x-queue-reset", "off", optional),
/// ];
/// ```
#[macro_export]
macro_rules! compat {
    (@optional) => { false };
    (@optional optional) => { true };
    ($(($device:expr, $property:expr, $value:expr $(, $optional:ident)?)),* $(,)?) => {
        &[$($crate::machine::CompatProperty {
            device: $device,
            property: $property,
            value: $value,
            optional: $crate::compat!(@optional $($optional)?),
        }),*]
    };
}

/// A family of machine types.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MachineFamily {
    /// Its name, which is also that of its newest machine type.
    pub name: &'static str,
    /// The release that this is: what a machine type's age is counted from.
    pub release: Version,
    /// Its versions, newest first. One that is removed by the rule of `life_cycle` stays, so that its name gets a
    /// better answer than an unknown one; its list may be emptied.
    pub versions: &'static [MachineVersion],
    /// When a version is deprecated, and when removed.
    pub life_cycle: LifeCycle,
    /// Releases that broke a machine type.
    pub islands: &'static [Island],
}

/// One version of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MachineVersion {
    /// The version: `1.1` of `ferry-virt-1.1`.
    pub version: &'static str,
    /// What sets it apart from the next newer version, or a bug-fix machine type from its base; empty for the newest.
    pub compat: Compat,
}

impl MachineVersion {
    /// The version as a number; [`MachineFamily::new`] has seen that it is one.
    pub(super) const fn number(&self) -> Version {
        match Version::parse(self.version) {
            Some(number) => number,
            None => Version { major: 0, minor: 0, micro: 0 },
        }
    }

    /// Whether it has a MICRO number. Counts dots, since the compiler counts its steps.
    pub(super) const fn is_fix(&self) -> bool {
        let (mut rest, mut dots) = (self.version.as_bytes(), 0);
        while let [octet, later @ ..] = rest {
            dots += (*octet == b'.') as usize;
            rest = later;
        }
        dots == 2
    }
}

/// One machine type: a version of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MachineType {
    family: &'static MachineFamily,
    version: &'static MachineVersion,
}

impl MachineFamily {
    /// A family in the release `release`, whose machine types live as long as QEMU's.
    ///
    /// # Panics
    ///
    /// At compile time these are errors: a release or version that is no [`Version`]; versions that are not listed
    /// newest first, or newer than the release; a bug-fix version without its base; no version at all.
    #[must_use]
    #[track_caller]
    #[expect(clippy::panic, reason = "families are constants, where a panic is a compile error")]
    pub const fn new(name: &'static str, release: &str, versions: &'static [MachineVersion]) -> Self {
        assert!(!name.is_empty() && !versions.is_empty(), "a family has a name and a version");
        let Some(release) = Version::parse(release) else { panic!("the release is not MAJOR.MINOR[.MICRO]") };
        let mut rest = versions;
        while let [version, older @ ..] = rest {
            let Some(number) = Version::parse(version.version) else {
                panic!("a machine type's version is not MAJOR.MINOR[.MICRO]")
            };
            assert!(!release.is_before(number), "a machine type is newer than the release");
            if let [next, ..] = older {
                assert!(next.number().is_before(number), "machine types are not listed newest first, each once");
            }
            assert!(version.is_fix() == (number.micro != 0), "a MICRO number begins with 1");
            if version.is_fix() {
                assert!(has(older, number.base()), "a bug-fix machine type has no base: MAJOR.MINOR is not listed");
            }
            rest = older;
        }
        Self { name, release, versions, life_cycle: LifeCycle::QEMU, islands: &[] }
    }

    /// The same with another rule.
    #[must_use]
    pub const fn with_life_cycle(mut self, life_cycle: LifeCycle) -> Self {
        self.life_cycle = life_cycle;
        self
    }

    /// The same with releases that broke a machine type.
    #[must_use]
    pub const fn with_islands(mut self, islands: &'static [Island]) -> Self {
        self.islands = islands;
        self
    }

    /// The machine types that this release has, newest first.
    pub fn machine_types(&'static self) -> impl Iterator<Item = MachineType> {
        self.listed().filter(|machine| !matches!(machine.status(), Status::Removed { .. }))
    }

    /// The machine types that were removed, newest first.
    pub fn removed(&'static self) -> impl Iterator<Item = MachineType> {
        self.listed().filter(|machine| matches!(machine.status(), Status::Removed { .. }))
    }

    /// The machine type called `name`; the newest for the family's own name. [`MachineFamily::select`] says why there
    /// is none.
    #[must_use]
    pub fn find(&'static self, name: &str) -> Option<MachineType> {
        self.machine_types().find(|machine| name == self.name || machine.name() == name)
    }

    pub(super) fn listed(&'static self) -> impl Iterator<Item = MachineType> {
        self.versions.iter().map(move |version| MachineType { family: self, version })
    }
}

/// Whether a version is among these.
const fn has(mut versions: &[MachineVersion], wanted: Version) -> bool {
    while let [version, rest @ ..] = versions {
        let number = version.number();
        if !number.is_before(wanted) && !wanted.is_before(number) {
            return true;
        }
        versions = rest;
    }
    false
}

/// Whether a machine type of version `version` has the list of `other`.
pub(super) const fn inherits(version: &MachineVersion, other: &MachineVersion) -> bool {
    let (own, other_number) = (version.number(), other.number());
    if other.is_fix() {
        // Only its own.
        return version.is_fix() && !own.is_before(other_number) && !other_number.is_before(own);
    }
    !other_number.is_before(own.base())
}

impl MachineType {
    /// The full name, as streams carry it.
    #[must_use]
    pub fn name(&self) -> String {
        self.to_string()
    }

    /// The family.
    #[must_use]
    pub fn family(&self) -> &'static MachineFamily {
        self.family
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version.number()
    }

    /// The second name that it has: the newest has that of the family, which moves on with each release.
    #[must_use]
    pub fn alias(&self) -> Option<&'static str> {
        self.is_newest().then_some(self.family.name)
    }

    /// Whether it is the newest of its family.
    #[must_use]
    pub fn is_newest(&self) -> bool {
        self.family.versions.first() == Some(self.version)
    }

    /// The machine type whose released behaviour this one mends.
    #[must_use]
    pub fn base(&self) -> Option<Self> {
        let base = |machine: &Self| machine.version() == self.version().base();
        self.family.listed().find(base).filter(|_| self.version.is_fix())
    }

    /// The machine types whose lists it has, itself the last, in the order of application.
    pub(super) fn lineage(self) -> impl Iterator<Item = Self> {
        let others = self.family.listed().filter(move |other| !other.version.is_fix());
        let inherited = others.filter(move |other| other != &self && inherits(self.version, other.version));
        inherited.chain([self])
    }

    /// Its settings in the order of application: from those of the newest version to its own.
    pub fn compat(&self) -> impl Iterator<Item = &'static CompatProperty> {
        self.lineage().flat_map(|machine| machine.version.compat)
    }

    /// What sets it apart from the next newer machine type, or from its base.
    #[must_use]
    pub fn own_compat(&self) -> Compat {
        self.version.compat
    }

    /// Its settings without those that a later one of the same name overrides, in the order of application.
    #[must_use]
    pub fn effective_compat(&self) -> Vec<CompatProperty> {
        let mut effective: Vec<CompatProperty> = Vec::new();
        for setting in self.compat() {
            effective.retain(|other| (other.device, other.property) != (setting.device, setting.property));
            effective.push(*setting);
        }
        effective
    }
}

impl fmt::Display for MachineType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.family.name, self.version.version)
    }
}
