//! From the text of a dump to a [`Schema`]: what each key must hold, and what is refused.
//!
//! | key | must be |
//! |---|---|
//! | `vmschkmachine` | there, with the machine's `Name` |
//! | any other | a class: an object, with a `Description` if it has state |
//! | versions, `num`, `size`, `limit` | integers of 32 bits: no section is larger |
//! | unknown keys | skipped, so that later releases can say more |
//!
//! Source: `docs/spec/vmdesc.md` B2, [`crate::schema_dump`].

use std::borrow::Cow;

use super::json::{Json, SchemaError, parse};
use super::limits::{MACHINE_COUNT_LIMIT, NAME_BYTES_LIMIT};
use super::schema::{Class, Count, Description, Field, Gate, Instance, MachineType, Older, Schema};

const MACHINE_KEY: &str = "vmschkmachine";

impl Schema {
    /// Reads a dump: QEMU's, or ours.
    ///
    /// # Errors
    ///
    /// The text is no JSON, or not the document of a dump; a key occurs twice in one object; a limit of
    /// [`super::limits`] is passed.
    pub fn from_json(text: &[u8]) -> Result<Self, SchemaError> {
        let json = parse(text)?;
        let json = &json;
        document(json).map_err(Fault::shown)
    }
}

/// Why a value is refused, and the keys down to it, innermost first.
struct Fault {
    reason: String,
    path: Vec<String>,
}

type Read<T> = Result<T, Fault>;

fn document(json: &Json<'_>) -> Read<Schema> {
    let root = object(json)?;
    let mut schema =
        required(root, MACHINE_KEY, machine).map_err(|fault| fault.explain("this is not what -dump-vmstate writes"))?;
    for (name, value) in root.iter().filter(|(name, _)| name != MACHINE_KEY) {
        checked_name(name)?;
        schema.classes.extend(class(name, value).map_err(|fault| fault.below(name.to_string()))?);
    }
    schema.is_detailed = schema.classes.iter().any(|class| class.instances.is_some());
    schema.tells_numbers = schema.is_detailed || schema.classes.iter().any(|class| class.description.has_numbers());
    Ok(schema)
}

fn machine(json: &Json<'_>) -> Read<Schema> {
    let entry = object(json)?;
    let machine_types = list(entry, "machines", machine_type)?;
    if machine_types.len() > MACHINE_COUNT_LIMIT {
        return Err(Fault::new(format!("{} machine types, accepted are {MACHINE_COUNT_LIMIT}", machine_types.len())));
    }
    let mut names: Vec<&str> = machine_types.iter().map(|machine| machine.name.as_str()).collect();
    names.sort_unstable();
    if let Some([name, _]) = names.array_windows().find(|[name, next]| name == next) {
        return Err(Fault::new(format!("machine type {name:?} occurs twice")));
    }
    Ok(Schema {
        machine: required(entry, "Name", name)?,
        is_evaluated: flag(entry, "evaluated")?,
        machine_types,
        removed_machine_types: list(entry, "removed", name)?,
        tells_numbers: false,
        is_detailed: false,
        classes: Vec::new(),
    })
}

fn machine_type(json: &Json<'_>) -> Read<MachineType> {
    let entry = object(json)?;
    let mut properties = Vec::new();
    for (class, values) in optional(entry, "properties", object)?.into_iter().flatten() {
        properties.push((checked_name(class)?, texts(values).map_err(|fault| fault.below(class.to_string()))?));
    }
    Ok(MachineType { name: required(entry, "Name", name)?, properties })
}

/// `None` for a class without state.
fn class(name: &str, json: &Json<'_>) -> Read<Option<Class>> {
    let entry = object(json)?;
    let Some(description) = optional(entry, "Description", description)? else { return Ok(None) };
    Ok(Some(Class {
        name: name.to_owned(),
        description,
        instances: optional(entry, "instances", |json| elements(json, instance))?,
        properties: optional(entry, "properties", texts)?.unwrap_or_default(),
    }))
}

fn instance(json: &Json<'_>) -> Read<Instance> {
    let entry = object(json)?;
    let other = |json: &Json<'_>| {
        let entry = object(json)?;
        Ok((required(entry, "idstr", name)?, required(entry, "instance_id", number)?))
    };
    Ok(Instance {
        idstr: required(entry, "idstr", name)?,
        instance_id: required(entry, "instance_id", number)?,
        other_names: list(entry, "other_names", other)?,
    })
}

