//! Values that several commands take.

use std::str::FromStr;

use vmferry::channel::{Uri, UriError};

/// Where a guest is awaited: an address, or one that comes over QMP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IncomingFrom {
    Defer,
    Uri(Uri),
}

impl FromStr for IncomingFrom {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        if text == "defer" { Ok(Self::Defer) } else { text.parse().map(Self::Uri) }
    }
}

/// Bytes per second of a rate given in MB/s (10^6); `None`, as fast as possible, for 0.
pub(crate) fn bytes_per_second(megabytes: u64) -> Option<u64> {
    (megabytes > 0).then(|| megabytes.saturating_mul(1_000_000))
}
