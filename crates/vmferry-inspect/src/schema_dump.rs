//! The schema dump: what a binary's devices put on the wire, in the format of QEMU's `-dump-vmstate`.
//!
//! ```text
//! { "vmschkmachine": { "Name": machine, + "evaluated"?, "machines"?, "removed"? },
//!   class: { "Name", "version_id", "minimum_version_id", "Description": DESC, + "instances", "device"?, "properties"? }, … }
//!
//! DESC  = { "name", "version_id", "minimum_version_id", "Fields"?: [ FIELD ], "Subsections"?: [ DESC ], + … }
//! FIELD = { "field", "version_id", "field_exists", "num"?, "size", "Description"?: DESC, + … }
//! ```
//!
//! Keys of our own come last in each object; QEMU's checker does not look at them. Those with `?` are there where they
//! say something.
//!
//! | in | key | meaning |
//! |---|---|---|
//! | machine | `evaluated`? | `gate_open` says what this machine type's properties make of each gate |
//! | machine | `machines`? | machine types: `Name`, and `properties` by class, name → value |
//! | machine | `removed`? | names of machine types that were removed |
//! | class | `instances` | `idstr` and `instance_id` of each device of the class; `other_names` that are loaded as well |
//! | class | `device`? | type of device whose properties the gates name |
//! | class | `properties`? | name → value, where evaluated |
//! | DESC | `octets`? | octets on the wire, if always the same number |
//! | DESC | `gate`?, `gate_open`? | the property without which it is not sent, and whether that is on |
//! | DESC | `priority`?, `early`? | of a section: load priority above the default; sent before RAM |
//! | DESC | `unmigratable`? | why a device with it cannot migrate |
//! | DESC | `older`?, `older_below`? | DESC that versions below a number are loaded with |
//! | DESC | `locals`? | fields that are not on the wire but shape a load |
//! | DESC | `checks`? | tests between fields, by name (QEMU omits them as well) |
//! | FIELD | `codec` | QEMU's name of the codec of one element |
//! | FIELD | `octets`? | octets of the whole field, if always the same number |
//! | FIELD | `test`? | name of the test function, where `field_exists` |
//! | FIELD | `gate`?, `gate_open`? | the property that must be on on both sides, and whether it is |
//! | FIELD | `count`?, `limit`? | the field with the number of elements, whether that is local, and the largest accepted |
//! | FIELD | `pinned`? | version of the nested image, if not its newest |
//! | FIELD | `pointer`? | each element may be missing, with an octet `30` in its place |
//! | FIELD | `key`? | DESC of a tree's key |
//! | FIELD | `hint`? | what to do about a difference of a field that must be equal |
//!
//! `Differs from QEMU:` `size` is the size of an element on the wire, not in memory, and 0 if it is not always the
//! same; a class is a kind of section, and only those of this machine's devices are there, in the order in which they
//! are saved.
//!
//! Source: `docs/spec/vmdesc.md` B2 and D4.

use std::io;

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use vmstate::Registry;
use vmstate::machine::{DeviceType, MachineFamily, SettingError, Settings};
use vmstate::props::{NamedValue, PropertyValue};
use vmstate::registry::Entry;
use vmstate::schema::{Count, Field, Kind, Presence, Priority, Schema};

/// The key under which a dump has its machine type.
const MACHINE_KEY: &str = "vmschkmachine";

