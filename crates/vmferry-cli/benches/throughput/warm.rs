//! Memory that the host has at hand.
//!
//! A virtual host whose hypervisor takes free memory back (page reporting) has to fetch it again at its first use,
//! which costs seconds a GiB and is no property of a migration; huge pages suffer first, since what is taken back is
//! free blocks of their size. So before each measurement a process of its own touches several times as much memory as
//! will be used, in huge pages, and ends: the kernel gives out first what came back last.

#![expect(unsafe_code, reason = "memory is asked for in huge pages by madvise(2)")]

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use rustix::mm::{Advice, madvise};

/// First argument of the process that touches.
pub(crate) const TOUCHER: &str = "toucher";

/// How much is touched, in sizes of the guest.
const FACTOR: usize = 3;

/// Has the host give the memory that a guest of `bytes` will use.
pub(crate) fn warm(bytes: u64) -> Result<()> {
    let status = Command::new(std::env::current_exe()?).arg(TOUCHER).arg(bytes.to_string()).status()?;
    if status.success() { Ok(()) } else { bail!("the process that warms memory ended with {status}") }
}

/// The process that touches.
pub(crate) fn touch(args: &mut impl Iterator<Item = String>) -> Result<()> {
    let bytes: usize = args.next().context("too few arguments")?.parse()?;
    let mut memory = vec![0_u8; bytes.saturating_mul(FACTOR)];
    let whole_pages = memory.as_mut_ptr_range();
    let start = whole_pages.start.map_addr(|address| address.next_multiple_of(4096));
    let len = whole_pages.end.addr().saturating_sub(start.addr());
    // SAFETY: the range lies inside `memory`, which lives until the end; this advice changes the size of pages that
    // will be given, not their contents. It may fail, on a kernel without huge pages.
    let advised = unsafe { madvise(start.cast(), len, Advice::LinuxHugepage) };
    if let Err(errno) = advised {
        eprintln!("no huge pages: {errno}");
    }
    for page in memory.chunks_mut(4096) {
        page.fill(1);
    }
    std::hint::black_box(&memory);
    Ok(())
}
