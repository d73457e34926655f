//! The commands, by name.
//!
//! Source: `docs/spec/control.md` section 2. A command takes its arguments apart completely before it acts.

mod descriptors;
mod dirty_limit;
mod dirty_rate;
mod introspection;
mod machine;
mod machine_types;
mod migration;
mod settings;

use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::descriptors::Waiting;
use crate::error::CommandError;
use crate::events::EventBus;
use crate::monitor::Monitor;

/// Name of the command that ends the negotiation phase; the session executes it itself.
pub(crate) const NEGOTIATE: &str = "qmp_capabilities";

/// What a command may use.
pub(crate) struct Context<'a> {
    pub(crate) monitor: &'a dyn Monitor,
    pub(crate) events: &'a EventBus,
    /// Descriptors that came from this client.
    pub(crate) waiting: &'a mut Waiting,
    /// Set by `quit`: the machine ends when the reply is out.
    pub(crate) quit: bool,
}

type Run = fn(&mut Context<'_>, Arguments) -> Result<Value, CommandError>;

/// Every command that the session hands on.
const COMMANDS: &[(&str, Run)] = &[
    ("query-status", machine::query_status),
    ("query-memory-size-summary", machine::query_memory_size_summary),
    ("stop", machine::stop),
    ("cont", machine::cont),
    ("quit", machine::quit),
    ("migrate", migration::migrate),
    ("migrate-incoming", migration::migrate_incoming),
    ("migrate_cancel", migration::migrate_cancel),
    ("query-migrate", migration::query_migrate),
    ("migrate-set-parameters", settings::set_parameters),
    ("query-migrate-parameters", settings::query_parameters),
    ("migrate-set-capabilities", settings::set_capabilities),
    ("query-migrate-capabilities", settings::query_capabilities),
    ("calc-dirty-rate", dirty_rate::calc),
    ("query-dirty-rate", dirty_rate::query),
    ("set-vcpu-dirty-limit", dirty_limit::set),
    ("cancel-vcpu-dirty-limit", dirty_limit::cancel),
    ("query-vcpu-dirty-limit", dirty_limit::query),
    ("getfd", descriptors::getfd),
    ("closefd", descriptors::closefd),
    ("query-machines", machine_types::query_machines),
    ("device-list-properties", machine_types::list_properties),
    ("qom-list-properties", machine_types::list_properties),
    ("query-version", introspection::query_version),
    ("query-commands", introspection::query_commands),
];

pub(crate) use introspection::version;

/// Executes one command.
pub(crate) fn execute(context: &mut Context<'_>, name: &str, arguments: Arguments) -> Result<Value, CommandError> {
    let Some((_, run)) = COMMANDS.iter().find(|(known, _)| *known == name) else {
        return Err(CommandError::not_found(format!("the command '{name}' has not been found")));
    };
    run(context, arguments)
}

/// Return value of a command that has nothing to say.
fn nothing() -> Value {
    json!({})
}