/// Schemas of a machine's sections.
#[derive(Debug)]
pub struct SchemaDump {
    machine: MachineEntry,
    /// By name, in save order.
    classes: Vec<(&'static str, ClassEntry)>,
}

/// One section of a machine.
#[derive(Debug, Clone)]
pub struct SectionSchema<'a> {
    /// Its schema.
    pub schema: &'static Schema,
    /// Id string in the section header.
    pub idstr: &'a str,
    /// Instance id in the section header.
    pub instance_id: u32,
    /// Id strings and instance ids under which it is loaded as well.
    pub other_names: Vec<(&'a str, u32)>,
    /// Names and values of the properties that its gates read; `None` leaves the gates open to both.
    pub properties: Option<Vec<NamedValue>>,
}

impl SchemaDump {
    /// The dump of a machine type whose devices have these sections, in save order.
    pub fn new<'a>(machine: &str, sections: impl IntoIterator<Item = SectionSchema<'a>>) -> Self {
        let mut classes: Vec<(&'static str, ClassEntry)> = Vec::new();
        let mut evaluated = false;
        for section in sections {
            let instance = Instance::new(&section);
            match classes.iter_mut().find(|(name, _)| *name == section.schema.name) {
                Some((_, class)) => class.instances.push(instance),
                None => {
                    evaluated |= section.properties.is_some();
                    classes.push((section.schema.name, ClassEntry::new(&section, instance)));
                }
            }
        }
        let machine = MachineEntry {
            name: machine.to_owned(),
            evaluated: evaluated.then_some(true),
            machines: Vec::new(),
            removed: Vec::new(),
        };
        Self { machine, classes }
    }

    /// The dump of the devices in a registry.
    pub fn of_registry(machine: &str, registry: &Registry) -> Self {
        let entries = registry.entries();
        Self::new(machine, entries.iter().map(|entry| SectionSchema::of_entry(entry)))
    }

    /// Adds the machine types of a family, with what each makes of the properties of the devices.
    ///
    /// # Errors
    ///
    /// The family's tables name a device or property that `device_types` do not have.
    pub fn with_machine_types(
        mut self,
        family: &'static MachineFamily,
        device_types: &[DeviceType],
    ) -> Result<Self, SettingError> {
        for machine in family.machine_types() {
            let settings = Settings::new(machine, Vec::new(), device_types)?;
            let mut properties = Vec::new();
            for (name, class) in &self.classes {
                let device = device_types.iter().find(|device| Some(device.name) == class.device);
                let values = device.map(|device| device.values(&settings)).transpose()?.unwrap_or_default();
                if !values.is_empty() {
                    properties.push((*name, Properties(values)));
                }
            }
            self.machine.machines.push(MachineTypeEntry { name: machine.name(), properties });
        }
        self.machine.removed = family.removed().map(|machine| machine.name()).collect();
        Ok(self)
    }

    /// The document as text, indented by two blanks a level, without a line end.
    ///
    /// # Errors
    ///
    /// None in practice: every key is a string.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// Writes the document, indented by two blanks a level.
    ///
    /// # Errors
    ///
    /// Writing fails.
    pub fn write_json(&self, mut out: impl io::Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut out, self).map_err(io::Error::from)
    }
}

impl<'a> SectionSchema<'a> {
    /// The schema of a registered device, not evaluated.
    #[must_use]
    pub fn of_entry(entry: &'a Entry) -> Self {
        Self {
            schema: entry.section().schema(),
            idstr: entry.idstr(),
            instance_id: entry.instance(),
            other_names: entry.other_names().collect(),
            properties: None,
        }
    }
}

impl Serialize for SchemaDump {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.classes.len().saturating_add(1)))?;
        map.serialize_entry(MACHINE_KEY, &self.machine)?;
        for (name, class) in &self.classes {
            map.serialize_entry(name, class)?;
        }
        map.end()
    }
}

#[derive(Debug, Serialize)]
struct MachineEntry {
    #[serde(rename = "Name")]
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluated: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    machines: Vec<MachineTypeEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    removed: Vec<String>,
}

