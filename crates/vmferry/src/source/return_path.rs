//! The source's ear: a thread that reads the return path and tells what it hears.

use std::sync::mpsc::Sender;

use vmferry_wire::Decoded;
use vmferry_wire::return_path::ReturnPathMessage;

use crate::channel::Channel;
use crate::protocol::handover::decode_reason;
use crate::protocol::source::SourceEvent;

/// Largest message: header and limit of the payload, and as much again to read into.
const BUFFER_BYTES: usize = 2048;

/// Most messages of one migration. A destination answers the few pings of a source, names a reason, and says SHUT;
/// whoever sends more would only fill the memory of a source that is busy with sending.
const MESSAGES_LIMIT: usize = 64;

/// What the ear hears.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A message that moves the protocol.
    Event(SourceEvent),
    /// The destination's words on why it failed.
    Reason(String),
    /// A message that has no place in a precopy migration, or is none.
    Violation(String),
}

/// Reads until the peer closes, breaks the rules, or nobody listens any more.
pub(crate) fn listen(channel: &Channel, tell: &Sender<Heard>) {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    let mut messages = 0..MESSAGES_LIMIT;
    loop {
        let message = next_message(&mut buffer).and_then(|message| match message {
            Some(_) if messages.next().is_none() => {
                Err(format!("the destination sent more than {MESSAGES_LIMIT} messages, most of them to nothing"))
            }
            other => Ok(other),
        });
        match message {
            Ok(Some(heard)) => {
                if tell.send(heard).is_err() {
                    return;
                }
                continue;
            }
            Ok(None) => {}
            Err(violation) => {
                let _ = tell.send(Heard::Violation(violation));
                let _ = tell.send(Heard::Event(SourceEvent::ReturnPathClosed));
                // The source may wait in a write that such a peer never reads.
                channel.shut_down();
                return;
            }
        }
        let mut chunk = [0; BUFFER_BYTES / 2];
        match channel.read(&mut chunk) {
            Ok(0) | Err(_) => {
                let _ = tell.send(Heard::Event(SourceEvent::ReturnPathClosed));
                return;
            }
            Ok(read) => buffer.extend_from_slice(chunk.get(..read).unwrap_or_default()),
        }
    }
}

/// Takes the first whole message off `buffer`; `Ok(None)` if there is none yet.
fn next_message(buffer: &mut Vec<u8>) -> Result<Option<Heard>, String> {
    if let Some((reason, used)) = decode_reason(buffer) {
        buffer.drain(..used);
        return Ok(Some(Heard::Reason(reason)));
    }
    if is_partial_reason(buffer) {
        return Ok(None);
    }
    match ReturnPathMessage::decode(buffer) {
        Ok(Decoded::NeedMore { .. }) => Ok(None),
        Ok(Decoded::Complete { value, used }) => {
            buffer.drain(..used);
            match value {
                ReturnPathMessage::Pong(value) => Ok(Some(Heard::Event(SourceEvent::Pong(value)))),
                ReturnPathMessage::Shut(value) => Ok(Some(Heard::Event(SourceEvent::Shut(value)))),
                // An early QEMU sends it unasked when the capability is on there; it changes nothing.
                ReturnPathMessage::SwitchoverAck => Ok(Some(Heard::Event(SourceEvent::Pong(0)))),
                other => Err(format!("the destination sent {} in a precopy migration", other.name())),
            }
        }
        Err(error) => Err(format!("the return path breaks its rules: {error}")),
    }
}

/// Whether `buffer` starts like a reason whose rest is under way.
fn is_partial_reason(buffer: &[u8]) -> bool {
    let kind = crate::protocol::handover::REASON_TYPE.to_be_bytes();
    match buffer {
        [] => false,
        [first] => *first == kind[0],
        [first, second, rest @ ..] => {
            let length = match rest {
                [l0, l1, ..] => u16::from_be_bytes([*l0, *l1]),
                _ => 0,
            };
            [*first, *second] == kind && length <= vmferry_wire::limits::RETURN_PATH_PAYLOAD_LIMIT
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::handover::{LOADED, encode_reason};

    #[test]
    fn messages_are_told_apart_at_every_cut() {
        let mut octets = Vec::new();
        ReturnPathMessage::Pong(1).encode(&mut octets);
        octets.extend_from_slice(&encode_reason("no room"));
        ReturnPathMessage::Pong(LOADED).encode(&mut octets);
        ReturnPathMessage::Shut(1).encode(&mut octets);
        for cut in 0..octets.len() {
            let mut buffer = octets[..cut].to_vec();
            let mut heard = Vec::new();
            for rest in [&octets[cut..], &[]] {
                while let Some(message) = next_message(&mut buffer).unwrap() {
                    heard.push(format!("{message:?}"));
                }
                buffer.extend_from_slice(rest);
            }
            let expected = ["Event(Pong(1))", "Reason(\"no room\")", "Event(Pong(1717924482))", "Event(Shut(1))"];
            assert_eq!(heard, expected, "cut at {cut}");
        }
    }

    #[test]
    fn a_page_request_is_no_precopy_message() {
        let mut buffer = Vec::new();
        ReturnPathMessage::ReqPages { start: 0, length: 4096, block: None }.encode(&mut buffer);
        assert!(next_message(&mut buffer).unwrap_err().contains("REQ_PAGES"));
    }
}
