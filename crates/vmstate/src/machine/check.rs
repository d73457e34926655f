//! What is wrong with the tables of a family.
//!
//! | rule | broken by an entry |
//! |---|---|
//! | [`Rule::UnknownDevice`] | of a type that no type of device is or derives from |
//! | [`Rule::UnknownProperty`] | whose type, or one that derives from it, has no such property, unless the entry is `optional` |
//! | [`Rule::RemovedProperty`] | of a property that is gone |
//! | [`Rule::OtherName`] | that calls a property by an alias or an older name |
//! | [`Rule::Value`] | whose text is no value of the property |
//! | [`Rule::Duplicate`] | that stands twice in one list |
//! | [`Rule::Overridden`] | that a later one of the same list overrides for all types |
//! | [`Rule::NoEffect`] | with the value that the next newer machine type, or the base of a bug-fix one, has anyway |
//! | [`Rule::IslandMachine`], [`Rule::IslandRelease`] | of the islands, with no such machine type or release |
//!
//! All of it is constant data, so [`MachineFamily::require`] checks it when the program is compiled. Lists of removed
//! machine types are not looked at: nobody reads them. Source: `docs/spec/compat.md` sections 2.2 and 9.
//!
//! `Differs from QEMU:` there, unknown types are ignored, since one list serves programs of many architectures, and a
//! missing property aborts when a device is made.

use std::fmt;

use super::family::inherits;
use super::{CompatProperty, DeviceType, Island, MachineFamily, MachineVersion, Status, Version};
use crate::props::Property;
use crate::props::text::{is_text_of, is_value, same, same_value};

/// An entry that breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// Name of the family.
    pub family: &'static str,
    /// Version of the machine type in whose list, or as whose island, it stands.
    pub version: &'static str,
    /// The entry.
    pub entry: CompatProperty,
    /// The rule.
    pub rule: Rule,
}

/// What an entry of a table must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// No type of device is called so or derives from it.
    UnknownDevice,
    /// A type of device lacks the property.
    UnknownProperty {
        /// The type.
        device: &'static str,
    },
    /// The property is gone.
    RemovedProperty {
        /// Since when, and what to do.
        reason: &'static str,
    },
    /// The property has another name.
    OtherName {
        /// Its name.
        name: &'static str,
    },
    /// The text is no value of the property.
    Value,
    /// The list has an entry for it already.
    Duplicate,
    /// A later entry of the list overrides it.
    Overridden,
    /// Without it the value is the same.
    NoEffect,
    /// There is no machine type of this version.
    IslandMachine,
    /// There is no such release yet, or it is no release's number.
    IslandRelease,
}

impl Rule {
    /// The rule in words.
    #[must_use]
    pub const fn text(&self) -> &'static str {
        match self {
            Self::UnknownDevice => "there is no such type of device",
            Self::UnknownProperty { .. } => "a type that this names, or that derives from it, has no such property",
            Self::RemovedProperty { .. } => "the property was removed",
            Self::OtherName { .. } => "the property has another name now",
            Self::Value => "the value does not parse",
            Self::Duplicate => "the list has an entry for this already",
            Self::Overridden => "a later entry of the same list overrides this one",
            Self::NoEffect => "without this entry the value is the same",
            Self::IslandMachine => "there is no machine type of this version",
            Self::IslandRelease => "there is no such release",
        }
    }

    /// What the rule is about in this case: a type, a name or a reason; empty where there is nothing to add.
    const fn detail(&self) -> &'static str {
        match *self {
            Self::UnknownProperty { device } => device,
            Self::RemovedProperty { reason } => reason,
            Self::OtherName { name } => name,
            _ => "",
        }
    }
}

impl Finding {
    /// Name of the machine type.
    #[must_use]
    pub fn machine(&self) -> String {
        format!("{}-{}", self.family, self.version)
    }

    /// Name, entry and rule in one line, for the compiler.
    const fn line(&self) -> Line {
        let CompatProperty { device, property, value, .. } = self.entry;
        Line { octets: [0; LINE_OCTETS], length: 0 }
            .push(self.family)
            .push("-")
            .push(self.version)
            .push(": ")
            .push(device)
            .push(".")
            .push(property)
            .push("=")
            .push(value)
            .push(": ")
            .push(self.rule.text())
            .push(if self.rule.detail().is_empty() { "" } else { ": " })
            .push(self.rule.detail())
    }
}