fn description(json: &Json<'_>) -> Read<Description> {
    let entry = object(json)?;
    let older = match optional(entry, "older", description)? {
        Some(description) => Some(Box::new(Older { below: required(entry, "older_below", number)?, description })),
        None => None,
    };
    Ok(Description {
        name: required(entry, "name", name)?,
        version: required(entry, "version_id", number)?,
        minimum_version: required(entry, "minimum_version_id", number)?,
        fields: list(entry, "Fields", field)?,
        subsections: list(entry, "Subsections", description)?,
        gate: gate(entry)?,
        priority: optional(entry, "priority", name)?,
        is_early: flag(entry, "early")?,
        locals: list(entry, "locals", name)?,
        checks: list(entry, "checks", name)?,
        unmigratable: optional(entry, "unmigratable", name)?,
        older,
    })
}

fn field(json: &Json<'_>) -> Read<Field> {
    let entry = object(json)?;
    let number_of = |key| optional(entry, key, |json| number(json).map(u64::from));
    let nested = |key| optional(entry, key, |json| description(json).map(Box::new));
    Ok(Field {
        name: required(entry, "field", name)?,
        since: required(entry, "version_id", number)?,
        is_tested: flag(entry, "field_exists")?,
        elements: number_of("num")?,
        size: required(entry, "size", number)?.into(),
        description: nested("Description")?,
        key: nested("key")?,
        codec: optional(entry, "codec", name)?,
        test: optional(entry, "test", name)?,
        gate: gate(entry)?,
        count: optional(entry, "count", count)?,
        limit: number_of("limit")?,
        pinned: optional(entry, "pinned", number)?,
        is_pointer: flag(entry, "pointer")?,
    })
}

fn gate(entry: Members<'_, '_>) -> Read<Gate> {
    Ok(Gate { property: optional(entry, "gate", name)?, is_open: optional(entry, "gate_open", boolean)? })
}

fn count(json: &Json<'_>) -> Read<Count> {
    let entry = object(json)?;
    Ok(Count {
        field: required(entry, "field", name)?,
        is_local: flag(entry, "local")?,
        scale: optional(entry, "scale", number)?.unwrap_or(1).into(),
    })
}

/// The members of an object.
type Members<'j, 't> = &'j [(Cow<'t, str>, Json<'t>)];

fn object<'j, 't>(json: &'j Json<'t>) -> Read<Members<'j, 't>> {
    match json {
        Json::Object(members) => Ok(members),
        other => Err(Fault::expected("an object", other)),
    }
}

fn optional<'j, 't, T>(
    entry: Members<'j, 't>,
    key: &str,
    read: impl FnOnce(&'j Json<'t>) -> Read<T>,
) -> Read<Option<T>> {
    let Some((_, value)) = entry.iter().find(|(name, _)| name == key) else { return Ok(None) };
    read(value).map(Some).map_err(|fault| fault.below(key.to_owned()))
}

fn required<'j, 't, T>(entry: Members<'j, 't>, key: &str, read: impl FnOnce(&'j Json<'t>) -> Read<T>) -> Read<T> {
    optional(entry, key, read)?.ok_or_else(|| Fault::new(format!("no key {key:?}")))
}

fn elements<'j, 't, T>(json: &'j Json<'t>, read: impl Fn(&'j Json<'t>) -> Read<T>) -> Read<Vec<T>> {
    let Json::Array(elements) = json else { return Err(Fault::expected("a list", json)) };
    let indexed = elements.iter().enumerate();
    indexed.map(|(index, element)| read(element).map_err(|fault| fault.below(format!("[{index}]")))).collect()
}

/// Empty where there is no such key.
fn list<'j, 't, T>(entry: Members<'j, 't>, key: &str, read: impl Fn(&'j Json<'t>) -> Read<T>) -> Read<Vec<T>> {
    Ok(optional(entry, key, |json| elements(json, read))?.unwrap_or_default())
}

fn flag(entry: Members<'_, '_>, key: &str) -> Read<bool> {
    Ok(optional(entry, key, boolean)?.unwrap_or(false))
}

fn boolean(json: &Json<'_>) -> Read<bool> {
    match json {
        Json::Bool(value) => Ok(*value),
        other => Err(Fault::expected("true or false", other)),
    }
}

fn number(json: &Json<'_>) -> Read<u32> {
    match json {
        Json::Unsigned(value) => u32::try_from(*value)
            .map_err(|_| Fault::new(format!("{value} is out of range: accepted are 0 to {}", u32::MAX))),
        other => Err(Fault::expected("an integer that is not negative", other)),
    }
}

fn name(json: &Json<'_>) -> Read<String> {
    match json {
        Json::String(value) => checked_name(value),
        other => Err(Fault::expected("a string", other)),
    }
}

