//! The bitmap of a block, read from its place.

use std::io;

use crate::dirty::PageSet;
use crate::mapped_ram::file::PageFile;
use crate::mapped_ram::layout::Layout;

/// Octets that are read at once.
const PIECE: usize = 64 << 10;

/// Which pages of the block are in the file, by its bitmap: little-endian words. Bits behind the last page are ignored
/// and reported.
///
/// The memory is that of one bit for each page of the local block.
///
/// # Errors
///
/// The file ends early ([`io::ErrorKind::UnexpectedEof`]), or cannot be read.
pub(in crate::destination) fn read_bitmap(file: &PageFile, layout: &Layout) -> io::Result<PageSet> {
    let mut pages = PageSet::new(layout.pages());
    let mut octets = vec![0; PIECE];
    let (mut done, mut has_excess) = (0, false);
    while done < layout.bitmap_bytes() {
        let len = usize::try_from(layout.bitmap_bytes() - done).unwrap_or(usize::MAX).min(PIECE);
        let piece = octets.get_mut(..len).unwrap_or_default();
        if file.read_octets(piece, layout.bitmap_offset().saturating_add(done))? < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (words, _) = piece.as_chunks::<8>();
        for (index, word) in words.iter().enumerate() {
            let index = usize::try_from(done / 8).unwrap_or(usize::MAX).saturating_add(index);
            let word = u64::from_le_bytes(*word);
            has_excess |= pages.merge_word(index, word) < u64::from(word.count_ones());
        }
        done += len as u64;
    }
    if has_excess {
        tracing::warn!(
            block = layout.block(),
            "the bitmap has bits behind the last page of its block: it may come from a big-endian host"
        );
    }
    Ok(pages)
}
