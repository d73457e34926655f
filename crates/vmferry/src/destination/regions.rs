//! Which memory gets huge pages: decided once for each region that can be one, whichever channel comes into it first.
//!
//! ```text
//! channel 0:      ##  ##  ##  ##          #: a packet of pages, 512 KiB
//! channel 1:    ##  ##  ##  ##  ·         ·: still on its way
//! memory:      [region ][region ][ ?      the third one may be a huge page: as much as it has arrived just before it
//! ```
//!
//! Huge pages cost a fraction of what small ones do, but populate what may never be written. So one is allowed only
//! behind memory of its size that arrived without a gap, but for the packets that other channels may still have in
//! hand, and while huge pages cost no more than small ones ([`HugeCost`]). Sparse guests stay sparse, and a dense one
//! takes at most twice what it needs, and one huge page; with packets in hand, three times.
//!
//! Whoever comes into a region first decides, under a lock that others who come into it meanwhile wait for: a small
//! page of theirs would take the place of the huge one.

use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::held::Held;
use super::huge_cost::HugeCost;
use crate::memory::populate::{HUGE_PAGE_BYTES, populate, prefer_huge};
use crate::memory::{RamBlock, TARGET_PAGE, TARGET_PAGE_BYTES};

const HUGE: u64 = HUGE_PAGE_BYTES as u64;

/// Separate ranges of huge pages: each is a mapping of its own in the kernel, which gives a process 65530 by default.
const HUGE_RANGES_LIMIT: usize = 4096;

/// What became of a region.
const UNTOUCHED: u8 = 0;
const SMALL: u8 = 1;
const MADE_HUGE: u8 = 2;

/// The regions of all blocks.
#[derive(Debug)]
pub(super) struct Regions {
    blocks: Vec<Block>,
    /// Bytes just before a region that may be on their way still.
    in_hand: u64,
    decisions: Mutex<Decisions>,
}

/// The regions of one block: the first starts at the first address in it that a huge page can have.
#[derive(Debug)]
struct Block {
    first: u64,
    states: Box<[AtomicU8]>,
}

#[derive(Debug, Default)]
struct Decisions {
    cost: HugeCost,
    huge_ranges: usize,
}

impl Regions {
    /// The regions of `blocks`, of whose pages up to `in_hand_pages` may arrive late.
    pub(super) fn new(blocks: &[Arc<dyn RamBlock>], in_hand_pages: u64) -> Self {
        Self {
            blocks: blocks.iter().map(|block| Block::of(&**block)).collect(),
            in_hand: in_hand_pages.saturating_mul(TARGET_PAGE_BYTES),
            decisions: Mutex::default(),
        }
    }

    /// Gives the memory at `run` of a block its pages, all of which are about to be written.
    pub(super) fn populate(&self, index: usize, block: &dyn RamBlock, run: Range<u64>, held: &Held) {
        let len = usize::try_from(run.end.saturating_sub(run.start)).unwrap_or(usize::MAX);
        let Ok(memory) = block.run(run.start, len) else { return };
        let is_huge = self.blocks.get(index).is_some_and(|regions| self.decide(index, regions, block, &run, held));
        if is_huge {
            return;
        }
        let begun = Instant::now();
        populate(&memory);
        self.decisions().cost.small(len, begun.elapsed());
    }

    fn decisions(&self) -> std::sync::MutexGuard<'_, Decisions> {
        self.decisions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides about the regions that `run` comes into; whether all of it lies in huge pages.
    fn decide(&self, index: usize, regions: &Block, block: &dyn RamBlock, run: &Range<u64>, held: &Held) -> bool {
        let mut all_huge = run.start >= regions.first;
        for number in regions.touched(run) {
            let Some(state) = regions.states.get(number) else { return false };
            if state.load(Ordering::Acquire) == UNTOUCHED {
                let mut decisions = self.decisions();
                if state.load(Ordering::Acquire) == UNTOUCHED {
                    let is_huge = self.is_behind_arrived(index, regions.start(number), run, held)
                        && decisions.make_huge(regions, number, block);
                    state.store(if is_huge { MADE_HUGE } else { SMALL }, Ordering::Release);
                }
            }
            all_huge &= state.load(Ordering::Acquire) == MADE_HUGE;
        }
        all_huge
    }