#[derive(Debug, Serialize)]
struct MachineTypeEntry {
    #[serde(rename = "Name")]
    name: String,
    /// By class.
    #[serde(serialize_with = "map_of_pairs")]
    properties: Vec<(&'static str, Properties)>,
}

fn map_of_pairs<S: Serializer>(pairs: &[(&'static str, Properties)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, properties)| (name, properties)))
}

#[derive(Debug, Serialize)]
struct ClassEntry {
    #[serde(rename = "Name")]
    name: &'static str,
    version_id: u32,
    minimum_version_id: u32,
    #[serde(rename = "Description")]
    description: Description,
    instances: Vec<Instance>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<Properties>,
}

#[derive(Debug, Serialize)]
struct Instance {
    idstr: String,
    instance_id: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    other_names: Vec<OtherName>,
}

#[derive(Debug, Serialize)]
struct OtherName {
    idstr: String,
    instance_id: u32,
}

impl Instance {
    fn new(section: &SectionSchema<'_>) -> Self {
        let other =
            |(idstr, instance_id): &(&str, u32)| OtherName { idstr: (*idstr).to_owned(), instance_id: *instance_id };
        Self {
            idstr: section.idstr.to_owned(),
            instance_id: section.instance_id,
            other_names: section.other_names.iter().map(other).collect(),
        }
    }
}

#[derive(Debug, Clone)]
struct Properties(Vec<NamedValue>);

#[derive(Debug, Serialize)]
struct Description {
    name: &'static str,
    version_id: u32,
    minimum_version_id: u32,
    #[serde(rename = "Fields", skip_serializing_if = "Vec::is_empty")]
    fields: Vec<FieldEntry>,
    #[serde(rename = "Subsections", skip_serializing_if = "Vec::is_empty")]
    subsections: Vec<Description>,
    #[serde(skip_serializing_if = "Option::is_none")]
    octets: Option<usize>,
    #[serde(flatten)]
    gate: Gate,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    early: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    locals: &'static [&'static str],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checks: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unmigratable: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    older_below: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    older: Option<Box<Description>>,
}

#[derive(Debug, Serialize)]
struct FieldEntry {
    field: &'static str,
    version_id: u32,
    field_exists: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    num: Option<usize>,
    size: usize,
    #[serde(rename = "Description", skip_serializing_if = "Option::is_none")]
    description: Option<Description>,
    codec: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    octets: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    test: Option<&'static str>,
    #[serde(flatten)]
    gate: Gate,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<CountEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned: Option<u32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pointer: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Description>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Gate {
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gate_open: Option<bool>,
}

#[derive(Debug, Serialize)]
struct CountEntry {
    field: &'static str,
    local: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    scale: Option<usize>,
}

impl ClassEntry {
    fn new(section: &SectionSchema<'_>, instance: Instance) -> Self {
        let schema = section.schema;
        let properties = section.properties.clone().map(Properties);
        let mut description = Description::new(schema, schema.gate, properties.as_ref());
        description.priority = match schema.priority {
            Priority::Iommu => Some("iommu"),
            Priority::PciBus => Some("pci-bus"),
            _ => None,
        };
        description.early = schema.early;
        Self {
            name: schema.name,
            version_id: schema.version,
            minimum_version_id: schema.oldest_version(),
            description,
            instances: vec![instance],
            device: schema.device,
            properties: properties.filter(|properties| !properties.0.is_empty()),
        }
    }
}

impl Description {
    fn new(schema: &'static Schema, gate: Option<&'static str>, properties: Option<&Properties>) -> Self {
        let is_check = |field: &&Field| matches!(field.kind, Kind::Check { .. });
        let nested = |sub: &vmstate::schema::Subsection| Self::new(sub.schema, sub.gate, properties);
        Self {
            name: schema.name,
            version_id: schema.version,
            minimum_version_id: schema.oldest_version(),
            fields: schema
                .fields
                .iter()
                .filter(|field| !is_check(field))
                .map(|field| FieldEntry::new(field, properties))
                .collect(),
            subsections: schema.subsections.iter().map(nested).collect(),
            octets: schema.octets(),
            gate: Gate::new(gate, properties),
            priority: None,
            early: false,
            locals: schema.locals,
            checks: schema
                .fields
                .iter()
                .filter_map(|field| match field.kind {
                    Kind::Check { test } => Some(test),
                    _ => None,
                })
                .collect(),
            unmigratable: schema.unmigratable,
            older_below: schema.older.map(|_| schema.minimum_version),
            older: schema.older.map(|older| Box::new(Self::new(older, older.gate, properties))),
        }
    }
}

impl FieldEntry {
    fn new(field: &'static Field, properties: Option<&Properties>) -> Self {
        let element = field.kind.element();
        let (version_id, test) = match field.presence {
            Presence::Since(version) => (version, None),
            Presence::When(test) => (0, Some(test)),
            _ => (0, None),
        };
        let (count, limit) = match (field.kind.count(), field.kind) {
            (Some((count, limit)), _) => (Some(CountEntry::from(count)), Some(limit)),
            (None, Kind::List { limit, .. } | Kind::Tree { limit, .. }) => (None, Some(limit)),
            _ => (None, None),
        };
        Self {
            field: field.name,
            version_id,
            field_exists: test.is_some() || field.gate.is_some(),
            num: if matches!(field.kind, Kind::Array { .. }) { field.kind.elements() } else { None },
            size: element.octets().unwrap_or(0),
            // As in QEMU's dump, this is the value of a tree.
            description: element.image().map(|schema| Description::new(schema, schema.gate, properties)),
            pointer: matches!(element, Kind::Pointer { .. }),
            key: match element {
                Kind::Tree { key: Some(key), .. } => Some(Description::new(key, key.gate, properties)),
                _ => None,
            },
            pinned: match element {
                Kind::Pinned { version, .. } => Some(*version),
                _ => None,
            },
            codec: field.kind.type_name(),
            octets: field.kind.octets(),
            test,
            gate: Gate::new(field.gate, properties),
            count,
            limit,
            hint: match element {
                Kind::Equal { hint, .. } => *hint,
                _ => None,
            },
        }
    }
}

impl Gate {
    fn new(gate: Option<&'static str>, properties: Option<&Properties>) -> Self {
        Self { gate, gate_open: gate.and_then(|name| properties?.is_on(name)) }
    }
}

impl Properties {
    /// Whether the property is on; `None` if there is none of that name, or it is no switch.
    fn is_on(&self, name: &str) -> Option<bool> {
        match &self.0.iter().find(|(property, _)| *property == name)?.1 {
            PropertyValue::Bool(is_on) => Some(*is_on),
            _ => None,
        }
    }
}

impl Serialize for Properties {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value.to_string())))
    }
}

