//! `vmferry machines`: the machine types, and what sets each apart from the newest.

use std::fmt::Write as _;

use serde_json::json;
use vmferry_vmm::machine::types::FERRY_VIRT;

use crate::exit::{ExitCode, Outcome};
use crate::output::Output;

/// List the machine types with their compatibility properties
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

const EXAMPLES: &str = "\
Example:
  vmferry machines --json

A property that is not listed has the default of its device.";

pub(crate) fn run(_: &Args, output: Output) -> Outcome {
    let mut documents = Vec::new();
    let mut text = String::new();
    for (index, machine) in FERRY_VIRT.machine_types().enumerate() {
        let is_default = index == 0;
        let compat = machine.effective_compat();
        let mark = if is_default { " (default)" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{machine}{mark}");
        for setting in &compat {
            let _ = writeln!(text, "  {}.{}={}", setting.device, setting.property, setting.value);
        }
        let compat: Vec<_> = compat
            .iter()
            .map(|setting| json!({"device": setting.device, "property": setting.property, "value": setting.value}))
            .collect();
        documents.push(json!({ "name": machine.name(), "default": is_default, "compat": compat }));
    }
    output.result(&json!({ "machines": documents }), &text)?;
    Ok(ExitCode::Done)
}
