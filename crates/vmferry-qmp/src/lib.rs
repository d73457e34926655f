//! QMP server and client for migration.
//!
//! The server lets an ordinary QMP client control a machine that implements [`Monitor`]: `query-status`, `stop`,
//! `cont`, `quit`, the commands of migration, `getfd` and `closefd`, `query-machines` and the lists of properties, and
//! events. The client controls such machines, and
//! QEMU's. [`EngineMonitor`] is the monitor of a machine that the engine moves; what only the machine knows is a
//! [`Guest`].
//!
//! # Example
//!
//! A client that migrates a machine, whoever serves it:
//!
//! ```no_run
//! use std::{path::Path, time::Duration};
//! use serde_json::json;
//! use vmferry_qmp::Client;
//!
//! # fn main() -> Result<(), vmferry_qmp::ClientError> {
//! let mut client = Client::connect(Path::new("/run/vm.sock"))?;
//! let events = json!([{ "capability": "events", "state": true }]);
//! client.execute("migrate-set-capabilities", json!({ "capabilities": events }))?;
//! client.execute("migrate", json!({ "uri": "unix:/run/destination.sock" }))?;
//! while let Some(event) = client.next_event(Duration::from_secs(10))? {
//!     println!("{} {}", event.name, event.data);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What it does not do
//!
//! Out-of-band execution is not offered in the greeting. There is no introspection by `query-qmp-schema`. Commands,
//! parameters and capabilities that do not concern the migrations of this engine are unknown, and refused.
//!
//! Checked against QEMU: the client controls 5.2, 7.2, 10.0 and 11.1; the server answers the same requests with the
//! same classes of error as 10.0, and each of its names exists in the schema of 10.0. The client of the `qemu.qmp`
//! package controls the server.

mod address;
mod arguments;
mod client;
mod commands;
mod descriptors;
mod engine;
mod error;
mod events;
mod framing;
mod monitor;
mod outgoing;
mod request;
mod server;
mod session;
mod settings;
mod socket_path;
mod strict;

pub use client::{Client, ClientError, ReceivedEvent};
pub use descriptors::{NAME_LIMIT, WAITING_LIMIT};
pub use engine::{EngineMonitor, Guest};
pub use error::{CommandError, ErrorClass, ServerError};
pub use events::EventBus;
pub use framing::{Fault, Limits, Splitter};
pub use monitor::{MachineInfo, Monitor};
pub use server::{CLIENTS_LIMIT, Server};
pub use settings::{CapabilitiesUpdate, ParametersUpdate, capability_names, parameter_members};
pub use socket_path::{SocketPath, SocketPathError};
