//! The clusters that hold the state of a machine, as a file.
//!
//! | L2 entry | meaning |
//! |---|---|
//! | bit 62 | the cluster is compressed, which is not read: nobody compresses state |
//! | bits 9 to 55 | position of the cluster; 0 if it has none, and reads as zeros |
//! | bit 0 | the cluster reads as zeros (without extended entries) |
//!
//! An extended entry has a second word: for each of 32 parts of the cluster a bit that it is there, and 32 bits higher
//! one that it reads as zeros.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom};

use crate::qcow2::header::{Header, long};
use crate::qcow2::{ImageError, Snapshot, read_at};
use crate::source::ReadSeek;

const OFFSET_BITS: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;
const ZERO: u64 = 1;

/// Parts of a cluster with extended L2 entries.
const SUBCLUSTER_BITS: u32 = 5;

/// The state of a snapshot, to be read from any place.
pub struct SnapshotState<'a> {
    file: Box<dyn ReadSeek + 'a>,
    header: Header,
    snapshot: Snapshot,
    /// Position of the state in what the snapshot's tables describe.
    base: u64,
    position: u64,
    /// The L2 table that was used last, with the number of its L1 entry.
    table: Option<(u64, Vec<u8>)>,
}

impl std::fmt::Debug for SnapshotState<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnapshotState").field("snapshot", &self.snapshot).finish_non_exhaustive()
    }
}

/// Where octets are.
enum Place {
    At(u64),
    Zeros,
}

impl<'a> SnapshotState<'a> {
    pub(super) fn open(
        file: Box<dyn ReadSeek + 'a>,
        header: Header,
        snapshot: Snapshot,
    ) -> Result<SnapshotState<'a>, ImageError> {
        let shift = header.l1_shift();
        let first = snapshot.disk_bytes.div_ceil(1 << shift);
        let base = first.checked_mul(1 << shift);
        let end = base.and_then(|base| base.checked_add(snapshot.state_bytes));
        let is_described = end.is_some_and(|end| end.div_ceil(1 << shift) <= u64::from(snapshot.l1_count));
        let (Some(base), true) = (base, is_described) else {
            let text = format!("the tables of snapshot {:?} do not reach its state", snapshot.name);
            return Err(ImageError::malformed(snapshot.l1_offset, text));
        };
        Ok(SnapshotState { file, header, snapshot, base, position: 0, table: None })
    }

    /// Octets of the state.
    pub fn state_bytes(&self) -> u64 {
        self.snapshot.state_bytes
    }

    fn table(&mut self, l1_index: u64) -> Result<Option<&[u8]>, ImageError> {
        if self.table.as_ref().is_none_or(|(index, _)| *index != l1_index) {
            self.table = None;
            let mut entry = [0; 8];
            read_at(&mut *self.file, self.snapshot.l1_offset.saturating_add(l1_index.saturating_mul(8)), &mut entry)?;
            let offset = u64::from_be_bytes(entry) & OFFSET_BITS;
            if offset == 0 {
                return Ok(None);
            }
            let mut table = vec![0; usize::try_from(self.header.cluster_bytes()).unwrap_or(0)];
            read_at(&mut *self.file, offset, &mut table)?;
            self.table = Some((l1_index, table));
        }
        Ok(self.table.as_ref().map(|(_, table)| table.as_slice()))
    }

    /// Where the octets at `position` of the state are, and how many follow there.
    fn place(&mut self, position: u64) -> Result<(Place, u64), ImageError> {
        let Header { cluster_bits, has_extended_l2, .. } = self.header;
        let (cluster_bytes, entry_bytes) = (self.header.cluster_bytes(), self.header.l2_entry_bytes());
        let address = self.base.saturating_add(position);
        let in_cluster = address & cluster_bytes.saturating_sub(1);
        let left = cluster_bytes.saturating_sub(in_cluster);
        let l1_index = address >> self.header.l1_shift();
        let l2_index = (address >> cluster_bits) % (cluster_bytes / entry_bytes);
        let Some(table) = self.table(l1_index)? else { return Ok((Place::Zeros, left)) };
        let at = usize::try_from(l2_index.saturating_mul(entry_bytes)).unwrap_or(usize::MAX);
        let entry = long(table, at);
        let bitmap = long(table, at.saturating_add(8));
        let host = entry & OFFSET_BITS;
        if entry & COMPRESSED != 0 {
            let text = format!("the cluster at 0x{position:x} of the state is compressed, which is not read");
            return Err(ImageError::malformed(host, text));
        }
        if !has_extended_l2 {
            let is_zero = entry & ZERO != 0 || host == 0;
            return Ok((if is_zero { Place::Zeros } else { Place::At(host.saturating_add(in_cluster)) }, left));
        }
        let part_bits = cluster_bits.saturating_sub(SUBCLUSTER_BITS);
        let part = in_cluster >> part_bits;
        let left = (1_u64 << part_bits).saturating_sub(in_cluster & ((1 << part_bits) - 1));
        let is_there = bitmap >> part & 1 != 0 && bitmap >> (part + 32) & 1 == 0 && host != 0;
        Ok((if is_there { Place::At(host.saturating_add(in_cluster)) } else { Place::Zeros }, left))
    }
}

impl Read for SnapshotState<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.state_bytes().saturating_sub(self.position);
        let mut done = 0_usize;
        // Several clusters at once: an image may have clusters of 512 octets.
        while done < buffer.len() {
            let position = self.position;
            let left = left.saturating_sub(u64::try_from(done).unwrap_or(u64::MAX));
            if left == 0 {
                break;
            }
            let (place, here) = self.place(position)?;
            let rest = buffer.get_mut(done..).unwrap_or_default();
            let count = rest.len().min(usize::try_from(here.min(left)).unwrap_or(usize::MAX));
            let octets = rest.get_mut(..count).unwrap_or_default();
            match place {
                Place::Zeros => octets.fill(0),
                Place::At(offset) => read_at(&mut *self.file, offset, octets)?,
            }
            done = done.saturating_add(count);
            self.position = position.saturating_add(u64::try_from(count).unwrap_or(0));
        }
        Ok(done)
    }
}

impl Seek for SnapshotState<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(distance) => self.state_bytes().checked_add_signed(distance),
            SeekFrom::Current(distance) => self.position.checked_add_signed(distance),
        };
        let before = || io::Error::new(ErrorKind::InvalidInput, "a position before the begin of the state");
        self.position = position.ok_or_else(before)?;
        Ok(self.position)
    }
}
