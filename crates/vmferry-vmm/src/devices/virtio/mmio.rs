//! The modern (version 2) virtio-mmio register block.
//!
//! | offset | register | | offset | register |
//! |---|---|---|---|---|
//! | 0x000 | magic `virt` | | 0x050 | QueueNotify (w) |
//! | 0x004 | version, 2 | | 0x060 | InterruptStatus |
//! | 0x008 | device id | | 0x064 | InterruptACK (w) |
//! | 0x00c | vendor id | | 0x070 | Status |
//! | 0x010, 0x014 | device features, selector (w) | | 0x080, 0x084 | descriptor table (w) |
//! | 0x020, 0x024 | driver features, selector (w) | | 0x090, 0x094 | driver area (w) |
//! | 0x030 | queue selector (w) | | 0x0a0, 0x0a4 | device area (w) |
//! | 0x034, 0x038 | largest queue size, queue size (w) | | 0x0fc | configuration generation |
//! | 0x044 | QueueReady | | 0x100 … | configuration (none) |
//!
//! All registers have 32 bits. Addresses, size and features are taken only while the rules allow it: features until
//! FEATURES_OK, a queue's parts until it is ready.
//! Source: VIRTIO 1.2, section 4.2.2.

use super::queue::{QUEUE_SIZE_MAX, Queue};
use crate::cpu::{BusFault, Width};
use crate::devices::{half, low8, low32, with_half, word_only};

const MAGIC: u64 = 0x7472_6976;
const VERSION: u64 = 2;
/// `QEMU`, as drivers know it.
const VENDOR: u64 = 0x554d_4551;

/// What the device offers: VERSION_1.
pub(super) const OFFERED: u64 = 1 << 32;

pub(super) const STATUS_DRIVER_OK: u8 = 4;
pub(super) const STATUS_FEATURES_OK: u8 = 8;
pub(super) const STATUS_NEEDS_RESET: u8 = 0x40;
const INTERRUPT_USED: u8 = 1;
const INTERRUPT_CONFIG: u8 = 2;

/// What the register access asks of the device behind the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// Nothing.
    None,
    /// The driver has put requests into the queue.
    Notify,
}

/// The registers of a device with one queue and no configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtioMmio {
    pub(super) device_id: u32,
    pub(super) device_features_sel: u32,
    pub(super) driver_features_sel: u32,
    /// Feature words as the driver wrote them.
    pub(super) driver_features: [u32; 2],
    pub(super) status: u8,
    pub(super) interrupt_status: u8,
    pub(super) queue_sel: u16,
    pub(super) queue: Queue,
}

impl VirtioMmio {
    /// Bytes of its registers.
    pub const BYTES: u64 = 0x1000;

    pub(super) fn new(device_id: u32) -> Self {
        Self {
            device_id,
            device_features_sel: 0,
            driver_features_sel: 0,
            driver_features: [0; 2],
            status: 0,
            interrupt_status: 0,
            queue_sel: 0,
            queue: Queue::default(),
        }
    }

    /// The interrupt line.
    #[must_use]
    pub const fn level(&self) -> bool {
        self.interrupt_status != 0
    }

    pub(super) fn read(&self, offset: u64, width: Width) -> Result<u64, BusFault> {
        word_only(width)?;
        let is_queue_there = self.queue_sel == 0;
        Ok(match offset {
            0x000 => MAGIC,
            0x004 => VERSION,
            0x008 => u64::from(self.device_id),
            0x00c => VENDOR,
            0x010 => match self.device_features_sel {
                0 => half(OFFERED, false),
                1 => half(OFFERED, true),
                _ => 0,
            },
            0x034 if is_queue_there => u64::from(QUEUE_SIZE_MAX),
            0x044 if is_queue_there => u64::from(self.queue.is_ready),
            0x060 => u64::from(self.interrupt_status),
            0x070 => u64::from(self.status),
            _ => 0,
        })
    }

    pub(super) fn write(&mut self, offset: u64, width: Width, value: u64) -> Result<Request, BusFault> {
        word_only(width)?;
        let word = low32(value);
        let is_negotiating = self.status & STATUS_FEATURES_OK == 0;
        let is_queue_open = self.queue_sel == 0 && !self.queue.is_ready;
        match offset {
            0x014 => self.device_features_sel = word,
            0x020 if is_negotiating => {
                let word_index = usize::try_from(self.driver_features_sel).unwrap_or(usize::MAX);
                if let Some(features) = self.driver_features.get_mut(word_index) {
                    *features = word;
                }
            }
            0x024 => self.driver_features_sel = word,
            // A selector beyond 16 bits names no queue, nor does 0xffff.
            0x030 => self.queue_sel = u16::try_from(word).unwrap_or(u16::MAX),
            0x038 if is_queue_open => self.queue.size = u16::try_from(word).unwrap_or(0),
            0x044 if self.queue_sel == 0 => self.queue.is_ready = word & 1 != 0 && self.queue.is_valid(),
            0x050 if word == 0 && self.is_running() => return Ok(Request::Notify),
            0x064 => self.interrupt_status &= !low8(value),
            0x070 => self.write_status(low8(value)),
            0x080 | 0x084 if is_queue_open => {
                self.queue.descriptors = with_half(self.queue.descriptors, offset == 0x084, value);
            }
            0x090 | 0x094 if is_queue_open => {
                self.queue.available = with_half(self.queue.available, offset == 0x094, value);
            }
            0x0a0 | 0x0a4 if is_queue_open => self.queue.used = with_half(self.queue.used, offset == 0x0a4, value),
            _ => {}
        }
        Ok(Request::None)
    }

    /// Whether the driver has set everything up, and has not broken it since.
    pub(super) fn is_running(&self) -> bool {
        self.status & (STATUS_DRIVER_OK | STATUS_NEEDS_RESET) == STATUS_DRIVER_OK && self.queue.is_ready
    }

    /// All feature bits that the driver accepted.
    pub(super) fn features(&self) -> u64 {
        let [low, high] = self.driver_features;
        u64::from(low) | u64::from(high) << 32
    }

    /// Tells the driver of used buffers.
    pub(super) const fn interrupt(&mut self) {
        self.interrupt_status |= INTERRUPT_USED;
    }

    /// Stops: the driver has broken the rules and must reset.
    pub(super) const fn break_down(&mut self) {
        self.status |= STATUS_NEEDS_RESET;
        self.interrupt_status |= INTERRUPT_CONFIG;
    }

    fn write_status(&mut self, status: u8) {
        if status == 0 {
            *self = Self::new(self.device_id);
            return;
        }
        let mut status = status | self.status & STATUS_NEEDS_RESET;
        // A driver that wants what is not offered, or that is none of VERSION_1, does not get its features.
        if status & STATUS_FEATURES_OK != 0 && self.features() != OFFERED {
            status &= !STATUS_FEATURES_OK;
        }
        self.status = status;
    }
}
