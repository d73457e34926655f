//! Descriptors for `fd:` addresses: `getfd`, `closefd`.
//!
//! Differs from QEMU: a name that is empty or longer than [`NAME_LIMIT`] bytes is refused.

use serde_json::Value;

use super::{Context, nothing};
use crate::arguments::Arguments;
use crate::descriptors::NAME_LIMIT;
use crate::error::CommandError;

pub(super) fn getfd(context: &mut Context<'_>, mut arguments: Arguments) -> Result<Value, CommandError> {
    let name = arguments.string("fdname")?;
    arguments.finish()?;
    // The descriptor belongs to this request, refused or not.
    let descriptor = context.waiting.take().ok_or_else(|| {
        CommandError::generic("no file descriptor came with the request; send one with it (SCM_RIGHTS)")
    })?;
    // In an address `fd:7` is the number of an inherited descriptor.
    if name.is_empty() || name.len() > NAME_LIMIT || name.starts_with(|first: char| first.is_ascii_digit()) {
        let accepted = format!("1 to {NAME_LIMIT} bytes that do not start with a digit");
        return Err(CommandError::generic(format!("parameter 'fdname' expects {accepted}")));
    }
    context.monitor.register_fd(&name, descriptor)?;
    Ok(nothing())
}

pub(super) fn closefd(context: &mut Context<'_>, mut arguments: Arguments) -> Result<Value, CommandError> {
    let name = arguments.string("fdname")?;
    arguments.finish()?;
    context.monitor.close_fd(&name)?;
    Ok(nothing())
}
