//! KVM's dirty log: a bit for each page of a slot, copied out by one call.
//!
//! With manual protection (`KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2`, Linux 5.0) [`DirtyLog::sync`] only copies. Marks are
//! taken back, and pages protected, piece by piece when they are about to be read ([`DirtyLog::clear`]): the guest is
//! held up for a piece of memory at a time, and pages that are written again before it is their turn cost one exception
//! instead of two. With `KVM_DIRTY_LOG_INITIALLY_SET` (Linux 5.7) even the start protects nothing: every page counts as
//! dirty until it is cleared for the first time.
//!
//! Source: `Documentation/virt/kvm/api.rst`, sections 4.35, 4.117 and 7.10.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kvm_bindings::{KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KVM_DIRTY_LOG_INITIALLY_SET, kvm_enable_cap};
use kvm_ioctls::VmFd;
use vmferry::dirty::{DirtyLog, PageSet};

use super::kvm::ioctls::clear_dirty_log;
use super::kvm::slots::Slot;

/// Pages that are cleared at once: 64 MiB. Larger pieces hold the guest up longer at a time; smaller ones cost more
/// calls, each with a flush of translations.
const PIECE_PAGES: usize = 16_384;
const PIECE_WORDS: usize = PIECE_PAGES / 64;

/// How far the host's log goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protection {
    /// Each copy protects all that it reports.
    AtSync,
    /// Pages are protected when they are cleared.
    Manual {
        /// Every page counts as dirty at the start.
        initially_set: bool,
    },
}

impl Protection {
    /// The best that `vm` has, switched on. To be called before the first log is started.
    pub(crate) fn enable(vm: &VmFd) -> io::Result<Self> {
        let offered = vm.check_extension_raw(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2.into());
        let Ok(offered) = u64::try_from(offered) else { return Ok(Self::AtSync) };
        let wanted = offered & u64::from(1 | KVM_DIRTY_LOG_INITIALLY_SET);
        if wanted & 1 == 0 {
            return Ok(Self::AtSync);
        }
        let mut cap = kvm_enable_cap { cap: KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, ..kvm_enable_cap::default() };
        if let Some(first) = cap.args.first_mut() {
            *first = wanted;
        }
        vm.enable_cap(&cap)?;
        Ok(Self::Manual { initially_set: wanted & u64::from(KVM_DIRTY_LOG_INITIALLY_SET) != 0 })
    }
}

/// The log of a machine's slots, one a block.
#[derive(Debug)]
pub(crate) struct KvmDirtyLog {
    slots: Vec<Arc<Slot>>,
    protection: Protection,
    reported: Mutex<Vec<Reported>>,
}

/// What the kernel has reported of a slot and was not yet told to take back.
#[derive(Debug, Clone)]
struct Reported {
    words: Vec<u64>,
    /// Pieces that have a bit in `words`.
    pieces: Vec<bool>,
}

impl Reported {
    fn new(pages: usize, all: bool) -> Self {
        let mut words = vec![if all { u64::MAX } else { 0 }; pages.div_ceil(64)];
        if all
            && !pages.is_multiple_of(64)
            && let Some(last) = words.last_mut()
        {
            *last = (1 << (pages % 64)) - 1;
        }
        Self { words, pieces: vec![all; pages.div_ceil(PIECE_PAGES)] }
    }

    /// Adds what the kernel reports now; returns how many pages that are.
    fn add(&mut self, index: usize, bits: u64) -> u64 {
        let Some(word) = self.words.get_mut(index) else { return 0 };
        let new = bits & !*word;
        *word |= bits;
        if let Some(piece) = self.pieces.get_mut(index / PIECE_WORDS) {
            *piece |= *word != 0;
        }
        u64::from(new.count_ones())
    }
}

impl KvmDirtyLog {
    /// A log over `slots`, in the order of the machine's blocks.
    pub(crate) fn new(slots: Vec<Arc<Slot>>, protection: Protection) -> Self {
        let reported = slots.iter().map(|slot| Reported::new(slot.pages(), false)).collect();
        Self { slots, protection, reported: Mutex::new(reported) }
    }

    fn reported(&self) -> MutexGuard<'_, Vec<Reported>> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DirtyLog for KvmDirtyLog {
    fn start(&self) -> io::Result<()> {
        // A log that was never stopped would keep its marks.
        self.stop();
        let all = self.protection == Protection::Manual { initially_set: true };
        let mut reported = self.reported();
        for (slot, reported) in self.slots.iter().zip(&mut *reported) {
            *reported = Reported::new(slot.pages(), all);
            slot.log_writes(true)?;
        }
        Ok(())
    }

    fn stop(&self) {
        for slot in &self.slots {
            if let Err(error) = slot.log_writes(false) {
                tracing::warn!(%error, "the guest's writes are still logged, which slows it down");
            }
        }
    }

    fn sync(&self, pages: &mut [PageSet]) -> io::Result<u64> {
        let mut dirty = 0;
        let mut reported = self.reported();
        for ((slot, reported), set) in self.slots.iter().zip(&mut *reported).zip(pages) {
            let bitmap = slot.vm().get_dirty_log(slot.number(), slot.pages() * 4096)?;
            for (index, bits) in bitmap.into_iter().enumerate().filter(|(_, bits)| *bits != 0) {
                set.merge_word(index, bits);
                dirty += match self.protection {
                    Protection::AtSync => u64::from(bits.count_ones()),
                    Protection::Manual { .. } => reported.add(index, bits),
                };
            }
        }
        Ok(dirty)
    }

    fn clear(&self, block: usize, first: usize, count: usize) -> io::Result<()> {
        if self.protection == Protection::AtSync || count == 0 {
            return Ok(());
        }
        let mut reported = self.reported();
        let (Some(slot), Some(reported)) = (self.slots.get(block), reported.get_mut(block)) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("there is no block {block}")));
        };
        let end = first.checked_add(count).filter(|end| *end <= slot.pages()).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("block {block} ends before page {first} + {count}"))
        })?;
        for piece in first / PIECE_PAGES..end.div_ceil(PIECE_PAGES) {
            if reported.pieces.get(piece) != Some(&true) {
                continue;
            }
            let from = piece * PIECE_PAGES;
            let pages = PIECE_PAGES.min(slot.pages() - from);
            let words = piece * PIECE_WORDS..piece * PIECE_WORDS + pages.div_ceil(64);
            let Some(bits) = reported.words.get_mut(words) else { continue };
            let pages = u32::try_from(pages).map_err(io::Error::other)?;
            clear_dirty_log(slot.vm(), slot.number(), from as u64, pages, bits)?;
            bits.fill(0);
            if let Some(has_bits) = reported.pieces.get_mut(piece) {
                *has_bits = false;
            }
        }
        Ok(())
    }
}
