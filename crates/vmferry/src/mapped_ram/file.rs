//! Guest memory to and from places of a file, without a copy in this process.
//!
//! All access is positional: any number of threads may use one file, and the position of the stream's descriptor stays
//! what it is.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use vm_memory::VolatileSlice;

use crate::channel::Channel;
use crate::memory::scattered::{Places, read_scattered_at};
use crate::memory::vectored::{Parts, write_vectored_at};

/// Octets that are written at once where a hole cannot be made.
const ZEROS: usize = 64 << 10;

/// Zeros at an address that direct output accepts.
#[repr(align(4096))]
struct Zeros([u8; ZEROS]);

static ZEROS_PAGE: Zeros = Zeros([0; ZEROS]);

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Created if it does not exist, and not cut.
    Write,
    Read,
}

/// A file that pages are in.
#[derive(Debug)]
pub(crate) struct PageFile(OwnedFd);

impl PageFile {
    /// Opens `path` once more; past the kernel's cache if `is_direct` (`O_DIRECT`).
    ///
    /// # Errors
    ///
    /// It cannot be opened, or its file system has no direct input and output.
    pub(crate) fn open(path: &Path, access: Access, is_direct: bool) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        match access {
            // As the stream's own descriptor: what the guest has in memory is nobody else's to read.
            Access::Write => options.write(true).create(true).truncate(false).mode(0o600),
            Access::Read => options.read(true),
        };
        // A pipe is refused, instead of waiting for its other end.
        let direct = if is_direct { libc::O_DIRECT } else { 0 };
        let opened = options.custom_flags(libc::O_NONBLOCK | direct).open(path);
        let file = opened.map_err(|error| match error.raw_os_error() {
            Some(libc::EINVAL) if is_direct => io::Error::new(
                io::ErrorKind::Unsupported,
                format!("the file system of '{}' has no direct input and output: set direct-io off", path.display()),
            ),
            _ => error,
        })?;
        Ok(Self(file.into()))
    }

    /// The same open file as `channel`'s.
    ///
    /// # Errors
    ///
    /// The process has no descriptor left.
    pub(crate) fn of(channel: &Channel) -> io::Result<Self> {
        Ok(Self(channel.as_fd().try_clone_to_owned()?))
    }

    /// Another handle on the same open file.
    ///
    /// # Errors
    ///
    /// The process has no descriptor left.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    /// The same file, opened once more to be mapped: with a position and locks of its own.
    ///
    /// # Errors
    ///
    /// There is no `/proc`, or the file cannot be opened any more.
    pub(crate) fn reopen_to_map(&self) -> io::Result<File> {
        File::open(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }

    /// Writes `memory` to position `at`.
    ///
    /// # Errors
    ///
    /// The disk is full, or failed.
    pub(crate) fn write_memory(&self, memory: &VolatileSlice<'_, ()>, at: u64) -> io::Result<()> {
        let mut parts = Parts::new();
        parts.push_guest(memory);
        self.write(&mut parts, at)
    }

    /// Writes `octets` to position `at`.
    ///
    /// # Errors
    ///
    /// As [`PageFile::write_memory`].
    pub(crate) fn write_octets(&self, octets: &[u8], at: u64) -> io::Result<()> {
        let mut parts = Parts::new();
        parts.push_bytes(octets);
        self.write(&mut parts, at)
    }

    fn write(&self, parts: &mut Parts<'_>, at: u64) -> io::Result<()> {
        let all = parts.bytes();
        while !parts.is_empty() {
            let done = (all - parts.bytes()) as u64;
            match write_vectored_at(self.0.as_fd(), parts, at.saturating_add(done)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes `len` bytes at position `at`, whole pages inside the file, read as zero: a hole where there can be one.
    ///
    /// # Errors
    ///
    /// As [`PageFile::write_memory`].
    pub(crate) fn clear(&self, at: u64, len: u64) -> io::Result<()> {
        match fallocate(&self.0, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, at, len) {
            Ok(()) => return Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::NODEV | Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut done = 0;
        while done < len {
            let part = usize::try_from(len - done).unwrap_or(usize::MAX).min(ZEROS);
            self.write_octets(ZEROS_PAGE.0.get(..part).unwrap_or_default(), at.saturating_add(done))?;
            done += part as u64;
        }
        Ok(())
    }

    /// Fills `memory` from position `at` on. Returns how many bytes there were: fewer only at the end of the file.
    ///
    /// # Errors
    ///
    /// The disk failed.
    pub(crate) fn read_memory(&self, memory: &VolatileSlice<'_, ()>, at: u64) -> io::Result<usize> {
        let mut places = Places::new();
        places.push_guest(memory);
        self.read(&mut places, at)
    }

    /// Fills `octets` from position `at` on, as [`PageFile::read_memory`].
    ///
    /// # Errors
    ///
    /// As [`PageFile::read_memory`].
    pub(crate) fn read_octets(&self, octets: &mut [u8], at: u64) -> io::Result<usize> {
        let mut places = Places::new();
        places.push_bytes(octets);
        self.read(&mut places, at)
    }

    fn read(&self, places: &mut Places<'_>, at: u64) -> io::Result<usize> {
        let all = places.bytes();
        while places.bytes() > 0 {
            let done = (all - places.bytes()) as u64;
            match read_scattered_at(self.0.as_fd(), places, at.saturating_add(done)) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all - places.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{MappedBlock, RamBlock as _};

    /// A file of 1 MiB, opened for both; with direct input and output where its file system has it.
    fn opened(is_direct: bool) -> Option<(tempfile::TempDir, PageFile, PageFile)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pages");
        std::fs::write(&path, vec![0xee; 1 << 20]).unwrap();
        let open = |access| PageFile::open(&path, access, is_direct);
        match (open(Access::Write), open(Access::Read)) {
            (Ok(write), Ok(read)) => Some((folder, write, read)),
            (Err(error), _) | (_, Err(error)) => {
                println!("skipped: {error}");
                None
            }
        }
    }

    #[test]
    fn memory_goes_to_its_place_and_comes_back() {
        for is_direct in [false, true] {
            let Some((_folder, out, back)) = opened(is_direct) else { continue };
            let block = MappedBlock::new("ram", 64 << 12).unwrap();
            block.write(8 << 12, &[7; 8 << 12]).unwrap();
            out.write_memory(&block.run(8 << 12, 8 << 12).unwrap(), 3 << 12).unwrap();
            out.clear(5 << 12, 2 << 12).unwrap();
            let read = back.read_memory(&block.run(32 << 12, 10 << 12).unwrap(), 2 << 12).unwrap();
            assert_eq!(read, 10 << 12);
            let mut found = vec![0; 10 << 12];
            block.read(32 << 12, &mut found).unwrap();
            let fill = |octet, pages: usize| vec![octet; pages << 12];
            assert!(found == [fill(0xee, 1), fill(7, 2), fill(0, 2), fill(7, 4), fill(0xee, 1)].concat());
            let past_the_end = back.read_memory(&block.run(0, 32 << 12).unwrap(), (1 << 20) - (4 << 12)).unwrap();
            assert_eq!(past_the_end, 4 << 12);
        }
    }

    #[test]
    fn a_file_system_without_direct_input_and_output_is_told_by_name() {
        let error = PageFile::open(Path::new("/proc/version"), Access::Read, true).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the file system of '/proc/version' has no direct input and output: set direct-io off"
        );
    }
}