/// The entry and the rule; [`Finding::machine`] is not repeated.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CompatProperty { device, property, value, .. } = self.entry;
        write!(f, "{device}.{property}={value}: {}", self.rule.text())?;
        match self.rule.detail() {
            "" => Ok(()),
            detail => write!(f, ": {detail}"),
        }
    }
}

impl MachineFamily {
    /// Everything that is wrong with the compatibility lists and islands. `known` are the types of device of the
    /// program.
    #[must_use]
    pub fn check(&self, known: &[DeviceType]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for version in self.versions {
            findings.extend((0..version.compat.len()).filter_map(|index| self.finding(version, index, known)));
        }
        findings.extend(self.islands.iter().filter_map(|island| self.island_finding(island, known)));
        findings
    }

    /// Refuses to compile with tables that [`MachineFamily::check`] would find something wrong with.
    ///
    /// ```
    /// use vmstate::machine::{DeviceType, MachineFamily, MachineVersion};
    /// use vmstate::{Properties, compat};
    ///
    /// #[derive(Properties)]
    /// #[properties(device = "pl011")]
    /// struct Pl011Props {
    ///     #[property(default = true)]
    ///     migrate_clk: bool,
    /// }
    ///
    /// static VIRT: MachineFamily = MachineFamily::new("virt", "5.2", &[
    ///     MachineVersion { version: "5.2", compat: compat![] },
    ///     MachineVersion { version: "5.1", compat: compat![("pl011", "migrate-clk", "off")] },
    /// ]);
    /// const _: () = VIRT.require(&[DeviceType::of::<Pl011Props>()]);
    /// ```
    ///
    /// The compiler counts its steps. A hundred entries and a hundred types of device are within what it does without
    /// asking; much larger tables need `#[allow(long_running_const_eval)]` on the constant, or [`MachineFamily::check`]
    /// in a test instead. [`Settings::new`](super::Settings::new) checks in any case.
    ///
    /// # Panics
    ///
    /// Something is wrong; at compile time this is an error that names the machine type, the entry and the rule.
    #[track_caller]
    pub const fn require(&self, known: &[DeviceType]) {
        let mut versions = self.versions;
        while let [version, rest @ ..] = versions {
            let mut index = 0;
            while index < version.compat.len() {
                if let Some(finding) = self.finding(version, index, known) {
                    finding.line().refuse();
                }
                index += 1;
            }
            versions = rest;
        }
        let mut islands = self.islands;
        while let [island, rest @ ..] = islands {
            if let Some(finding) = self.island_finding(island, known) {
                finding.line().refuse();
            }
            islands = rest;
        }
    }

    /// What is wrong with entry `index` of a version's list.
    const fn finding(&self, version: &'static MachineVersion, index: usize, known: &[DeviceType]) -> Option<Finding> {
        if let Status::Removed { .. } = self.life_cycle.status(version.number(), self.release) {
            return None;
        }
        let (earlier, rest) = version.compat.split_at(index);
        let [entry, later @ ..] = rest else { return None };
        let mut others = earlier;
        while let [other, rest @ ..] = others {
            if same(other.device, entry.device) && same(other.property, entry.property) {
                return Some(self.found(version.version, *entry, Rule::Duplicate));
            }
            others = rest;
        }
        match self.broken_rule(version, entry, earlier, later, known) {
            Some(rule) => Some(self.found(version.version, *entry, rule)),
            None => None,
        }
    }

    const fn island_finding(&self, island: &Island, known: &[DeviceType]) -> Option<Finding> {
        let Island { release, machine, device, property, value, reason: _ } = *island;
        let entry = CompatProperty { device, property, value, optional: false };
        let mut versions = self.versions;
        let is_release = match Version::parse(release) {
            Some(release) => !self.release.is_before(release),
            None => false,
        };
        if !is_release {
            return Some(self.found(machine, entry, Rule::IslandRelease));
        }
        while let [version, rest @ ..] = versions {
            if same(version.version, machine) {
                return match self.broken_rule(version, &entry, version.compat, &[], known) {
                    Some(rule) => Some(self.found(machine, entry, rule)),
                    None => None,
                };
            }
            versions = rest;
        }
        Some(self.found(machine, entry, Rule::IslandMachine))
    }

