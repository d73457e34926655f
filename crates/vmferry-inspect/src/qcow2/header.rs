//! The header of an image.
//!
//! | octets | meaning |
//! |---|---|
//! | 0..4 | magic `QFI\xfb` |
//! | 4..8 | version, 2 or 3 |
//! | 20..24 | bits of a cluster, 9 to 21 |
//! | 24..32 | length of the disk |
//! | 32..36 | encryption, 0 for none |
//! | 60..64 | number of snapshots |
//! | 64..72 | position of the table of snapshots |
//! | 72..80 | version 3: features that a reader must know: 0x01 dirty, 0x02 corrupt, 0x04 external data, 0x08 another compression, 0x10 extended L2 entries |

use crate::qcow2::{ImageError, MAGIC, read_at};
use crate::source::ReadSeek;

/// Octets of the header that matter here, in version 3.
const HEADER_BYTES: usize = 80;

const EXTERNAL_DATA: u64 = 0x04;
const EXTENDED_L2: u64 = 0x10;
/// Features that do not change where uncompressed clusters are, and [`EXTENDED_L2`].
const KNOWN_FEATURES: u64 = 0x01 | 0x02 | 0x08 | EXTENDED_L2;

/// What the header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) cluster_bits: u32,
    pub(super) disk_bytes: u64,
    pub(super) has_extended_l2: bool,
    pub(super) snapshot_count: u32,
    pub(super) snapshots_offset: u64,
}

impl Header {
    pub(super) fn read(file: &mut dyn ReadSeek) -> Result<Header, ImageError> {
        let mut octets = [0; HEADER_BYTES];
        let (version_2, version_3) = octets.split_at_mut(72);
        read_at(file, 0, version_2)?;
        if !version_2.starts_with(&MAGIC) {
            return Err(ImageError::malformed(0, "no qcow2 image"));
        }
        match word(version_2, 4) {
            2 => {}
            3 => read_at(file, 72, version_3)?,
            version => return Err(ImageError::malformed(4, format!("version {version}, 2 and 3 are read"))),
        }
        Header::decode(&octets)
    }

    fn decode(octets: &[u8; HEADER_BYTES]) -> Result<Header, ImageError> {
        let cluster_bits = word(octets, 20);
        if !(9..=21).contains(&cluster_bits) {
            return Err(ImageError::malformed(
                20,
                format!("clusters of 2^{cluster_bits} octets, 2^9 to 2^21 are read"),
            ));
        }
        if word(octets, 32) != 0 {
            return Err(ImageError::malformed(32, "the image is encrypted, which is not read"));
        }
        let features = long(octets, 72);
        if features & EXTERNAL_DATA != 0 {
            return Err(ImageError::malformed(72, "its clusters are in an external data file, which is not read"));
        }
        if features & !KNOWN_FEATURES != 0 {
            let unknown = features & !KNOWN_FEATURES;
            return Err(ImageError::malformed(72, format!("features 0x{unknown:x} are not known")));
        }
        let disk_bytes = long(octets, 24);
        if disk_bytes > 1 << 62 {
            return Err(ImageError::malformed(24, format!("a disk of {disk_bytes} octets, up to 2^62 are read")));
        }
        Ok(Header {
            cluster_bits,
            disk_bytes,
            has_extended_l2: features & EXTENDED_L2 != 0,
            snapshot_count: word(octets, 60),
            snapshots_offset: long(octets, 64),
        })
    }

    /// Octets of a cluster.
    pub(super) fn cluster_bytes(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Octets of an L2 entry.
    pub(super) fn l2_entry_bytes(&self) -> u64 {
        if self.has_extended_l2 { 16 } else { 8 }
    }

    /// Bits of the octets that one L2 table describes.
    pub(super) fn l1_shift(&self) -> u32 {
        self.cluster_bits.saturating_mul(2).saturating_sub(self.l2_entry_bytes().trailing_zeros())
    }
}

pub(super) fn word(octets: &[u8], at: usize) -> u32 {
    octets.get(at..).and_then(<[u8]>::first_chunk).copied().map_or(0, u32::from_be_bytes)
}

pub(super) fn long(octets: &[u8], at: usize) -> u64 {
    octets.get(at..).and_then(<[u8]>::first_chunk).copied().map_or(0, u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn octets(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
        let mut octets = vec![0; HEADER_BYTES];
        octets[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
        octets[23] = 16;
        octets[31] = 7;
        change(&mut octets);
        octets
    }

    fn read(octets: &[u8]) -> Result<Header, ImageError> {
        Header::read(&mut Cursor::new(octets))
    }

    #[test]
    fn a_header_of_either_version_is_read() {
        let header = read(&octets(|_| {})).unwrap();
        assert_eq!((header.cluster_bytes(), header.disk_bytes, header.l1_shift()), (65536, 7, 29));
        let extended = read(&octets(|octets| octets[79] = 0x10)).unwrap();
        assert_eq!((extended.has_extended_l2, extended.l1_shift()), (true, 28));
        let old = octets(|octets| octets[7] = 2);
        assert!(read(&old[..72]).is_ok(), "version 2 is shorter");
        assert!(read(&octets(|_| {})[..72]).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_place() {
        for (at, value) in [(0, 1), (7, 4), (23, 8), (23, 22), (35, 1), (79, 0x04), (79, 0x20), (24, 0x80)] {
            let error = read(&octets(|octets| octets[at] = value)).unwrap_err();
            let ImageError::Malformed { offset, .. } = error else { panic!("{error}") };
            assert!(offset <= at as u64 && at as u64 <= offset + 7, "{at}: {offset}");
        }
    }
}
