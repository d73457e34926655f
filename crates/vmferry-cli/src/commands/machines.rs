//! `vmferry machines`: the machine types, what sets each apart from the newest, and what their devices can be told.
//!
//! | ends with | when |
//! |---|---|
//! | 0 | printed |
//! | 2 | the release of `--started-on` is none, or newer than this one |

use std::fmt::Write as _;

use anyhow::anyhow;
use serde_json::{Value, json};
use vmferry_vmm::families::{FAMILIES, Family};
use vmferry_vmm::machine::types::FERRY_VIRT;
use vmstate::machine::{DeviceType, Global, MachineFamily, MachineType, Version};
use vmstate::props::Property;

use crate::exit::{ExitCode, Failure, Outcome};
use crate::output::Output;

/// List the machine types with their compatibility properties
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Say which settings a guest needs at every destination that was started on this release
    #[arg(long, value_name = "RELEASE")]
    started_on: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  vmferry machines --json
  vmferry machines --started-on 1.1

A property that is not listed has the default of its device.";

pub(crate) fn run(args: &Args, output: Output) -> Outcome {
    let started_on = args.started_on.as_deref().map(|text| release(text, &FERRY_VIRT)).transpose()?;
    let mut text = String::new();
    let mut machines = Vec::new();
    for (family, machine) in
        FAMILIES.iter().flat_map(|family| family.machines.machine_types().map(move |m| (family, m)))
    {
        let sticky = started_on.map(|release| machine.sticky(release));
        text.push_str(&lines(family, machine, sticky.as_deref()));
        machines.push(document(family, machine, sticky.as_deref()));
    }
    let mut devices: Vec<Value> = Vec::new();
    for known in FAMILIES.iter().flat_map(|family| family.device_types) {
        let document = device(known);
        // A type of device that several families have is one.
        if !devices.contains(&document) {
            devices.push(document);
        }
    }
    let removed: Vec<String> =
        FAMILIES.iter().flat_map(|family| family.machines.removed()).map(|machine| machine.name()).collect();
    let result = json!({
        "release": FERRY_VIRT.release.to_string(),
        "machines": machines,
        "removed": removed,
        "devices": devices,
    });
    output.result(&result, &text)?;
    Ok(ExitCode::Done)
}

/// A release whose islands this one can know.
fn release(text: &str, family: &MachineFamily) -> Result<Version, Failure> {
    match Version::parse(text) {
        None => Err(Failure::usage(anyhow!("'{text}' is no release: expected MAJOR.MINOR or MAJOR.MINOR.MICRO"))),
        Some(release) if release > family.release => Err(Failure::usage(anyhow!(
            "this is release {}: it does not know what guests of {release} need",
            family.release
        ))),
        Some(release) => Ok(release),
    }
}

fn lines(family: &Family, machine: MachineType, sticky: Option<&[Global]>) -> String {
    let mut text = machine.to_string();
    // Writing to a string cannot fail.
    let _ = match (machine.is_newest(), machine.is_deprecated()) {
        (true, _) if family.accel == "soft" => writeln!(text, " (default)"),
        (true, _) => writeln!(text, " (default of --accel {})", family.accel),
        (_, true) => writeln!(text, " (deprecated, removed in {})", machine.removed_in()),
        _ => writeln!(text),
    };
    for setting in machine.effective_compat() {
        let _ = writeln!(text, "  {}.{}={}", setting.device, setting.property, setting.value);
    }
    if sticky.is_some_and(<[Global]>::is_empty) {
        text.push_str("  needs no setting at a destination\n");
    }
    for setting in sticky.unwrap_or_default() {
        let _ = writeln!(text, "  needs at every destination: --global {setting}");
    }
    text
}

fn document(family: &Family, machine: MachineType, sticky: Option<&[Global]>) -> Value {
    let compat: Vec<Value> = machine
        .effective_compat()
        .iter()
        .map(|setting| json!({"device": setting.device, "property": setting.property, "value": setting.value}))
        .collect();
    let islands: Vec<Value> = machine
        .islands()
        .map(|island| {
            json!({
                "release": island.release,
                "device": island.device,
                "property": island.property,
                "value": island.value,
                "reason": island.reason,
            })
        })
        .collect();
    let mut document = json!({
        "name": machine.name(),
        "accel": family.accel,
        "default": machine.is_newest(),
        "deprecated": machine.is_deprecated(),
        "deprecated_in": machine.deprecated_in().to_string(),
        "removed_in": machine.removed_in().to_string(),
        "compat": compat,
        "islands": islands,
    });
    // Absent where there is none.
    let more = [
        ("alias", machine.alias().map(Value::from)),
        ("base", machine.base().map(|base| base.name().into())),
        ("sticky", sticky.map(|sticky| sticky.iter().map(Global::to_string).collect())),
    ];
    if let Value::Object(members) = &mut document {
        members.extend(more.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }
    document
}

fn device(device: &DeviceType) -> Value {
    let properties: Vec<Value> = device.properties.all().into_iter().map(property).collect();
    let removed: Vec<Value> = device
        .properties
        .all_removed()
        .iter()
        .map(|removed| json!({"name": removed.name, "reason": removed.reason}))
        .collect();
    json!({ "name": device.name, "parents": device.parents, "properties": properties, "removed": removed })
}

fn property(property: &Property) -> Value {
    json!({
        "name": property.name,
        "type": property.kind.type_name(),
        "default": property.default.to_string(),
        "accepted": property.kind.accepted(),
        "aliases": property.aliases,
        "old_names": property.old_names,
        "deprecated": property.deprecated,
    })
}
