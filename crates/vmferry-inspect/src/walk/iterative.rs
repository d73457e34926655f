//! Sections with records of their own, other than RAM and `dirty-bitmap`: walked to their ends, contents skipped.
//!
//! | id string | source |
//! |---|---|
//! | `block` | `docs/spec/stream.md` section 16.1 |
//! | `s390-storage_attributes` | `docs/spec/stream.md` section 16.2 |

use crate::error::{Halt, Step, StreamFault};
use crate::reader::StreamReader;

/// Octets of a chunk of a block device.
const BLOCK_CHUNK_BYTES: u64 = 1 << 20;

/// Storage attributes in one record: one for each page, of at most 64 TiB of guest memory.
const ATTRIBUTE_COUNT_LIMIT: u64 = 1 << 34;

/// A format that is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnFormat {
    Block,
    StorageAttributes,
}

impl OwnFormat {
    /// The format of the section of this id string.
    pub(crate) fn of(idstr: &str) -> Option<OwnFormat> {
        match idstr {
            "block" => Some(OwnFormat::Block),
            "s390-storage_attributes" => Some(OwnFormat::StorageAttributes),
            _ => None,
        }
    }

    /// Walks one body to its end.
    pub(crate) fn body(self, reader: &mut StreamReader<'_>) -> Step<()> {
        match self {
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
