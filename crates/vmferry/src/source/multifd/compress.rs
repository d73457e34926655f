//! Compressing the payload of a channel: one stream over all its packets, flushed at the end of each.
//!
//! Guest memory changes while it is sent, which zlib has no answer to; so pages are copied first. Source:
//! `docs/spec/multifd.md` section 5.

use std::io;

use flate2::{Compress, Compression as Level, FlushCompress, Status};
use vm_memory::VolatileSlice;
use vmferry_wire::limits::MULTIFD_COMPRESSED_BYTES_LIMIT;
use vmferry_wire::multifd::Compression;
use zstd::stream::raw::{Encoder, InBuffer, Operation as _, OutBuffer};

use crate::control::{MultifdCompression, MultifdParameters};
use crate::memory::TARGET_PAGE;

/// The stream of one channel.
pub(super) struct Compressor {
    method: Method,
    page: [u8; TARGET_PAGE],
    out: Vec<u8>,
}

enum Method {
    Zlib(Box<Compress>),
    Zstd(Encoder<'static>),
}

impl Compressor {
    /// The compressor that the parameters ask for, if any.
    pub(super) fn of(parameters: MultifdParameters) -> io::Result<Option<Self>> {
        let method = match parameters.compression {
            MultifdCompression::None => return Ok(None),
            MultifdCompression::Zlib => {
                Method::Zlib(Box::new(Compress::new(Level::new(u32::from(parameters.zlib_level)), true)))
            }
            MultifdCompression::Zstd => Method::Zstd(Encoder::new(i32::from(parameters.zstd_level))?),
        };
        // What a packet may have: 512 KiB of pages need little more than that at worst.
        let limit = usize::try_from(MULTIFD_COMPRESSED_BYTES_LIMIT).unwrap_or(usize::MAX);
        Ok(Some(Self { method, page: [0; TARGET_PAGE], out: vec![0; limit] }))
    }

    /// What the packets say.
    pub(super) fn kind(&self) -> Compression {
        match self.method {
            Method::Zlib(_) => Compression::Zlib,
            Method::Zstd(_) => Compression::Zstd,
        }
    }

    /// The payload that holds `pages`.
    ///
    /// # Errors
    ///
    /// It is longer than a packet may have, which no compression comes to.
    pub(super) fn payload<'a>(
        &mut self,
        pages: impl Iterator<Item = io::Result<VolatileSlice<'a, ()>>>,
    ) -> io::Result<&[u8]> {
        let mut pages = pages.peekable();
        // Nothing stands for no pages, not even a flush.
        if pages.peek().is_none() {
            return Ok(&[]);
        }
        let mut written = 0;
        for memory in pages {
            memory?.copy_to(&mut self.page[..]);
            written += self.method.add(&self.page, self.out.get_mut(written..).unwrap_or_default())?;
        }
        written += self.method.flush(self.out.get_mut(written..).unwrap_or_default())?;
        Ok(self.out.get(..written).unwrap_or_default())
    }
}

impl Method {
    /// Takes all of `page`; returns the octets that came out.
    fn add(&mut self, page: &[u8], out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Zlib(stream) => {
                let (read, written) = (stream.total_in(), stream.total_out());
                let status = stream.compress(page, out, FlushCompress::None).map_err(io::Error::other)?;
                if status != Status::Ok || stream.total_in() - read != page.len() as u64 {
                    return Err(too_long());
                }
                Ok(octets(stream.total_out() - written))
            }
            Self::Zstd(stream) => {
                let (mut input, mut output) = (InBuffer::around(page), OutBuffer::around(out));
                while input.pos() < page.len() {
                    let before = (input.pos(), output.pos());
                    stream.run(&mut input, &mut output)?;
                    if (input.pos(), output.pos()) == before {
                        return Err(too_long());
                    }
                }
                Ok(output.pos())
            }
        }
    }

    /// Brings out what was held back, and goes on.
    fn flush(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Zlib(stream) => {
                let written = stream.total_out();
                let room = out.len();
                stream.compress(&[], out, FlushCompress::Sync).map_err(io::Error::other)?;
                let written = octets(stream.total_out() - written);
                // A flush that fills its room may have more to say.
                if written < room { Ok(written) } else { Err(too_long()) }
            }
            Self::Zstd(stream) => {
                let mut output = OutBuffer::around(out);
                if stream.flush(&mut output)? > 0 { Err(too_long()) } else { Ok(output.pos()) }
            }
        }
    }
}

