//! Finding zero pages at the speed of memory.
//!
//! Guest memory may change under the scan, so it is read as relaxed 64-bit atomics; the loop over blocks of 8 words is
//! what the compiler turns into wide loads.

#![expect(unsafe_code, reason = "a view of guest memory as atomics needs one pointer cast")]

use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};

use vm_memory::VolatileSlice;

/// Words whose bits are collected before a branch.
const STRIDE: usize = 32;

/// Whether all bytes of `memory` are zero at the moment they are read.
///
/// Memory whose address or length is not a multiple of 8 is reported as not zero: pages always are.
#[must_use]
pub fn is_zero(memory: &VolatileSlice<'_, ()>) -> bool {
    let guard = memory.ptr_guard();
    let words = guard.as_ptr().cast::<AtomicU64>();
    if !words.is_aligned() || !memory.len().is_multiple_of(size_of::<AtomicU64>()) {
        return false;
    }
    // SAFETY: the slice covers exactly the memory of `memory`, which is mapped, readable and writable for its
    // lifetime, longer than this borrow; the pointer is aligned (checked above) and AtomicU64 has the layout of u64,
    // for which every bit pattern is valid. All other accesses to guest memory in this process are volatile or atomic,
    // so no reference of another kind aliases it.
    let words = unsafe { slice::from_raw_parts(words, memory.len() / size_of::<AtomicU64>()) };
    // Most pages that hold something hold it early.
    words.first().is_none_or(|word| word.load(Ordering::Relaxed) == 0)
        && words.chunks(STRIDE).all(|chunk| chunk.iter().fold(0, |bits, word| bits | word.load(Ordering::Relaxed)) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_anywhere_in_a_page_is_seen() {
        for byte in 0..4096 {
            let mut page = vec![0_u64; 512];
            let mut memory = bytes(&mut page);
            assert!(is_zero(&memory), "a page of zeros");
            memory = bytes(&mut page);
            memory.subslice(byte, 1).unwrap().copy_from(&[1_u8]);
            assert!(!is_zero(&memory), "byte {byte}");
        }
    }

    fn bytes(page: &mut [u64]) -> VolatileSlice<'_, ()> {
        let len = size_of_val(page);
        // SAFETY: the vector outlives the slice, which alone accesses it meanwhile.
        unsafe { VolatileSlice::new(page.as_mut_ptr().cast(), len) }
    }
}
