//! Decompressing the payload of a channel: one stream over all its packets, flushed at the end of each and never ended.
//!
//! Whatever a payload says, no more is made of it than its pages and one octet, which tells that there would be more.
//! Source: `docs/spec/multifd.md` section 5.

use std::io;

use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation as _, OutBuffer};

use crate::control::MultifdCompression;
use crate::memory::TARGET_PAGE;

/// Logarithm of the largest window of zstd: 32 MiB, which levels up to 20 stay within. The frame asks for it, and each
/// channel has one.
const ZSTD_WINDOW_LOG_MAX: u32 = 25;

/// Why a payload cannot be its pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadPayload(pub(super) &'static str);

const DAMAGED: BadPayload = BadPayload("is damaged");
const OTHER_LENGTH: BadPayload = BadPayload("has another length, decompressed, than its pages");
const ENDED: BadPayload = BadPayload("ends the compressed stream, which must go on");

/// The stream of one channel.
pub(super) struct Inflater {
    method: Method,
    /// The pages, and one octet.
    out: Vec<u8>,
}

enum Method {
    Zlib(Box<Decompress>),
    Zstd(Decoder<'static>),
}

impl Inflater {
    /// The stream for a compression; `None` where there is none.
    pub(super) fn of(compression: MultifdCompression) -> io::Result<Option<Self>> {
        let method = match compression {
            MultifdCompression::None => return Ok(None),
            MultifdCompression::Zlib => Method::Zlib(Box::new(Decompress::new(true))),
            MultifdCompression::Zstd => {
                let mut decoder = Decoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
                Method::Zstd(decoder)
            }
        };
        Ok(Some(Self { method, out: Vec::new() }))
    }

    /// The `pages` pages of a payload; both are bounded by the packet.
    pub(super) fn pages(&mut self, payload: &[u8], pages: usize) -> Result<&[u8], BadPayload> {
        let length = pages.saturating_mul(TARGET_PAGE);
        self.out.resize(length.saturating_add(1), 0);
        let written = match &mut self.method {
            Method::Zlib(stream) => zlib(stream, payload, &mut self.out)?,
            Method::Zstd(stream) => zstd(stream, payload, &mut self.out)?,
        };
        if written == length { Ok(self.out.get(..length).unwrap_or_default()) } else { Err(OTHER_LENGTH) }
    }
}

/// Goes on with the stream over all of `payload`; returns the octets that came out.
fn zlib(stream: &mut Decompress, payload: &[u8], out: &mut [u8]) -> Result<usize, BadPayload> {
    let since = |now: u64, start: u64| usize::try_from(now.saturating_sub(start)).unwrap_or(usize::MAX);
    let (start_in, start_out) = (stream.total_in(), stream.total_out());
    loop {
        let before = (since(stream.total_in(), start_in), since(stream.total_out(), start_out));
        let (input, room) = (payload.get(before.0..).unwrap_or_default(), out.get_mut(before.1..).unwrap_or_default());
        if room.is_empty() {
            return Err(OTHER_LENGTH);
        }
        match stream.decompress(input, room, FlushDecompress::Sync) {
            Ok(Status::Ok | Status::BufError) => {}
            Ok(Status::StreamEnd) => return Err(ENDED),
            Err(_) => return Err(DAMAGED),
        }
        let now = (since(stream.total_in(), start_in), since(stream.total_out(), start_out));
        if now == before {
            return if now.0 == payload.len() { Ok(now.1) } else { Err(DAMAGED) };
        }
    }
}

fn zstd(stream: &mut Decoder<'_>, payload: &[u8], out: &mut [u8]) -> Result<usize, BadPayload> {
    let (mut input, mut output) = (InBuffer::around(payload), OutBuffer::around(out));
    loop {
        let before = (input.pos(), output.pos());
        // 0 octets wanted: the frame is over.
        if stream.run(&mut input, &mut output).map_err(|_| DAMAGED)? == 0 {
            return Err(ENDED);
        }
        if (input.pos(), output.pos()) == before || output.pos() == output.capacity() {
            return if input.pos() == payload.len() { Ok(output.pos()) } else { Err(OTHER_LENGTH) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compress, Compression, FlushCompress};

    use super::*;

    fn pages(seed: u8) -> Vec<u8> {
        (0..3 * TARGET_PAGE).map(|i| u8::try_from(i / 7 % 251).unwrap() ^ seed).collect()
    }

    fn inflater(compression: MultifdCompression) -> Inflater {
        Inflater::of(compression).unwrap().unwrap()
    }

    fn deflated(stream: &mut Compress, octets: &[u8], flush: FlushCompress) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 << 20);
        stream.compress_vec(octets, &mut out, flush).unwrap();
        out
    }

    #[test]
    fn zlib_goes_on_from_packet_to_packet_and_must_not_end() {
        let mut stream = Compress::new(Compression::fast(), true);
        let mut inflater = inflater(MultifdCompression::Zlib);
        for seed in 0..3 {
            let payload = deflated(&mut stream, &pages(seed), FlushCompress::Sync);
            assert_eq!(inflater.pages(&payload, 3), Ok(&pages(seed)[..]));
        }
        let payload = deflated(&mut stream, &pages(9), FlushCompress::Finish);
        assert_eq!(inflater.pages(&payload, 3), Err(ENDED));
    }

    #[test]
    fn zstd_goes_on_from_packet_to_packet_and_must_not_end() {
        let mut stream = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        let mut inflater = inflater(MultifdCompression::Zstd);
        for seed in 0..3 {
            stream.write_all(&pages(seed)).unwrap();
            stream.flush().unwrap();
            let payload = std::mem::take(stream.get_mut());
            assert_eq!(inflater.pages(&payload, 3), Ok(&pages(seed)[..]));
        }
        stream.write_all(&pages(9)).unwrap();
        assert_eq!(inflater.pages(&stream.finish().unwrap(), 3), Err(ENDED));
    }

    #[test]
    fn more_or_fewer_pages_and_damage_are_refused() {
        let whole = deflated(&mut Compress::new(Compression::fast(), true), &pages(1), FlushCompress::Sync);
        for wrong in [2, 4] {
            assert_eq!(inflater(MultifdCompression::Zlib).pages(&whole, wrong), Err(OTHER_LENGTH));
        }
        for at in 0..whole.len().min(64) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x40;
            // Never more than the pages; a flip inside a literal is not to be seen.
            if let Ok(octets) = inflater(MultifdCompression::Zlib).pages(&damaged, 3) {
                assert_eq!(octets.len(), 3 * TARGET_PAGE);
            }
        }
        assert!(inflater(MultifdCompression::Zstd).pages(&whole, 3).is_err());
        // A page of zeros over and over: the output is bounded, not the compression.
        let bomb = deflated(&mut Compress::new(Compression::best(), true), &vec![0; 4 << 20], FlushCompress::Sync);
        assert!(bomb.len() < 8192);
        assert_eq!(inflater(MultifdCompression::Zlib).pages(&bomb, 128), Err(OTHER_LENGTH));
    }

    #[test]
    fn a_frame_that_asks_for_a_large_window_is_refused() {
        let mut stream = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        stream.window_log(26).unwrap();
        stream.write_all(&pages(1)).unwrap();
        stream.flush().unwrap();
        let mut inflater = inflater(MultifdCompression::Zstd);
        assert_eq!(inflater.pages(stream.get_ref(), 3), Err(DAMAGED));
    }
}
