//! The table of snapshots.
//!
//! | octets of an entry | meaning |
//! |---|---|
//! | 0..8 | position of its L1 table |
//! | 8..12 | entries of it |
//! | 12..14, 14..16 | lengths of id and name |
//! | 32..36 | length of the state, if it is below 4 GiB |
//! | 36..40 | octets of extra data |
//! | 40.. | extra data: length of the state (8), of the disk (8), …; then id, name, and up to 7 octets, so that the next entry begins at a multiple of 8 |

use crate::limits::{QCOW2_EXTRA_BYTES_LIMIT, QCOW2_SNAPSHOT_COUNT_LIMIT};
use crate::qcow2::header::{Header, long, word};
use crate::qcow2::{ImageError, read_at};
use crate::source::ReadSeek;

/// Octets of an entry before its extra data.
const ENTRY_BYTES: usize = 40;

/// One snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its id, a number as a rule.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Octets of the state of a machine; 0 if it has none.
    pub state_bytes: u64,
    /// Octets of the disk, as it was then.
    pub(super) disk_bytes: u64,
    pub(super) l1_offset: u64,
    pub(super) l1_count: u32,
}

/// Reads the table that the header names.
pub(super) fn read(file: &mut dyn ReadSeek, header: &Header) -> Result<Vec<Snapshot>, ImageError> {
    if header.snapshot_count > QCOW2_SNAPSHOT_COUNT_LIMIT {
        let text = format!("{} snapshots, up to {QCOW2_SNAPSHOT_COUNT_LIMIT} are read", header.snapshot_count);
        return Err(ImageError::malformed(60, text));
    }
    let mut snapshots = Vec::new();
    let mut at = header.snapshots_offset;
    for _ in 0..header.snapshot_count {
        let mut entry = [0; ENTRY_BYTES];
        read_at(file, at, &mut entry)?;
        let extra_bytes = word(&entry, 36);
        if extra_bytes > QCOW2_EXTRA_BYTES_LIMIT {
            let text = format!("{extra_bytes} octets of extra data, up to {QCOW2_EXTRA_BYTES_LIMIT} are read");
            return Err(ImageError::malformed(at, text));
        }
        let extra_bytes = usize::try_from(extra_bytes).unwrap_or(usize::MAX);
        let (id_bytes, name_bytes) = (short(&entry, 12), short(&entry, 14));
        // At most 64 KiB for each name, and the limit above.
        let mut rest = vec![0; extra_bytes.saturating_add(id_bytes).saturating_add(name_bytes)];
        read_at(file, at.saturating_add(40), &mut rest)?;
        let (extra, names) = rest.split_at_checked(extra_bytes).unwrap_or_default();
        let (id, name) = names.split_at_checked(id_bytes).unwrap_or_default();
        snapshots.push(Snapshot {
            id: String::from_utf8_lossy(id).into_owned(),
            name: String::from_utf8_lossy(name).into_owned(),
            state_bytes: if extra.len() >= 8 { long(extra, 0) } else { u64::from(word(&entry, 32)) },
            disk_bytes: if extra.len() >= 16 { long(extra, 8) } else { header.disk_bytes },
            l1_offset: long(&entry, 0),
            l1_count: word(&entry, 8),
        });
        let bytes = ENTRY_BYTES.saturating_add(rest.len()).next_multiple_of(8);
        at = at.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
    Ok(snapshots)
}

fn short(octets: &[u8], at: usize) -> usize {
    octets.get(at..).and_then(<[u8]>::first_chunk).copied().map_or(0, |octets| usize::from(u16::from_be_bytes(octets)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn header(snapshot_count: u32) -> Header {
        Header { cluster_bits: 16, disk_bytes: 5, has_extended_l2: false, snapshot_count, snapshots_offset: 0 }
    }

    fn entry(extra: &[u8], id: &str, name: &str) -> Vec<u8> {
        let mut octets = vec![0; ENTRY_BYTES];
        octets[13] = u8::try_from(id.len()).unwrap();
        octets[15] = u8::try_from(name.len()).unwrap();
        octets[35] = 9;
        octets[39] = u8::try_from(extra.len()).unwrap();
        octets.extend([extra, id.as_bytes(), name.as_bytes()].concat());
        octets.resize(octets.len().next_multiple_of(8), 0);
        octets
    }

    #[test]
    fn entries_with_and_without_extra_data_are_read() {
        let extra = [2_u64.to_be_bytes(), 3_u64.to_be_bytes()].concat();
        let table = [entry(&[], "1", "one"), entry(&extra, "2", "two")].concat();
        let snapshots = read(&mut Cursor::new(&table), &header(2)).unwrap();
        let told: Vec<_> =
            snapshots.iter().map(|s| (s.id.as_str(), s.name.as_str(), s.state_bytes, s.disk_bytes)).collect();
        assert_eq!(told, [("1", "one", 9, 5), ("2", "two", 2, 3)]);
        for cut in 0..table.len() - 8 {
            assert!(read(&mut Cursor::new(&table[..cut]), &header(2)).is_err(), "{cut}");
        }
    }

    #[test]
    fn what_is_promised_is_bounded() {
        assert!(read(&mut Cursor::new(&[]), &header(u32::MAX)).is_err());
        let mut table = entry(&[], "1", "one");
        table[36] = 0x80;
        assert!(matches!(read(&mut Cursor::new(&table), &header(1)), Err(ImageError::Malformed { offset: 0, .. })));
    }
}
