//! What the machine can do: memory, sockets and the disk of the folder for files.

use std::fs::File;
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use rustix::fs::{Advice, OFlags, fadvise};

use super::results::{Measured, Role, Unit};
use super::rounds::{Contender, Took, alternate};
use super::scene::{Scene, random_words};
use super::{Bench, copy};

/// Bytes that are moved, if no size is asked for; more than caches hold.
pub(super) const BYTES: u64 = 512 << 20;
/// Bytes of one call to the disk.
const CALL_BYTES: usize = 1 << 20;
/// What `O_DIRECT` asks of addresses, at most.
const ALIGNMENT: usize = 4096;

/// Reads memory and nothing else.
pub(super) fn sum(words: &[u64]) -> u64 {
    words.iter().fold(0, |sum, word| sum ^ word)
}

fn gib(bytes: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "gigabytes")]
    let bytes = bytes as f64;
    bytes / f64::from(1 << 30)
}

/// GiB/s of something that moves `bytes`.
pub(super) fn rate(bytes: usize, work: impl FnOnce() -> Result<()>) -> Result<Took> {
    let start = Instant::now();
    work()?;
    Ok((gib(bytes) / start.elapsed().as_secs_f64()).into())
}

fn read_on(threads: usize, words: &[u64]) -> Result<Took> {
    rate(size_of_val(words), || {
        thread::scope(|scope| {
            let parts = words.chunks(words.len().div_ceil(threads.max(1)).max(1));
            let running: Vec<_> = parts.map(|part| scope.spawn(move || black_box(sum(part)))).collect();
            running.into_iter().try_for_each(|thread| thread.join().map(drop))
        })
        .map_err(|_| anyhow!("a thread that reads memory panicked"))
    })
}

/// How a file is accessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Buffered,
    Direct,
}

impl Way {
    fn flags(self) -> i32 {
        match self {
            Self::Buffered => 0,
            Self::Direct => i32::try_from(OFlags::DIRECT.bits()).unwrap_or(0),
        }
    }
}

/// Random bytes for the calls to the disk.
pub(super) fn call_memory() -> Vec<u8> {
    random_words((CALL_BYTES + ALIGNMENT) as u64 / 8).flat_map(u64::to_le_bytes).collect()
}

/// A part of `memory` whose address `O_DIRECT` accepts, of one call.
fn aligned(memory: &[u8]) -> Result<usize> {
    let start = memory.as_ptr().addr();
    let at = start.next_multiple_of(ALIGNMENT).wrapping_sub(start);
    if at.saturating_add(CALL_BYTES) <= memory.len() {
        Ok(at)
    } else {
        Err(anyhow!("the memory of a call is too small"))
    }
}

/// Writes a new file of `bytes`, in whole calls; `memory` is that of [`call_memory`].
pub(super) fn write_file(path: &Path, way: Way, bytes: usize, memory: &[u8]) -> Result<Took> {
    let at = aligned(memory)?;
    let call = memory.get(at..at.saturating_add(CALL_BYTES)).unwrap_or_default();
    // A new file each time: its blocks are given out while it is written, as those of a snapshot are.
    let _ = std::fs::remove_file(path);
    let mut options = File::options();
    let mut file = options.write(true).create_new(true).custom_flags(way.flags()).open(path)?;
    rate(bytes, || {
        for _ in 0..bytes / CALL_BYTES {
            file.write_all(call)?;
        }
        Ok(file.sync_data()?)
    })
}

/// Lets the kernel forget what it has of a file, once that is on the disk.
pub(super) fn forget(path: &Path) -> Result<()> {
    let file = File::open(path)?;
    file.sync_data()?;
    Ok(fadvise(&file, 0, None, Advice::DontNeed)?)
}

