//! The platform-level interrupt controller: 95 sources, contexts M and S of hart 0.
//!
//! | offset | register |
//! |---|---|
//! | 4 n | priority of source n (1 … 95), 0 to 7; 0 never interrupts |
//! | 0x1000 + 4 w | pending, 32 sources a word, read-only |
//! | 0x2000 + 0x80 c + 4 w | enabled for context c |
//! | 0x20_0000 + 0x1000 c | threshold of context c, 0 to 7 |
//! | 0x20_0004 + 0x1000 c | claim (read), complete (write) |
//!
//! ```text
//!   source's level ──> [gateway] ──> pending ──claim──> claimed ──complete──> the level is looked at again
//! ```
//!
//! A request stays pending until it is claimed, also if the level falls meanwhile. Claims give the highest priority,
//! the lowest number among equals; the threshold masks the notification only.
//! Sources: RISC-V PLIC specification 1.0.0; `docs/spec/board-riscv-virt.md`.
//!
//! Image, section `riscv_sifive_plic` version 1: the fields are those of QEMU 7.2 and later. The levels of the sources
//! are not in it: the machine sets them from the devices after a load.

use vmstate::{Migrate, Refused, Versions, VmState};

use super::{low32, word_only};
use crate::cpu::{BusFault, Width};

/// Highest source number.
pub const SOURCES: u32 = 95;
const CONTEXTS: usize = 2;
/// Words of a bitmap of sources 0 … 95.
const WORDS: usize = 3;
const PRIORITY_MASK: u32 = 7;

/// Interrupt contexts, in the order of the register blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// Machine mode of hart 0.
    Machine,
    /// Supervisor mode of hart 0. The registers are there, as on QEMU's board; the hart has no such mode.
    Supervisor,
}

/// The controller.
#[derive(Debug)]
pub struct Plic {
    priority: [u32; SOURCES as usize + 1],
    threshold: [u32; CONTEXTS],
    pending: [u32; WORDS],
    claimed: [u32; WORDS],
    enable: [[u32; WORDS]; CONTEXTS],
    /// Levels of the sources as the machine has set them; not part of the state.
    level: [u32; WORDS],
}

impl Default for Plic {
    fn default() -> Self {
        Self {
            priority: [0; SOURCES as usize + 1],
            threshold: [0; CONTEXTS],
            pending: [0; WORDS],
            claimed: [0; WORDS],
            enable: [[0; WORDS]; CONTEXTS],
            level: [0; WORDS],
        }
    }
}

impl Plic {
    /// Bytes of its registers.
    pub const BYTES: u64 = 0x60_0000;

    /// Sets the level of a source, 1 to [`SOURCES`]; others do nothing.
    pub fn set_level(&mut self, source: u32, level: bool) {
        if source == 0 || source > SOURCES {
            return;
        }
        set_bit(&mut self.level, source, level);
        self.forward();
    }

    /// The external interrupt of a context.
    #[must_use]
    pub fn notifies(&self, context: Context) -> bool {
        let context = context as usize;
        let threshold = self.threshold.get(context).copied().unwrap_or(0);
        self.best(context).is_some_and(|(_, priority)| priority > threshold)
    }

    /// Reads a register; a claim changes state.
    ///
    /// # Errors
    ///
    /// Not a 32-bit access, or misaligned.
    pub fn read(&mut self, offset: u64, width: Width) -> Result<u64, BusFault> {
        word_only(width)?;
        let value = match Register::at(offset)? {
            Register::Priority(source) => self.priority.get(source).copied(),
            Register::Pending(word) => self.pending.get(word).copied(),
            Register::Enable(context, word) => self.enable.get(context).and_then(|words| words.get(word)).copied(),
            Register::Threshold(context) => self.threshold.get(context).copied(),
            Register::Claim(context) => Some(self.claim(context)),
            Register::None => None,
        };
        Ok(u64::from(value.unwrap_or(0)))
    }

    /// Writes a register.
    ///
    /// # Errors
    ///
    /// Not a 32-bit access, or misaligned.
    pub fn write(&mut self, offset: u64, width: Width, value: u64) -> Result<(), BusFault> {
        word_only(width)?;
        let value = low32(value);
        let place = match Register::at(offset)? {
            Register::Priority(0) | Register::Pending(_) | Register::None => None,
            Register::Priority(source) => self.priority.get_mut(source).map(|place| (place, PRIORITY_MASK)),
            Register::Enable(context, word) => {
                // Source 0 does not exist.
                let mask = if word == 0 { !1 } else { !0 };
                self.enable.get_mut(context).and_then(|words| words.get_mut(word)).map(|place| (place, mask))
            }
            Register::Threshold(context) => self.threshold.get_mut(context).map(|place| (place, PRIORITY_MASK)),
            Register::Claim(context) => {
                self.complete(context, value);
                None
            }
        };
        if let Some((place, mask)) = place {
            *place = value & mask;
        }
        Ok(())
    }

