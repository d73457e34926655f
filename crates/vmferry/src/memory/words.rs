//! Guest memory as relaxed 64-bit atomics: the view for scans and for CPUs that are programs.

#![expect(unsafe_code, reason = "a view of guest memory as atomics needs one pointer cast")]

use std::slice;
use std::sync::atomic::AtomicU64;

use vm_memory::VolatileSlice;

/// The 64-bit words of `memory`; `None` if its address or length is not a multiple of 8.
///
/// Words are in the guest's byte order, which is the order of bytes in memory.
#[must_use]
pub fn words<'a>(memory: &VolatileSlice<'a, ()>) -> Option<&'a [AtomicU64]> {
    let guard = memory.ptr_guard();
    let words = guard.as_ptr().cast::<AtomicU64>();
    if !words.is_aligned() || !memory.len().is_multiple_of(size_of::<AtomicU64>()) {
        return None;
    }
    // SAFETY: the slice covers exactly the memory of `memory`, which is mapped, readable and writable for 'a, and has
    // no more than isize::MAX bytes, since it is one mapping. The pointer is aligned (checked above), and AtomicU64
    // has the layout of u64, for which every bit pattern is valid. All other accesses to guest memory in this
    // process are volatile or atomic, so no reference of another kind aliases it, and `&AtomicU64` allows
    // concurrent writes.
    Some(unsafe { slice::from_raw_parts(words, memory.len() / size_of::<AtomicU64>()) })
}
