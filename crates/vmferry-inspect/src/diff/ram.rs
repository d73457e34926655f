//! RAM of two streams, page by page.
//!
//! Both streams' RAM is in sparse files, of each page what was sent last; memory does not follow it. A page that was
//! never sent is a hole, and a hole is zero: the same as one that was sent as zero. Holes that both files have are
//! stepped over.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use rustix::fs::SeekFrom;
use rustix::io::Errno;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::analysis::Analysis;
use crate::dialect::Dialect;
use crate::diff::difference::Found;
use crate::diff::{Side, WithRam};
use crate::limits::READ_BUFFER_BYTES;
use crate::ram_files::file_name;
use crate::value::JsonInteger;

/// Offsets that are listed of a block.
const LISTED_OFFSETS: usize = 16;

/// How RAM differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RamDiff {
    /// Blocks of either stream, those of A first.
    pub blocks: Vec<BlockDiff>,
}

/// How a RAM block differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockDiff {
    /// The block's id.
    pub id: String,
    /// Bytes in use in A and in B; `None` where the block is not there.
    pub used_bytes: [Option<u64>; 2],
    /// Pages whose contents differ, up to the shorter length; `None` where they were not compared.
    pub pages_differ: Option<u64>,
    /// Offsets in the block of the first pages that differ.
    pub first_offsets: Vec<u64>,
}

impl BlockDiff {
    /// Whether the block is the same on both sides.
    pub fn is_equal(&self) -> bool {
        let [a, b] = self.used_bytes;
        a == b && self.pages_differ == Some(0)
    }
}

impl Serialize for RamDiff {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("blocks", &self.blocks)?;
        map.end()
    }
}

impl Serialize for BlockDiff {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let BlockDiff { id, used_bytes: [a, b], pages_differ, first_offsets } = self;
        let first: Vec<_> = first_offsets.iter().map(|offset| JsonInteger(*offset)).collect();
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry("id", id)?;
        map.serialize_entry("a_used_length", &a.map(JsonInteger))?;
        map.serialize_entry("b_used_length", &b.map(JsonInteger))?;
        map.serialize_entry("pages_differ", &pages_differ.map(JsonInteger))?;
        map.serialize_entry("first", &first)?;
        map.end()
    }
}

/// Compares the blocks; what cannot be compared is said in `found`.
pub(super) fn compare(a: &WithRam<'_>, b: &WithRam<'_>, found: &mut Found) -> Result<RamDiff, (Side, io::Error)> {
    let mut ram = RamDiff { blocks: pairs(&a.stream.analysis, &b.stream.analysis) };
    let mut is_missing = false;
    for (side, with_ram) in [(Side::A, a), (Side::B, b)] {
        for text in &with_ram.stream.analysis.missing_ram {
            found.not_compared.push(format!("RAM: of {side}, {text}"));
            is_missing = true;
        }
    }
    if is_missing {
        return Ok(ram);
    }
    let page_bytes = a.stream.analysis.ram.page_bytes.min(b.stream.analysis.ram.page_bytes);
    for block in &mut ram.blocks {
        let [Some(used_a), Some(used_b)] = block.used_bytes else { continue };
        let elsewhere = [(Side::A, a), (Side::B, b)].into_iter().find(|(_, with_ram)| with_ram.is_elsewhere(&block.id));
        if let Some((side, _)) = elsewhere {
            let text = format!("RAM block {:?}: of {side}, its contents are in shared memory", block.id);
            found.not_compared.push(text);
            continue;
        }
        let files = (
            a.open(&block.id).map_err(|error| (Side::A, error))?,
            b.open(&block.id).map_err(|error| (Side::B, error))?,
        );
        pages(&files.0, &files.1, used_a.min(used_b), page_bytes, block)?;
    }
    Ok(ram)
}

impl WithRam<'_> {
    /// Whether a block's contents are not in the stream, and were not given beside it.
    fn is_elsewhere(&self, id: &str) -> bool {
        let analysis = &self.stream.analysis;
        let is_untouched = analysis.ram.blocks.iter().any(|block| block.id == id && block.distinct_pages == 0);
        analysis.dialects.contains(&Dialect::IgnoreShared)
            && is_untouched
            && !self.shared.iter().any(|block| block == id)
    }

    fn open(&self, id: &str) -> io::Result<File> {
        let name = file_name(id).ok_or(io::ErrorKind::NotFound)?;
        File::open(self.folder.path().join(name))
    }
}

