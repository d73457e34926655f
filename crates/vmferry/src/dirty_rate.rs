//! How fast the guest dirties its memory, measured without migrating it: `calc-dirty-rate`.
//!
//! | mode | how |
//! |---|---|
//! | `page-sampling` | pages at random, of blocks of 128 MiB and more: how many have another content after the time |
//! | `dirty-bitmap` | the dirty log is started, and looked at after the time |
//!
//! Source: `docs/spec/ram.md` section B13, `docs/spec/control.md` section 2.3.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::dirty::PageSet;
use crate::error::{Attribute as _, Doing as _, Error, Side};
use crate::machine::Machine;
use crate::memory::populated::perhaps_populated;
use crate::memory::{RamBlock, TARGET_PAGE, TARGET_PAGE_BYTES};

/// Shortest and longest time of a measurement.
pub const CALC_TIME_MIN: Duration = Duration::from_millis(50);
/// Longest time of a measurement.
pub const CALC_TIME_MAX: Duration = Duration::from_secs(60);

/// Fewest and most pages that are sampled of each GiB; 512 if nothing is said.
pub const SAMPLE_PAGES_MIN: u64 = 128;
/// Most pages that are sampled of each GiB.
pub const SAMPLE_PAGES_MAX: u64 = 16_384;
/// Pages that are sampled of each GiB if nothing is said.
pub const SAMPLE_PAGES_DEFAULT: u64 = 512;

/// Blocks below this size are not sampled.
const SAMPLED_BLOCK_BYTES: u64 = 128 << 20;

const MIB: u64 = 1 << 20;

/// How it is measured. The words are QEMU's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DirtyRateMode {
    /// By the content of pages at random.
    #[default]
    PageSampling,
    /// By the dirty log; no migration can run meanwhile.
    DirtyBitmap,
}

impl DirtyRateMode {
    /// The word on the wire of QMP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PageSampling => "page-sampling",
            Self::DirtyBitmap => "dirty-bitmap",
        }
    }
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirtyRateRequest {
    /// How long, [`CALC_TIME_MIN`] to [`CALC_TIME_MAX`].
    pub time: Duration,
    /// Pages of each GiB, [`SAMPLE_PAGES_MIN`] to [`SAMPLE_PAGES_MAX`]; of mode `page-sampling`.
    pub sample_pages: u64,
    /// How.
    pub mode: DirtyRateMode,
}

/// Where a measurement stands. The words are QEMU's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DirtyRateStatus {
    /// None was asked for.
    #[default]
    Unstarted,
    /// Under way.
    Measuring,
    /// Done, or failed.
    Measured,
}

impl DirtyRateStatus {
    /// The word on the wire of QMP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unstarted => "unstarted",
            Self::Measuring => "measuring",
            Self::Measured => "measured",
        }
    }
}

/// The last measurement, as `query-dirty-rate` tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DirtyRate {
    /// Where it stands.
    pub status: DirtyRateStatus,
    /// MiB per second, once measured; `None` if nothing could be measured.
    pub mib_per_s: Option<u64>,
    /// Bytes of pages that were found dirty, once measured.
    pub dirty_bytes: Option<u64>,
    /// When it began, in seconds since 1970.
    pub start_time_s: u64,
    /// How long it was to take.
    pub time: Duration,
    /// Pages of each GiB; 0 for other modes than `page-sampling`.
    pub sample_pages: u64,
    /// How.
    pub mode: DirtyRateMode,
}

impl DirtyRate {
    /// One that begins now.
    #[must_use]
    pub(crate) fn begun(request: &DirtyRateRequest) -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let sampled = request.mode == DirtyRateMode::PageSampling;
        Self {
            status: DirtyRateStatus::Measuring,
            mib_per_s: None,
            dirty_bytes: None,
            start_time_s: since_1970.as_secs(),
            time: request.time,
            sample_pages: if sampled { request.sample_pages } else { 0 },
            mode: request.mode,
        }
    }

    /// The same with what was found; `None` if that is nothing.
    #[must_use]
    pub(crate) fn ended(self, dirty_bytes: Option<u64>) -> Self {
        let ms = u64::try_from(self.time.as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = |bytes: u64| bytes.saturating_mul(1000) / ms / MIB;
        Self { status: DirtyRateStatus::Measured, mib_per_s: dirty_bytes.map(rate), dirty_bytes, ..self }
    }
}

/// Measures, for as long as was asked for: bytes of pages that were dirtied; `None` if nothing could be looked at.
///
/// # Errors
///
/// The dirty log failed.
pub(crate) fn measure(machine: &dyn Machine, request: &DirtyRateRequest) -> Result<Option<u64>, Error> {
    match request.mode {
        DirtyRateMode::PageSampling => sample(machine.ram(), request),
        DirtyRateMode::DirtyBitmap => by_log(machine, request.time).map(Some),
    }
}

