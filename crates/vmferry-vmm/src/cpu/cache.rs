//! The decode cache: instructions by the physical address that they were fetched from.
//!
//! Direct-mapped, one slot per even address modulo twice the number of slots. Fetches stay coherent with RAM, as they
//! are in QEMU and not merely after `fence.i`: otherwise a guest that wrote its own code would run differently after a
//! migration, which starts with an empty cache. Entries go away
//!
//! - all at once at `fence.i`, and when an image of the hart is restored;
//! - one by one when the hart stores onto them. To keep stores cheap, only those inside the span between the lowest and
//!   the highest cached address are looked at (one comparison for all others).
//!
//! What devices write into RAM is seen after the guest's `fence.i`, which the manual demands of it.

use super::instruction::{Instruction, Op};

/// Slots of the cache: enough for 16 KiB of code without conflicts.
const SLOTS: usize = 8192;

/// Longest store, less one: how far below an instruction a store that touches it can begin.
const STORE_REACH: u64 = 7;

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Address of the instruction; [`Entry::EMPTY`]'s is odd and so never matches.
    tag: u64,
    instruction: Instruction,
}

impl Entry {
    const EMPTY: Self =
        Self { tag: 1, instruction: Instruction { op: Op::Fence, rd: 0, rs1: 0, rs2: 0, length: 4, imm: 0 } };
}

/// Decoded instructions by address.
#[derive(Debug, Clone)]
pub(super) struct DecodeCache {
    entries: Box<[Entry; SLOTS]>,
    /// Lowest address at which a store may touch a cached instruction.
    low: u64,
    /// Bytes from `low` to the end of the highest cached instruction; 0 if nothing is cached.
    span: u64,
}

impl DecodeCache {
    pub(super) fn new() -> Self {
        Self { entries: Box::new([Entry::EMPTY; SLOTS]), low: 0, span: 0 }
    }

    /// The instruction at `pc`, if it is known.
    #[inline(always)]
    pub(super) fn lookup(&self, pc: u64) -> Option<Instruction> {
        let entry = self.entries.get(slot(pc))?;
        (entry.tag == pc).then_some(entry.instruction)
    }

    /// Remembers the instruction at `pc`, which is even.
    pub(super) fn insert(&mut self, pc: u64, instruction: Instruction) {
        debug_assert!(pc & 1 == 0, "an odd address would match the empty entry");
        if let Some(entry) = self.entries.get_mut(slot(pc)) {
            *entry = Entry { tag: pc, instruction };
        }
        let low = pc.saturating_sub(STORE_REACH);
        let end = pc.saturating_add(u64::from(instruction.length));
        if self.span == 0 {
            (self.low, self.span) = (low, end - low);
        } else {
            let old_end = self.low + self.span;
            self.low = self.low.min(low);
            self.span = old_end.max(end) - self.low;
        }
    }

    /// Forgets what a store of `bytes` at `address` changes. Costs one comparison for stores outside of the cached
    /// span.
    #[inline(always)]
    pub(super) fn stored(&mut self, address: u64, bytes: u64) {
        if address.wrapping_sub(self.low) < self.span {
            self.forget(address, bytes);
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        if self.span != 0 {
            self.entries.fill(Entry::EMPTY);
            self.span = 0;
        }
    }

    #[cold]
    #[inline(never)]
    fn forget(&mut self, address: u64, bytes: u64) {
        // An instruction of four bytes may begin two bytes before the store.
        let mut pc = address.wrapping_sub(2) & !1;
        let end = address.wrapping_add(bytes);
        while pc != end && pc != end.wrapping_add(1) {
            if let Some(entry) = self.entries.get_mut(slot(pc))
                && entry.tag == pc
            {
                *entry = Entry::EMPTY;
            }
            pc = pc.wrapping_add(2);
        }
    }
}

#[inline(always)]
const fn slot(pc: u64) -> usize {
    // The mask makes the cast lossless and the bounds check vanish.
    ((pc >> 1) & (SLOTS as u64 - 1)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nop(length: u8) -> Instruction {
        Instruction { op: Op::Addi, rd: 0, rs1: 0, rs2: 0, length, imm: 0 }
    }

    #[test]
    fn a_store_forgets_exactly_the_instructions_that_it_touches() {
        for address in 0x1000_u64..0x1020 {
            for bytes in [1, 2, 4, 8] {
                let mut cache = DecodeCache::new();
                for pc in (0x1000..0x1020).step_by(4) {
                    cache.insert(pc, nop(4));
                }
                cache.stored(address, bytes);
                for pc in (0x1000..0x1020).step_by(4) {
                    let touched = address < pc + 4 && address + bytes > pc;
                    assert_eq!(
                        cache.lookup(pc).is_none(),
                        touched,
                        "store of {bytes} at {address:#x}, code at {pc:#x}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_store_below_the_first_instruction_reaches_it() {
        let mut cache = DecodeCache::new();
        cache.insert(0x8000_0008, nop(2));
        cache.stored(0x8000_0001, 8);
        assert_eq!(cache.lookup(0x8000_0008), None);
    }

    #[test]
    fn two_addresses_that_share_a_slot_do_not_answer_for_each_other() {
        let mut cache = DecodeCache::new();
        cache.insert(0x1000, nop(2));
        cache.insert(0x1000 + 2 * SLOTS as u64, nop(4));
        assert_eq!(cache.lookup(0x1000), None);
        assert_eq!(cache.lookup(0x1000 + 2 * SLOTS as u64), Some(nop(4)));
    }
}
