//! Compressed pages: of the `compress` capability, and of multifd channels.
//!
//! | compression | a payload is |
//! |---|---|
//! | `compress` | a zlib stream of one page |
//! | zlib, zstd | a part of one stream that the whole channel makes, flushed and never ended |
//! | qpl, uadk | a length for each page, then the pages: raw deflate or zlib each; one of a page's length is the page itself |
//! | qatzip | gzip members |
//!
//! Source: `docs/spec/ram.md` section A8, `docs/spec/multifd.md` section 5. Whatever a payload says, no more is made of
//! it than its pages and one octet, which tells that there would be more.

use std::io::{self, Read};

use flate2::bufread::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use vmferry_wire::multifd::Compression;
use zstd::stream::raw::{Decoder as ZstdDecoder, InBuffer, Operation, OutBuffer};

/// Why a payload could not be inflated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadPayload {
    /// It is none of its compression's.
    Damaged,
    /// It holds another number of octets than its pages have.
    OtherLength,
    /// It ends a stream that must go on.
    Ended,
}

impl BadPayload {
    pub(crate) fn text(self) -> &'static str {
        match self {
            BadPayload::Damaged => "cannot be decompressed",
            BadPayload::OtherLength => "has another length, decompressed, than its pages",
            BadPayload::Ended => "ends the compressed stream, which must go on",
        }
    }
}

/// What decompresses the payloads of one channel, in their order.
pub(crate) struct PayloadDecoder {
    method: Method,
    /// The pages, and one octet.
    pages: Vec<u8>,
}

enum Method {
    Zlib(Box<Decompress>),
    Zstd(ZstdDecoder<'static>),
    /// Page by page, behind a zlib header or not.
    Pages {
        has_header: bool,
    },
    Gzip,
}

impl PayloadDecoder {
    /// The decoder of a compression; `None` for uncompressed pages.
    pub(crate) fn of(compression: Compression) -> io::Result<Option<PayloadDecoder>> {
        let method = match compression {
            Compression::None => return Ok(None),
            Compression::Zlib => Method::Zlib(Box::new(Decompress::new(true))),
            Compression::Zstd => Method::Zstd(ZstdDecoder::new()?),
            Compression::Qpl => Method::Pages { has_header: false },
            Compression::Uadk => Method::Pages { has_header: true },
            Compression::Qatzip => Method::Gzip,
        };
        Ok(Some(PayloadDecoder { method, pages: Vec::new() }))
    }

