//! The board: RAM and devices at the addresses of QEMU's `virt` board, and the wires between them.
//!
//! | address | what | PLIC source |
//! |---|---|---|
//! | 0x0000_1000 | reset code: none, the hart starts at the image | |
//! | 0x0010_0000 | test finisher | |
//! | 0x0010_1000 | goldfish RTC | 11 |
//! | 0x0200_0000 | ACLINT: MSWI, at + 0x4000 MTIMER | |
//! | 0x0c00_0000 | PLIC | |
//! | 0x1000_0000 | 16550A | 10 |
//! | 0x1000_8000 | virtio-mmio slot 8 | 8 |
//! | 0x8000_0000 | RAM, block `riscv_virt_board.ram` | |
//!
//! Source: `docs/spec/board-riscv-virt.md`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vm_memory::GuestAddress;
use vm_memory::bitmap::Bitmap as _;
use vmferry::dirty::DirtyBitmap;
use vmferry::memory::{MappedBlock, RamBlock as _};

use crate::cpu::{Bus, BusFault, Lines, Width};
use crate::devices::finisher::Finisher;
use crate::devices::mswi::Mswi;
use crate::devices::mtimer::Mtimer;
use crate::devices::plic::{Context, Plic};
use crate::devices::rtc::GoldfishRtc;
use crate::devices::uart::Uart;
use crate::devices::virtio::{GuestRam, RamFault, VirtioRng};

/// Address of RAM, and of the image that the hart starts in.
pub const RAM_START: u64 = 0x8000_0000;
/// Id of the RAM block.
pub const RAM_BLOCK: &str = "riscv_virt_board.ram";

const FINISHER: u64 = 0x0010_0000;
const RTC: u64 = 0x0010_1000;
const MSWI: u64 = 0x0200_0000;
const MTIMER: u64 = 0x0200_4000;
const PLIC: u64 = 0x0c00_0000;
const UART: u64 = 0x1000_0000;
const VIRTIO: u64 = 0x1000_8000;

const UART_SOURCE: u32 = 10;
const RTC_SOURCE: u32 = 11;
const VIRTIO_SOURCE: u32 = 8;

/// The devices. Handles: a clone leads to the same devices.
#[derive(Debug, Clone)]
pub struct Board {
    /// Memory from [`RAM_START`] on.
    pub ram: MappedBlock,
    /// Power off and reset.
    pub finisher: Arc<Mutex<Finisher>>,
    /// Real-time clock.
    pub rtc: Arc<Mutex<GoldfishRtc>>,
    /// Software interrupt.
    pub mswi: Arc<Mutex<Mswi>>,
    /// Timer.
    pub mtimer: Arc<Mutex<Mtimer>>,
    /// Interrupt controller.
    pub plic: Arc<Mutex<Plic>>,
    /// Serial port.
    pub uart: Arc<Mutex<Uart>>,
    /// Entropy.
    pub rng: Arc<Mutex<VirtioRng>>,
}

pub(super) fn lock<T>(device: &Mutex<T>) -> MutexGuard<'_, T> {
    device.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Board {
    /// Lets devices do what depends on time: a clock alarm, a receive timeout, characters that found no room.
    pub fn poll(&self) {
        lock(&self.rtc).poll();
        let mut uart = lock(&self.uart);
        uart.poll();
        uart.pump();
    }

    /// Nanoseconds until a device wants the hart's attention by itself.
    #[must_use]
    pub fn due_in_ns(&self) -> u64 {
        let timer = lock(&self.mtimer).due_in_ns();
        let alarm = lock(&self.rtc).due_in_ns().unwrap_or(u64::MAX);
        let serial = lock(&self.uart).due_in_ns().unwrap_or(u64::MAX);
        timer.min(alarm).min(serial)
    }

    /// Passes the levels of the devices on to the interrupt controller.
    fn wire(&self) -> MutexGuard<'_, Plic> {
        let uart = lock(&self.uart).level();
        let rtc = lock(&self.rtc).level();
        let rng = lock(&self.rng).level();
        let mut plic = lock(&self.plic);
        plic.set_level(UART_SOURCE, uart);
        plic.set_level(RTC_SOURCE, rtc);
        plic.set_level(VIRTIO_SOURCE, rng);
        plic
    }
}

/// The board as the hart sees it while it runs.
///
/// The vCPU thread is the only one that writes RAM then (devices that access memory do so from within one of its
/// register accesses), so a store of less than a word may read and write the word.
pub(super) struct BoardBus<'a> {
    board: &'a Board,
    words: &'a [AtomicU64],
    dirty: &'a DirtyBitmap,
}

impl<'a> BoardBus<'a> {
    pub(super) fn new(board: &'a Board) -> Self {
        Self { board, words: board.ram.words(), dirty: board.ram.region().bitmap() }
    }

    /// The word that holds the whole access, and the position of the access in it; `None` if there is none.
    #[inline(always)]
    fn word(&self, offset: u64, width: Width) -> Option<(&'a AtomicU64, u64)> {
        let within = offset & 7;
        if within + width.bytes() > 8 {
            return None;
        }
        let word = self.words.get(usize::try_from(offset / 8).ok()?)?;
        Some((word, within * 8))
    }

