//! The smallest board that the test programs need, at the addresses of QEMU's `virt` (`docs/spec/board-riscv-virt.md`):
//! RAM, a UART that is always ready, the core-local timer, the test finisher.

use vm_memory::GuestAddress;
use vmferry_vmm::cpu::{Bus, BusFault, Exit, Hart, Lines, Width};

pub const RAM_BASE: u64 = 0x8000_0000;

pub struct Board {
    base: u64,
    pub ram: Vec<u8>,
    /// What the program printed.
    pub output: Vec<u8>,
    pub mtime: u64,
    pub mtimecmp: u64,
    msip: bool,
    finished: bool,
}

impl Board {
    /// A board with `bytes` of RAM at `base` that begins with `image`.
    pub fn new(base: u64, bytes: usize, image: &[u8]) -> Self {
        let mut ram = vec![0; bytes];
        ram[..image.len()].copy_from_slice(image);
        Self { base, ram, output: Vec::new(), mtime: 0, mtimecmp: u64::MAX, msip: false, finished: false }
    }

    /// Runs until the program powers off, with time going on by 10 µs every thousand instructions.
    pub fn run_to_end(&mut self, hart: &mut Hart, limit_instructions: u64) {
        let mut left = limit_instructions;
        while !self.finished {
            assert!(left > 0, "the program does not end; pc {:#x}, printed:\n{}", hart.pc().0, self.text());
            left = left.saturating_sub(1000);
            match hart.run(self, 1000) {
                Exit::Budget => self.mtime += 100,
                // Nothing but time can wake it.
                Exit::Wfi => self.mtime = self.mtime.max(self.mtimecmp),
                Exit::Requested => {}
                Exit::Stuck => panic!("the hart is stuck at {:#x}, printed:\n{}", hart.pc().0, self.text()),
            }
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    fn offset(&self, address: GuestAddress, bytes: u64) -> Option<usize> {
        let offset = address.0.checked_sub(self.base)?;
        (offset.checked_add(bytes)? <= self.ram.len() as u64).then(|| usize::try_from(offset).unwrap())
    }
}

impl Bus for Board {
    fn ram_load(&mut self, address: GuestAddress, width: Width) -> Option<u64> {
        let at = self.offset(address, width.bytes())?;
        let mut bytes = [0; 8];
        let count = usize::try_from(width.bytes()).unwrap();
        bytes[..count].copy_from_slice(&self.ram[at..at + count]);
        Some(u64::from_le_bytes(bytes))
    }

    fn ram_store(&mut self, address: GuestAddress, width: Width, value: u64) -> bool {
        let Some(at) = self.offset(address, width.bytes()) else { return false };
        let count = usize::try_from(width.bytes()).unwrap();
        self.ram[at..at + count].copy_from_slice(&value.to_le_bytes()[..count]);
        true
    }

    fn device_load(&mut self, address: GuestAddress, width: Width) -> Result<u64, BusFault> {
        match (address.0, width) {
            // The real-time clock follows the timer; its halves are read one after the other at one time.
            (0x0010_1000, Width::Word) => Ok((self.mtime * 100) & 0xffff_ffff),
            (0x0010_1004, Width::Word) => Ok((self.mtime * 100) >> 32),
            (0x0200_0000, Width::Word) => Ok(u64::from(self.msip)),
            (0x0200_4000, Width::Double) => Ok(self.mtimecmp),
            (0x0200_bff8, Width::Double) => Ok(self.mtime),
            (0x1000_0005, Width::Byte) => Ok(0x60),
            _ => Err(BusFault),
        }
    }

    fn device_store(&mut self, address: GuestAddress, width: Width, value: u64) -> Result<(), BusFault> {
        match (address.0, width) {
            (0x0010_0000, Width::Word) => self.finished |= value == 0x5555,
            (0x0200_0000, Width::Word) => self.msip = value & 1 != 0,
            (0x0200_4000, Width::Double) => self.mtimecmp = value,
            (0x1000_0000, Width::Byte) => self.output.push(value.to_le_bytes()[0]),
            _ => return Err(BusFault),
        }
        Ok(())
    }

    fn fetch(&mut self, address: GuestAddress) -> Option<u16> {
        let at = self.offset(address, 2)?;
        Some(u16::from_le_bytes([self.ram[at], self.ram[at + 1]]))
    }

    fn lines(&mut self) -> Lines {
        Lines { software: self.msip, timer: self.mtime >= self.mtimecmp, external: false, leave: self.finished }
    }
}