    /// The `count` pages of a payload. Callers bound both.
    pub(crate) fn decode(&mut self, payload: &[u8], count: usize, page_bytes: usize) -> Result<&[u8], BadPayload> {
        let length = count.saturating_mul(page_bytes);
        self.pages.resize(length.saturating_add(1), 0);
        let written = match &mut self.method {
            Method::Zlib(stream) => zlib_part(stream, payload, &mut self.pages)?,
            Method::Zstd(stream) => zstd_part(stream, payload, &mut self.pages)?,
            Method::Pages { has_header } => {
                let pages = self.pages.get_mut(..length).unwrap_or_default();
                page_by_page(*has_header, payload, count, pages.chunks_exact_mut(page_bytes))?;
                length
            }
            Method::Gzip => gzip(payload, &mut self.pages)?,
        };
        if written != length {
            return Err(BadPayload::OtherLength);
        }
        Ok(self.pages.get(..length).unwrap_or_default())
    }
}

/// Inflates a zlib stream that has exactly the octets of `page`.
pub(crate) fn zlib_page(data: &[u8], page: &mut [u8]) -> Result<(), BadPayload> {
    whole(Decompress::new(true), data, page)
}

fn whole(mut stream: Decompress, data: &[u8], page: &mut [u8]) -> Result<(), BadPayload> {
    let status = stream.decompress(data, page, FlushDecompress::Finish).map_err(|_| BadPayload::Damaged)?;
    let is_exact = stream.total_out() == length(page) && stream.total_in() == length(data);
    match status {
        Status::StreamEnd if is_exact => Ok(()),
        Status::StreamEnd => Err(BadPayload::OtherLength),
        Status::Ok | Status::BufError => Err(BadPayload::Damaged),
    }
}

fn length(octets: &[u8]) -> u64 {
    u64::try_from(octets.len()).unwrap_or(u64::MAX)
}

/// Goes on with a stream over all of `payload`; returns the octets that came out.
fn zlib_part(stream: &mut Decompress, payload: &[u8], pages: &mut [u8]) -> Result<usize, BadPayload> {
    let (start_in, start_out) = (stream.total_in(), stream.total_out());
    let since = |now: u64, start: u64| usize::try_from(now.saturating_sub(start)).unwrap_or(usize::MAX);
    loop {
        let (read, written) = (since(stream.total_in(), start_in), since(stream.total_out(), start_out));
        let input = payload.get(read..).unwrap_or_default();
        let output = pages.get_mut(written..).unwrap_or_default();
        if output.is_empty() {
            return Err(BadPayload::OtherLength);
        }
        let status = stream.decompress(input, output, FlushDecompress::Sync).map_err(|_| BadPayload::Damaged)?;
        if status == Status::StreamEnd {
            return Err(BadPayload::Ended);
        }
        let now = (since(stream.total_in(), start_in), since(stream.total_out(), start_out));
        if now == (read, written) {
            return if read == payload.len() { Ok(written) } else { Err(BadPayload::Damaged) };
        }
    }
}

fn zstd_part(stream: &mut ZstdDecoder<'_>, payload: &[u8], pages: &mut [u8]) -> Result<usize, BadPayload> {
    let mut input = InBuffer::around(payload);
    let mut output = OutBuffer::around(pages);
    loop {
        let before = (input.pos(), output.pos());
        let wanted = stream.run(&mut input, &mut output).map_err(|_| BadPayload::Damaged)?;
        if wanted == 0 {
            return Err(BadPayload::Ended);
        }
        if (input.pos(), output.pos()) == before || output.pos() == output.capacity() {
            let is_read = input.pos() == payload.len();
            return if is_read { Ok(output.pos()) } else { Err(BadPayload::OtherLength) };
        }
    }
}

fn page_by_page<'a>(
    has_header: bool,
    payload: &[u8],
    count: usize,
    pages: impl Iterator<Item = &'a mut [u8]>,
) -> Result<(), BadPayload> {
    let (lengths, mut data) = payload.split_at_checked(count.saturating_mul(4)).ok_or(BadPayload::Damaged)?;
    for (length, page) in lengths.chunks_exact(4).zip(pages) {
        let length = length.iter().fold(0_usize, |word, octet| word << 8 | usize::from(*octet));
        let (own, rest) = data.split_at_checked(length).ok_or(BadPayload::Damaged)?;
        if length == page.len() {
            page.copy_from_slice(own);
        } else {
            whole(Decompress::new(has_header), own, page)?;
        }
        data = rest;
    }
    if data.is_empty() { Ok(()) } else { Err(BadPayload::OtherLength) }
}

