//! The sparse file of one RAM block.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;
use vmferry_wire::ram::TargetPage;

use crate::error::{Halt, Step};
use crate::limits::READ_BUFFER_BYTES;
use crate::ram_files::extract;
use crate::ram_files::written::WrittenPages;

/// A file of the block's used length.
pub(super) struct BlockFile {
    path: PathBuf,
    file: File,
    used_bytes: u64,
    page: TargetPage,
    /// Pages that may not be holes.
    written: WrittenPages,
}

impl BlockFile {
    /// Makes the file, all holes; one that exists is an error.
    pub(super) fn create(path: &Path, used_bytes: u64, page: TargetPage) -> Step<BlockFile> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path).map_err(extract(path))?;
        file.set_len(used_bytes).map_err(extract(path))?;
        Ok(BlockFile { path: path.to_owned(), file, used_bytes, page, written: WrittenPages::default() })
    }

    pub(super) fn write(&mut self, offset: u64, octets: &[u8]) -> Step<()> {
        let octets = octets.get(..self.inside(offset, octets.len())).unwrap_or_default();
        if octets.iter().fold(0, |all, octet| all | octet) == 0 {
            return self.clear(offset, u64::try_from(octets.len()).unwrap_or(u64::MAX));
        }
        self.file.write_all_at(octets, offset).map_err(extract(&self.path))?;
        let last = offset.saturating_add(u64::try_from(octets.len()).unwrap_or(0)).saturating_sub(1);
        for page in offset >> self.page.bits()..=last >> self.page.bits() {
            self.written.insert(page);
        }
        Ok(())
    }

    pub(super) fn clear(&mut self, offset: u64, bytes: u64) -> Step<()> {
        let bytes = bytes.min(self.used_bytes.saturating_sub(offset));
        let end = offset.saturating_add(bytes);
        let pages = offset >> self.page.bits()..end.div_ceil(self.page.bytes());
        if bytes == 0 || !self.written.any_in(pages.clone()) {
            return Ok(());
        }
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if rustix::fs::fallocate(&self.file, flags, offset, bytes).is_err() {
            // A file system without holes.
            self.write_zeros(offset, end).map_err(extract(&self.path))?;
        }
        // A page that keeps some octets is no hole.
        let is_to_the_end = end == self.used_bytes;
        let last = if is_to_the_end { pages.end } else { end >> self.page.bits() };
        self.written.remove(offset.div_ceil(self.page.bytes())..last);
        Ok(())
    }

    fn write_zeros(&self, offset: u64, end: u64) -> io::Result<()> {
        let zeros = vec![0; self.page.usize_bytes()];
        for page in self.written.in_range(offset >> self.page.bits()..end.div_ceil(self.page.bytes())) {
            let from = (page << self.page.bits()).max(offset);
            let to = (page.saturating_add(1) << self.page.bits()).min(end);
            let length = usize::try_from(to.saturating_sub(from)).unwrap_or(0);
            self.file.write_all_at(zeros.get(..length).unwrap_or_default(), from)?;
        }
        Ok(())
    }

    pub(super) fn read(&self, offset: u64, page: &mut [u8]) -> Step<()> {
        let inside = self.inside(offset, page.len());
        let (inside, behind) = page.split_at_mut_checked(inside).unwrap_or_default();
        behind.fill(0);
        self.file.read_exact_at(inside, offset).map_err(extract(&self.path))
    }

    pub(super) fn copy_from(&mut self, path: &Path) -> Step<()> {
        let source = File::open(path).map_err(extract(path))?;
        let mut buffer = vec![0; READ_BUFFER_BYTES];
        let mut at = 0_u64;
        while at < self.used_bytes {
            let wanted = self.inside(at, buffer.len());
            let octets = buffer.get_mut(..wanted).unwrap_or_default();
            source.read_exact_at(octets, at).map_err(|source| {
                let source = match source.kind() {
                    ErrorKind::UnexpectedEof => {
                        let text = format!("it is shorter than the block's 0x{:x} octets", self.used_bytes);
                        io::Error::new(ErrorKind::UnexpectedEof, text)
                    }
                    _ => source,
                };
                Halt::Extract { path: path.to_owned(), source }
            })?;
            for (i, page) in (0_u64..).zip(octets.chunks(self.page.usize_bytes())) {
                self.write(at.saturating_add(i << self.page.bits()), page)?;
            }
            at = at.saturating_add(u64::try_from(wanted).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    /// How many of `length` octets at `offset` are inside the block.
    fn inside(&self, offset: u64, length: usize) -> usize {
        usize::try_from(self.used_bytes.saturating_sub(offset)).unwrap_or(usize::MAX).min(length)
    }
}