    /// An access that crosses two words, byte by byte.
    #[cold]
    fn load_across(&self, offset: u64, width: Width) -> Option<u64> {
        (0..width.bytes()).rev().try_fold(0, |value, at| {
            let (word, shift) = self.word(offset.checked_add(at)?, Width::Byte)?;
            Some(value << 8 | u64::from_le(word.load(Ordering::Relaxed)) >> shift & 0xff)
        })
    }

    #[cold]
    fn store_across(&self, offset: u64, width: Width, value: u64) -> bool {
        let last = offset.checked_add(width.bytes() - 1).and_then(|last| self.word(last, Width::Byte));
        if last.is_none() {
            return false;
        }
        (0..width.bytes()).all(|at| self.store(offset + at, Width::Byte, value >> (8 * at)))
    }

    /// Writes first and marks afterwards: a mark that was taken before the write is set again.
    #[inline(always)]
    fn store(&self, offset: u64, width: Width, value: u64) -> bool {
        let Some((word, shift)) = self.word(offset, width) else {
            return offset & 7 != 0 && self.store_across(offset, width, value);
        };
        let mask = width.mask() << shift;
        let new = if width == Width::Double {
            value
        } else {
            u64::from_le(word.load(Ordering::Relaxed)) & !mask | value << shift & mask
        };
        word.store(new.to_le(), Ordering::Relaxed);
        // The word exists, so the offset fits.
        self.dirty.mark_dirty(usize::try_from(offset).unwrap_or(usize::MAX), 1);
        true
    }
}

impl Bus for BoardBus<'_> {
    #[inline(always)]
    fn ram_load(&mut self, address: GuestAddress, width: Width) -> Option<u64> {
        let offset = address.0.wrapping_sub(RAM_START);
        match self.word(offset, width) {
            Some((word, shift)) => Some(u64::from_le(word.load(Ordering::Relaxed)) >> shift & width.mask()),
            None if offset & 7 == 0 => None,
            None => self.load_across(offset, width),
        }
    }

    #[inline(always)]
    fn ram_store(&mut self, address: GuestAddress, width: Width, value: u64) -> bool {
        self.store(address.0.wrapping_sub(RAM_START), width, value)
    }

    fn device_load(&mut self, address: GuestAddress, width: Width) -> Result<u64, BusFault> {
        let at = address.0;
        match at {
            FINISHER..0x0010_1000 => lock(&self.board.finisher).read(at - FINISHER, width),
            RTC..0x0010_2000 => lock(&self.board.rtc).read(at - RTC, width),
            MSWI..MTIMER => lock(&self.board.mswi).read(at - MSWI, width),
            MTIMER..0x0200_c000 => lock(&self.board.mtimer).read(at - MTIMER, width),
            PLIC..0x0c60_0000 => self.board.wire().read(at - PLIC, width),
            UART..0x1000_0100 => lock(&self.board.uart).read(at - UART, width),
            VIRTIO..0x1000_9000 => lock(&self.board.rng).read(at - VIRTIO, width),
            _ => Err(BusFault),
        }
    }

    fn device_store(&mut self, address: GuestAddress, width: Width, value: u64) -> Result<(), BusFault> {
        let at = address.0;
        match at {
            FINISHER..0x0010_1000 => lock(&self.board.finisher).write(at - FINISHER, width, value),
            RTC..0x0010_2000 => lock(&self.board.rtc).write(at - RTC, width, value),
            MSWI..MTIMER => lock(&self.board.mswi).write(at - MSWI, width, value),
            MTIMER..0x0200_c000 => lock(&self.board.mtimer).write(at - MTIMER, width, value),
            PLIC..0x0c60_0000 => self.board.wire().write(at - PLIC, width, value),
            UART..0x1000_0100 => lock(&self.board.uart).write(at - UART, width, value),
            VIRTIO..0x1000_9000 => lock(&self.board.rng).write(at - VIRTIO, width, value, self),
            _ => Err(BusFault),
        }
    }

    fn fetch(&mut self, address: GuestAddress) -> Option<u16> {
        self.ram_load(address, Width::Half).and_then(|parcel| u16::try_from(parcel).ok())
    }

    fn lines(&mut self) -> Lines {
        Lines {
            software: lock(&self.board.mswi).level(),
            timer: lock(&self.board.mtimer).level(),
            external: self.board.wire().notifies(Context::Machine),
            leave: lock(&self.board.finisher).is_requested(),
        }
    }
}

impl GuestRam for BoardBus<'_> {
    fn read(&self, address: GuestAddress, bytes: &mut [u8]) -> Result<(), RamFault> {
        self.board.ram.read(address.0.wrapping_sub(RAM_START), bytes).map_err(|_| RamFault)
    }

    fn write(&self, address: GuestAddress, bytes: &[u8]) -> Result<(), RamFault> {
        let offset = address.0.wrapping_sub(RAM_START);
        self.board.ram.write(offset, bytes).map_err(|_| RamFault)?;
        self.dirty.mark_dirty(usize::try_from(offset).map_err(|_| RamFault)?, bytes.len());
        Ok(())
    }
}
