//! Parameters and capabilities: `migrate-set-parameters`, `query-migrate-parameters`, `migrate-set-capabilities`,
//! `query-migrate-capabilities`.
//!
//! Source: `docs/spec/control.md` sections 2.2, 3 and 4.
//!
//! Differs from QEMU: what has no meaning here is neither listed nor accepted. A setting that is taken and ignored
//! would let a client believe that it is in force.

use serde_json::{Value, json};
use vmferry::control::{Capabilities, Parameters};

use super::{Context, nothing};
use crate::arguments::Arguments;
use crate::error::CommandError;
use crate::monitor::{CapabilitiesUpdate, ParametersUpdate};

pub(super) fn set_parameters(context: &mut Context<'_>, mut arguments: Arguments) -> Result<Value, CommandError> {
    let update = ParametersUpdate {
        downtime_limit_ms: arguments.optional_u64("downtime-limit")?,
        max_bandwidth: arguments.optional_u64("max-bandwidth")?,
    };
    arguments.finish()?;
    if let Some(ms) = update.downtime_limit_ms.filter(|ms| *ms > Parameters::DOWNTIME_LIMIT_MAX_MS) {
        let accepted = Parameters::DOWNTIME_LIMIT_MAX_MS;
        let text = format!("parameter 'downtime-limit' expects 0 to {accepted} milliseconds, found {ms}");
        return Err(CommandError::generic(text));
    }
    context.monitor.set_parameters(update)?;
    Ok(nothing())
}

pub(super) fn query_parameters(context: &mut Context<'_>, arguments: Arguments) -> Result<Value, CommandError> {
    arguments.finish()?;
    let Parameters { downtime_limit_ms, max_bandwidth } = context.monitor.parameters();
    Ok(json!({ "downtime-limit": downtime_limit_ms, "max-bandwidth": max_bandwidth }))
}

pub(super) fn set_capabilities(context: &mut Context<'_>, mut arguments: Arguments) -> Result<Value, CommandError> {
    let mut update = CapabilitiesUpdate::default();
    let list = arguments.list("capabilities")?;
    for (index, value) in list.into_iter().enumerate() {
        let mut item = arguments.nested(&format!("capabilities[{index}]"), value)?;
        let name = item.string("capability")?;
        let state = item.boolean("state")?;
        let member = match name.as_str() {
            "events" => &mut update.events,
            "return-path" => &mut update.return_path,
            _ => {
                let at = item.name_of("capability");
                let text = format!("parameter '{at}' does not accept value '{name}'; accepted: events, return-path");
                return Err(CommandError::generic(text));
            }
        };
        // Of a name that is repeated the last state counts.
        *member = Some(state);
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
    let Capabilities { events, return_path } = context.monitor.capabilities();
    Ok(json!([
        { "capability": "events", "state": events },
        { "capability": "return-path", "state": return_path },
    ]))
}
