//! Sections with records of their own, other than RAM: walked to their ends, contents skipped.
//!
//! | id string | source |
//! |---|---|
//! | `dirty-bitmap` | `docs/spec/dirty-bitmaps.md` sections 1 and 2 |
//! | `block` | `docs/spec/stream.md` section 16.1 |
//! | `s390-storage_attributes` | `docs/spec/stream.md` section 16.2 |

use crate::error::{Halt, Step, StreamFault};
use crate::reader::StreamReader;

/// Octets of a chunk of a block device.
const BLOCK_CHUNK_BYTES: u64 = 1 << 20;

/// Octets of one chunk of a bitmap: QEMU sends 1 KiB at a time.
const BITMAP_CHUNK_BYTES_LIMIT: u64 = 64 << 20;

/// Storage attributes in one record: one for each page, of at most 64 TiB of guest memory.
const ATTRIBUTE_COUNT_LIMIT: u64 = 1 << 34;

/// A format that is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnFormat {
    DirtyBitmap,
    Block,
    StorageAttributes,
}

impl OwnFormat {
    /// The format of the section of this id string.
    pub(super) fn of(idstr: &str) -> Option<OwnFormat> {
        match idstr {
            "dirty-bitmap" => Some(OwnFormat::DirtyBitmap),
            "block" => Some(OwnFormat::Block),
            "s390-storage_attributes" => Some(OwnFormat::StorageAttributes),
            _ => None,
        }
    }

    /// Walks one body to its end.
    pub(super) fn body(self, reader: &mut StreamReader<'_>) -> Step<()> {
        match self {
            OwnFormat::DirtyBitmap => dirty_bitmap(reader),
            OwnFormat::Block => block(reader),
            OwnFormat::StorageAttributes => storage_attributes(reader),
        }
    }
}

fn skip_name(reader: &mut StreamReader<'_>) -> Step<()> {
    let [length] = reader.array()?;
    reader.skip(u64::from(length))
}

fn u64_at(reader: &mut StreamReader<'_>) -> Step<u64> {
    reader.array().map(u64::from_be_bytes)
}

fn check(at: u64, what: &'static str, found: u64, max: u64) -> Step<u64> {
    if found <= max { Ok(found) } else { Err(Halt::malformed(at, StreamFault::TooLong { what, found, max })) }
}

fn dirty_bitmap(reader: &mut StreamReader<'_>) -> Step<()> {
    const EOS: u8 = 0x01;
    const ZEROES: u8 = 0x02;
    const BITMAP_NAME: u8 = 0x04;
    const DEVICE_NAME: u8 = 0x08;
    const START: u8 = 0x10;
    const COMPLETE: u8 = 0x20;
    const BITS: u8 = 0x40;
    loop {
        let at = reader.position();
        let [flags] = reader.array()?;
        if flags & DEVICE_NAME != 0 {
            skip_name(reader)?;
        }
        if flags & BITMAP_NAME != 0 {
            skip_name(reader)?;
        }
        match flags & !(DEVICE_NAME | BITMAP_NAME) {
            EOS => return Ok(()),
            START => reader.skip(5)?,
            COMPLETE => {}
            bits if bits & !ZEROES == BITS => {
                reader.skip(12)?;
                if bits & ZEROES == 0 {
                    let size = u64_at(reader)?;
                    let size = check(at, "a chunk of a dirty bitmap", size, BITMAP_CHUNK_BYTES_LIMIT)?;
                    reader.skip(size)?;
                }
            }
            _ => {
                let accepted = "one of EOS (01), START (10), COMPLETE (20), BITS (40)";
                return Err(Halt::malformed(at, StreamFault::RecordFlags { flags: u64::from(flags), accepted }));
            }
        }
    }
}

fn block(reader: &mut StreamReader<'_>) -> Step<()> {
    loop {
        let at = reader.position();
        let word = u64_at(reader)?;
        match word & 0x1ff {
            0x01 => {
                skip_name(reader)?;
                reader.skip(BLOCK_CHUNK_BYTES)?;
            }
            0x09 => skip_name(reader)?,
            0x04 => {}
            0x02 => return Ok(()),
            flags => {
                let accepted = "a chunk (01, 09), progress (04), the end (02)";
                return Err(Halt::malformed(at, StreamFault::RecordFlags { flags, accepted }));
            }
        }
    }
}

fn storage_attributes(reader: &mut StreamReader<'_>) -> Step<()> {
    loop {
        let at = reader.position();
        let word = u64_at(reader)?;
        match word & 0xfff {
            0x01 => return Ok(()),
            0x02 => {
                let count = u64_at(reader)?;
                let count = check(at, "storage attributes", count, ATTRIBUTE_COUNT_LIMIT)?;
                reader.skip(count)?;
            }
            0x04 => return Err(Halt::malformed(at, StreamFault::SourceFailed)),
            0x08 => {}
            flags => {
                let accepted = "the end (01), attributes (02), failure (04), everything sent (08)";
                return Err(Halt::malformed(at, StreamFault::RecordFlags { flags, accepted }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::Input;

    /// Octets that the body takes, or the fault.
    fn walk(format: OwnFormat, octets: &[u8]) -> Result<u64, Halt> {
        let mut progress = ();
        let mut reader = StreamReader::new(Input::Pipe(Box::new(octets)), &mut progress);
        format.body(&mut reader).map(|()| reader.position())
    }

    #[test]
    fn a_dirty_bitmap_section_is_walked() {
        let start = b"\x1c\x05drive\x03map\0\x01\0\0\x01\x01";
        assert_eq!(walk(OwnFormat::DirtyBitmap, start).unwrap(), 17);
        let bits =
            [&b"\x40"[..], &[0; 12], &32_u64.to_be_bytes(), &[0xff; 32], b"\x42", &[0; 12], b"\x20\x01"].concat();
        assert_eq!(walk(OwnFormat::DirtyBitmap, &bits).unwrap(), bits.len() as u64);
        for flags in [0x00, 0x30, 0x80, 0x41] {
            assert!(matches!(walk(OwnFormat::DirtyBitmap, &[flags, 0, 0]), Err(Halt::Malformed { .. })));
        }
    }

    #[test]
    fn a_block_section_is_walked() {
        let mut octets = b"\0\0\0\0\0\0\0\x04\0\0\0\0\0\x10\0\x01\x02hd".to_vec();
        octets.resize(octets.len() + (1 << 20), 0x55);
        octets.extend_from_slice(b"\0\0\0\0\0\x10\0\x09\x02hd\0\0\0\0\0\0\0\x02");
        assert_eq!(walk(OwnFormat::Block, &octets).unwrap(), octets.len() as u64);
        assert!(matches!(walk(OwnFormat::Block, b"\0\0\0\0\0\0\0\x08"), Err(Halt::Malformed { .. })));
        octets.truncate(1000);
        assert!(matches!(walk(OwnFormat::Block, &octets), Err(Halt::Truncated { offset: 1000 })));
    }

    #[test]
    fn storage_attributes_are_walked() {
        let octets = b"\0\0\0\0\0\0\x10\x02\0\0\0\0\0\0\0\x02\x01\x02\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\x01";
        assert_eq!(walk(OwnFormat::StorageAttributes, octets).unwrap(), octets.len() as u64);
        assert!(walk(OwnFormat::StorageAttributes, b"\0\0\0\0\0\0\0\x04").is_err());
        assert!(walk(OwnFormat::StorageAttributes, b"\0\0\0\0\0\0\x10\x02\xff\0\0\0\0\0\0\0").is_err());
    }
}