    /// Claims the best pending source; 0 if there is none.
    fn claim(&mut self, context: usize) -> u32 {
        let Some((source, _)) = self.best(context) else { return 0 };
        set_bit(&mut self.pending, source, false);
        set_bit(&mut self.claimed, source, true);
        source
    }

    fn complete(&mut self, context: usize, source: u32) {
        let is_enabled = self.enable.get(context).is_some_and(|words| bit(words, source));
        if is_enabled {
            set_bit(&mut self.claimed, source, false);
            self.forward();
        }
    }

    /// Requests of sources whose level is high and that nobody serves yet become pending.
    fn forward(&mut self) {
        for ((pending, claimed), level) in self.pending.iter_mut().zip(self.claimed).zip(self.level) {
            *pending |= level & !claimed;
        }
    }

    /// The pending, enabled source of the highest priority above 0, and that priority.
    fn best(&self, context: usize) -> Option<(u32, u32)> {
        let enable = self.enable.get(context)?;
        (1..)
            .zip(self.priority.iter().skip(1).copied())
            .filter(|(source, priority)| *priority > 0 && bit(&self.pending, *source) && bit(enable, *source))
            .reduce(|best, other| if other.1 > best.1 { other } else { best })
    }
}

enum Register {
    Priority(usize),
    Pending(usize),
    Enable(usize, usize),
    Threshold(usize),
    Claim(usize),
    None,
}

impl Register {
    /// What is at an offset. Indices may lie outside of the arrays: those registers do not exist.
    fn at(offset: u64) -> Result<Self, BusFault> {
        if offset & 3 != 0 {
            return Err(BusFault);
        }
        let index = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        Ok(match offset {
            0..0x1000 => Self::Priority(index(offset / 4)),
            0x1000..0x1080 => Self::Pending(index((offset - 0x1000) / 4)),
            0x2000..0x20_0000 => Self::Enable(index((offset - 0x2000) / 0x80), index((offset & 0x7f) / 4)),
            0x20_0000.. => {
                let context = index((offset - 0x20_0000) / 0x1000);
                match offset & 0xfff {
                    0 => Self::Threshold(context),
                    4 => Self::Claim(context),
                    _ => Self::None,
                }
            }
            _ => Self::None,
        })
    }
}

/// Bit `source` of a bitmap; `false` outside of it.
fn bit(words: &[u32; WORDS], source: u32) -> bool {
    usize::try_from(source / 32)
        .ok()
        .and_then(|word| words.get(word))
        .is_some_and(|word| word >> (source % 32) & 1 != 0)
}

fn set_bit(words: &mut [u32; WORDS], source: u32, value: bool) {
    if let Some(word) = usize::try_from(source / 32).ok().and_then(|word| words.get_mut(word)) {
        *word = *word & !(1 << (source % 32)) | u32::from(value) << (source % 32);
    }
}

/// Image of the controller.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "riscv_sifive_plic", version = 1)]
pub struct PlicImage {
    source_priority: [u32; SOURCES as usize + 1],
    target_priority: [u32; CONTEXTS],
    pending: [u32; WORDS],
    claimed: [u32; WORDS],
    enable: [u32; CONTEXTS * WORDS],
}

impl Migrate for Plic {
    type Image = PlicImage;
    type Props = ();

    fn props(&self) {}

    fn snapshot(&self) -> Result<PlicImage, Refused> {
        let Self { priority, threshold, pending, claimed, enable, level: _ } = self;
        let [[m0, m1, m2], [s0, s1, s2]] = *enable;
        Ok(PlicImage {
            source_priority: *priority,
            target_priority: *threshold,
            pending: *pending,
            claimed: *claimed,
            enable: [m0, m1, m2, s0, s1, s2],
        })
    }

    fn template(&self) -> Result<PlicImage, Refused> {
        self.snapshot()
    }

