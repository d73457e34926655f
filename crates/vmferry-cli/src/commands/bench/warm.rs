//! Memory that the host has at hand.
//!
//! A virtual host whose hypervisor takes free memory back (page reporting) has to fetch it again at its first use,
//! which costs seconds a GiB and is no property of a migration; huge pages suffer first, since what is taken back is
//! free blocks of their size. So before each measurement a process of its own touches several times as much memory as
//! will be used, in huge pages, and ends: the kernel gives out first what came back last.

use anyhow::{Context as _, Result, bail};
use vmferry::memory::populate::{populate, prefer_huge};
use vmferry::memory::{MappedBlock, RamBlock as _};

use super::part::Part;

/// How much is touched, in sizes of the guest.
pub(super) const FACTOR: u64 = 3;

/// Has the host give the memory that a guest of `bytes` will use.
pub(super) fn warm(bytes: u64) -> Result<()> {
    let bytes = bytes.saturating_mul(FACTOR);
    let status = Part::Toucher.command()?.arg(bytes.to_string()).status().context("a process that touches memory")?;
    if status.success() { Ok(()) } else { bail!("the process that touches memory ended with {status}") }
}

/// The process that touches.
pub(super) fn touch(args: &mut impl Iterator<Item = String>) -> Result<()> {
    let bytes: usize = args.next().context("how many bytes")?.parse()?;
    let block = MappedBlock::new("touched", bytes)?;
    let all = block.run(0, bytes)?;
    prefer_huge(&all);
    populate(&all);
    Ok(())
}
