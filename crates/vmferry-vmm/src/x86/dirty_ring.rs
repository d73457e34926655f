//! KVM's dirty ring: each vCPU writes the numbers of the pages that it dirties into a ring of its own.
//!
//! ```text
//!   guest writes a clean page ──► entry, DIRTY ──► harvested: mark set, entry RESET ──► KVM_RESET_DIRTY_RINGS:
//!                                                                                       the page is protected again
//! ```
//!
//! The cost is that of what was dirtied, not of the memory's size. A vCPU whose ring is full leaves the guest
//! (`KVM_EXIT_DIRTY_RING_FULL`) and harvests its own, so a guest that dirties faster than the log is read is held up;
//! one whose dirty rate is limited sleeps there as well.
//!
//! Marks are set, entries reset and marks taken under one lock: a mark that was taken while its page was not protected
//! yet would lose the writes in between.
//!
//! Source: `Documentation/virt/kvm/api.rst`, section 8.29; `struct kvm_dirty_gfn` in `include/uapi/linux/kvm.h`,
//! Linux 5.11.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kvm_bindings::{KVM_CAP_DIRTY_LOG_RING, kvm_enable_cap};
use kvm_ioctls::{VcpuFd, VmFd};
use vmferry::dirty::{DirtyLog, PageSet};
use vmferry::dirty_limit::VcpuDirtyRings;
use vmferry::memory::TARGET_PAGE_BYTES;

use super::kvm::ioctls::reset_dirty_rings;
use super::kvm::mapping::VcpuMapping;
use super::kvm::slots::Slot;

/// Exit reason of a vCPU whose ring is full.
pub(crate) const EXIT_RING_FULL: u32 = 31;

/// Words of an entry: flags, slot, low and high half of the page's offset in the slot.
const ENTRY_WORDS: usize = 4;
const ENTRY_BYTES: u32 = 16;
const FLAG_DIRTY: u32 = 1;
const FLAG_RESET: u32 = 2;
/// First page of the ring in a vCPU's descriptor, `KVM_DIRTY_LOG_PAGE_OFFSET`.
const FIRST_PAGE: u64 = 64;

/// Gives each vCPU of `vm` a ring of `entries` entries; to be called before the first vCPU is made.
///
/// # Errors
///
/// The host has no rings, or none that large.
pub(crate) fn enable(vm: &VmFd, entries: u32) -> io::Result<()> {
    let bytes = entries.saturating_mul(ENTRY_BYTES);
    let most = u32::try_from(vm.check_extension_raw(KVM_CAP_DIRTY_LOG_RING.into())).unwrap_or(0);
    if most == 0 {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "KVM has no dirty ring here; leave dirty-ring-size out",
        ));
    }
    if bytes > most {
        let most = most / ENTRY_BYTES;
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("KVM's dirty rings have at most {most} entries here"),
        ));
    }
    let mut cap = kvm_enable_cap { cap: KVM_CAP_DIRTY_LOG_RING, ..kvm_enable_cap::default() };
    if let Some(first) = cap.args.first_mut() {
        *first = bytes.into();
    }
    Ok(vm.enable_cap(&cap)?)
}

/// One vCPU's ring.
#[derive(Debug)]
struct Ring {
    mapping: VcpuMapping,
    entries: u32,
    /// The entry that comes next, counted without end.
    next: u32,
    /// Entries that were harvested so far.
    dirtied: u64,
}

impl Ring {
    /// Passes the slot and page of each dirty entry to `mark` and gives the entries back; returns their number.
    fn harvest(&mut self, mut mark: impl FnMut(u32, u64)) -> u32 {
        let mut harvested = 0;
        while harvested < self.entries {
            let at = (self.next % self.entries) as usize * ENTRY_WORDS;
            let Some([flags, slot, low, high]) = self.mapping.words().get(at..at + ENTRY_WORDS) else { break };
            // The kernel sets the flag after the rest of the entry, with a release.
            if flags.load(Ordering::Acquire) & FLAG_DIRTY == 0 {
                break;
            }
            let page = u64::from(high.load(Ordering::Relaxed)) << 32 | u64::from(low.load(Ordering::Relaxed));
            mark(slot.load(Ordering::Relaxed), page);
            flags.store(FLAG_RESET, Ordering::Release);
            self.next = self.next.wrapping_add(1);
            harvested += 1;
        }
        self.dirtied += u64::from(harvested);
        harvested
    }
}

/// The log of a machine's slots, one a block, from its vCPUs' rings.
#[derive(Debug)]
pub(crate) struct KvmDirtyRing {
    vm: Arc<VmFd>,
    slots: Vec<Arc<Slot>>,
    /// Entries of a ring.
    entries: u32,
    /// How long each vCPU sleeps when its ring is full, in microseconds.
    sleeps: Vec<AtomicU64>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rings: Vec<Ring>,
    /// A bit a page, one vector a slot.
    marks: Vec<Vec<u64>>,
    full_exits: u64,
    users: Users,
}

/// Who wants the guest's writes to be noted.
#[derive(Debug, Clone, Copy, Default)]
struct Users {
    log: bool,
    dirty_limit: bool,
}

