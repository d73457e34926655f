//! Pages of capability `compress`, which QEMU had up to 9.0: one whole zlib stream each.
//!
//! Differs from QEMU: there the destination needs the capability as well; here such pages are taken from whoever sends
//! them, and a stream with something behind it is refused.
//!
//! Source: `docs/spec/ram.md` section A8.

use std::fmt;

use flate2::{Decompress, FlushDecompress, Status};

use crate::memory::TARGET_PAGE;

/// One octet more than a page tells a stream that would go on.
const ROOM: usize = TARGET_PAGE + 1;

/// What decompresses, and its page.
pub(super) struct Inflate {
    zlib: Decompress,
    page: Box<[u8; ROOM]>,
}

impl Default for Inflate {
    fn default() -> Self {
        Self { zlib: Decompress::new(true), page: Box::new([0; ROOM]) }
    }
}

impl fmt::Debug for Inflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inflate")
    }
}

impl Inflate {
    /// The page in `data`; what is wrong with it, if it has none.
    pub(super) fn page(&mut self, data: &[u8]) -> Result<&[u8], &'static str> {
        self.zlib.reset(true);
        match self.zlib.decompress(data, &mut self.page[..], FlushDecompress::Finish) {
            Err(_) => Err("damaged"),
            _ if self.zlib.total_out() > TARGET_PAGE as u64 => Err("longer than a page"),
            Ok(Status::StreamEnd) if self.zlib.total_out() < TARGET_PAGE as u64 => Err("shorter than a page"),
            Ok(Status::StreamEnd) if self.zlib.total_in() < data.len() as u64 => Err("followed by more octets"),
            Ok(Status::StreamEnd) => Ok(self.page.get(..TARGET_PAGE).unwrap_or_default()),
            Ok(Status::Ok | Status::BufError) => Err("cut short"),
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compress, Compression, FlushCompress};

    use super::*;

    fn deflated(octets: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(octets.len() + 100);
        Compress::new(Compression::fast(), true).compress_vec(octets, &mut out, FlushCompress::Finish).unwrap();
        out
    }

    #[test]
    fn a_stream_of_one_page_is_taken_and_nothing_else() {
        let page: Vec<u8> = (0..4096_u32).map(|at| u8::try_from(at * at % 251).unwrap()).collect();
        let data = deflated(&page);
        let mut inflate = Inflate::default();
        let mut twice = data.clone();
        twice.extend_from_slice(&data);
        let mut damaged = data.clone();
        damaged[data.len() / 2] ^= 0x55;
        let long = deflated(&[&page[..], &[1]].concat());
        for (octets, found) in [
            (&data[..data.len() - 1], "cut short"),
            (&[], "cut short"),
            (&twice, "followed by more octets"),
            (&damaged, "damaged"),
            (&long, "longer than a page"),
            (&deflated(&page[1..]), "shorter than a page"),
        ] {
            assert_eq!(inflate.page(octets), Err(found));
            assert_eq!(inflate.page(&data), Ok(&page[..]), "after one that was {found}");
        }
    }

    #[test]
    fn no_octet_of_a_stream_can_be_lost_or_changed_silently() {
        let page: Vec<u8> = (0..4096_u32).map(|at| u8::try_from(at / 16 % 251).unwrap()).collect();
        let data = deflated(&page);
        let mut inflate = Inflate::default();
        for at in 0..data.len() {
            inflate.page(&data[..at]).unwrap_err();
            let mut changed = data.clone();
            changed[at] ^= 0x10;
            assert!(inflate.page(&changed).is_err() || inflate.page(&changed) == Ok(&page[..]), "octet {at}");
        }
    }
}
