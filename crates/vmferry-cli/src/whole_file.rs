//! Reports: a file that replaces the one of before once it is whole.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;

use crate::exit::{Failure, OrExit as _};

/// Writes what `write` writes to a temporary file beside `path`, and gives it that name. What is no regular file (a
/// pipe, a terminal) is written to directly.
pub(crate) fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let written = match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => File::create(path).and_then(|file| buffered(file, write).map(drop)),
        // Through links, which stay.
        Ok(_) => fs::canonicalize(path).and_then(|path| replace(&path, write)),
        Err(_) => replace(path, write),
    };
    written.with_context(|| format!("cannot write {}", path.display())).or_environment()
}

fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // As a new file gets, before the umask takes its part.
    let file =
        builder.prefix(".vmferry-").suffix(".part").permissions(Permissions::from_mode(0o666)).tempfile_in(folder)?;
    buffered(file, write)?.persist(path)?;
    Ok(())
}

fn buffered<F: Write>(file: F, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<F> {
    let mut out = BufWriter::new(file);
    write(&mut out)?;
    Ok(out.into_inner()?)
}