fn gzip(payload: &[u8], pages: &mut [u8]) -> Result<usize, BadPayload> {
    let mut stream = MultiGzDecoder::new(payload);
    let mut written = 0_usize;
    loop {
        match stream.read(pages.get_mut(written..).unwrap_or_default()) {
            Ok(0) => return Ok(written),
            Ok(read) => written = written.saturating_add(read),
            Err(_) => return Err(BadPayload::Damaged),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compress, FlushCompress};
    use std::io::Write;

    const PAGE: usize = 4096;

    fn pages(seed: u8) -> Vec<u8> {
        (0..3 * PAGE).map(|i| u8::try_from(i / 7 % 251).unwrap() ^ seed).collect()
    }

    fn decoder(compression: Compression) -> PayloadDecoder {
        PayloadDecoder::of(compression).unwrap().unwrap()
    }

    fn zlib_payload(stream: &mut Compress, pages: &[u8], flush: FlushCompress) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 << 20);
        stream.compress_vec(pages, &mut out, flush).unwrap();
        out
    }

    #[test]
    fn zlib_goes_on_from_packet_to_packet_and_must_not_end() {
        let mut stream = Compress::new(flate2::Compression::fast(), true);
        let mut decoder = decoder(Compression::Zlib);
        for seed in 0..4 {
            let payload = zlib_payload(&mut stream, &pages(seed), FlushCompress::Sync);
            assert!(payload.ends_with(&[0, 0, 0xff, 0xff]));
            assert_eq!(decoder.decode(&payload, 3, PAGE), Ok(&pages(seed)[..]));
        }
        let payload = zlib_payload(&mut stream, &pages(9), FlushCompress::Finish);
        assert_eq!(decoder.decode(&payload, 3, PAGE), Err(BadPayload::Ended));
    }

    #[test]
    fn a_payload_of_more_or_fewer_pages_is_refused() {
        for wrong in [2, 4] {
            let mut stream = Compress::new(flate2::Compression::fast(), true);
            let payload = zlib_payload(&mut stream, &pages(1), FlushCompress::Sync);
            assert_eq!(decoder(Compression::Zlib).decode(&payload, wrong, PAGE), Err(BadPayload::OtherLength));
            let mut stream = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
            stream.write_all(&pages(1)).unwrap();
            stream.flush().unwrap();
            let payload = stream.get_ref().clone();
            assert_eq!(decoder(Compression::Zstd).decode(&payload, wrong, PAGE), Err(BadPayload::OtherLength));
        }
    }

    #[test]
    fn zstd_goes_on_from_packet_to_packet_and_must_not_end() {
        let mut stream = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        let mut decoder = decoder(Compression::Zstd);
        let mut sent = 0;
        for seed in 0..4 {
            stream.write_all(&pages(seed)).unwrap();
            stream.flush().unwrap();
            let payload = stream.get_ref()[sent..].to_vec();
            sent += payload.len();
            assert_eq!(decoder.decode(&payload, 3, PAGE), Ok(&pages(seed)[..]));
        }
        stream.write_all(&pages(9)).unwrap();
        let payload = stream.finish().unwrap()[sent..].to_vec();
        assert_eq!(decoder.decode(&payload, 3, PAGE), Err(BadPayload::Ended));
    }

    #[test]
    fn pages_that_are_compressed_alone_are_read() {
        for (compression, has_header) in [(Compression::Qpl, false), (Compression::Uadk, true)] {
            let pages = pages(3);
            let mut lengths = Vec::new();
            let mut data = Vec::new();
            for (i, page) in pages.chunks(PAGE).enumerate() {
                let mut stream = Compress::new(flate2::Compression::fast(), has_header);
                let own = if i == 1 { page.to_vec() } else { zlib_payload(&mut stream, page, FlushCompress::Finish) };
                lengths.extend_from_slice(&u32::try_from(own.len()).unwrap().to_be_bytes());
                data.extend(own);
            }
            let payload = [lengths, data].concat();
            assert_eq!(decoder(compression).decode(&payload, 3, PAGE), Ok(&pages[..]));
            assert!(decoder(compression).decode(&payload[..payload.len() - 1], 3, PAGE).is_err());
            assert!(decoder(compression).decode(&[&payload[..], b"x"].concat(), 3, PAGE).is_err());
        }
    }

    #[test]
    fn gzip_of_several_members_is_read() {
        let pages = pages(5);
        let mut payload = Vec::new();
        for part in pages.chunks(5000) {
            let mut stream = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            stream.write_all(part).unwrap();
            payload.extend(stream.finish().unwrap());
        }
        assert_eq!(decoder(Compression::Qatzip).decode(&payload, 3, PAGE), Ok(&pages[..]));
        assert_eq!(decoder(Compression::Qatzip).decode(&payload, 2, PAGE), Err(BadPayload::OtherLength));
    }

    #[test]
    fn a_page_of_the_old_compression_is_read_whole_or_not_at_all() {
        let page = &pages(1)[..PAGE];
        let mut stream = Compress::new(flate2::Compression::fast(), true);
        let data = zlib_payload(&mut stream, page, FlushCompress::Finish);
        let mut read = vec![0; PAGE];
        zlib_page(&data, &mut read).unwrap();
        assert_eq!(read, page);
        assert!(zlib_page(&data[..data.len() - 1], &mut read).is_err());
        assert!(zlib_page(&[&data[..], b"x"].concat(), &mut read).is_err());
        assert!(zlib_page(&data, &mut vec![0; PAGE - 1]).is_err());
        assert!(zlib_page(&data, &mut vec![0; PAGE + 1]).is_err());
        assert!(zlib_page(b"no zlib", &mut read).is_err());
    }
}
