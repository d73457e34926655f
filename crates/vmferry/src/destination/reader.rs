//! The destination's reader: elements of the stream, and the window that sections and pages are read from.

use std::error::Error as StdError;
use std::sync::Arc;

use vmferry_wire::{DecodeResult, Decoded};
use vmstate::input::Refill;
use vmstate::{Input, Reason};

use crate::channel::{Channel, Transport};
use crate::error::{Attribute as _, Error, ErrorKind, Side};

/// Bytes of the window: large enough that a read system call carries dozens of pages, small enough for the cache.
const WINDOW_BYTES: usize = 256 << 10;

/// Reads from a channel, of which the first octets may have been read before.
struct FromChannel {
    channel: Arc<Channel>,
    prefix: Vec<u8>,
}

impl Refill for FromChannel {
    fn refill(&mut self, buffer: &mut [u8]) -> Result<usize, Box<dyn StdError + Send + Sync>> {
        if !self.prefix.is_empty() {
            let count = self.prefix.len().min(buffer.len());
            for (place, octet) in buffer.iter_mut().zip(self.prefix.drain(..count)) {
                *place = octet;
            }
            return Ok(count);
        }
        Ok(self.channel.read(buffer)?)
    }

    fn pass_over(&mut self, octets: u64) -> Result<u64, Box<dyn StdError + Send + Sync>> {
        if self.channel.transport() != Transport::File || !self.prefix.is_empty() {
            return Ok(0);
        }
        let here = self.channel.position()?;
        let passed = octets.min(self.channel.file_bytes()?.saturating_sub(here));
        self.channel.seek(here.saturating_add(passed))?;
        Ok(passed)
    }
}

/// A reader of the stream that is `prefix` and what `channel` has.
pub(super) fn open(channel: Arc<Channel>, prefix: Vec<u8>) -> Input<'static> {
    Input::new(FromChannel { channel, prefix }, WINDOW_BYTES)
}

/// Decodes the next element and moves over it.
///
/// # Errors
///
/// The element is malformed, or the stream ends inside it.
pub(super) fn next<T>(input: &mut Input<'_>, decode: impl Fn(&[u8]) -> DecodeResult<T>) -> Result<T, Error> {
    let offset = input.offset();
    let mut wanted = 1;
    loop {
        let octets = input.peek(wanted).map_err(|error| read_error(error, offset))?;
        if octets.len() < wanted {
            return Err(Error::new(Side::Destination, ErrorKind::Truncated { offset }));
        }
        match decode(octets).map_err(|error| error.at(offset)).at(Side::Destination)? {
            Decoded::Complete { value, used } => {
                input.consume(used);
                return Ok(value);
            }
            Decoded::NeedMore { total } => wanted = total.max(wanted + 1),
        }
    }
}

/// A cancellation that comes up through a decoder is a cancellation.
pub(super) fn read_error(error: vmstate::LoadError, offset: u64) -> Error {
    if let Reason::Source(source) = error.reason()
        && let Some(io) = source.downcast_ref::<std::io::Error>()
    {
        return io_error(io, offset);
    }
    if let Reason::EndOfInput { .. } = error.reason() {
        tracing::debug!(%error, "the stream ends inside an element");
    }
    Error::new(Side::Destination, ErrorKind::Load(error))
}

/// The channel failed at `offset`.
#[cold]
pub(super) fn io_error(error: &std::io::Error, offset: u64) -> Error {
    if crate::channel::interrupt::is_cancellation(error) {
        return Error::new(Side::Destination, ErrorKind::Cancelled);
    }
    let source = std::io::Error::new(error.kind(), format!("{error} (at byte {offset:#x})"));
    Error::new(Side::Destination, ErrorKind::Io { what: "reading the stream", source })
}

/// What is at `offset` does not fit this machine.
#[cold]
pub(super) fn mismatch(
    offset: u64,
    what: &'static str,
    found: impl Into<String>,
    accepted: impl Into<String>,
) -> Error {
    let (found, accepted) = (found.into(), accepted.into());
    Error::new(Side::Destination, ErrorKind::Mismatch { offset, what, found, accepted })
}
