//! The split virtqueue, seen from the device.
//!
//! | part | at | content (little-endian) |
//! |---|---|---|
//! | descriptor i | table + 16 i | u64 address, u32 length, u16 flags, u16 next |
//! | available ring | driver | u16 flags, u16 index, size × u16 head |
//! | used ring | device | u16 flags, u16 index, size × {u32 head, u32 length} |
//!
//! Source: VIRTIO 1.2, section 2.7.

use vm_memory::GuestAddress;

use super::{GuestRam, RamFault};

/// Largest ring; what QEMU's entropy device offers.
pub(super) const QUEUE_SIZE_MAX: u16 = 8;

const DESCRIPTOR_NEXT: u16 = 1;
const DESCRIPTOR_WRITE: u16 = 2;
const DESCRIPTOR_INDIRECT: u16 = 4;
const AVAILABLE_NO_INTERRUPT: u16 = 1;

/// The driver broke the rules of the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

impl From<RamFault> for Broken {
    fn from(_: RamFault) -> Self {
        Self
    }
}

/// A queue as the driver has set it up, and how far the device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Queue {
    /// Entries, as the driver wrote it; checked when the queue is made ready.
    pub(super) size: u16,
    pub(super) is_ready: bool,
    pub(super) descriptors: u64,
    pub(super) available: u64,
    pub(super) used: u64,
    /// Available entries taken so far, modulo 2^16.
    pub(super) last_available: u16,
}

impl Default for Queue {
    fn default() -> Self {
        Self { size: QUEUE_SIZE_MAX, is_ready: false, descriptors: 0, available: 0, used: 0, last_available: 0 }
    }
}

/// A buffer that the device may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Buffer {
    pub(super) address: GuestAddress,
    pub(super) bytes: u32,
}

/// A request: its head, and its device-writable buffers in order.
#[derive(Debug)]
pub(super) struct Chain {
    head: u16,
    pub(super) writable: Vec<Buffer>,
}

impl Queue {
    /// Whether size and alignments are what the driver must see to.
    pub(super) fn is_valid(&self) -> bool {
        let Self { size, is_ready: _, descriptors, available, used, last_available: _ } = self;
        size.is_power_of_two()
            && *size <= QUEUE_SIZE_MAX
            && descriptors % 16 == 0
            && available % 2 == 0
            && used % 4 == 0
    }

    /// Takes the next request; `None` if there is none.
    ///
    /// # Errors
    ///
    /// More entries than the ring has; a head or a link outside of it; a chain that loops; an indirect table, which was
    /// not negotiated; a ring outside of RAM.
    pub(super) fn pop(&mut self, ram: &dyn GuestRam) -> Result<Option<Chain>, Broken> {
        let index = read_u16(ram, self.available, 2)?;
        let waiting = index.wrapping_sub(self.last_available);
        if waiting == 0 {
            return Ok(None);
        }
        if waiting > self.size {
            return Err(Broken);
        }
        let entry = u64::from(self.last_available % self.size);
        let head = read_u16(ram, self.available, 4 + 2 * entry)?;
        let chain = self.chain(ram, head)?;
        self.last_available = self.last_available.wrapping_add(1);
        Ok(Some(chain))
    }

    /// Gives a request back with `bytes` written; `true` if the driver wants an interrupt.
    ///
    /// # Errors
    ///
    /// The rings are outside of RAM.
    pub(super) fn push(&self, ram: &dyn GuestRam, chain: &Chain, bytes: u32) -> Result<bool, Broken> {
        let index = read_u16(ram, self.used, 2)?;
        let entry = u64::from(index % self.size);
        let mut element = [0; 8];
        let (head, length) = element.split_at_mut(4);
        head.copy_from_slice(&u32::from(chain.head).to_le_bytes());
        length.copy_from_slice(&bytes.to_le_bytes());
        ram.write(at(self.used, 4 + 8 * entry)?, &element)?;
        // The vCPU and the device take turns, so the order of these two writes is the guest's order as well.
        ram.write(at(self.used, 2)?, &index.wrapping_add(1).to_le_bytes())?;
        Ok(read_u16(ram, self.available, 0)? & AVAILABLE_NO_INTERRUPT == 0)
    }

    /// Requests taken and not given back yet, modulo 2^16; for the check after a load.
    pub(super) fn in_flight(&self, ram: &dyn GuestRam) -> Result<u16, Broken> {
        Ok(self.last_available.wrapping_sub(read_u16(ram, self.used, 2)?))
    }

    fn chain(&self, ram: &dyn GuestRam, head: u16) -> Result<Chain, Broken> {
        let mut writable = Vec::new();
        let mut next = head;
        // A chain longer than the table goes in a circle.
        for _ in 0..self.size {
            if next >= self.size {
                return Err(Broken);
            }
            let mut descriptor = [0; 16];
            ram.read(at(self.descriptors, 16 * u64::from(next))?, &mut descriptor)?;
            let [a0, a1, a2, a3, a4, a5, a6, a7, l0, l1, l2, l3, f0, f1, n0, n1] = descriptor;
            let flags = u16::from_le_bytes([f0, f1]);
            if flags & DESCRIPTOR_INDIRECT != 0 {
                return Err(Broken);
            }
            if flags & DESCRIPTOR_WRITE != 0 {
                let address = GuestAddress(u64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7]));
                writable.push(Buffer { address, bytes: u32::from_le_bytes([l0, l1, l2, l3]) });
            }
            if flags & DESCRIPTOR_NEXT == 0 {
                return Ok(Chain { head, writable });
            }
            next = u16::from_le_bytes([n0, n1]);
        }
        Err(Broken)
    }
}

/// `base + offset`; a ring that runs over the end of the address space is outside of RAM.
fn at(base: u64, offset: u64) -> Result<GuestAddress, Broken> {
    base.checked_add(offset).map(GuestAddress).ok_or(Broken)
}

fn read_u16(ram: &dyn GuestRam, base: u64, offset: u64) -> Result<u16, Broken> {
    let mut bytes = [0; 2];
    ram.read(at(base, offset)?, &mut bytes)?;
    Ok(u16::from_le_bytes(bytes))
}
