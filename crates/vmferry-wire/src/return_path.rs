//! The return path: messages from the destination to the source, on the main channel's other direction.
//!
//! | type | name | length | payload |
//! |---|---|---|---|
//! | 1 | SHUT | 4 | u32: 0 = success |
//! | 2 | PONG | 4 | u32 echoed |
//! | 3 | REQ_PAGES_ID | 13 + n | u64 start, u32 length, u8 n, n octets block name |
//! | 4 | REQ_PAGES | 12 | u64 start, u32 length; the block of the previous request |
//! | 5 | RECV_BITMAP | 1 + n | u8 n, name; outside the length: u64 size, size octets, u64 `0123456789abcdef` |
//! | 6 | RESUME_ACK | 4 | u32 = 1 |
//! | 7 | SWITCHOVER_ACK | 0 | |
//!
//! Each is `u16` type, `u16` length, payload. The ID form of a request has the lower number. Source:
//! `docs/spec/postcopy.md` section 2.

use crate::decode::{DecodeResult, run};
use crate::error::Reason;
use crate::limits::RETURN_PATH_PAYLOAD_LIMIT;
use crate::name::Name;

/// The word behind the bitmap that follows a RECV_BITMAP message.
pub const RECV_BITMAP_END: u64 = 0x0123_4567_89ab_cdef;

/// The value of a RESUME_ACK.
pub const RESUME_ACK_VALUE: u32 = 1;

/// Octets of a message before its payload.
pub const MESSAGE_HEADER_BYTES: usize = 4;

/// A message of the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReturnPathMessage {
    /// The load is over: 0 if it succeeded.
    Shut(u32),
    /// The value of a PING.
    Pong(u32),
    /// Asks for a page that the guest touched. Alignment and range are checked by whoever has the block.
    ReqPages {
        /// Offset in the block, in bytes.
        start: u64,
        /// Bytes wanted: one page of the block's own size.
        length: u32,
        /// The block; `None` means that of the previous request.
        block: Option<Name>,
    },
    /// Is followed by the bitmap of received pages, outside the message.
    RecvBitmap {
        /// The block.
        block: Name,
    },
    /// The destination is ready to go on with a broken postcopy.
    ResumeAck,
    /// The destination is ready for the guest to stop.
    SwitchoverAck,
}

impl ReturnPathMessage {
    /// The number on the wire.
    pub fn number(&self) -> u16 {
        match self {
            ReturnPathMessage::Shut(_) => 1,
            ReturnPathMessage::Pong(_) => 2,
            ReturnPathMessage::ReqPages { block: Some(_), .. } => 3,
            ReturnPathMessage::ReqPages { block: None, .. } => 4,
            ReturnPathMessage::RecvBitmap { .. } => 5,
            ReturnPathMessage::ResumeAck => 6,
            ReturnPathMessage::SwitchoverAck => 7,
        }
    }

