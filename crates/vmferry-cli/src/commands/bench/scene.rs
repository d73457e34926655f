//! The folder of a measurement: sockets, logs, and a file of random bytes. It goes when the measurement ends.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::warm::warm;

/// A folder in memory, with a file of random bytes.
#[derive(Debug)]
pub(super) struct Scene {
    folder: TempDir,
    pub(super) bytes: u64,
}

impl Scene {
    /// Makes the folder and the file.
    pub(super) fn set(bytes: u64) -> Result<Self> {
        let scene = Self::bare(bytes)?;
        fill(&scene.random(), bytes).context("a file of random bytes")?;
        Ok(scene)
    }

    /// Makes the folder alone. In memory where there is a place: the disk is not what is measured.
    pub(super) fn bare(bytes: u64) -> Result<Self> {
        let tmpfs = Path::new("/dev/shm");
        let mut builder = tempfile::Builder::new();
        let prefix = format!("vmferry-bench-{}-", std::process::id());
        let builder = builder.prefix(&prefix);
        let folder = if tmpfs.is_dir() { builder.tempdir_in(tmpfs) } else { builder.tempdir() };
        Ok(Self { folder: folder.context("a folder for sockets")?, bytes })
    }

    /// Sees to the host's memory, right before a receiver starts.
    pub(super) fn prepare(&self) -> Result<()> {
        warm(self.bytes)
    }

    /// The file of random bytes.
    pub(super) fn random(&self) -> PathBuf {
        self.path("random")
    }

    /// A name in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    #[expect(clippy::cast_precision_loss, reason = "gigabytes")]
    pub(super) fn gib(&self) -> f64 {
        self.bytes as f64 / f64::from(1 << 30)
    }
}

fn fill(path: &Path, bytes: u64) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    for word in random_words(bytes / 8) {
        out.write_all(&word.to_le_bytes())?;
    }
    Ok(out.flush()?)
}

/// The same numbers each time (splitmix64): no page of them is zero, none equals another.
pub(super) fn random_words(count: u64) -> impl Iterator<Item = u64> {
    (0..count).scan(0x0123_4567_89ab_cdef_u64, |state, _| {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(mixed ^ (mixed >> 31))
    })
}