/// Reads as much of a file that the kernel has nothing of, in whole calls; `memory` is that of [`call_memory`].
pub(super) fn read_file(path: &Path, way: Way, bytes: usize, memory: &mut [u8]) -> Result<Took> {
    let at = aligned(memory)?;
    let call = memory.get_mut(at..at.saturating_add(CALL_BYTES)).unwrap_or_default();
    // What the disk gives, and not what the kernel still has of it.
    forget(path)?;
    let mut file = File::options().read(true).custom_flags(way.flags()).open(path)?;
    rate(bytes, || {
        for _ in 0..bytes / CALL_BYTES {
            file.read_exact(call)?;
        }
        black_box(&*call);
        Ok(())
    })
}

/// Measures them.
pub(super) fn measure(bench: &Bench<'_>) -> Result<Measured> {
    let scene = &Scene::set(bench.memory.unwrap_or(BYTES))?;
    // Whole calls.
    let bytes = usize::try_from(scene.bytes)?.next_multiple_of(CALL_BYTES);
    let source: Vec<u64> = random_words(bytes as u64 / 8).collect();
    let source = source.as_slice();
    let mut target = vec![1_u64; source.len()];
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let folder = bench.disk_folder()?;
    let path = &folder.path().join("file");
    let written = call_memory();
    let written = written.as_slice();
    let mut read = [call_memory(), call_memory()];
    let [read_a, read_b] = &mut read;
    let socket = |into_populated| move || Ok((scene.gib() / copy::seconds(scene, into_populated, 1)?).into());
    let mut contenders = vec![
        Contender::new("reading memory, one thread", Role::Limit, move || read_on(1, source)),
        Contender::new("reading memory, a thread a core", Role::Limit, move || read_on(threads, source)),
        Contender::new("memcpy, one thread", Role::Limit, || {
            rate(bytes, || {
                target.copy_from_slice(source);
                black_box(&target);
                Ok(())
            })
        }),
        Contender::new("unix socket, into fresh memory", Role::Limit, socket(false)),
        Contender::new("unix socket, into populated memory", Role::Limit, socket(true)),
        Contender::new("new file, buffered, with fdatasync", Role::Limit, move || {
            write_file(path, Way::Buffered, bytes, written)
        }),
        Contender::new("file not in memory, buffered", Role::Limit, move || {
            read_file(path, Way::Buffered, bytes, read_a)
        }),
    ];
    let mut notes = vec![format!("{} MiB each; files in {}.", bytes >> 20, bench.disk.display())];
    // Written here, so that the rounds may begin with reading.
    write_file(path, Way::Buffered, bytes, written).context("a file")?;
    match write_file(path, Way::Direct, bytes, written) {
        Ok(_) => contenders.extend([
            Contender::new("new file, O_DIRECT, with fdatasync", Role::Limit, move || {
                write_file(path, Way::Direct, bytes, written)
            }),
            Contender::new("file, O_DIRECT", Role::Limit, move || read_file(path, Way::Direct, bytes, read_b)),
        ]),
        Err(error) => {
            write_file(path, Way::Buffered, bytes, written).context("a file")?;
            notes.push(format!("No O_DIRECT there: {error:#}."));
        }
    }
    let rows = alternate(bench, "limits", &[], contenders)?;
    Ok(Measured {
        name: "limits",
        title: "What this machine can do".to_owned(),
        unit: Unit::GIB_PER_S,
        also: Vec::new(),
        rows,
        targets: Vec::new(),
        notes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_of_the_disk_begins_at_a_page() {
        let memory = vec![0_u8; CALL_BYTES + ALIGNMENT];
        let at = aligned(&memory).unwrap();
        assert!(memory[at..].as_ptr().addr().is_multiple_of(ALIGNMENT) && at < ALIGNMENT);
        assert!(aligned(&memory[..CALL_BYTES - 1]).is_err());
    }

    #[test]
    fn a_file_is_written_and_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut memory = vec![7_u8; CALL_BYTES + ALIGNMENT];
        write_file(&path, Way::Buffered, 3 * CALL_BYTES, &memory).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 3 << 20);
        assert!(read_file(&path, Way::Buffered, 3 * CALL_BYTES, &mut memory).unwrap().figure > 0.0);
        // More than there is.
        assert!(read_file(&path, Way::Buffered, 4 * CALL_BYTES, &mut memory).is_err());
    }
}