/// The blocks of both streams by their ids.
fn pairs(a: &Analysis, b: &Analysis) -> Vec<BlockDiff> {
    let used = |analysis: &Analysis, id: &str| {
        analysis.ram.blocks.iter().find(|block| block.id == id).map(|block| block.used_bytes)
    };
    let mut blocks: Vec<_> = a.ram.blocks.iter().map(|block| &block.id).collect();
    blocks.extend(b.ram.blocks.iter().map(|block| &block.id).filter(|id| used(a, id).is_none()));
    let pair = |id: &String| BlockDiff {
        id: id.clone(),
        used_bytes: [used(a, id), used(b, id)],
        pages_differ: None,
        first_offsets: Vec::new(),
    };
    blocks.into_iter().map(pair).collect()
}

/// Compares the first `length` octets of two files.
fn pages(a: &File, b: &File, length: u64, page_bytes: u64, block: &mut BlockDiff) -> Result<(), (Side, io::Error)> {
    let page = usize::try_from(page_bytes).unwrap_or(READ_BUFFER_BYTES).max(1);
    let mut buffers =
        (vec![0; READ_BUFFER_BYTES.next_multiple_of(page)], vec![0; READ_BUFFER_BYTES.next_multiple_of(page)]);
    let mut differ = 0_u64;
    let mut at = 0_u64;
    loop {
        let data_a = next_data(a, at).map_err(|error| (Side::A, error))?;
        let data_b = next_data(b, at).map_err(|error| (Side::B, error))?;
        let Some(data) = data_a.into_iter().chain(data_b).min().filter(|data| *data < length) else { break };
        at = at.max(data.checked_div(page_bytes).unwrap_or(0).saturating_mul(page_bytes));
        let wanted = usize::try_from(length.saturating_sub(at)).unwrap_or(usize::MAX).min(buffers.0.len());
        let octets_a = buffers.0.get_mut(..wanted).unwrap_or_default();
        let octets_b = buffers.1.get_mut(..wanted).unwrap_or_default();
        a.read_exact_at(octets_a, at).map_err(|error| (Side::A, error))?;
        b.read_exact_at(octets_b, at).map_err(|error| (Side::B, error))?;
        if octets_a != octets_b {
            for (number, (page_a, page_b)) in (0_u64..).zip(octets_a.chunks(page).zip(octets_b.chunks(page))) {
                if page_a != page_b {
                    differ = differ.saturating_add(1);
                    if block.first_offsets.len() < LISTED_OFFSETS {
                        block.first_offsets.push(at.saturating_add(number.saturating_mul(page_bytes)));
                    }
                }
            }
        }
        at = at.saturating_add(u64::try_from(wanted).unwrap_or(u64::MAX));
    }
    block.pages_differ = Some(differ);
    Ok(())
}

/// Where the next octet that is in no hole is, at or behind `at`.
fn next_data(file: &File, at: u64) -> io::Result<Option<u64>> {
    match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(data) => Ok(Some(data)),
        Err(Errno::NXIO) => Ok(None),
        // A file system without holes.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Some(at)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sparse(length: u64, pages: &[(u64, u8)]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(length).unwrap();
        for (page, octet) in pages {
            file.write_all_at(&[*octet; 4096], page * 4096).unwrap();
        }
        file
    }

    fn compared(a: &File, b: &File, length: u64) -> (Option<u64>, Vec<u64>) {
        let (used_bytes, first_offsets) = ([Some(length), Some(length)], Vec::new());
        let mut block = BlockDiff { id: "ram".to_owned(), used_bytes, pages_differ: None, first_offsets };
        pages(a, b, length, 4096, &mut block).unwrap();
        (block.pages_differ, block.first_offsets)
    }

    #[test]
    fn holes_are_zeros_and_pages_are_counted() {
        let length = 1 << 40;
        let far = (1 << 28) - 1;
        let a = sparse(length, &[(0, 1), (70, 0), (1000, 7), (far, 9)]);
        let b = sparse(length, &[(0, 1), (500, 0), (1000, 8)]);
        assert_eq!(compared(&a, &a, length), (Some(0), vec![]));
        assert_eq!(compared(&a, &b, length), (Some(2), vec![1000 * 4096, far * 4096]));
    }

    #[test]
    fn of_many_offsets_the_first_are_listed() {
        let all: Vec<_> = (0..100).map(|page| (page, 1)).collect();
        let (differ, first) = compared(&sparse(100 * 4096, &all), &sparse(100 * 4096, &[]), 100 * 4096);
        assert_eq!((differ, first.len(), first[15]), (Some(100), LISTED_OFFSETS, 15 * 4096));
    }
}
