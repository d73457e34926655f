//! The test finisher (`sifive,test1`): a write ends or resets the machine.
//!
//! | offset | width | written | meaning |
//! |---|---|---|---|
//! | 0 | 4 | 0x0000_5555 | power off, success |
//! | 0 | 4 | code << 16 \| 0x3333 | power off, failure with a code |
//! | 0 | 4 | 0x0000_7777 | reset |
//!
//! Reads give 0, other writes do nothing. It has no state: a request is carried out before anything else happens.
//! Source: `docs/spec/board-riscv-virt.md`, memory map; the failure form was tried on QEMU 10.0.

use super::{low32, word_only};
use crate::cpu::{BusFault, Width};

/// What the guest asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// Power off; 0 is success.
    PowerOff {
        /// The guest's verdict.
        code: u16,
    },
    /// Start again.
    Reset,
}

/// The finisher.
#[derive(Debug, Default)]
pub struct Finisher {
    request: Option<Finish>,
}

impl Finisher {
    /// Reads a register.
    ///
    /// # Errors
    ///
    /// Not a 32-bit access.
    pub fn read(&mut self, _offset: u64, width: Width) -> Result<u64, BusFault> {
        word_only(width).map(|()| 0)
    }

    /// Writes a register.
    ///
    /// # Errors
    ///
    /// Not a 32-bit access.
    pub fn write(&mut self, offset: u64, width: Width, value: u64) -> Result<(), BusFault> {
        word_only(width)?;
        if offset == 0 {
            let value = low32(value);
            self.request = match value & 0xffff {
                0x3333 => Some(Finish::PowerOff { code: (value >> 16) as u16 }),
                0x5555 => Some(Finish::PowerOff { code: 0 }),
                0x7777 => Some(Finish::Reset),
                _ => self.request,
            };
        }
        Ok(())
    }

    /// Whether the guest asks for something.
    #[must_use]
    pub const fn is_requested(&self) -> bool {
        self.request.is_some()
    }

    /// What the guest asks for, once.
    pub const fn take_request(&mut self) -> Option<Finish> {
        self.request.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart_and_given_once() {
        let mut finisher = Finisher::default();
        for (value, request) in [
            (0x5555, Some(Finish::PowerOff { code: 0 })),
            (0x0007_3333, Some(Finish::PowerOff { code: 7 })),
            (0x7777, Some(Finish::Reset)),
            (0x1234, None),
        ] {
            finisher.write(0, Width::Word, value).unwrap();
            assert_eq!(finisher.take_request(), request, "{value:#x}");
            assert_eq!(finisher.take_request(), None);
        }
        assert_eq!(finisher.write(0, Width::Byte, 0x55), Err(BusFault));
    }
}
