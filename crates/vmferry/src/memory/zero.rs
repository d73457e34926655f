//! Finding zero pages at the speed of memory.
//!
//! Guest memory may change under the scan, so it is read as relaxed 64-bit atomics; the loop over blocks of 8 words is
//! what the compiler turns into wide loads.

use std::sync::atomic::Ordering;

use vm_memory::VolatileSlice;

use super::words::words;

/// Words whose bits are collected before a branch.
const STRIDE: usize = 32;

/// Whether all bytes of `memory` are zero at the moment they are read.
///
/// Memory whose address or length is not a multiple of 8 is reported as not zero: pages always are.
#[must_use]
pub fn is_zero(memory: &VolatileSlice<'_, ()>) -> bool {
    let Some(words) = words(memory) else { return false };
    // Most pages that hold something hold it early.
    words.first().is_none_or(|word| word.load(Ordering::Relaxed) == 0)
        && words.chunks(STRIDE).all(|chunk| chunk.iter().fold(0, |bits, word| bits | word.load(Ordering::Relaxed)) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{MappedBlock, RamBlock as _};

    #[test]
    fn one_bit_anywhere_in_a_page_is_seen() {
        let block = MappedBlock::new("ram", 4096).unwrap();
        let page = block.run(0, 4096).unwrap();
        for byte in 0..4096 {
            assert!(is_zero(&page), "a page of zeros");
            block.write(byte, &[1]).unwrap();
            assert!(!is_zero(&page), "byte {byte}");
            block.write(byte, &[0]).unwrap();
        }
    }
}
