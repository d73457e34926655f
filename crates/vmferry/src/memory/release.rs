//! Giving the memory of a guest that is elsewhere back to the host (`release-ram`).

#![expect(unsafe_code, reason = "madvise(2) over raw guest pointers")]

use std::io;

use rustix::mm::{Advice, madvise};

use super::{Backing, RamBlock};

/// Frees the pages of `block`, which reads as zero afterwards. Memory that others may map as well, a file with a name,
/// and memory of which nothing is known stay; true if the block was freed.
///
/// # Errors
///
/// The kernel's; [`io::ErrorKind::InvalidInput`] if the block does not have the memory that it says.
pub fn release(block: &dyn RamBlock) -> io::Result<bool> {
    let advice = match block.backing() {
        Backing::Anonymous => Advice::LinuxDontNeed,
        Backing::Shared { is_named: false, .. } => Advice::LinuxRemove,
        Backing::Shared { is_named: true, .. } | Backing::Unknown => return Ok(false),
    };
    let bytes = usize::try_from(block.max_len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let memory = block.run(0, bytes).map_err(|outside| io::Error::new(io::ErrorKind::InvalidInput, outside))?;
    let start = memory.ptr_guard_mut();
    // SAFETY: madvise(2) asks that the range be mapped, or it returns ENOMEM; it is, for the slice's lifetime, and no
    // further, since `run` gave exactly this range. rustix asks that the advice break nobody's view of the memory: both
    // kinds turn pages to zeros, as stores of zeros by the guest would; whoever reads guest memory does so by volatile
    // accesses and relies on no content, and no Rust reference to it exists anywhere. An address that is not that of a
    // page is refused (EINVAL).
    unsafe { madvise(start.as_ptr().cast(), memory.len(), advice) }?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MappedBlock;
    use crate::memory::populated::populated;

    #[test]
    fn freed_memory_is_zero_and_takes_no_pages() {
        let file = || rustix::fs::memfd_create("ram", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let named = file();
        rustix::fs::ftruncate(&named, 1 << 20).unwrap();
        for (block, is_freed) in [
            (MappedBlock::new("ram", 1 << 20).unwrap(), true),
            (MappedBlock::memfd("ram", 1 << 20).unwrap(), true),
            (MappedBlock::shared("ram", named.into(), 0, 1 << 20, true).unwrap(), false),
        ] {
            block.write(5000, b"here").unwrap();
            assert_eq!(release(&block).unwrap(), is_freed, "{block:?}");
            // Reading gives a shared page back.
            if is_freed && let Ok(pages) = populated(&block) {
                assert_eq!(pages.count(), 0, "{block:?}");
            }
            let mut bytes = [1; 4];
            block.read(5000, &mut bytes).unwrap();
            assert_eq!(bytes == [0; 4], is_freed);
        }
    }
}
