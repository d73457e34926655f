//! The software interrupt of hart 0 (ACLINT MSWI).
//!
//! | offset | width | register |
//! |---|---|---|
//! | 0 | 4 | MSIP, bit 0 |
//!
//! The rest of its 16 KiB belongs to harts that are not there: reads 0, writes are ignored.
//! Source: RISC-V ACLINT specification 1.0, chapter 3.
//!
//! `Differs from QEMU:` there the level is in the hart's state alone and has no section.

use vmstate::{Migrate, Refused, Versions, VmState};

use super::{low32, word_only};
use crate::cpu::{BusFault, Width};

/// The device.
#[derive(Debug, Default)]
pub struct Mswi {
    msip: bool,
}

impl Mswi {
    /// Bytes of its registers.
    pub const BYTES: u64 = 0x4000;

    /// Reads a register.
    ///
    /// # Errors
    ///
    /// Not a 32-bit access.
    pub fn read(&mut self, offset: u64, width: Width) -> Result<u64, BusFault> {
        word_only(width)?;
        Ok(u64::from(offset == 0 && self.msip))
    }

    /// Writes a register.
    ///
    /// # Errors
    ///
    /// Not a 32-bit access.
    pub fn write(&mut self, offset: u64, width: Width, value: u64) -> Result<(), BusFault> {
        word_only(width)?;
        if offset == 0 {
            self.msip = low32(value) & 1 != 0;
        }
        Ok(())
    }

    /// The machine software interrupt.
    #[must_use]
    pub const fn level(&self) -> bool {
        self.msip
    }
}

/// Image of the software interrupt.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "riscv_aclint_mswi", version = 1)]
pub struct MswiImage {
    msip: u32,
}

impl Migrate for Mswi {
    type Image = MswiImage;
    type Props = ();

    fn props(&self) {}

    fn snapshot(&self) -> Result<MswiImage, Refused> {
        let Self { msip } = self;
        Ok(MswiImage { msip: u32::from(*msip) })
    }

    fn template(&self) -> Result<MswiImage, Refused> {
        self.snapshot()
    }

    fn restore(&mut self, image: MswiImage, _: &Versions) -> Result<(), Refused> {
        let MswiImage { msip } = image;
        if msip > 1 {
            return Err(Refused::new(format!("msip is {msip:#x}, not 0 or 1")));
        }
        self.msip = msip != 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    vmstate::vmstate_tests!(MswiImage);
    vmstate::device_tests!(mod mswi_device: Mswi::default, || Mswi { msip: true });

    #[test]
    fn only_bit_0_of_hart_0_is_there() {
        let mut mswi = Mswi::default();
        mswi.write(0, Width::Word, 0xffff_ffff).unwrap();
        mswi.write(4, Width::Word, 1).unwrap();
        assert_eq!((mswi.read(0, Width::Word), mswi.read(4, Width::Word)), (Ok(1), Ok(0)));
        assert!(mswi.level());
        mswi.write(0, Width::Word, 0xfffe).unwrap();
        assert!(!mswi.level());
        assert_eq!(mswi.read(0, Width::Double), Err(BusFault));
    }

    #[test]
    fn the_level_moves_and_anything_else_is_refused() {
        let mut mswi = Mswi { msip: true };
        let mut other = Mswi::default();
        other.restore(mswi.snapshot().unwrap(), &Versions::new(1)).unwrap();
        assert!(other.level());
        mswi.restore(MswiImage { msip: 2 }, &Versions::new(1)).unwrap_err();
        assert!(mswi.level());
    }
}
