//! The guest and the process: `query-status`, `query-memory-size-summary`, `stop`, `cont`, `quit`.

use serde_json::{Value, json};

use super::{Context, nothing};
use crate::arguments::Arguments;
use crate::error::CommandError;

pub(super) fn query_status(context: &mut Context<'_>, arguments: Arguments) -> Result<Value, CommandError> {
    arguments.finish()?;
    let state = context.monitor.run_state();
    Ok(json!({ "status": state.name(), "running": state.is_running() }))
}

pub(super) fn query_memory_size_summary(
    context: &mut Context<'_>,
    arguments: Arguments,
) -> Result<Value, CommandError> {
    arguments.finish()?;
    Ok(json!({ "base-memory": context.monitor.memory_bytes() }))
}

pub(super) fn stop(context: &mut Context<'_>, arguments: Arguments) -> Result<Value, CommandError> {
    arguments.finish()?;
    context.monitor.stop()?;
    Ok(nothing())
}

pub(super) fn cont(context: &mut Context<'_>, arguments: Arguments) -> Result<Value, CommandError> {
    arguments.finish()?;
    context.monitor.cont()?;
    Ok(nothing())
}

pub(super) fn quit(context: &mut Context<'_>, arguments: Arguments) -> Result<Value, CommandError> {
    arguments.finish()?;
    context.quit = true;
    Ok(nothing())
}