    /// QEMU's name.
    pub fn name(&self) -> &'static str {
        match self {
            ReturnPathMessage::Shut(_) => "SHUT",
            ReturnPathMessage::Pong(_) => "PONG",
            ReturnPathMessage::ReqPages { block: Some(_), .. } => "REQ_PAGES_ID",
            ReturnPathMessage::ReqPages { block: None, .. } => "REQ_PAGES",
            ReturnPathMessage::RecvBitmap { .. } => "RECV_BITMAP",
            ReturnPathMessage::ResumeAck => "RESUME_ACK",
            ReturnPathMessage::SwitchoverAck => "SWITCHOVER_ACK",
        }
    }

    /// Decodes one message. At most 4 + [`RETURN_PATH_PAYLOAD_LIMIT`] octets are ever asked for.
    ///
    /// # Errors
    ///
    /// An unknown type, a payload over 512 octets or of the wrong length, a malformed name, a RESUME_ACK other than 1.
    pub fn decode(input: &[u8]) -> DecodeResult<ReturnPathMessage> {
        run(input, |c| {
            let number = c.u16()?;
            if !(1..=7).contains(&number) {
                return Err(c.refuse_back(2, Reason::UnknownMessage { found: number }));
            }
            let length = c.u16()?;
            let (what, least, accepted) = match number {
                1 => ("SHUT", 4, "4"),
                2 => ("PONG", 4, "4"),
                3 => ("REQ_PAGES_ID", 14, "13 + the length of the block's name, up to 512"),
                4 => ("REQ_PAGES", 12, "12"),
                5 => ("RECV_BITMAP", 2, "1 + the length of the block's name, up to 512"),
                6 => ("RESUME_ACK", 4, "4"),
                _ => ("SWITCHOVER_ACK", 0, "0"),
            };
            let before = *c;
            let bad_length = || before.refuse_back(2, Reason::BadLength { what, found: u64::from(length), accepted });
            let is_named = matches!(number, 3 | 5);
            if length > RETURN_PATH_PAYLOAD_LIMIT || length < least || (!is_named && length != least) {
                return Err(bad_length());
            }
            let message = match number {
                1 => ReturnPathMessage::Shut(c.u32()?),
                2 => ReturnPathMessage::Pong(c.u32()?),
                3 => {
                    ReturnPathMessage::ReqPages { start: c.u64()?, length: c.u32()?, block: Some(c.name("RAM block")?) }
                }
                4 => ReturnPathMessage::ReqPages { start: c.u64()?, length: c.u32()?, block: None },
                5 => ReturnPathMessage::RecvBitmap { block: c.name("RAM block")? },
                6 => {
                    let value = c.u32()?;
                    c.expect("the value of RESUME_ACK", u64::from(value), u64::from(RESUME_ACK_VALUE), 4)?;
                    ReturnPathMessage::ResumeAck
                }
                _ => ReturnPathMessage::SwitchoverAck,
            };
            if c.position().saturating_sub(before.position()) != usize::from(length) {
                return Err(bad_length());
            }
            Ok(message)
        })
    }

    /// Appends type, length and payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let name_octets = |name: &Name| u16::try_from(name.len()).unwrap_or(u16::MAX);
        let length = match self {
            ReturnPathMessage::Shut(_) | ReturnPathMessage::Pong(_) | ReturnPathMessage::ResumeAck => 4,
            ReturnPathMessage::ReqPages { block: Some(block), .. } => name_octets(block).saturating_add(13),
            ReturnPathMessage::ReqPages { block: None, .. } => 12,
            ReturnPathMessage::RecvBitmap { block } => name_octets(block).saturating_add(1),
            ReturnPathMessage::SwitchoverAck => 0,
        };
        out.extend_from_slice(&self.number().to_be_bytes());
        out.extend_from_slice(&length.to_be_bytes());
        match self {
            ReturnPathMessage::Shut(value) | ReturnPathMessage::Pong(value) => {
                out.extend_from_slice(&value.to_be_bytes());
            }
            ReturnPathMessage::ReqPages { start, length, block } => {
                out.extend_from_slice(&start.to_be_bytes());
                out.extend_from_slice(&length.to_be_bytes());
                if let Some(block) = block {
                    block.encode(out);
                }
            }
            ReturnPathMessage::RecvBitmap { block } => block.encode(out),
            ReturnPathMessage::ResumeAck => out.extend_from_slice(&RESUME_ACK_VALUE.to_be_bytes()),
            ReturnPathMessage::SwitchoverAck => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_form_of_a_request_has_the_lower_number() {
        let block = Some(Name::new("pc.ram", "RAM block").unwrap());
        let message = ReturnPathMessage::ReqPages { start: 0x1000, length: 0x1000, block };
        let mut out = Vec::new();
        message.encode(&mut out);
        assert_eq!(out, b"\0\x03\0\x13\0\0\0\0\0\0\x10\0\0\0\x10\0\x06pc.ram");
        assert_eq!(ReturnPathMessage::decode(&out).unwrap().complete().unwrap(), (message, out.len()));
    }

    #[test]
    fn types_0_and_8_are_refused() {
        for number in [0, 8, 0xff] {
            let error = ReturnPathMessage::decode(&[0, number]).unwrap_err();
            assert_eq!(error.reason(), &Reason::UnknownMessage { found: u16::from(number) });
        }
    }

    #[test]
    fn a_payload_over_512_octets_is_refused_before_it_arrives() {
        for number in 1..=7 {
            let error = ReturnPathMessage::decode(&[0, number, 0x02, 0x01]).unwrap_err();
            assert!(matches!(error.reason(), Reason::BadLength { found: 513, .. }), "{error}");
        }
    }

    #[test]
    fn a_name_that_does_not_fill_the_length_is_refused() {
        let error = ReturnPathMessage::decode(b"\0\x05\0\x05\x03ram\0").unwrap_err();
        assert!(matches!(error.reason(), Reason::BadLength { found: 5, .. }));
    }

    #[test]
    fn a_resume_ack_is_1() {
        assert!(ReturnPathMessage::decode(b"\0\x06\0\x04\0\0\0\0").is_err());
        assert!(ReturnPathMessage::decode(b"\0\x06\0\x04\0\0\0\x01").is_ok());
    }
}
