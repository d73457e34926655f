//! A schema dump as data of its own: QEMU's, and ours with what that says in addition.
//!
//! ```text
//! Schema ── machine, machine types ── classes: [Class ── Description ── fields: [Field ─┐
//!                                                  │            │               Description ]
//!                                                  │            ├── subsections: [Description]
//!                                                  │            └── older: Description
//!                                                  └── instances ]
//! ```
//!
//! What only our dumps say is an `Option`, or empty. Source: `docs/spec/vmdesc.md` B2, [`crate::schema_dump`].

use std::collections::HashSet;

/// A dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The machine type that it was made for.
    pub machine: String,
    /// Whether `gate_open` says what that machine type makes of each gate.
    pub is_evaluated: bool,
    /// Machine types of the binary, with what each makes of the properties.
    pub machine_types: Vec<MachineType>,
    /// Machine types that the binary knows to have been removed.
    pub removed_machine_types: Vec<String>,
    /// Whether a fixed array has its number of elements; QEMU 5.2 and 7.2 tell none.
    pub tells_numbers: bool,
    /// Whether codecs, gates and instances are told, as in our dumps.
    pub is_detailed: bool,
    /// Classes of device, in the order of the dump.
    pub classes: Vec<Class>,
}

/// A machine type of a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineType {
    /// Full name.
    pub name: String,
    /// By class: names and values of the properties of its devices.
    pub properties: Vec<(String, Vec<(String, String)>)>,
}

/// A class of device, which has one section an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Name of the class; not on the wire.
    pub name: String,
    /// What a section holds; its name is that of the section.
    pub description: Description,
    /// The devices of the machine; `None` if the dump is of a binary's classes, as QEMU's are.
    pub instances: Option<Vec<Instance>>,
    /// Names and values of the properties, if evaluated.
    pub properties: Vec<(String, String)>,
}

/// Names of one section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Id string.
    pub idstr: String,
    /// Instance id.
    pub instance_id: u32,
    /// Id strings and instance ids under which it is loaded as well.
    pub other_names: Vec<(String, u32)>,
}

/// What a section, nested image or subsection holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Name; that of a subsection is on the wire.
    pub name: String,
    /// Version that is written.
    pub version: u32,
    /// Oldest version that is loaded with these fields, or with an older description.
    pub minimum_version: u32,
    /// Fields in wire order.
    pub fields: Vec<Field>,
    /// Subsections.
    pub subsections: Vec<Description>,
    /// The property without which it is not sent, and whether that is on.
    pub gate: Gate,
    /// Load priority, where it is not the usual one.
    pub priority: Option<String>,
    /// Whether it is sent before RAM.
    pub is_early: bool,
    /// Fields that are not on the wire.
    pub locals: Vec<String>,
    /// Tests between fields.
    pub checks: Vec<String>,
    /// Why a device with it cannot migrate.
    pub unmigratable: Option<String>,
    /// What versions below that of the fields are loaded with, and the oldest version of the fields.
    pub older: Option<Box<Older>>,
}

/// The description of older versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Older {
    /// The oldest version that the newer description loads itself.
    pub below: u32,
    /// The older description.
    pub description: Description,
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Name; not on the wire.
    pub name: String,
    /// First version that has it.
    pub since: u32,
    /// Whether a test function decides if it is there.
    pub is_tested: bool,
    /// Number of elements of a fixed array.
    pub elements: Option<u64>,
    /// Octets of one element: in memory (QEMU), on the wire (ours); 0 if it varies.
    pub size: u64,
    /// What an element holds.
    pub description: Option<Box<Description>>,
    /// What the key of a tree holds.
    pub key: Option<Box<Description>>,
    /// Codec of one element.
    pub codec: Option<String>,
    /// Name of the test function.
    pub test: Option<String>,
    /// The property that must be on, on both sides, and whether it is.
    pub gate: Gate,
    /// Where the number of elements is.
    pub count: Option<Count>,
    /// Largest number of elements that is accepted.
    pub limit: Option<u64>,
    /// Version of the nested image, if not its newest.
    pub pinned: Option<u32>,
    /// Whether each element may be missing, with the octet `30` in its place.
    pub is_pointer: bool,
}

/// A property on which something depends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gate {
    /// Its name.
    pub property: Option<String>,
    /// Whether it is on, where evaluated.
    pub is_open: Option<bool>,
}

/// Where a number of elements is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The field.
    pub field: String,
    /// Whether that is configuration, not in the stream.
    pub is_local: bool,
    /// Elements for each that it counts.
    pub scale: u64,
}

impl Schema {
    /// The class of a name.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<&Class> {
        self.classes.iter().find(|class| class.name == name)
    }

    /// The machine type of a name.
    #[must_use]
    pub fn machine_type(&self, name: &str) -> Option<&MachineType> {
        self.machine_types.iter().find(|machine| machine.name == name)
    }
}

impl Instance {
    /// Whether its section is loaded under this name.
    #[must_use]
    pub fn is_called(&self, idstr: &str, instance_id: u32) -> bool {
        let others = self.other_names.iter().map(|(idstr, id)| (idstr.as_str(), *id));
        others.chain([(self.idstr.as_str(), self.instance_id)]).any(|name| name == (idstr, instance_id))
    }
}

impl Description {
    /// The description that a stream's `version` is loaded with; `None` if it is refused.
    #[must_use]
    pub fn loading(&self, version: u32) -> Option<&Description> {
        match &self.older {
            Some(older) if version < older.below => older.description.loading(version),
            _ => (self.minimum_version..=self.version).contains(&version).then_some(self),
        }
    }

    /// Whether a field here or below has a number of elements.
    pub(super) fn has_numbers(&self) -> bool {
        let in_field = |field: &Field| {
            field.elements.is_some() || field.description.as_ref().is_some_and(|nested| nested.has_numbers())
        };
        self.fields.iter().any(in_field) || self.subsections.iter().any(Self::has_numbers)
    }

    /// Collects the properties that gates name, here and below.
    pub(super) fn gates<'s>(&'s self, gates: &mut HashSet<&'s str>) {
        gates.extend(self.gate.property.as_deref());
        for field in &self.fields {
            gates.extend(field.gate.property.as_deref());
            for nested in field.description.iter().chain(&field.key) {
                nested.gates(gates);
            }
        }
        for subsection in &self.subsections {
            subsection.gates(gates);
        }
    }
}
