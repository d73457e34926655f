//! The words of the hand-over between our own ends.
//!
//! | direction | message | value | meaning |
//! |---|---|---|---|
//! | S → D | PING | [`HELLO`] | do you speak this? |
//! | D → S | PONG | [`HELLO_ACK`] | yes; a QEMU echoes [`HELLO`] instead |
//! | D → S | PONG | [`LOADED`] | everything is loaded, the guest stands still here |
//! | S → D | PING | [`RUN`] | the guest is yours: start it |
//! | S → D (a QEMU) | PING | [`CONFIRM`] | behind the devices: its echo says that they are loaded |
//! | S → D | PING | [`ABORT`] | the source keeps the guest: forget what was loaded |
//! | D → S | type [`REASON_TYPE`] | text | why the load failed; SHUT 1 follows |
//!
//! A QEMU that refuses a device ends without a word up to 7.2, and it starts the guest as soon as it has read the end
//! mark. So the end mark is only sent once [`CONFIRM`] came back: whatever fails before leaves the guest at the source.
//!
//! The last one of the table is a message type that QEMU does not know; it is only sent once HELLO was received.

use vmferry_wire::limits::RETURN_PATH_PAYLOAD_LIMIT;

/// Opens the hand-over protocol, version 1.
pub const HELLO: u32 = 0x6665_7201;
/// Answers [`HELLO`].
pub const HELLO_ACK: u32 = 0x6665_7281;
/// Everything is loaded.
pub const LOADED: u32 = 0x6665_7282;
/// Start the guest.
pub const RUN: u32 = 0x6665_7203;
/// Drop the guest.
pub const ABORT: u32 = 0x6665_7204;
/// Asks a QEMU, which answers in the order of the stream, whether it got so far.
pub const CONFIRM: u32 = 0x6665_7205;
/// Return-path message type of a reason in UTF-8, 0 to [`RETURN_PATH_PAYLOAD_LIMIT`] octets.
pub const REASON_TYPE: u16 = 0x6665;

/// Encodes a reason, cut to what a message may hold.
#[must_use]
pub fn encode_reason(text: &str) -> Vec<u8> {
    let mut end = text.len().min(usize::from(RETURN_PATH_PAYLOAD_LIMIT));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = text.get(..end).unwrap_or_default();
    let length = u16::try_from(text.len()).unwrap_or(RETURN_PATH_PAYLOAD_LIMIT);
    let mut message = Vec::with_capacity(4 + text.len());
    message.extend_from_slice(&REASON_TYPE.to_be_bytes());
    message.extend_from_slice(&length.to_be_bytes());
    message.extend_from_slice(text.as_bytes());
    message
}

/// Decodes a reason from the start of `input`: the text and the octets it took, with control characters replaced, since
/// it ends up on a terminal. `None` if `input` starts with another message or holds less than a whole one.
#[must_use]
pub fn decode_reason(input: &[u8]) -> Option<(String, usize)> {
    let (head, rest) = input.split_first_chunk::<4>()?;
    let [t0, t1, l0, l1] = *head;
    let length = u16::from_be_bytes([l0, l1]);
    if u16::from_be_bytes([t0, t1]) != REASON_TYPE || length > RETURN_PATH_PAYLOAD_LIMIT {
        return None;
    }
    let text = rest.get(..usize::from(length))?;
    let text = String::from_utf8_lossy(text).chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    Some((text, head.len() + usize::from(length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_survives_the_way_and_is_cut_to_the_limit() {
        let long = "ä".repeat(400);
        let message = encode_reason(&long);
        assert!(message.len() <= 4 + usize::from(RETURN_PATH_PAYLOAD_LIMIT));
        let (text, used) = decode_reason(&message).unwrap();
        assert_eq!((text.chars().count(), used), (256, message.len()));
        assert_eq!(decode_reason(&message[..20]), None, "a part of it is not taken for the whole");
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        let (text, _) = decode_reason(&encode_reason("a\x1b[31m")).unwrap();
        assert_eq!(text, "a\u{fffd}[31m");
    }
}
