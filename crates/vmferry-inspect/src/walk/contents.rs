//! Contents of pages: looked at where they have a form of their own, stored where RAM is extracted.
//!
//! | kind | without `--extract-ram` | with |
//! |---|---|---|
//! | normal | skipped | stored |
//! | zero | counted | cleared, if something was there |
//! | XBZRLE | its form is checked | applied to what was stored |
//! | compressed | decompressed, to check it | the same, stored |

use vmferry_wire::ram::{PageKind, xbzrle};

use crate::error::{Halt, Step, StreamFault};
use crate::inflate::zlib_page;
use crate::reader::StreamReader;
use crate::walk::ram::RamWalk;

impl RamWalk {
    /// Takes the `bytes` of contents that are ahead. Callers have checked the page's place.
    #[inline]
    pub(super) fn contents(
        &mut self,
        reader: &mut StreamReader<'_>,
        block: usize,
        offset: u64,
        kind: PageKind,
        bytes: u32,
    ) -> Step<()> {
        match kind {
            PageKind::Zero => self.clear(block, offset),
            PageKind::Normal if self.files.is_none() => reader.skip(u64::from(bytes)),
            PageKind::Normal | PageKind::Xbzrle | PageKind::Compressed => {
                let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
                if !reader.fill(bytes)? {
                    return Err(reader.truncated());
                }
                let at = reader.position();
                self.take(at, block, offset, kind, reader.buffered().get(..bytes).unwrap_or_default())?;
                reader.consume(bytes);
                Ok(())
            }
        }
    }

    /// The page is zero from now on.
    pub(super) fn clear(&mut self, block: usize, offset: u64) -> Step<()> {
        let bytes = self.page.bytes();
        self.files.as_mut().map_or(Ok(()), |files| files.clear(block, offset, bytes))
    }

    /// The page has these octets from now on.
    pub(super) fn store(&mut self, block: usize, offset: u64, octets: &[u8]) -> Step<()> {
        self.files.as_mut().map_or(Ok(()), |files| files.write(block, offset, octets))
    }

    fn take(&mut self, at: u64, block: usize, offset: u64, kind: PageKind, octets: &[u8]) -> Step<()> {
        if kind == PageKind::Normal {
            return self.store(block, offset, octets);
        }
        let mut page = std::mem::take(&mut self.scratch);
        page.clear();
        page.resize(self.page.usize_bytes(), 0);
        if kind == PageKind::Xbzrle {
            if let Some(files) = &self.files {
                files.read(block, offset, &mut page)?;
            }
            xbzrle::apply(octets, &mut page).map_err(|error| Halt::wire(at, error))?;
        } else {
            let refused = |why: crate::inflate::BadPayload| StreamFault::BadPayload { what: "page", why: why.text() };
            zlib_page(octets, &mut page).map_err(|why| Halt::malformed(at, refused(why)))?;
        }
        let stored = self.store(block, offset, &page);
        self.scratch = page;
        stored
    }

    /// Pages of a block that will be sent again, since postcopy begins.
    pub(super) fn discard(&mut self, at: u64, name: &str, ranges: impl Iterator<Item = (u64, u64)>) -> Step<()> {
        let block = self.find_block(at, name)?;
        let used_bytes = self.used_bytes(block).unwrap_or_default();
        for (start, bytes) in ranges {
            let bytes = bytes.min(used_bytes.saturating_sub(start));
            self.discarded_pages = self.discarded_pages.saturating_add(bytes >> self.page.bits());
            if let Some(files) = &mut self.files {
                files.clear(block, start, bytes)?;
            }
        }
        Ok(())
    }
}
