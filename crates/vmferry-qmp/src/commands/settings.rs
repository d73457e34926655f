//! Parameters and capabilities: `migrate-set-parameters`, `query-migrate-parameters`, `migrate-set-capabilities`,
//! `query-migrate-capabilities`.
//!
//! Source: `docs/spec/control.md` sections 2.2, 3 and 4.
//!
//! Differs from QEMU: what has no meaning here is neither listed nor accepted. A setting that is taken and ignored
//! would let a client believe that it is in force.

use serde_json::{Value, json};

use super::{Context, nothing};
use crate::arguments::Arguments;
use crate::error::CommandError;
use crate::settings::{CAPABILITIES, CapabilitiesUpdate, ParametersUpdate, capability_names, parameter_members};

pub(super) fn set_parameters(context: &mut Context<'_>, mut arguments: Arguments) -> Result<Value, CommandError> {
    let update = ParametersUpdate::take(&mut arguments)?;
    arguments.finish()?;
    context.monitor.set_parameters(update)?;
    Ok(nothing())
}

pub(super) fn query_parameters(context: &mut Context<'_>, arguments: Arguments) -> Result<Value, CommandError> {
    arguments.finish()?;
    Ok(Value::Object(parameter_members(&context.monitor.parameters())))
}

pub(super) fn set_capabilities(context: &mut Context<'_>, mut arguments: Arguments) -> Result<Value, CommandError> {
    let mut update = CapabilitiesUpdate::default();
    let list = arguments.list("capabilities")?;
    for (index, value) in list.into_iter().enumerate() {
        let mut item = arguments.nested(&format!("capabilities[{index}]"), value)?;
        let name = item.string("capability")?;
        let state = item.boolean("state")?;
        if !update.add(&name, state) {
            let at = item.name_of("capability");
            let accepted: Vec<_> = capability_names().collect();
            let text = format!("parameter '{at}' does not accept value '{name}'; accepted: {}", accepted.join(", "));
            return Err(CommandError::generic(text));
        }
        item.finish()?;
    }
    arguments.finish()?;
    let status = context.monitor.migration().status;
    if status.is_running() {
        let text = format!("capabilities cannot change while a migration runs (status '{status}')");
        return Err(CommandError::generic(text));
    }
    context.monitor.set_capabilities(update)?;
    context.events.set_migration_events(context.monitor.capabilities().events);
    Ok(nothing())
}

pub(super) fn query_capabilities(context: &mut Context<'_>, arguments: Arguments) -> Result<Value, CommandError> {
    arguments.finish()?;
    let mut capabilities = context.monitor.capabilities();
    let item = |name, state: bool| json!({ "capability": name, "state": state });
    Ok(CAPABILITIES.iter().map(|capability| item(capability.name, *(capability.place)(&mut capabilities))).collect())
}