fn octets(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn too_long() -> io::Error {
    io::Error::other("the compressed pages of a packet do not fit its limit")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{MappedBlock, RamBlock as _};
    use flate2::{Decompress, FlushDecompress};
    use zstd::stream::raw::Decoder;

    const PAGES: usize = 128;

    /// Pages that hardly compress, or well.
    fn block(random: bool) -> MappedBlock {
        let block = MappedBlock::new("ram", PAGES * TARGET_PAGE).unwrap();
        let mut state = 1_u64;
        let octets: Vec<u8> = (0..PAGES * TARGET_PAGE)
            .map(|i| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                if random { (state >> 56) as u8 } else { u8::try_from(i / 100 % 251).unwrap() }
            })
            .collect();
        block.write(0, &octets).unwrap();
        block
    }

    fn payload<'a>(compressor: &'a mut Compressor, block: &MappedBlock, pages: usize) -> &'a [u8] {
        let pages = (0..pages).map(|page| Ok(block.run((page * TARGET_PAGE) as u64, TARGET_PAGE).unwrap()));
        compressor.payload(pages).unwrap()
    }

    fn content(block: &MappedBlock, pages: usize) -> Vec<u8> {
        let mut octets = vec![0; pages * TARGET_PAGE];
        block.read(0, &mut octets).unwrap();
        octets
    }

    fn parameters(compression: MultifdCompression, level: u8) -> MultifdParameters {
        MultifdParameters { compression, zlib_level: level.min(9), zstd_level: level, ..MultifdParameters::default() }
    }

    #[test]
    fn zlib_is_one_stream_and_each_packet_ends_with_a_flush() {
        for level in [0, 1, 9] {
            let mut compressor = Compressor::of(parameters(MultifdCompression::Zlib, level)).unwrap().unwrap();
            let mut decoder = Decompress::new(true);
            for (packet, (random, pages)) in [(true, PAGES), (false, PAGES), (true, 1)].into_iter().enumerate() {
                let block = block(random);
                let octets = payload(&mut compressor, &block, pages);
                assert!(octets.ends_with(&[0, 0, 0xff, 0xff]));
                assert_eq!(octets[0] == 0x78, packet == 0, "the header comes once");
                let mut out = vec![0; pages * TARGET_PAGE];
                decoder.decompress(octets, &mut out, FlushDecompress::Sync).unwrap();
                assert!(out == content(&block, pages), "level {level}, packet {packet}");
            }
        }
    }

    #[test]
    fn zstd_is_one_frame_and_each_packet_is_whole() {
        for level in [0, 1, 20] {
            let mut compressor = Compressor::of(parameters(MultifdCompression::Zstd, level)).unwrap().unwrap();
            let mut decoder = Decoder::new().unwrap();
            for (packet, (random, pages)) in [(true, PAGES), (false, PAGES), (true, 1)].into_iter().enumerate() {
                let block = block(random);
                let octets = payload(&mut compressor, &block, pages);
                assert_eq!(octets.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]), packet == 0);
                let mut out = vec![0; pages * TARGET_PAGE];
                let (mut input, mut output) = (InBuffer::around(octets), OutBuffer::around(&mut out[..]));
                while input.pos() < octets.len() {
                    decoder.run(&mut input, &mut output).unwrap();
                }
                assert_eq!(output.pos(), pages * TARGET_PAGE);
                assert!(out == content(&block, pages), "level {level}, packet {packet}");
            }
        }
    }

    #[test]
    fn without_compression_there_is_no_compressor() {
        assert!(Compressor::of(MultifdParameters::default()).unwrap().is_none());
    }
}
