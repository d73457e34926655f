//! Pages at fixed places of a file: what both ends of capability `mapped-ram` share.
//!
//! ```text
//! stream … | entry | bitmap | gap | pages of the block        | entry | bitmap | gap | pages … | stream …
//!                  ^ bitmap_offset ^ pages_offset, 1 MiB-aligned
//! ```
//!
//! | what | where |
//! |---|---|
//! | places of a block, made by a writer or checked by a reader | [`layout`] |
//! | positional input and output of guest memory, buffered or direct | [`file`] |
//! | threads that take pieces of work from one queue | [`workers`] |
//! | the writer: bitmaps, pages, the end | `source::mapped_ram` |
//! | the reader: entries, bitmaps, pages | `destination::mapped_ram` |
//!
//! A writer of this crate clears the place of a page that was written and became zero, so in a *regular file* of ours
//! every page without a bit reads as zero, and a file may be mapped as it is. Nothing in a file says who wrote it: of
//! any other file, and of a block device, what stands at the place of a page without a bit means nothing.
//!
//! Source: `docs/spec/mapped-ram.md`.

pub(crate) mod file;
pub(crate) mod layout;
pub(crate) mod workers;

use std::io;

use self::file::{Access, PageFile};
use crate::channel::Uri;
use crate::control::{Capabilities, MultifdCompression, Parameters};

/// Why settings exclude each other, whatever the address; `None` if they do not.
///
/// Differs from QEMU: there the parameters in force *before* a change are looked at, so that a compression is accepted
/// and everything behind it refused (`docs/spec/mapped-ram.md` section 6).
pub(crate) fn conflict(capabilities: Capabilities, parameters: &Parameters) -> Option<String> {
    let compression = parameters.multifd.compression;
    (capabilities.mapped_ram && compression != MultifdCompression::None).then(|| {
        format!("mapped-ram has pages as they are: it needs multifd-compression 'none', which is '{compression}'")
    })
}

/// Why a migration to or from `uri` cannot have its pages at fixed places; `None` if it can, or has none.
pub(crate) fn refusal(uri: &Uri, capabilities: Capabilities, parameters: &Parameters) -> Option<String> {
    if !capabilities.mapped_ram {
        return None;
    }
    match uri {
        Uri::File { .. } => conflict(capabilities, parameters),
        // As QEMU: with a path, channels have descriptors of their own.
        Uri::Fd(name) => Some(format!(
            "mapped-ram needs a file with a path, which 'fd:{name}' does not give: an inherited descriptor N is \
             file:/dev/fd/N"
        )),
        Uri::Unix(_) | Uri::Tcp { .. } | Uri::Exec(_) => {
            Some(format!("mapped-ram needs a file, which has places for pages, and '{uri}' is none: use file:PATH"))
        }
    }
}

/// Opens the file of `uri` once for each channel that takes pages to it or from it, none without multifd; `None` if
/// pages have no fixed places.
///
/// # Errors
///
/// As [`PageFile::open`].
pub(crate) fn channels(
    uri: &Uri,
    capabilities: Capabilities,
    parameters: &Parameters,
    access: Access,
) -> io::Result<Option<Vec<PageFile>>> {
    let Uri::File { path, .. } = uri else { return Ok(None) };
    if !capabilities.mapped_ram {
        return Ok(None);
    }
    let count = if capabilities.multifd { parameters.multifd.channels } else { 0 };
    (0..count).map(|_| PageFile::open(path, access, parameters.direct_io)).collect::<io::Result<_>>().map(Some)
}
