//! The timer of hart 0 (ACLINT MTIMER).
//!
//! | offset | width | register |
//! |---|---|---|
//! | 0 | 8, or 4 per half | mtimecmp of hart 0 |
//! | 0x7ff8 | 8, or 4 per half | mtime |
//!
//! mtime counts at 10 MHz: virtual time / 100 ns + an offset that is 0 until the guest writes mtime. The interrupt is
//! pending while mtime >= mtimecmp. Out of reset mtimecmp is the largest number.
//! Sources: RISC-V ACLINT specification 1.0, chapter 2; `docs/spec/board-riscv-virt.md`.
//!
//! Image, section `riscv_aclint_mtimer`: version 1 has the octets of version 1 of QEMU's `riscv_mtimer`. Version 2 adds
//! the offset; without it a guest that had written mtime found another time after a migration.
//!
//! `Differs from QEMU:` its later versions of `riscv_mtimer` add other fields, so that this section has another name.

use std::sync::Arc;

use vmstate::{Migrate, Refused, Versions, VmState};

use super::clock::Clock;
use super::{half, with_half};
use crate::cpu::{BusFault, Width};

/// Nanoseconds per tick of mtime.
const TICK_NS: u64 = 100;
const MTIMECMP: u64 = 0;
const MTIME: u64 = 0x7ff8;

/// The device.
#[derive(Debug)]
pub struct Mtimer {
    clock: Arc<dyn Clock>,
    timecmp: u64,
    time_delta: u64,
}

impl Mtimer {
    /// Bytes of its registers.
    pub const BYTES: u64 = 0x8000;

    /// A timer that never fires yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, timecmp: u64::MAX, time_delta: 0 }
    }

    /// Reads a register.
    ///
    /// # Errors
    ///
    /// Narrower than 32 bits, or misaligned.
    pub fn read(&mut self, offset: u64, width: Width) -> Result<u64, BusFault> {
        let register = match offset & !7 {
            MTIMECMP => self.timecmp,
            MTIME => self.time(),
            _ => 0,
        };
        match width {
            Width::Double if offset & 7 == 0 => Ok(register),
            Width::Word if offset & 3 == 0 => Ok(half(register, offset & 4 != 0)),
            _ => Err(BusFault),
        }
    }

    /// Writes a register.
    ///
    /// # Errors
    ///
    /// Narrower than 32 bits, or misaligned.
    pub fn write(&mut self, offset: u64, width: Width, value: u64) -> Result<(), BusFault> {
        let merge = |old: u64| match width {
            Width::Double if offset & 7 == 0 => Ok(value),
            Width::Word if offset & 3 == 0 => Ok(with_half(old, offset & 4 != 0, value)),
            _ => Err(BusFault),
        };
        match offset & !7 {
            MTIMECMP => self.timecmp = merge(self.timecmp)?,
            MTIME => {
                let now = self.time();
                self.time_delta = self.time_delta.wrapping_add(merge(now)?.wrapping_sub(now));
            }
            _ => drop(merge(0)?),
        }
        Ok(())
    }

    /// The machine timer interrupt.
    #[must_use]
    pub fn level(&self) -> bool {
        self.time() >= self.timecmp
    }

    /// Virtual nanoseconds until [`Mtimer::level`] rises, 0 if it has; for a hart that waits.
    #[must_use]
    pub fn due_in_ns(&self) -> u64 {
        self.timecmp.saturating_sub(self.time()).saturating_mul(TICK_NS)
    }

    fn time(&self) -> u64 {
        (self.clock.virtual_ns() / TICK_NS).wrapping_add(self.time_delta)
    }
}

/// Image of the timer.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "riscv_aclint_mtimer", version = 2, min = 1)]
pub struct MtimerImage {
    timecmp: u64,
    #[vmstate(since = 2)]
    time_delta: u64,
}

impl Migrate for Mtimer {
    type Image = MtimerImage;
    type Props = ();

    fn props(&self) {}

    fn snapshot(&self) -> Result<MtimerImage, Refused> {
        let Self { clock: _, timecmp, time_delta } = self;
        Ok(MtimerImage { timecmp: *timecmp, time_delta: *time_delta })
    }

    fn template(&self) -> Result<MtimerImage, Refused> {
        // A version 1 sender's guest has mtime without an offset.
        Ok(MtimerImage { timecmp: self.timecmp, time_delta: 0 })
    }

    fn restore(&mut self, image: MtimerImage, _: &Versions) -> Result<(), Refused> {
        let MtimerImage { timecmp, time_delta } = image;
        (self.timecmp, self.time_delta) = (timecmp, time_delta);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock::ManualClock;
    use super::*;
    use vmstate::Input;

    vmstate::vmstate_tests!(MtimerImage);
    vmstate::device_tests!(mod mtimer_device: || timer().1, || Mtimer { timecmp: 77, time_delta: 5, ..timer().1 });

    fn timer() -> (Arc<ManualClock>, Mtimer) {
        let clock = Arc::new(ManualClock::default());
        (clock.clone(), Mtimer::new(clock))
    }

    #[test]
    fn the_interrupt_is_pending_from_the_compared_time_on() {
        let (clock, mut timer) = timer();
        assert!(!timer.level());
        timer.write(0, Width::Double, 5).unwrap();
        assert_eq!(timer.due_in_ns(), 500);
        clock.advance(499);
        assert!(!timer.level());
        clock.advance(1);
        assert!(timer.level());
        assert_eq!(timer.due_in_ns(), 0);
        timer.write(0, Width::Double, u64::MAX).unwrap();
        assert!(!timer.level());
    }

    #[test]
    fn halves_are_written_and_read_one_by_one() {
        let (clock, mut timer) = timer();
        timer.write(4, Width::Word, 0x1234_5678).unwrap();
        timer.write(0, Width::Word, 0x9abc_def0).unwrap();
        assert_eq!(timer.read(0, Width::Double), Ok(0x1234_5678_9abc_def0));
        assert_eq!(timer.read(4, Width::Word), Ok(0x1234_5678));
        clock.advance(700);
        timer.write(0x7ffc, Width::Word, 1).unwrap();
        assert_eq!(timer.read(0x7ff8, Width::Double), Ok(0x1_0000_0007));
        clock.advance(300);
        assert_eq!(timer.read(0x7ff8, Width::Double), Ok(0x1_0000_000a));
        assert_eq!(timer.read(0x7ff8, Width::Half), Err(BusFault));
        assert_eq!(timer.write(2, Width::Word, 0), Err(BusFault));
    }

    #[test]
    fn version_1_has_no_offset_and_leaves_none() {
        let (_, mut timer) = timer();
        timer.write(0x7ff8, Width::Double, 1000).unwrap();
        let mut image = timer.template().unwrap();
        image.decode(&(), 1, &mut Input::from_slice(&[0, 0, 0, 0, 0, 0, 0, 9], 0)).unwrap();
        timer.restore(image, &Versions::new(1)).unwrap();
        assert_eq!((timer.timecmp, timer.time_delta), (9, 0));
    }
}