impl From<Count> for CountEntry {
    fn from(count: Count) -> Self {
        Self { field: count.field, local: count.local, scale: (count.scale != 1).then_some(count.scale) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use serde_json::{Value, json};
    use vmstate::schema::{ListForm, Scalar, Subsection};

    use super::*;

    const U32: Kind = Kind::Scalar(Scalar::U32);
    static CELL: Schema = Schema::new("cell", 2).fields(&[Field::new("a", U32), Field::new("b", U32)]);
    static CLOCK: Schema = Schema::new("uart/clock", 1).fields(&[Field::new("hz", Kind::Scalar(Scalar::U64))]);
    static UART: Schema = Schema::new("uart", 3)
        .minimum(1)
        .priority(Priority::PciBus)
        .locals(&["depth"])
        .fields(&[
            Field::new("flags", U32).since(2),
            Field::new("fifo", Kind::Array { element: &U32, elements: 16 }),
            Field::new("gap", Kind::Unused { octets: 4 }),
            Field::new("cells", Kind::Array { element: &Kind::Struct(&CELL), elements: 2 }),
            Field::new("data", Kind::CountedBuffer { count: Count::local("depth"), limit: 512 }),
            Field::new("lines", Kind::Equal { scalar: Scalar::U8, hint: Some("set lines") }).when("has_lines"),
            Field::new("extra", U32).gate("extra"),
            Field::new("sane", Kind::Check { test: "is_sane" }),
        ])
        .subsections(&[Subsection::new(&CLOCK).gate("migrate-clk")]);

    fn dump(properties: Option<Vec<NamedValue>>) -> (String, Value) {
        let section = |idstr, instance_id| SectionSchema {
            schema: &UART,
            idstr,
            instance_id,
            other_names: vec![("old-uart", instance_id)],
            properties: properties.clone(),
        };
        let mut text = Vec::new();
        SchemaDump::new("board-1.0", [section("uart", 0), section("uart", 1)]).write_json(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let value = serde_json::from_str(&text).unwrap();
        (text, value)
    }

    #[test]
    fn keys_of_qemu_come_first_and_in_its_order() {
        let (text, _) = dump(None);
        let head = r#"{
  "vmschkmachine": {
    "Name": "board-1.0"
  },
  "uart": {
    "Name": "uart",
    "version_id": 3,
    "minimum_version_id": 1,
    "Description": {
      "name": "uart",
      "version_id": 3,
      "minimum_version_id": 1,
      "Fields": [
        {
          "field": "flags",
          "version_id": 2,
          "field_exists": false,
          "size": 4,
          "codec": "uint32",
          "octets": 4
        },
        {
          "field": "fifo",
          "version_id": 0,
          "field_exists": false,
          "num": 16,
          "size": 4,
          "codec": "uint32",
          "octets": 64
        },"#;
        assert!(text.starts_with(head), "{text}");
    }

    #[test]
    fn each_form_of_field_says_what_it_is() {
        let (_, dump) = dump(None);
        let description = &dump["uart"]["Description"];
        let fields = description["Fields"].as_array().unwrap();
        assert_eq!(fields.len(), 7);
        assert_eq!(
            fields[3]["Description"]["Fields"][1],
            json!({"field": "b", "version_id": 0, "field_exists": false, "size": 4, "codec": "uint32", "octets": 4})
        );
        assert_eq!(
            (&fields[3]["num"], &fields[3]["size"], &fields[3]["codec"]),
            (&json!(2), &json!(8), &json!("struct"))
        );
        assert_eq!(
            fields[4],
            json!({"field": "data", "version_id": 0, "field_exists": false, "size": 0, "codec": "buffer",
                   "count": {"field": "depth", "local": true}, "limit": 512})
        );
        assert_eq!((&fields[5]["test"], &fields[5]["hint"]), (&json!("has_lines"), &json!("set lines")));
        assert_eq!((&fields[5]["field_exists"], &fields[6]["field_exists"]), (&json!(true), &json!(true)));
        assert_eq!(
            (&description["priority"], &description["locals"], &description["checks"]),
            (&json!("pci-bus"), &json!(["depth"]), &json!(["is_sane"]))
        );
        assert_eq!(
            dump["uart"]["instances"],
            json!([
                {"idstr": "uart", "instance_id": 0, "other_names": [{"idstr": "old-uart", "instance_id": 0}]},
                {"idstr": "uart", "instance_id": 1, "other_names": [{"idstr": "old-uart", "instance_id": 1}]}
            ])
        );
    }

    #[test]
    fn gates_are_evaluated_where_there_are_properties() {
        let (_, open) = dump(None);
        assert_eq!(open["uart"]["Description"]["Subsections"][0]["gate"], "migrate-clk");
        assert_eq!(open["uart"]["Description"]["Subsections"][0].get("gate_open"), None);
        let (_, evaluated) =
            dump(Some(vec![("migrate-clk", PropertyValue::Bool(false)), ("extra", PropertyValue::Bool(true))]));
        assert_eq!(evaluated["vmschkmachine"]["evaluated"], true);
        assert_eq!(evaluated["uart"]["Description"]["Subsections"][0]["gate_open"], false);
        assert_eq!(evaluated["uart"]["Description"]["Fields"][6]["gate_open"], true);
        assert_eq!(evaluated["uart"]["properties"], json!({"migrate-clk": "off", "extra": "on"}));
    }

    #[test]
    fn forms_with_an_image_in_them_describe_it() {
        static FORMS: Schema = Schema::new("forms", 1).fields(&[
            Field::new("list", Kind::List { form: ListForm::Qtailq, element: &CELL, limit: 9 }),
            Field::new("old", Kind::Pinned { schema: &CELL, version: 1 }),
            Field::new("rows", Kind::Counted { element: &U32, count: Count::received("n").scale(4), limit: 16 }),
        ]);
        let section =
            SectionSchema { schema: &FORMS, idstr: "forms", instance_id: 0, other_names: Vec::new(), properties: None };
        let mut text = Vec::new();
        SchemaDump::new("board-1.0", [section]).write_json(&mut text).unwrap();
        let dump: Value = serde_json::from_slice(&text).unwrap();
        let fields = &dump["forms"]["Description"]["Fields"];
        assert_eq!((&fields[0]["codec"], &fields[0]["limit"]), (&json!("qtailq"), &json!(9)));
        assert_eq!(fields[0]["Description"]["name"], json!("cell"));
        assert_eq!((&fields[1]["codec"], &fields[1]["pinned"]), (&json!("vstruct"), &json!(1)));
        assert_eq!(fields[1]["Description"]["name"], json!("cell"));
        assert_eq!(fields[2]["count"], json!({"field": "n", "local": false, "scale": 4}));
    }
}