    fn restore(&mut self, image: PlicImage, _: &Versions) -> Result<(), Refused> {
        let PlicImage { source_priority, target_priority, pending, claimed, enable } = image;
        for (name, values) in [("source_priority", &source_priority[..]), ("target_priority", &target_priority[..])] {
            if let Some((index, value)) = values.iter().enumerate().find(|(_, value)| **value > PRIORITY_MASK) {
                return Err(Refused::new(format!(
                    "{name}[{index}] is {value}, above the highest priority {PRIORITY_MASK}"
                )));
            }
        }
        let [m0, m1, m2, s0, s1, s2] = enable;
        let no_source_0 = [("pending", pending[0]), ("claimed", claimed[0]), ("enable", m0), ("enable", s0)];
        if let Some((name, _)) = no_source_0.iter().find(|(_, word)| word & 1 != 0) {
            return Err(Refused::new(format!("{name} has source 0, which does not exist")));
        }
        self.priority = source_priority;
        self.threshold = target_priority;
        self.pending = pending;
        self.claimed = claimed;
        self.enable = [[m0, m1, m2], [s0, s1, s2]];
        self.forward();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAIM: u64 = 0x20_0004;
    const THRESHOLD: u64 = 0x20_0000;

    fn write(plic: &mut Plic, offset: u64, value: u64) {
        plic.write(offset, Width::Word, value).unwrap();
    }

    fn read(plic: &mut Plic, offset: u64) -> u64 {
        plic.read(offset, Width::Word).unwrap()
    }

    vmstate::vmstate_tests! {
        mod plic_image: PlicImage {
            template: Plic::default().snapshot().unwrap(),
        }
    }

    vmstate::device_tests!(mod plic_device: Plic::default, plic, || {
        let mut plic = plic();
        plic.set_level(10, true);
        // The level itself is the wire's, and shows again after a load.
        plic.set_level(10, false);
        plic
    });

    /// Sources 8, 10 and 33 enabled for machine mode, with priorities 1, 3 and 3.
    fn plic() -> Plic {
        let mut plic = Plic::default();
        write(&mut plic, 0x2000, 1 << 8 | 1 << 10);
        write(&mut plic, 0x2004, 1 << 1);
        for (source, priority) in [(8, 1), (10, 3), (33, 3)] {
            write(&mut plic, 4 * source, priority);
        }
        plic
    }

    #[test]
    fn claims_come_by_priority_then_by_number() {
        let mut plic = plic();
        for source in [33, 8, 10] {
            plic.set_level(source, true);
        }
        assert!(plic.notifies(Context::Machine));
        assert!(!plic.notifies(Context::Supervisor));
        assert_eq!([(); 4].map(|()| read(&mut plic, CLAIM)), [10, 33, 8, 0]);
        assert!(!plic.notifies(Context::Machine));
    }

    #[test]
    fn a_level_that_stays_high_is_pending_again_after_complete_and_one_that_fell_is_not() {
        let mut plic = plic();
        plic.set_level(10, true);
        assert_eq!(read(&mut plic, CLAIM), 10);
        assert_eq!(read(&mut plic, 0x1000), 0);
        plic.set_level(10, true);
        assert!(!plic.notifies(Context::Machine), "it is being served");
        write(&mut plic, CLAIM, 10);
        assert!(plic.notifies(Context::Machine));
        assert_eq!(read(&mut plic, CLAIM), 10);
        plic.set_level(10, false);
        write(&mut plic, CLAIM, 10);
        assert!(!plic.notifies(Context::Machine));
    }

    #[test]
    fn a_request_outlives_its_level() {
        let mut plic = plic();
        plic.set_level(8, true);
        plic.set_level(8, false);
        assert_eq!(read(&mut plic, 0x1000), 1 << 8);
        assert_eq!(read(&mut plic, CLAIM), 8);
    }

    #[test]
    fn the_threshold_masks_the_notification_but_not_the_claim() {
        let mut plic = plic();
        write(&mut plic, THRESHOLD, 3);
        plic.set_level(10, true);
        assert!(!plic.notifies(Context::Machine));
        write(&mut plic, THRESHOLD, 2);
        assert!(plic.notifies(Context::Machine));
        write(&mut plic, THRESHOLD, 7);
        assert_eq!(read(&mut plic, CLAIM), 10);
    }

    #[test]
    fn complete_of_a_source_that_is_not_enabled_is_ignored() {
        let mut plic = plic();
        plic.set_level(10, true);
        read(&mut plic, CLAIM);
        write(&mut plic, CLAIM + 0x1000, 10);
        write(&mut plic, CLAIM, 0xffff_ffff);
        assert!(!plic.notifies(Context::Machine));
        write(&mut plic, CLAIM, 10);
        assert!(plic.notifies(Context::Machine));
    }

    #[test]
    fn registers_outside_of_the_board_read_0_and_take_nothing() {
        let mut plic = plic();
        for offset in [0, 4 * 96, 0x100c, 0x200c, 0x2100, 0x20_2000, 0x20_2004, 0x20_0008, 0x5f_fffc] {
            write(&mut plic, offset, 0xffff_ffff);
            assert_eq!(read(&mut plic, offset), 0, "{offset:#x}");
        }
        write(&mut plic, 0x2000, 0xffff_ffff);
        assert_eq!(read(&mut plic, 0x2000), 0xffff_fffe);
        assert_eq!(plic.read(2, Width::Word), Err(BusFault));
        assert_eq!(plic.read(0, Width::Byte), Err(BusFault));
    }

    #[test]
    fn state_moves_and_inconsistent_state_is_refused() {
        let mut plic = plic();
        plic.set_level(10, true);
        plic.set_level(33, true);
        read(&mut plic, CLAIM);
        let image = plic.snapshot().unwrap();
        let mut other = Plic::default();
        other.restore(image.clone(), &Versions::new(1)).unwrap();
        assert_eq!(other.snapshot().unwrap(), image);
        assert_eq!(read(&mut other, CLAIM), 33);

        let mut bad = image.clone();
        bad.source_priority[7] = 8;
        assert!(plic.restore(bad, &Versions::new(1)).unwrap_err().to_string().contains("source_priority[7] is 8"));
        let mut bad = image.clone();
        bad.enable[3] = 1;
        plic.restore(bad, &Versions::new(1)).unwrap_err();
        assert_eq!(plic.snapshot().unwrap(), image);
    }
}
