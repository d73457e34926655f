//! Finding zero pages, beside a loop that only reads as much memory.

use std::hint::black_box;

use anyhow::{Context as _, Result, bail};
use vmferry::memory::populate::populate;
use vmferry::memory::zero::is_zero;
use vmferry::memory::{MappedBlock, RamBlock as _, TARGET_PAGE};

use super::Bench;
use super::limits::{rate, sum};
use super::results::{Measured, Role, Target, Unit};
use super::rounds::{Contender, alternate};

/// Bytes that are looked at, more than caches hold; all of them zero, so that each is read.
pub(super) const BYTES: u64 = 256 << 20;

/// Measures it.
pub(super) fn measure(bench: &Bench<'_>) -> Result<Measured> {
    let bytes = usize::try_from(bench.memory.unwrap_or(BYTES))?;
    let block = &MappedBlock::new("zeros", bytes).context("memory to look at")?;
    populate(&block.run(0, bytes)?);
    let words = vec![1_u64; bytes / 8];
    let words = words.as_slice();
    let scan = move || {
        rate(bytes, || {
            for page in (0..bytes as u64).step_by(TARGET_PAGE) {
                if !is_zero(&block.run(page, TARGET_PAGE)?) {
                    bail!("the page at {page:#x} counts as not zero");
                }
            }
            Ok(())
        })
    };
    let read = move || {
        rate(bytes, || {
            black_box(sum(words));
            Ok(())
        })
    };
    let contenders =
        vec![Contender::new("vmferry", Role::Ours, scan), Contender::new("reading as much memory", Role::Limit, read)];
    Ok(Measured {
        name: "zero-scan",
        title: format!("Finding that {} MiB of pages hold nothing, one thread", bytes >> 20),
        unit: Unit::GIB_PER_S,
        also: Vec::new(),
        rows: alternate(bench, "zero-scan", &[], contenders)?,
        targets: vec![Target { what: "at least 0.8 of reading memory", role: Role::Limit, times: 0.8 }],
        notes: vec!["Every page is populated and all of it is read; the loop beside it adds up words.".to_owned()],
    })
}
