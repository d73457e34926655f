//! What this server is: `query-version`, `query-commands`, and the version in the greeting.

use serde_json::{Value, json};

use super::{COMMANDS, Context, NEGOTIATE};
use crate::arguments::Arguments;
use crate::error::CommandError;

pub(super) fn query_version(_: &mut Context<'_>, arguments: Arguments) -> Result<Value, CommandError> {
    arguments.finish()?;
    Ok(version())
}

pub(super) fn query_commands(_: &mut Context<'_>, arguments: Arguments) -> Result<Value, CommandError> {
    arguments.finish()?;
    let names = COMMANDS.iter().map(|(name, _)| *name).chain([NEGOTIATE]);
    Ok(names.map(|name| json!({ "name": name })).collect())
}

/// Our own version, under the key where clients look for QEMU's.
pub(crate) fn version() -> Value {
    let number = |text: &str| text.parse::<u64>().unwrap_or(0);
    json!({
        "qemu": {
            "major": number(env!("CARGO_PKG_VERSION_MAJOR")),
            "minor": number(env!("CARGO_PKG_VERSION_MINOR")),
            "micro": number(env!("CARGO_PKG_VERSION_PATCH")),
        },
        "package": concat!("vmferry ", env!("CARGO_PKG_VERSION")),
    })
}
