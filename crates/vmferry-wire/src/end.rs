//! Behind the end of a stream: the description's frame.
//!
//! ```text
//! vmdescription = 06 u32:length length*OCTET          ; JSON text, no NUL
//! ```
//!
//! The `00` of the end alone proves that a stream is complete; what follows never makes a load fail in QEMU. Source:
//! `docs/spec/stream.md` section 7. The text is read and written by [`description`](crate::description).

use crate::decode::{DecodeResult, run};
use crate::section::VMDESCRIPTION;

/// Octets of the description's frame before its text.
pub const DESCRIPTION_HEADER_BYTES: usize = 5;

/// What stands behind the end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trailer {
    /// A description of `length` octets follows. Meet
    /// [`DESCRIPTION_BYTES_LIMIT`](crate::limits::DESCRIPTION_BYTES_LIMIT) before keeping them.
    Description {
        /// Octets of the text.
        length: u32,
    },
    /// Something else, which is to be ignored.
    Other {
        /// The octet in the place of `06`.
        found: u8,
    },
}

impl Trailer {
    /// Decodes what follows the end. No input at all is a stream without description; the caller knows that it is at
    /// the end of its input.
    ///
    /// # Errors
    ///
    /// None: nothing here can refuse a stream that has ended.
    pub fn decode(input: &[u8]) -> DecodeResult<Trailer> {
        run(input, |c| {
            Ok(match c.u8()? {
                VMDESCRIPTION => Trailer::Description { length: c.u32()? },
                found => Trailer::Other { found },
            })
        })
    }

    /// Appends a description's frame around `text`.
    ///
    /// # Panics
    ///
    /// If the text passes QEMU's limit of 2^31 - 1 octets.
    pub fn encode_description(text: &str, out: &mut Vec<u8>) {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        assert!(length < 1 << 31, "a description of {} octets", text.len());
        out.push(VMDESCRIPTION);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_of_the_annotated_stream_is_read() {
        // docs/spec/stream.md section 12, offset 0x105.
        let (trailer, used) = Trailer::decode(b"\x06\0\0\x03\x37{").unwrap().complete().unwrap();
        assert_eq!((trailer, used), (Trailer::Description { length: 823 }, DESCRIPTION_HEADER_BYTES));
    }

    #[test]
    fn anything_else_is_not_a_description_and_not_an_error() {
        let (trailer, used) = Trailer::decode(b"\xff").unwrap().complete().unwrap();
        assert_eq!((trailer, used), (Trailer::Other { found: 0xff }, 1));
    }
}
