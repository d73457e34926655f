//! Pages that were sent before go as differences: the cache of what the destination has.
//!
//! | the cache has | the page goes as |
//! |---|---|
//! | this page, equal | nothing |
//! | this page | a difference, or whole if that is longer than a page |
//! | another page, used less than two rounds ago | whole, and is not remembered |
//! | nothing, or an old page | whole, and is remembered |
//!
//! For every page in the cache the destination has exactly its content. What goes whole is sent from the copy, since
//! the guest may write the page meanwhile. Source: `docs/spec/ram.md` section A7, "Source rules".

use vm_memory::VolatileSlice;
use vmferry_wire::ram::xbzrle::{Encoded, encode};

use crate::control::XbzrleStats;
use crate::memory::{TARGET_PAGE, TARGET_PAGE_BYTES};

type Page = [u8; TARGET_PAGE];

/// Octets of an XBZRLE record between its header word and its data: encoding and length.
const RECORD_HEAD_OCTETS: u64 = 3;

/// What is to be sent of a page with content.
#[derive(Debug)]
pub(super) enum Sending<'a> {
    /// Nothing: the destination has it.
    Nothing,
    /// A difference.
    Difference(&'a [u8]),
    /// The whole page, from this copy.
    Copy(&'a Page),
    /// The whole page, from guest memory: it is not remembered.
    Whole,
}

/// The cache: a page has one place, given by its number.
#[derive(Debug)]
pub(super) struct Cache {
    slots: Vec<Slot>,
    /// The present page, read once.
    now: Box<Page>,
    difference: Box<Page>,
    stats: XbzrleStats,
    period: Period,
}

#[derive(Debug, Clone, Default)]
struct Slot {
    page: u64,
    /// Dirty synchronisation at which it was used last.
    age: u64,
    content: Option<Box<Page>>,
}

/// Counters at the start of the period whose rates are asked for, and since.
#[derive(Debug, Default)]
struct Period {
    misses: u64,
    /// Bytes of pages that were sent as differences, and of the differences.
    whole_bytes: u64,
    difference_bytes: u64,
}

impl Cache {
    /// A cache of `bytes`, a power of two, for a machine of `pages` pages; larger than the machine is no use.
    #[must_use]
    pub(super) fn new(bytes: u64, pages: u64) -> Self {
        let slots = (bytes / TARGET_PAGE_BYTES).min(pages.next_power_of_two()).max(1);
        let blank = || Box::new([0; TARGET_PAGE]);
        Self {
            slots: vec![Slot::default(); usize::try_from(slots).unwrap_or(usize::MAX)],
            now: blank(),
            difference: blank(),
            stats: XbzrleStats { cache_bytes: bytes, ..XbzrleStats::default() },
            period: Period::default(),
        }
    }

    #[must_use]
    pub(super) fn stats(&self) -> XbzrleStats {
        self.stats
    }

    /// Drops all pages and takes another size.
    pub(super) fn resize(&mut self, bytes: u64, pages: u64) {
        let stats = XbzrleStats { cache_bytes: bytes, ..self.stats };
        *self = Self { stats, period: std::mem::take(&mut self.period), ..Self::new(bytes, pages) };
    }

    /// Page number `page` of the machine was found zero in round `age`, and goes as such.
    pub(super) fn zero(&mut self, page: u64, age: u64, is_last: bool) {
        if !is_last && let Some(slot) = slot(&mut self.slots, page) {
            let is_own = slot.content.is_some() && slot.page == page;
            if is_own || slot.content.is_none() || slot.age.saturating_add(2) <= age {
                slot.content.get_or_insert_with(|| Box::new([0; TARGET_PAGE])).fill(0);
                (slot.page, slot.age) = (page, age);
            }
        }
    }

    /// What to send of page number `page`, whose content is `memory`, in round `age`. In the last stage, when the guest
    /// stands still and each page goes once, the cache is not changed.
    pub(super) fn page(&mut self, page: u64, memory: &VolatileSlice<'_, ()>, age: u64, is_last: bool) -> Sending<'_> {
        let Some(slot) = slot(&mut self.slots, page) else { return Sending::Whole };
        if slot.content.is_none() || slot.page != page {
            self.stats.cache_misses += 1;
            if is_last || (slot.content.is_some() && slot.age.saturating_add(2) > age) {
                return Sending::Whole;
            }
            let content = slot.content.get_or_insert_with(|| Box::new([0; TARGET_PAGE]));
            memory.copy_to(&mut content[..]);
            (slot.page, slot.age) = (page, age);
            return Sending::Copy(content);
        }
        let Some(content) = slot.content.as_mut() else { return Sending::Whole };
        slot.age = age;
        self.stats.pages += 1;
        memory.copy_to(&mut self.now[..]);
        match encode(&content[..], &self.now[..], &mut self.difference[..]) {
            Encoded::Equal => Sending::Nothing,
            Encoded::Changed(len) => {
                if !is_last {
                    std::mem::swap(content, &mut self.now);
                }
                self.stats.bytes += RECORD_HEAD_OCTETS + len as u64;
                self.period.whole_bytes += TARGET_PAGE_BYTES;
                self.period.difference_bytes += len as u64;
                Sending::Difference(self.difference.get(..len).unwrap_or_default())
            }
            Encoded::Overflow => {
                self.stats.overflows += 1;
                self.stats.bytes += TARGET_PAGE_BYTES;
                self.period.whole_bytes += TARGET_PAGE_BYTES;
                self.period.difference_bytes += TARGET_PAGE_BYTES;
                if is_last {
                    return Sending::Copy(&self.now);
                }
                std::mem::swap(content, &mut self.now);
                Sending::Copy(content)
            }
        }
    }

    /// Ends a period in which `pages` were sent.
    pub(super) fn end_period(&mut self, pages: u64) {
        let Period { misses, whole_bytes, difference_bytes } = self.period;
        self.stats.cache_miss_rate = ratio(self.stats.cache_misses - misses, pages);
        self.stats.encoding_rate = ratio(whole_bytes, difference_bytes);
        self.period = Period { misses: self.stats.cache_misses, ..Period::default() };
    }
}

fn slot(slots: &mut [Slot], page: u64) -> Option<&mut Slot> {
    let count = slots.len() as u64;
    slots.get_mut(usize::try_from(page % count.max(1)).ok()?)
}

fn ratio(part: u64, whole: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{MappedBlock, RamBlock as _};

    fn kind(sending: &Sending<'_>) -> &'static str {
        match sending {
            Sending::Nothing => "nothing",
            Sending::Difference(_) => "difference",
            Sending::Copy(_) => "copy",
            Sending::Whole => "whole",
        }
    }

    #[test]
    fn a_page_goes_whole_then_as_a_difference_and_then_not_at_all() {
        let block = MappedBlock::new("ram", 4096).unwrap();
        block.write(0, &[3; 4096]).unwrap();
        let memory = block.run(0, 4096).unwrap();
        let mut cache = Cache::new(1 << 16, 1000);
        assert_eq!(kind(&cache.page(7, &memory, 2, false)), "copy");
        block.write(100, &[4]).unwrap();
        assert!(matches!(cache.page(7, &memory, 2, false), Sending::Difference([100, 1, 4])));
        assert_eq!(kind(&cache.page(7, &memory, 3, false)), "nothing");
        block.write(0, &[9; 4096]).unwrap();
        assert!(matches!(cache.page(7, &memory, 3, false), Sending::Copy(page) if *page == [9; 4096]));
        cache.end_period(4);
        let stats = cache.stats();
        assert_eq!((stats.pages, stats.cache_misses, stats.overflows, stats.bytes), (3, 1, 1, 6 + 4096));
        assert!((stats.cache_miss_rate - 0.25).abs() < 1e-9 && stats.encoding_rate > 1.9);
    }

    #[test]
    fn a_place_changes_hands_only_when_its_page_is_old() {
        let block = MappedBlock::new("ram", 4096).unwrap();
        block.write(0, &[3; 4096]).unwrap();
        let memory = block.run(0, 4096).unwrap();
        let mut cache = Cache::new(4 * 4096, 1000);
        assert_eq!(kind(&cache.page(1, &memory, 5, false)), "copy");
        assert_eq!(kind(&cache.page(5, &memory, 6, false)), "whole");
        assert_eq!(kind(&cache.page(1, &memory, 6, false)), "nothing", "it is still there");
        assert_eq!(kind(&cache.page(5, &memory, 8, false)), "copy");
        assert_eq!(kind(&cache.page(1, &memory, 8, false)), "whole");
    }

    #[test]
    fn a_zero_page_is_remembered_as_one() {
        let block = MappedBlock::new("ram", 4096).unwrap();
        let memory = block.run(0, 4096).unwrap();
        let mut cache = Cache::new(1 << 16, 1000);
        cache.zero(7, 2, false);
        block.write(0, &[1]).unwrap();
        assert!(matches!(cache.page(7, &memory, 2, false), Sending::Difference([0, 1, 1])));
        cache.zero(7, 3, false);
        block.write(0, &[0]).unwrap();
        assert_eq!(kind(&cache.page(7, &memory, 3, false)), "nothing");
    }

    #[test]
    fn in_the_last_stage_nothing_changes() {
        let block = MappedBlock::new("ram", 4096).unwrap();
        block.write(0, &[3; 4096]).unwrap();
        let memory = block.run(0, 4096).unwrap();
        let mut cache = Cache::new(1 << 16, 1000);
        assert_eq!(kind(&cache.page(9, &memory, 2, true)), "whole");
        assert_eq!(kind(&cache.page(7, &memory, 2, false)), "copy");
        block.write(5, &[8]).unwrap();
        for _ in 0..2 {
            assert!(matches!(cache.page(7, &memory, 2, true), Sending::Difference([5, 1, 8])));
        }
        cache.zero(7, 2, true);
        assert!(matches!(cache.page(7, &memory, 2, true), Sending::Difference(_)));
    }

    #[test]
    fn a_cache_is_no_larger_than_the_machine() {
        assert_eq!(Cache::new(1 << 62, 100).slots.len(), 128);
        assert_eq!(Cache::new(1 << 12, 100).slots.len(), 1);
    }
}