    /// Whether what stands before `start` arrived, or is about to in `run`, but for what may be on its way; and nothing
    /// behind it has yet.
    fn is_behind_arrived(&self, index: usize, start: u64, run: &Range<u64>, held: &Held) -> bool {
        let before = start.saturating_sub(HUGE.saturating_add(self.in_hand));
        let arriving = start.saturating_sub(run.start.max(before)) / TARGET_PAGE_BYTES;
        let arrived = held.count(index, before..start.min(run.start));
        arrived.saturating_add(arriving) >= HUGE / TARGET_PAGE_BYTES
            && held.count(index, start..start.saturating_add(HUGE)) == 0
    }
}

impl Block {
    fn of(block: &dyn RamBlock) -> Self {
        let address = block.run(0, TARGET_PAGE).map_or(0, |memory| memory.ptr_guard().as_ptr().addr());
        let first = (address.next_multiple_of(HUGE_PAGE_BYTES) - address) as u64;
        let count = block.used_len().saturating_sub(first) / HUGE;
        let states = (0..count).map(|_| AtomicU8::new(UNTOUCHED)).collect();
        Self { first, states }
    }

    /// Offset of a region.
    fn start(&self, number: usize) -> u64 {
        self.first.saturating_add((number as u64).saturating_mul(HUGE))
    }

    /// Numbers of the regions that `run` comes into; the last may be one that the block has no room for.
    fn touched(&self, run: &Range<u64>) -> Range<usize> {
        let number = |offset: u64| usize::try_from(offset.saturating_sub(self.first) / HUGE).unwrap_or(usize::MAX);
        match run.end.checked_sub(1) {
            Some(last) if last >= self.first => number(run.start)..number(last).saturating_add(1),
            _ => 0..0,
        }
    }

    fn is_huge(&self, number: Option<usize>) -> bool {
        let state = number.and_then(|number| self.states.get(number));
        state.is_some_and(|state| state.load(Ordering::Relaxed) == MADE_HUGE)
    }
}