fn checked_name(value: &str) -> Read<String> {
    if value.len() > NAME_BYTES_LIMIT {
        return Err(Fault::new(format!("a name of {} octets, accepted are up to {NAME_BYTES_LIMIT}", value.len())));
    }
    Ok(value.to_owned())
}

fn texts(json: &Json<'_>) -> Read<Vec<(String, String)>> {
    let members = object(json)?.iter();
    members.map(|(key, value)| Ok((checked_name(key)?, name(value).map_err(|f| f.below(key.to_string()))?))).collect()
}

impl Fault {
    fn new(reason: String) -> Self {
        Self { reason, path: Vec::new() }
    }

    fn expected(accepted: &str, found: &Json<'_>) -> Self {
        let found = match found {
            Json::Null => "null",
            Json::Bool(_) => "a truth value",
            Json::Unsigned(_) => "an integer",
            Json::OtherNumber => "a number that is negative, has a fraction, or is too large",
            Json::String(_) => "a string",
            Json::Array(_) => "a list",
            Json::Object(_) => "an object",
        };
        Self::new(format!("found {found}, expected {accepted}"))
    }

    fn below(mut self, step: String) -> Self {
        self.path.push(step);
        self
    }

    fn explain(mut self, why: &str) -> Self {
        self.reason = format!("{}: {why}", self.reason);
        self
    }

    fn shown(self) -> SchemaError {
        let mut path = "$".to_owned();
        for step in self.path.iter().rev() {
            if !step.starts_with('[') {
                path.push('.');
            }
            path.extend(step.chars().take(64));
        }
        SchemaError { path, reason: self.reason }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        Schema::from_json(text.as_bytes()).unwrap_err().to_string()
    }

    fn with_field(field: &str) -> String {
        format!(
            r#"{{"vmschkmachine": {{"Name": "pc"}}, "uart": {{"Name": "uart", "Description":
               {{"name": "uart", "version_id": 1, "minimum_version_id": 1, "Fields": [{field}]}}}}}}"#
        )
    }

    #[test]
    fn qemu_says_names_versions_and_sizes() {
        let field = r#"{"field": "rbr", "version_id": 0, "field_exists": true, "num": 4, "size": 1, "later": []}"#;
        let schema = Schema::from_json(with_field(field).as_bytes()).unwrap();
        let class = schema.class("uart").unwrap();
        assert_eq!((schema.machine.as_str(), schema.is_detailed), ("pc", false));
        let field = &class.description.fields[0];
        assert_eq!((field.name.as_str(), field.is_tested, field.elements, field.size), ("rbr", true, Some(4), 1));
        assert_eq!((&field.codec, &class.instances), (&None, &None));
    }

    #[test]
    fn a_class_without_state_is_none() {
        let text = r#"{"vmschkmachine": {"Name": "pc"}, "led": {"Name": "led", "version_id": 0}}"#;
        assert_eq!(Schema::from_json(text.as_bytes()).unwrap().classes, []);
    }

    #[test]
    fn what_is_refused_says_where_and_what_is_accepted() {
        for (field, expected) in [
            (r#"{"version_id": 0, "size": 1}"#, r#"at $.uart.Description.Fields[0]: no key "field""#),
            (r#"{"field": 3, "version_id": 0, "size": 1}"#, "Fields[0].field: found an integer, expected a string"),
            (
                r#"{"field": "a", "version_id": -1, "size": 1}"#,
                "Fields[0].version_id: found a number that is negative, has a fraction, or is too large, expected an",
            ),
            (
                r#"{"field": "a", "version_id": 0, "size": 4294967296}"#,
                "Fields[0].size: 4294967296 is out of range: accepted are 0 to 4294967295",
            ),
            (r#"{"field": "a", "version_id": 0, "size": 1, "field_exists": 1}"#, "expected true or false"),
            (r#"7"#, "Fields[0]: found an integer, expected an object"),
        ] {
            let fault = fault(&with_field(field));
            assert!(fault.contains(expected), "{fault}");
        }
        assert_eq!(fault("{}"), r#"at $: no key "vmschkmachine": this is not what -dump-vmstate writes"#);
        assert_eq!(fault("[]"), "at $: found a list, expected an object");
        let long = format!(r#"{{"vmschkmachine": {{"Name": "{}"}}}}"#, "x".repeat(NAME_BYTES_LIMIT + 1));
        assert!(fault(&long).starts_with("at $.vmschkmachine.Name: a name of 1025 octets, accepted are up to 1024"));
        let twice = r#"{"vmschkmachine": {"Name": "b", "machines": [{"Name": "b-1"}, {"Name": "b-1"}]}}"#;
        assert!(fault(twice).contains(r#"at $.vmschkmachine: machine type "b-1" occurs twice"#));
    }
}
