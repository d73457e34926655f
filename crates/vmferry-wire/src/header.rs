//! The first eight octets of a stream.
//!
//! | offset | size | value | meaning |
//! |---|---|---|---|
//! | 0 | 4 | `51 45 56 4d` | magic, "QEVM" |
//! | 4 | 4 | `00 00 00 03` | version |
//!
//! Source: `docs/spec/stream.md` sections 1 and 3. Which of several connections is the main one is told from the first
//! four octets, without consuming them: [`is_main_channel`].

use crate::decode::{DecodeResult, run};
use crate::error::Reason;

/// The first word of a stream.
pub const MAGIC: u32 = 0x5145_564d;

/// The only version of the stream that is read and written.
pub const VERSION: u32 = 3;

/// The version before 2009, refused with its own message.
pub const OBSOLETE_VERSION: u32 = 2;

/// Octets of the header.
pub const HEADER_BYTES: usize = 8;

/// The header. It says nothing beyond being one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header;

impl Header {
    /// Checks the magic, then the version.
    ///
    /// # Errors
    ///
    /// [`Reason::NotAMigrationStream`], [`Reason::ObsoleteVersion`], [`Reason::UnsupportedVersion`], in this order.
    pub fn decode(input: &[u8]) -> DecodeResult<Header> {
        run(input, |c| {
            let magic = c.u32()?;
            if magic != MAGIC {
                return Err(c.refuse_back(4, Reason::NotAMigrationStream { found: magic }));
            }
            match c.u32()? {
                VERSION => Ok(Header),
                OBSOLETE_VERSION => Err(c.refuse_back(4, Reason::ObsoleteVersion)),
                found => Err(c.refuse_back(4, Reason::UnsupportedVersion { found })),
            }
        })
    }

    /// Appends the eight octets.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC.to_be_bytes());
        out.extend_from_slice(&VERSION.to_be_bytes());
    }
}

/// Whether a connection that starts with these octets is the main channel.
pub fn is_main_channel(first_octets: [u8; 4]) -> bool {
    u32::from_be_bytes(first_octets) == MAGIC
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magic_is_checked_before_the_version() {
        let error = Header::decode(b"QEVX\0\0\0\x02").unwrap_err();
        assert_eq!(error.reason(), &Reason::NotAMigrationStream { found: 0x5145_5658 });
        // Four octets suffice to refuse.
        assert!(Header::decode(b"\x7fELF").is_err());
    }

    #[test]
    fn the_obsolete_version_has_its_own_message() {
        let error = Header::decode(b"QEVM\0\0\0\x02").unwrap_err().at(0x100);
        assert_eq!(error.reason(), &Reason::ObsoleteVersion);
        assert_eq!(error.offset(), 0x104);
        assert!(error.to_string().starts_with("at offset 0x104: stream version 2 is obsolete"));
        let error = Header::decode(b"QEVM\0\0\0\x04").unwrap_err();
        assert_eq!(error.reason(), &Reason::UnsupportedVersion { found: 4 });
    }

    #[test]
    fn the_main_channel_is_known_by_its_magic() {
        assert!(is_main_channel(*b"QEVM"));
        assert!(!is_main_channel([0x11, 0x22, 0x33, 0x44]));
    }
}