impl Decisions {
    /// Makes a region a huge page, if they are cheap and not too many; whether it is one.
    fn make_huge(&mut self, regions: &Block, number: usize, block: &dyn RamBlock) -> bool {
        if !self.cost.allows() {
            return false;
        }
        let is_separate = !regions.is_huge(number.checked_sub(1)) && !regions.is_huge(number.checked_add(1));
        if is_separate && self.huge_ranges >= HUGE_RANGES_LIMIT {
            return false;
        }
        let start = regions.start(number);
        let (Ok(memory), Ok(first)) = (block.run(start, HUGE_PAGE_BYTES), block.run(start, TARGET_PAGE)) else {
            return false;
        };
        prefer_huge(&memory);
        self.huge_ranges += usize::from(is_separate);
        // One page brings all of it.
        let begun = Instant::now();
        populate(&first);
        self.cost.huge(begun.elapsed());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MappedBlock;

    /// Pages of a huge page.
    const PAGES: u64 = HUGE / TARGET_PAGE_BYTES;
    const NONE: [usize; 0] = [];
    /// Pages of a packet.
    const PACKET: u64 = 128;

    struct Scene {
        block: Arc<dyn RamBlock>,
        held: Held,
        regions: Regions,
        /// Number of the first page of the first region.
        first: u64,
    }

    impl Scene {
        fn new(in_hand_pages: u64) -> Self {
            let block: Arc<dyn RamBlock> = Arc::new(MappedBlock::new("ram", 6 * HUGE_PAGE_BYTES).unwrap());
            let held = Held::default();
            held.learn(&[Arc::clone(&block)]);
            let regions = Regions::new(&[Arc::clone(&block)], in_hand_pages);
            regions.decisions().cost = HugeCost::blind();
            let first = regions.blocks[0].first / TARGET_PAGE_BYTES;
            Self { block, held, regions, first }
        }

        /// Pages arrive, `count` at a time.
        fn arrive(&self, firsts: impl IntoIterator<Item = u64>, count: u64) {
            for page in firsts {
                let offset = page * TARGET_PAGE_BYTES;
                let run = offset..offset + count * TARGET_PAGE_BYTES;
                self.regions.populate(0, &*self.block, run, &self.held);
                self.held.arrive(0, offset, usize::try_from(count).unwrap() * TARGET_PAGE);
            }
        }

        /// Numbers of the regions that were made huge pages.
        fn huge(&self) -> Vec<usize> {
            let block = &self.regions.blocks[0];
            (0..block.states.len()).filter(|number| block.is_huge(Some(*number))).collect()
        }
    }

    #[test]
    fn a_huge_page_is_allowed_behind_memory_that_arrived_without_a_gap() {
        let dense = Scene::new(0);
        dense.arrive(0..dense.first + 3 * PAGES, 1);
        // The block may start far enough before its first region.
        let before = usize::from(dense.first < PAGES);
        assert_eq!(dense.huge(), (before..3).collect::<Vec<_>>());
        let gap = Scene::new(0);
        gap.arrive((gap.first..gap.first + 3 * PAGES).filter(|page| *page != gap.first + 100), 1);
        assert_eq!(gap.huge(), [2], "a page of the first region is missing");
        let sparse = Scene::new(0);
        sparse.arrive((sparse.first..sparse.first + 4 * PAGES).step_by(2), 1);
        assert_eq!(sparse.huge(), NONE, "every other page");
    }

    #[test]
    fn packets_may_be_on_their_way_on_other_channels() {
        // The last packet of each region comes behind the first of the next one.
        let late = |scene: &Scene| {
            let packets = (0..16).map(|number| scene.first + number * PACKET);
            let mut packets: Vec<u64> = packets.collect();
            for number in (3..15).step_by(4) {
                packets.swap(number, number + 1);
            }
            scene.arrive(packets, PACKET);
            scene.huge()
        };
        assert_eq!(late(&Scene::new(PACKET)), [2, 3], "behind the first region only three packets of it had arrived");
        assert_eq!(late(&Scene::new(0)), NONE);
    }

    #[test]
    fn what_is_about_to_arrive_before_a_region_counts() {
        let scene = Scene::new(0);
        scene.arrive([scene.first], PAGES - 10);
        scene.arrive([scene.first + PAGES - 10], 20);
        assert_eq!(scene.huge(), [1]);
    }

    #[test]
    fn a_region_that_something_arrived_in_stays_as_it_is() {
        let scene = Scene::new(0);
        scene.held.arrive(0, (scene.first + PAGES + 7) * TARGET_PAGE_BYTES, TARGET_PAGE);
        scene.arrive((scene.first..scene.first + 3 * PAGES).step_by(64), 64);
        assert_eq!(scene.huge(), [2]);
    }

    #[test]
    fn a_run_over_the_end_of_the_regions_is_populated() {
        let scene = Scene::new(0);
        let pages = scene.block.used_len() / TARGET_PAGE_BYTES;
        scene.arrive([pages - 100], 100);
        scene.arrive([0], 100);
        assert_eq!(scene.huge(), NONE);
        scene.regions.populate(0, &*scene.block, u64::MAX - 10..u64::MAX, &scene.held);
        scene.regions.populate(7, &*scene.block, 0..4096, &scene.held);
    }

    #[test]
    fn channels_that_come_into_a_region_at_once_make_one_decision() {
        let scene = Scene::new(PACKET * 4);
        scene.arrive((0..scene.first + PAGES).step_by(1), 1);
        std::thread::scope(|scope| {
            for channel in 0..4 {
                let scene = &scene;
                scope.spawn(move || {
                    for region in 1..5 {
                        scene.arrive([scene.first + region * PAGES + channel * PACKET], PACKET);
                    }
                });
            }
        });
        let mut octet = [1];
        for page in scene.first..scene.first + 5 * PAGES {
            scene.block.read(page * TARGET_PAGE_BYTES, &mut octet).unwrap();
            assert_eq!(octet, [0]);
        }
        let states = &scene.regions.blocks[0].states;
        assert!(states.iter().take(5).all(|state| state.load(Ordering::Relaxed) != UNTOUCHED));
    }
}
