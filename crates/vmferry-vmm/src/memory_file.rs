//! Guest memory in a file with a name, which another process can map as well (`x-ignore-shared`).
//!
//! | machine | the file must |
//! |---|---|
//! | boots a guest | not exist, in which case it is made for the owner alone, or be empty |
//! | waits for a guest | exist and have the length of memory: it is the source's, or was made for this one |
//!
//! So no guest is booted in the memory of another one, and none arrives at a file that its source does not know by a
//! slip of the path.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::machine::ConfigError;

/// Opens the file for `bytes` of memory.
pub(crate) fn open(path: &Path, bytes: u64, incoming: bool) -> Result<File, ConfigError> {
    let refused = |reason: String| ConfigError::MemoryFile { path: path.to_owned(), reason };
    let failed = |error: io::Error| match (error.kind(), incoming) {
        (io::ErrorKind::NotFound, true) => {
            refused("it does not exist: a machine that waits for a guest maps the file that the source has".to_owned())
        }
        _ => refused(error.to_string()),
    };
    let mut options = OpenOptions::new();
    // What the guest has in memory is nobody else's to read.
    options.read(true).write(true).create(!incoming).truncate(false).mode(0o600);
    let file = options.open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(refused("it is no regular file".to_owned()));
    }
    match (metadata.len(), incoming) {
        (0, false) => file.set_len(bytes).map_err(failed)?,
        (found, true) if found == bytes => {}
        (found, true) => return Err(refused(format!("it has {found} bytes, and the memory has {bytes}"))),
        (found, false) => {
            return Err(refused(format!(
                "it has {found} bytes already, which may be the memory of another guest: a guest boots in a new file"
            )));
        }
    }
    Ok(file)
}
