//! Errors of the control plane: what a command answers, and what a server cannot do.
//!
//! Source: `docs/spec/control.md` section 1 (classes). Texts are ours; clients must not depend on them.

use std::io;
use std::path::PathBuf;

use serde_json::{Value, json};

/// Class of a QMP error; the only part of an error that a client may test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// Everything that has no class of its own.
    GenericError,
    /// The command does not exist, or not in this phase of the connection.
    CommandNotFound,
    /// The device that was named does not exist.
    DeviceNotFound,
    /// The device that was named is not active.
    DeviceNotActive,
}

impl ErrorClass {
    /// The word on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GenericError => "GenericError",
            Self::CommandNotFound => "CommandNotFound",
            Self::DeviceNotFound => "DeviceNotFound",
            Self::DeviceNotActive => "DeviceNotActive",
        }
    }
}

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{desc}")]
pub struct CommandError {
    /// What clients may test.
    pub class: ErrorClass,
    /// What people read: what was found, what would have been accepted, the next step.
    pub desc: String,
}

impl CommandError {
    /// An error of class `GenericError`.
    #[must_use]
    pub fn generic(desc: impl Into<String>) -> Self {
        Self { class: ErrorClass::GenericError, desc: desc.into() }
    }

    /// An error of class `CommandNotFound`.
    #[must_use]
    pub fn not_found(desc: impl Into<String>) -> Self {
        Self { class: ErrorClass::CommandNotFound, desc: desc.into() }
    }

    /// An error of class `DeviceNotFound`.
    #[must_use]
    pub fn device_not_found(desc: impl Into<String>) -> Self {
        Self { class: ErrorClass::DeviceNotFound, desc: desc.into() }
    }

    /// The value of the reply's member `error`.
    pub(crate) fn to_value(&self) -> Value {
        json!({ "class": self.class.name(), "desc": self.desc })
    }
}

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Another process answers at this path.
    #[error("a server is already listening on '{path}'; choose another path or end that process")]
    InUse {
        /// The path asked for.
        path: PathBuf,
    },
    /// The socket could not be made.
    #[error("cannot listen on '{path}'")]
    Listen {
        /// The path asked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No thread could be started.
    #[error("cannot start the thread that accepts clients")]
    Thread {
        /// What the system said.
        source: io::Error,
    },
}