fn by_log(machine: &dyn Machine, time: Duration) -> Result<u64, Error> {
    let log = machine.dirty_log();
    let pages = |block: &Arc<dyn RamBlock>| {
        PageSet::new(usize::try_from(block.used_len() / TARGET_PAGE_BYTES).unwrap_or(usize::MAX))
    };
    let mut sets: Vec<PageSet> = machine.ram().iter().map(pages).collect();
    log.start().doing(Side::Source, "starting the dirty log")?;
    // A log that knows nothing before it is cleared reports every page once.
    let cleared = sets.iter().enumerate().try_for_each(|(block, set)| log.clear(block, 0, set.pages()));
    std::thread::sleep(time);
    let synchronised = cleared.and_then(|()| log.sync(&mut sets));
    log.stop();
    synchronised.doing(Side::Source, "reading the dirty log")?;
    Ok(sets.iter().map(PageSet::count).sum::<u64>().saturating_mul(TARGET_PAGE_BYTES))
}

/// A page and what was found in it.
struct Sample<'a> {
    block: &'a dyn RamBlock,
    page: usize,
    hash: u64,
}

fn sample(blocks: &[Arc<dyn RamBlock>], request: &DirtyRateRequest) -> Result<Option<u64>, Error> {
    let hasher = RandomState::new();
    let (mut samples, mut sampled_bytes) = (Vec::new(), 0_u64);
    for (index, block) in blocks.iter().enumerate().filter(|(_, block)| block.used_len() >= SAMPLED_BLOCK_BYTES) {
        let pages = block.used_len() / TARGET_PAGE_BYTES;
        let count = u128::from(block.used_len()) * u128::from(request.sample_pages) / (1 << 30);
        sampled_bytes = sampled_bytes.saturating_add(block.used_len());
        for number in 0..u64::try_from(count).unwrap_or(u64::MAX) {
            let page = usize::try_from(hasher.hash_one((index, number)) % pages).unwrap_or_default();
            samples.push(Sample { block: &**block, page, hash: 0 });
        }
    }
    if samples.is_empty() {
        return Ok(None);
    }
    for (sample, hash) in hashes(&samples, &hasher)?.into_iter().enumerate() {
        if let Some(sample) = samples.get_mut(sample) {
            sample.hash = hash;
        }
    }
    std::thread::sleep(request.time);
    let now = hashes(&samples, &hasher)?;
    let changed = samples.iter().zip(&now).filter(|(sample, now)| sample.hash != **now).count() as u64;
    let dirty = u128::from(changed) * u128::from(sampled_bytes) / samples.len() as u128;
    Ok(Some(u64::try_from(dirty).unwrap_or(u64::MAX)))
}

/// What is in the pages now. What was never populated is not read.
fn hashes(samples: &[Sample<'_>], hasher: &RandomState) -> Result<Vec<u64>, Error> {
    let zero = hasher.hash_one([0_u8; TARGET_PAGE]);
    let mut page = [0; TARGET_PAGE];
    let mut populated: Option<(&dyn RamBlock, PageSet)> = None;
    let mut hashes = Vec::with_capacity(samples.len());
    for sample in samples {
        let known = populated.as_ref().is_some_and(|(block, _)| block.name() == sample.block.name());
        if !known {
            let pages = usize::try_from(sample.block.used_len() / TARGET_PAGE_BYTES).unwrap_or(usize::MAX);
            populated = Some((sample.block, perhaps_populated(sample.block, 0, pages)));
        }
        let held = populated.as_ref().is_none_or(|(_, held)| held.contains(sample.page));
        hashes.push(if held {
            sample.block.read(sample.page as u64 * TARGET_PAGE_BYTES, &mut page).at(Side::Source)?;
            hasher.hash_one(page)
        } else {
            zero
        });
    }
    Ok(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MappedBlock;

    #[test]
    fn a_rate_is_in_mib_per_second() {
        let request =
            DirtyRateRequest { time: Duration::from_millis(100), sample_pages: 512, mode: DirtyRateMode::DirtyBitmap };
        let begun = DirtyRate::begun(&request);
        assert_eq!((begun.status, begun.sample_pages), (DirtyRateStatus::Measuring, 0));
        assert_eq!(begun.ended(Some(5 << 20)).mib_per_s, Some(50));
        assert_eq!(begun.ended(None).mib_per_s, None);
    }

    #[test]
    fn pages_with_another_content_are_found_in_proportion() {
        let block = MappedBlock::new("ram", 128 << 20).unwrap();
        let hasher = RandomState::new();
        let mut samples: Vec<Sample<'_>> = (0..1000).map(|page| Sample { block: &block, page, hash: 0 }).collect();
        for (sample, hash) in hashes(&samples, &hasher).unwrap().into_iter().enumerate() {
            samples[sample].hash = hash;
        }
        for page in 0..250_u64 {
            block.write(page * 4096 + 77, &[1]).unwrap();
        }
        let now = hashes(&samples, &hasher).unwrap();
        assert_eq!(samples.iter().zip(now).filter(|(sample, now)| sample.hash != *now).count(), 250);
    }

    #[test]
    fn small_blocks_are_not_sampled() {
        let blocks: Vec<Arc<dyn RamBlock>> = vec![Arc::new(MappedBlock::new("ram", 1 << 20).unwrap())];
        let request = DirtyRateRequest {
            time: CALC_TIME_MIN,
            sample_pages: SAMPLE_PAGES_DEFAULT,
            mode: DirtyRateMode::PageSampling,
        };
        assert_eq!(sample(&blocks, &request).unwrap(), None);
    }
}