    const fn found(&self, version: &'static str, entry: CompatProperty, rule: Rule) -> Finding {
        Finding { family: self.name, version, entry, rule }
    }

    /// The rule that a setting of a machine type breaks which stands behind `earlier` and before `later` of its list.
    const fn broken_rule(
        &self,
        version: &MachineVersion,
        entry: &CompatProperty,
        earlier: &[CompatProperty],
        later: &[CompatProperty],
        known: &[DeviceType],
    ) -> Option<Rule> {
        let (mut is_known, mut is_found, mut is_last, mut has_effect) = (false, false, false, false);
        let mut types = known;
        while let [device, rest @ ..] = types {
            types = rest;
            if !device.is_a(entry.device) {
                continue;
            }
            is_known = true;
            let Some(property) = device.properties.find(entry.property) else {
                if let Some(removed) = device.properties.removed(entry.property) {
                    return Some(Rule::RemovedProperty { reason: removed.reason });
                }
                if entry.optional {
                    continue;
                }
                return Some(Rule::UnknownProperty { device: device.name });
            };
            is_found = true;
            if !same(property.name, entry.property) {
                return Some(Rule::OtherName { name: property.name });
            }
            if !is_value(&property.kind, entry.value.as_bytes()) {
                return Some(Rule::Value);
            }
            if last_of(later, device, property).is_none() {
                is_last = true;
                has_effect |= !self.has_value(version, earlier, device, property, entry.value);
            }
        }
        if !is_known {
            Some(Rule::UnknownDevice)
        } else if !is_found {
            Some(Rule::UnknownProperty { device: entry.device })
        } else if !is_last {
            Some(Rule::Overridden)
        } else if !has_effect {
            Some(Rule::NoEffect)
        } else {
            None
        }
    }

    /// Whether a property has the value `value` with all that a machine type inherits and `earlier` of its own list.
    const fn has_value(
        &self,
        version: &MachineVersion,
        earlier: &[CompatProperty],
        device: &DeviceType,
        property: &Property,
        value: &str,
    ) -> bool {
        let mut set = None;
        let mut versions = self.versions;
        while let [other, rest @ ..] = versions {
            let is_itself = same(version.version, other.version);
            if !is_itself && !other.is_fix() {
                // The base of a bug-fix machine type stands behind it.
                if version.is_fix() && !inherits(version, other) {
                    break;
                }
                set = later_of(set, last_of(other.compat, device, property));
            }
            if is_itself && !version.is_fix() {
                break;
            }
            versions = rest;
        }
        match later_of(set, last_of(earlier, device, property)) {
            Some(text) => same_value(&property.kind, text.as_bytes(), value.as_bytes()),
            None => is_text_of(&property.kind, value.as_bytes(), &property.default),
        }
    }
}

const fn later_of(earlier: Option<&'static str>, later: Option<&'static str>) -> Option<&'static str> {
    match later {
        Some(_) => later,
        None => earlier,
    }
}

/// What a list makes of a property of this type of device.
const fn last_of(mut list: &[CompatProperty], device: &DeviceType, property: &Property) -> Option<&'static str> {
    while let [rest @ .., entry] = list {
        // The names of properties differ more often than those of types.
        if property.is_called(entry.property) && device.is_a(entry.device) {
            return Some(entry.value);
        }
        list = rest;
    }
    None
}

/// Longest message to the compiler; what is longer is cut.
const LINE_OCTETS: usize = 240;

/// A message that is put together while the program is compiled.
struct Line {
    octets: [u8; LINE_OCTETS],
    length: usize,
}

impl Line {
    #[expect(clippy::indexing_slicing, reason = "the length stays below that of the array")]
    const fn push(mut self, text: &str) -> Self {
        let mut rest = text.as_bytes();
        while let [octet, later @ ..] = rest {
            if self.length < LINE_OCTETS {
                self.octets[self.length] = *octet;
                self.length += 1;
            }
            rest = later;
        }
        self
    }

    #[track_caller]
    #[expect(clippy::panic, reason = "evaluated in constants, where a panic is a compile error")]
    const fn refuse(&self) {
        let (line, _) = self.octets.split_at(self.length);
        match std::str::from_utf8(line) {
            Ok(line) => panic!("{}", line),
            Err(_) => panic!("an entry of a compatibility list breaks a rule"),
        }
    }
}
