//! What the program can make: `query-machines`, `device-list-properties`, `qom-list-properties`.
//!
//! | command | answers a list of |
//! |---|---|
//! | `query-machines` | `name`, `alias`?, `is-default`?, `cpu-max`, `hotpluggable-cpus`, `numa-mem-supported`, `acpi`, `deprecated`, `default-ram-id`?, `default-cpu-type`? |
//! | … with `compat-props: true` | the same with `compat-props`: list of `qom-type`, `property`, `value` |
//! | `device-list-properties`, `qom-list-properties` | `name`, `type`, `description`?, `default-value`? |
//!
//! Names and shapes are those of QEMU 10.0, asked by QMP. There, `compat-props` is every entry in the order of
//! application, also those that a later one overrides; so here. `alias` and `is-default` are absent where they do not
//! hold.
//!
//! `Differs from QEMU:` the two lists of properties are the same, since there are no properties beyond those that can
//! be configured; a default is always told; a type that others derive from is no type of its own, and has no list.

use serde_json::{Map, Value, json};
use vmstate::props::{Property, PropertyValue};

use super::Context;
use crate::arguments::Arguments;
use crate::error::CommandError;
use crate::monitor::MachineInfo;

pub(super) fn query_machines(context: &mut Context<'_>, mut arguments: Arguments) -> Result<Value, CommandError> {
    let with_compat = arguments.optional_bool("compat-props")?.unwrap_or(false);
    arguments.finish()?;
    Ok(context.monitor.machines().iter().map(|machine| machine_value(machine, with_compat)).collect())
}

fn machine_value(info: &MachineInfo, with_compat: bool) -> Value {
    let MachineInfo {
        machine_type,
        is_default,
        cpu_max,
        has_hotpluggable_cpus,
        has_numa_memory,
        has_acpi,
        default_ram_id,
        default_cpu_type,
    } = info;
    let mut value = Map::new();
    let mut put = |name: &str, member: Value| {
        value.insert(name.to_owned(), member);
    };
    put("name", machine_type.name().into());
    if let Some(alias) = machine_type.alias() {
        put("alias", alias.into());
    }
    if *is_default {
        put("is-default", true.into());
    }
    put("cpu-max", (*cpu_max).into());
    put("hotpluggable-cpus", (*has_hotpluggable_cpus).into());
    put("numa-mem-supported", (*has_numa_memory).into());
    put("acpi", (*has_acpi).into());
    put("deprecated", machine_type.is_deprecated().into());
    if let Some(id) = default_ram_id {
        put("default-ram-id", id.as_str().into());
    }
    if let Some(cpu) = default_cpu_type {
        put("default-cpu-type", cpu.as_str().into());
    }
    if with_compat {
        let entry = |entry: &vmstate::machine::CompatProperty| json!({ "qom-type": entry.device, "property": entry.property, "value": entry.value });
        put("compat-props", machine_type.compat().map(entry).collect());
    }
    Value::Object(value)
}

pub(super) fn list_properties(context: &mut Context<'_>, mut arguments: Arguments) -> Result<Value, CommandError> {
    let name = arguments.string("typename")?;
    arguments.finish()?;
    let devices = context.monitor.device_types();
    let Some(device) = devices.iter().find(|device| device.name == name) else {
        let heirs: Vec<&str> = devices.iter().filter(|device| device.is_a(&name)).map(|device| device.name).collect();
        if heirs.is_empty() {
            return Err(CommandError::device_not_found(format!("there is no device type '{name}' with properties")));
        }
        let heirs = heirs.join(", ");
        return Err(CommandError::generic(format!(
            "parameter 'typename' expects a type that devices have; of '{name}', these are {heirs}"
        )));
    };
    Ok(device.properties.all().into_iter().map(property_value).collect())
}

fn property_value(property: &Property) -> Value {
    let mut value = Map::new();
    value.insert("name".to_owned(), property.name.into());
    value.insert("type".to_owned(), property.kind.type_name().into());
    if let Some(description) = property.kind.description() {
        value.insert("description".to_owned(), description.into());
    }
    value.insert("default-value".to_owned(), default_value(&property.default));
    Value::Object(value)
}

/// A value in JSON, with JSON's own types as QEMU has them.
fn default_value(value: &PropertyValue) -> Value {
    match value {
        PropertyValue::Bool(is_on) => (*is_on).into(),
        PropertyValue::Uint { value, .. } | PropertyValue::Size(value) => (*value).into(),
        PropertyValue::Int { value, .. } => (*value).into(),
        PropertyValue::List(values) => values.iter().map(default_value).collect(),
        text => text.to_string().into(),
    }
}
