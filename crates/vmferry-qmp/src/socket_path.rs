//! Where a QMP socket is: `unix:PATH`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Address of a QMP socket, written `unix:PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketPath(PathBuf);

/// Why a text is no address of a QMP socket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SocketPathError {
    /// Another kind of address, or only a path.
    #[error("found '{found}', expected unix:PATH")]
    NotUnix {
        /// The text.
        found: String,
    },
    /// The options that QEMU takes there.
    #[error("found options after the path: '{found}', expected unix:PATH alone")]
    Options {
        /// The text.
        found: String,
    },
}

impl SocketPath {
    /// The path in the file system.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl FromStr for SocketPath {
    type Err = SocketPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix:") {
            None | Some("") => Err(SocketPathError::NotUnix { found: text.to_owned() }),
            Some(path) if path.contains(',') => Err(SocketPathError::Options { found: text.to_owned() }),
            Some(path) => Ok(Self(PathBuf::from(path))),
        }
    }
}

impl fmt::Display for SocketPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unix:{}", self.0.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unix_paths_are_addresses() {
        let address: SocketPath = "unix:/run/vm.sock".parse().unwrap();
        assert_eq!((address.path(), address.to_string()), (Path::new("/run/vm.sock"), "unix:/run/vm.sock".to_owned()));
        for text in ["/run/vm.sock", "unix:", "tcp:localhost:4444", ""] {
            assert_eq!(text.parse::<SocketPath>(), Err(SocketPathError::NotUnix { found: text.to_owned() }));
        }
        let text = "unix:/run/vm.sock,server=on";
        assert_eq!(text.parse::<SocketPath>(), Err(SocketPathError::Options { found: text.to_owned() }));
    }
}
