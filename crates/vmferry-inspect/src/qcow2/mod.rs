//! The state of a machine that `savevm` left inside a qcow2 image.
//!
//! ```text
//! header ─┬─ snapshot table ─ entry: L1 table, id, name, length of the state
//!         │                             │
//!         │          L1 ─ L2 tables ─ clusters of the disk, then clusters of the state
//!         └─ features that change how clusters are found
//! ```
//!
//! The state is a plain stream. It is stored like contents of the disk, from the first L1 entry on that the disk does
//! not need. Source: QEMU's documentation, "Qcow2 Image File Format" (`docs/interop/qcow2`), and images that QEMU 5.2,
//! 10.0 and 11.1 made; what the stream inside is, `docs/spec/stream.md` section 11 says.
//!
//! Tables and clusters are read where they are needed, one L2 table at a time: memory stays below some MiB, whatever an
//! image says.

mod header;
mod snapshots;
mod state;

use std::io::{self, Read, Seek};

use crate::source::ReadSeek;
use header::Header;
pub use snapshots::Snapshot;
pub use state::SnapshotState;

/// The first four octets of an image.
pub const MAGIC: [u8; 4] = *b"QFI\xfb";

/// An image whose snapshots are known.
pub struct Image<'a> {
    file: Box<dyn ReadSeek + 'a>,
    header: Header,
    snapshots: Vec<Snapshot>,
}

impl<'a> Image<'a> {
    /// Reads the header and the table of snapshots.
    ///
    /// # Errors
    ///
    /// [`ImageError::Malformed`] if it is no image, one with features that are not read (encryption, an external data
    /// file), or its table is damaged; [`ImageError::Io`].
    pub fn open(file: impl Read + Seek + 'a) -> Result<Image<'a>, ImageError> {
        let mut file: Box<dyn ReadSeek + 'a> = Box::new(file);
        let header = Header::read(&mut *file)?;
        let snapshots = snapshots::read(&mut *file, &header)?;
        Ok(Image { file, header, snapshots })
    }

    /// The snapshots, in the order of the table.
    pub fn snapshots(&self) -> &[Snapshot] {
        &self.snapshots
    }

    /// The state that a snapshot has, named by its name or id; without a name, that of the only one that has some.
    ///
    /// # Errors
    ///
    /// [`ImageError::NoSuchSnapshot`]; [`ImageError::Io`]; [`ImageError::Malformed`] if its L1 table does not reach its
    /// state.
    pub fn into_state(self, name: Option<&str>) -> Result<SnapshotState<'a>, ImageError> {
        let is_meant = |snapshot: &&Snapshot| match name {
            Some(name) => snapshot.name == name || snapshot.id == name,
            None => snapshot.state_bytes > 0,
        };
        let mut meant = self.snapshots.iter().filter(is_meant);
        let (Some(snapshot), None) = (meant.next(), meant.next()) else { return Err(self.no_such_snapshot(name)) };
        if snapshot.state_bytes == 0 {
            return Err(self.no_such_snapshot(name));
        }
        SnapshotState::open(self.file, self.header, snapshot.clone())
    }

    fn no_such_snapshot(&self, name: Option<&str>) -> ImageError {
        let known = self.snapshots.iter().filter(|snapshot| snapshot.state_bytes > 0);
        let known = known.map(|snapshot| snapshot.name.clone()).collect();
        ImageError::NoSuchSnapshot { name: name.map(str::to_owned), known }
    }
}

impl std::fmt::Debug for Image<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Image").field("snapshots", &self.snapshots).finish_non_exhaustive()
    }
}

/// Why the state in an image cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The image is none, is damaged, or has a feature that is not read.
    #[error("at offset 0x{offset:x} of the image: {what}")]
    Malformed {
        /// Position in the image.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// There is no such snapshot with state, or there are several.
    #[error("{}", no_such_snapshot(name.as_ref(), known))]
    NoSuchSnapshot {
        /// The name that was asked for.
        name: Option<String>,
        /// Names of the snapshots that have state.
        known: Vec<String>,
    },
    /// The image cannot be read.
    #[error("the image cannot be read at offset 0x{offset:x}")]
    Io {
        /// Position in the image.
        offset: u64,
        /// What the operating system says.
        source: io::Error,
    },
}

fn no_such_snapshot(name: Option<&String>, known: &[String]) -> String {
    let known = if known.is_empty() { "none has state".to_owned() } else { format!("those with state: {known:?}") };
    match name {
        Some(name) => format!("no snapshot {name:?} with the state of a machine in the image; {known}"),
        None => format!("which snapshot of the image is meant is not clear; {known}"),
    }
}

impl ImageError {
    #[cold]
    fn malformed(offset: u64, what: impl Into<String>) -> ImageError {
        ImageError::Malformed { offset, what: what.into() }
    }
}

impl From<ImageError> for io::Error {
    /// A damaged image gives [`io::ErrorKind::InvalidData`].
    fn from(error: ImageError) -> io::Error {
        match error {
            ImageError::Io { source, .. } => source,
            error => io::Error::new(io::ErrorKind::InvalidData, error),
        }
    }
}

/// Reads octets at a position.
fn read_at(file: &mut dyn ReadSeek, offset: u64, octets: &mut [u8]) -> Result<(), ImageError> {
    let read = file.seek(io::SeekFrom::Start(offset)).and_then(|_| file.read_exact(octets));
    read.map_err(|source| match source.kind() {
        io::ErrorKind::UnexpectedEof => ImageError::malformed(offset, "the image ends here"),
        _ => ImageError::Io { offset, source },
    })
}
