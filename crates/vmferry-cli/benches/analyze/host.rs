//! The machine, and the files that all measurements use.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

/// A folder in memory, with a file of random bytes.
pub(crate) struct Scene {
    folder: TempDir,
    pub(crate) bytes: u64,
}

impl Scene {
    /// Makes the folder and the file. In memory where there is a place: the disk is not what is measured.
    pub(crate) fn set(bytes: u64) -> Result<Self> {
        let tmpfs = Path::new("/dev/shm");
        let folder = if tmpfs.is_dir() { TempDir::new_in(tmpfs)? } else { TempDir::new()? };
        let scene = Self { folder, bytes };
        fill(&scene.random(), bytes).context("filling a file with random bytes")?;
        Ok(scene)
    }

    /// The file of random bytes.
    pub(crate) fn random(&self) -> PathBuf {
        self.path("random")
    }

    /// A name in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn fill(path: &Path, bytes: u64) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    random_words(|word| Ok(out.write_all(&word.to_le_bytes())?), bytes / 8)?;
    Ok(out.flush()?)
}

/// The same numbers each time (splitmix64): no page of them is zero, none equals another.
fn random_words(mut take: impl FnMut(u64) -> Result<()>, count: u64) -> Result<()> {
    let mut state = 0x0123_4567_89ab_cdef_u64;
    for _ in 0..count {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        take(mixed ^ (mixed >> 31))?;
    }
    Ok(())
}

/// Processor, number of cores, memory, kernel.
pub(crate) fn description() -> String {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = text("/proc/cpuinfo");
    let field = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':')).map_or("?", |(_, value)| value.trim()).to_owned()
    };
    let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let memory = text("/proc/meminfo");
    let memory_gib = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok())
        .map_or(0, |kib| kib.div_ceil(1 << 20));
    let huge = text("/sys/kernel/mm/transparent_hugepage/enabled");
    let huge = huge.split(['[', ']']).nth(1).unwrap_or("?").to_owned();
    format!(
        "{cores} cores ({}, family {} model {}), {memory_gib} GiB, Linux {}, transparent huge pages: {huge}",
        field("model name"),
        field("cpu family"),
        field("model\t"),
        text("/proc/sys/kernel/osrelease").trim()
    )
}
