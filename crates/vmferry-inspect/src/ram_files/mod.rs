//! RAM as files: one sparse file a block, written while the stream is read.
//!
//! ```text
//! FOLDER/pc.ram                      block "pc.ram"
//! FOLDER/_rom@etc_acpi_tables        block "/rom@etc/acpi/tables"
//! ```
//!
//! A file has the block's used length. What was never sent, and what was sent as zero or discarded last, is a hole. Of
//! a page that was sent several times the last one counts, so the files are what a destination would have.
//!
//! Names of blocks come from the stream: `/` becomes `_`, and a name that would leave the folder, or is that of another
//! block, is refused. A file that exists is never written to.

mod block_file;
mod written;

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use vmferry_wire::ram::TargetPage;
use vmferry_wire::ram::block_list::BlockEntry;

use crate::error::{Halt, Step, StreamFault};
use block_file::BlockFile;

/// The files of one stream, in the order of its blocks.
pub(crate) struct RamFiles {
    folder: PathBuf,
    names: HashSet<String>,
    blocks: Vec<BlockFile>,
}

impl RamFiles {
    /// Files in `folder`; nothing is made before a block is known.
    pub(crate) fn new(folder: &Path) -> RamFiles {
        RamFiles { folder: folder.to_owned(), names: HashSet::new(), blocks: Vec::new() }
    }

    /// Makes the folder, if need be, and a file of holes for the next block; returns the number of the block. `at` is
    /// where the block list stands.
    pub(crate) fn add(&mut self, at: u64, entry: &BlockEntry, page: TargetPage) -> Step<usize> {
        let index = self.blocks.len();
        if index == 0 {
            fs::create_dir_all(&self.folder).map_err(extract(&self.folder))?;
        }
        let unfit = || Halt::malformed(at, StreamFault::UnfitFileName { block: entry.name.to_string() });
        let name = file_name(&entry.name).filter(|name| !self.names.contains(name)).ok_or_else(unfit)?;
        self.blocks.push(BlockFile::create(&self.folder.join(&name), entry.used_bytes, page)?);
        self.names.insert(name);
        Ok(index)
    }

    /// Stores octets at `offset` of a block. What reaches over the block's end is left out.
    pub(crate) fn write(&mut self, block: usize, offset: u64, octets: &[u8]) -> Step<()> {
        self.blocks.get_mut(block).map_or(Ok(()), |file| file.write(offset, octets))
    }

    /// Makes octets of a block zero.
    pub(crate) fn clear(&mut self, block: usize, offset: u64, bytes: u64) -> Step<()> {
        self.blocks.get_mut(block).map_or(Ok(()), |file| file.clear(offset, bytes))
    }

    /// Reads a page back; what is behind the block's end is zero.
    pub(crate) fn read(&self, block: usize, offset: u64, page: &mut [u8]) -> Step<()> {
        self.blocks.get(block).map_or(Ok(()), |file| file.read(offset, page))
    }

    /// Fills a block from the start of a file that has it.
    pub(crate) fn copy_from(&mut self, block: usize, path: &Path) -> Step<()> {
        self.blocks.get_mut(block).map_or(Ok(()), |file| file.copy_from(path))
    }
}

/// The name of a block's file, if the block's name can be made one.
pub(crate) fn file_name(block: &str) -> Option<String> {
    let name = block.replace('/', "_");
    (!matches!(name.as_str(), "" | "." | "..") && !name.contains('\0')).then_some(name)
}

fn extract(path: &Path) -> impl FnOnce(io::Error) -> Halt + '_ {
    move |source| Halt::Extract { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmferry_wire::Name;

    fn entry(name: &str, used_bytes: u64) -> BlockEntry {
        let name = Name::new(name, "RAM block").unwrap();
        BlockEntry { name, used_bytes, page_bytes: None, guest_address: None, mapped_ram: None }
    }

    fn files(folder: &Path, entries: &[BlockEntry]) -> Step<RamFiles> {
        let mut files = RamFiles::new(folder);
        for entry in entries {
            files.add(0, entry, TargetPage::KIB_4)?;
        }
        Ok(files)
    }

    #[test]
    fn a_slash_becomes_a_line() {
        assert_eq!(file_name("/rom@etc/acpi/tables").as_deref(), Some("_rom@etc_acpi_tables"));
        assert_eq!(file_name("../x").as_deref(), Some(".._x"));
        assert_eq!((file_name(".."), file_name(".")), (None, None));
    }

    #[test]
    fn the_last_of_several_pages_counts() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = files(folder.path(), &[entry("a/b", 0x3000)]).map_err(|_| ()).unwrap();
        files.write(0, 0x1000, &[1; 4096]).unwrap();
        files.write(0, 0x2000, &[2; 4096]).unwrap();
        files.clear(0, 0x1000, 4096).unwrap();
        files.write(0, 0x2000, &[3; 4096]).unwrap();
        let octets = fs::read(folder.path().join("a_b")).unwrap();
        assert_eq!(octets, [vec![0; 0x2000], vec![3; 0x1000]].concat());
        files.write(0, 0x2000, &[0; 4096]).unwrap();
        assert_eq!(fs::read(folder.path().join("a_b")).unwrap(), [0; 0x3000]);
    }

    #[test]
    fn a_block_is_never_written_behind_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = files(folder.path(), &[entry("a", 0x1800)]).map_err(|_| ()).unwrap();
        files.write(0, 0x1000, &[1; 4096]).unwrap();
        files.write(0, 0x2000, &[1; 4096]).unwrap();
        files.clear(0, 0x1800, u64::MAX).unwrap();
        assert_eq!(fs::read(folder.path().join("a")).unwrap(), [vec![0; 0x1000], vec![1; 0x800]].concat());
        let mut page = [9; 4096];
        files.read(0, 0x1000, &mut page).unwrap();
        assert_eq!(page[..], [vec![1; 0x800], vec![0; 0x800]].concat());
    }

    #[test]
    fn names_that_meet_or_leave_the_folder_are_refused_and_files_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let meet = [entry("a/b", 0x1000), entry("a_b", 0x1000)];
        assert!(matches!(files(folder.path(), &meet), Err(Halt::Malformed { .. })));
        assert!(matches!(files(folder.path(), &[entry("..", 0x1000)]), Err(Halt::Malformed { .. })));
        fs::write(folder.path().join("kept"), b"mine").unwrap();
        assert!(matches!(files(folder.path(), &[entry("kept", 0x1000)]), Err(Halt::Extract { .. })));
        assert_eq!(fs::read(folder.path().join("kept")).unwrap(), b"mine");
    }
}
