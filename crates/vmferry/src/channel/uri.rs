//! Addresses of channels, in QEMU's URI forms (`docs/spec/control.md` section 10).
//!
//! | form | outgoing | incoming |
//! |---|---|---|
//! | `unix:PATH` | connects | listens |
//! | `tcp:HOST:PORT` | connects; IPv6 in brackets | listens; an empty host is any |
//! | `file:PATH[,offset=N]` | creates or truncates behind `offset` | reads from `offset` |
//! | `fd:NAME-OR-NUMBER` | a descriptor from `getfd`, or inherited | same |
//! | `exec:COMMAND` | `/bin/sh -c`, the stream on its standard input | its standard output |

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A parsed channel address.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Uri {
    /// A Unix stream socket.
    Unix(PathBuf),
    /// A TCP socket.
    Tcp {
        /// Name or address, without brackets; empty for any when listening.
        host: String,
        /// Port; 0 when listening lets the kernel choose.
        port: u16,
    },
    /// A plain file.
    File {
        /// Its path.
        path: PathBuf,
        /// Offset of the stream in it, in bytes.
        offset: u64,
    },
    /// A descriptor: a name that was given with `getfd`, or a number that was inherited.
    Fd(String),
    /// A shell command.
    Exec(String),
}

/// A text that is not a channel address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a migration address: {why}")]
pub struct UriError {
    text: String,
    why: String,
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let error = |why: &str| UriError { text: text.to_owned(), why: why.to_owned() };
        let (scheme, rest) = text.split_once(':').ok_or_else(|| {
            error(
                "it has no scheme; accepted are unix:PATH, tcp:HOST:PORT, file:PATH[,offset=N], fd:NAME, exec:COMMAND",
            )
        })?;
        if rest.is_empty() {
            return Err(error("nothing follows the scheme"));
        }
        match scheme {
            "unix" => Ok(Self::Unix(rest.into())),
            "tcp" => {
                let (host, port) = rest.rsplit_once(':').ok_or_else(|| error("the port is missing (tcp:HOST:PORT)"))?;
                let port = port.parse().map_err(|_| error("the port is not a number from 0 to 65535"))?;
                let host = match (host.strip_prefix('['), host.contains(':')) {
                    (Some(inner), _) => inner.strip_suffix(']').ok_or_else(|| error("the bracket is not closed"))?,
                    (None, true) => return Err(error("an IPv6 address stands in brackets (tcp:[::1]:PORT)")),
                    (None, false) => host,
                };
                Ok(Self::Tcp { host: host.to_owned(), port })
            }
            "file" => {
                let (path, offset) = match rest.rsplit_once(",offset=") {
                    Some((path, offset)) => {
                        (path, parse_size(offset).ok_or_else(|| error("the offset is not a number of bytes"))?)
                    }
                    None => (rest, 0),
                };
                Ok(Self::File { path: path.into(), offset })
            }
            "fd" => Ok(Self::Fd(rest.to_owned())),
            "exec" => Ok(Self::Exec(rest.to_owned())),
            _ => Err(error("its scheme is none of unix, tcp, file, fd, exec")),
        }
    }
}

/// A number, decimal or `0x` hexadecimal, with an optional suffix K, M, G or T.
fn parse_size(text: &str) -> Option<u64> {
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok();
    }
    let (digits, shift) = match text.char_indices().last()? {
        (at, 'k' | 'K') => (text.get(..at)?, 10),
        (at, 'm' | 'M') => (text.get(..at)?, 20),
        (at, 'g' | 'G') => (text.get(..at)?, 30),
        (at, 't' | 'T') => (text.get(..at)?, 40),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp:[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp:{host}:{port}"),
            Self::File { path, offset: 0 } => write!(f, "file:{}", path.display()),
            Self::File { path, offset } => write!(f, "file:{},offset={offset}", path.display()),
            Self::Fd(name) => write!(f, "fd:{name}"),
            Self::Exec(command) => write!(f, "exec:{command}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_parsed_and_printed_again() {
        for text in [
            "unix:/run/m.sock",
            "tcp:[::1]:4444",
            "tcp:host:0",
            "tcp::7",
            "file:/x,offset=4096",
            "fd:mig",
            "exec:cat >x",
        ] {
            assert_eq!(text.parse::<Uri>().unwrap().to_string(), text);
        }
        assert_eq!("file:a,offset=4K".parse::<Uri>().unwrap(), Uri::File { path: "a".into(), offset: 4096 });
    }

    #[test]
    fn malformed_ones_are_refused_with_a_reason() {
        for (text, why) in [
            ("unix", "no scheme"),
            ("unix:", "nothing follows"),
            ("tcp:host", "port is missing"),
            ("tcp:host:65536", "0 to 65535"),
            ("tcp:::1:5", "brackets"),
            ("tcp:[::1:5", "not closed"),
            ("file:x,offset=9z", "not a number"),
            ("file:x,offset=99999999T", "not a number"),
            ("rdma:host:1", "scheme is none of"),
        ] {
            let error = text.parse::<Uri>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
