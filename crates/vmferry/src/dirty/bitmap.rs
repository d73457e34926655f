//! The dirty bitmap that rides on a memory mapping.
//!
//! `vm-memory` marks it on each store that goes through a region. Its own bitmap only has a whole-map reset; a
//! migration takes marks word by word and adds them to a set.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, compiler_fence};

use vm_memory::bitmap::{Bitmap, BitmapSlice, NewBitmap, WithBitmapSlice};

use crate::memory::TARGET_PAGE;

/// One mark a target page, shared by all slices of a region.
///
/// A store first writes its bytes, then tests the mark, and sets it only if it is clear: a page that is dirty already
/// costs one load. That test may be ordered before the write on every architecture with store buffers, so whoever takes
/// marks must make all writers pass a memory barrier between taking a mark and reading the page;
/// [`SoftDirtyLog`](super::SoftDirtyLog) does that.
#[derive(Debug, Clone, Default)]
pub struct DirtyBitmap {
    words: Arc<[AtomicU64]>,
    /// Byte offset in the region at which this slice starts.
    base: usize,
}

impl DirtyBitmap {
    /// Takes and clears the marks of pages `64 * index ..`.
    #[must_use]
    pub fn take_word(&self, index: usize) -> u64 {
        let Some(word) = self.words.get(index) else { return 0 };
        if word.load(Ordering::Relaxed) == 0 { 0 } else { word.swap(0, Ordering::AcqRel) }
    }

    /// Words of the bitmap.
    #[must_use]
    pub fn word_count(&self) -> usize {
        self.words.len()
    }

    #[inline]
    fn mark_page(&self, page: usize) {
        let Some(word) = self.words.get(page / 64) else { return };
        let bit = 1 << (page % 64);
        // The store that is marked comes before this in the program; here the compiler has to leave it there, and the
        // barrier of whoever takes marks does the rest.
        compiler_fence(Ordering::SeqCst);
        if word.load(Ordering::Relaxed) & bit == 0 {
            word.fetch_or(bit, Ordering::AcqRel);
        }
    }
}

impl WithBitmapSlice<'_> for DirtyBitmap {
    type S = Self;
}

impl BitmapSlice for DirtyBitmap {}

impl Bitmap for DirtyBitmap {
    #[inline]
    fn mark_dirty(&self, offset: usize, len: usize) {
        if len == 0 {
            return;
        }
        let start = self.base.saturating_add(offset);
        let first = start / TARGET_PAGE;
        let last = start.saturating_add(len - 1) / TARGET_PAGE;
        self.mark_page(first);
        for page in first + 1..=last.min(self.words.len().saturating_mul(64)) {
            self.mark_page(page);
        }
    }

    fn dirty_at(&self, offset: usize) -> bool {
        let page = self.base.saturating_add(offset) / TARGET_PAGE;
        self.words.get(page / 64).is_some_and(|word| word.load(Ordering::Relaxed) >> (page % 64) & 1 == 1)
    }

    fn slice_at(&self, offset: usize) -> Self {
        Self { words: Arc::clone(&self.words), base: self.base.saturating_add(offset) }
    }
}

impl NewBitmap for DirtyBitmap {
    fn with_len(len: usize) -> Self {
        let words = len.div_ceil(TARGET_PAGE).div_ceil(64);
        Self { words: (0..words).map(|_| AtomicU64::new(0)).collect(), base: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_over_a_page_boundary_marks_both_pages() {
        let bitmap = DirtyBitmap::with_len(1 << 20);
        bitmap.slice_at(4096).mark_dirty(4090, 8);
        assert_eq!(bitmap.take_word(0), 0b110);
        assert_eq!(bitmap.take_word(0), 0, "taking clears");
    }

    #[test]
    fn a_mark_behind_the_end_is_ignored() {
        let bitmap = DirtyBitmap::with_len(4096);
        bitmap.mark_dirty(usize::MAX - 3, 8);
        bitmap.mark_dirty(1 << 40, 8);
        assert_eq!((bitmap.word_count(), bitmap.take_word(0), bitmap.take_word(1)), (1, 0, 0));
    }
}