impl KvmDirtyRing {
    /// A log over `slots`, in the order of the machine's blocks, from the rings of `vcpus`, of `entries` entries each.
    ///
    /// # Errors
    ///
    /// A ring cannot be mapped.
    pub(crate) fn new<'a>(
        vm: &Arc<VmFd>,
        slots: Vec<Arc<Slot>>,
        vcpus: impl IntoIterator<Item = &'a VcpuFd>,
        entries: u32,
    ) -> io::Result<Self> {
        let bytes = entries as usize * ENTRY_BYTES as usize;
        let ring =
            |vcpu| Ok(Ring { mapping: VcpuMapping::new(vcpu, FIRST_PAGE, bytes)?, entries, next: 0, dirtied: 0 });
        let rings = vcpus.into_iter().map(ring).collect::<io::Result<Vec<_>>>()?;
        let sleeps = rings.iter().map(|_| AtomicU64::new(0)).collect();
        let marks = slots.iter().map(|slot| vec![0; slot.pages().div_ceil(64)]).collect();
        let state = Mutex::new(State { rings, marks, full_exits: 0, users: Users::default() });
        Ok(Self { vm: Arc::clone(vm), slots, entries, sleeps, state })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Empties the ring of a vCPU that is full; the vCPU is to sleep before it goes on ([`Self::sleep_of`]).
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub(crate) fn ring_is_full(&self, vcpu: usize) -> io::Result<()> {
        let mut state = self.state();
        state.full_exits += 1;
        // The others' are left alone: those that dirty as fast are to see theirs full as well, and sleep.
        self.harvest(&mut state, Some(vcpu))
    }

    /// How long a vCPU sleeps when its ring is full, as of now.
    pub(crate) fn sleep_of(&self, vcpu: usize) -> Duration {
        let sleep_us = self.sleeps.get(vcpu).map_or(0, |sleep| sleep.load(Ordering::Relaxed));
        Duration::from_micros(sleep_us)
    }

    /// How often a vCPU had to wait for its ring to be emptied.
    pub(crate) fn full_exits(&self) -> u64 {
        self.state().full_exits
    }

    /// Empties the ring of one vCPU, or all.
    fn harvest(&self, state: &mut State, only: Option<usize>) -> io::Result<()> {
        let State { rings, marks, full_exits: _, users: _ } = state;
        let mut harvested = 0;
        let chosen = rings.iter_mut().enumerate().filter(|(vcpu, _)| only.is_none_or(|only| only == *vcpu));
        for (_, ring) in chosen {
            harvested += ring.harvest(|number, page| {
                let slot = self.slots.iter().position(|slot| slot.number() == number);
                let word = slot
                    .and_then(|slot| marks.get_mut(slot))
                    .and_then(|words| usize::try_from(page / 64).ok().and_then(|index| words.get_mut(index)));
                if let Some(word) = word {
                    *word |= 1 << (page % 64);
                }
            });
        }
        if harvested > 0 { reset_dirty_rings(&self.vm) } else { Ok(()) }
    }

    /// Lets the kernel note the guest's writes, as long as somebody wants that.
    fn log_writes(&self, users: Users) -> io::Result<()> {
        self.slots.iter().try_for_each(|slot| slot.log_writes(users.log || users.dirty_limit))
    }
}

impl VcpuDirtyRings for KvmDirtyRing {
    fn vcpus(&self) -> usize {
        self.sleeps.len()
    }

    fn ring_bytes(&self) -> u64 {
        u64::from(self.entries) * TARGET_PAGE_BYTES
    }

    fn count(&self, on: bool) -> io::Result<()> {
        let mut state = self.state();
        state.users.dirty_limit = on;
        self.log_writes(state.users)
    }

    fn dirtied_pages(&self) -> io::Result<Vec<u64>> {
        let mut state = self.state();
        self.harvest(&mut state, None)?;
        Ok(state.rings.iter().map(|ring| ring.dirtied).collect())
    }

    fn set_sleep(&self, vcpu: usize, sleep: Duration) {
        if let Some(place) = self.sleeps.get(vcpu) {
            place.store(u64::try_from(sleep.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }
}

impl DirtyLog for KvmDirtyRing {
    fn start(&self) -> io::Result<()> {
        let mut state = self.state();
        state.users.log = true;
        self.log_writes(state.users)?;
        // What was noted before is known to be dirty.
        self.harvest(&mut state, None)?;
        state.marks.iter_mut().for_each(|marks| marks.fill(0));
        Ok(())
    }

    fn stop(&self) {
        let mut state = self.state();
        state.users.log = false;
        if let Err(error) = self.log_writes(state.users) {
            tracing::warn!(%error, "the guest's writes are still logged, which slows it down");
        }
        if let Err(error) = self.harvest(&mut state, None) {
            tracing::warn!(%error, "the dirty rings are not empty");
        }
    }

    fn sync(&self, pages: &mut [PageSet]) -> io::Result<u64> {
        let mut state = self.state();
        self.harvest(&mut state, None)?;
        let mut dirty = 0;
        for (marks, set) in state.marks.iter_mut().zip(pages) {
            for (index, word) in marks.iter_mut().enumerate().filter(|(_, word)| **word != 0) {
                dirty += set.merge_word(index, std::mem::take(word));
            }
        }
        Ok(dirty)
    }
}
