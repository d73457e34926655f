//! The entropy device: it fills what it is given.

use std::fmt;
use std::fs::File;
use std::io;

use vmstate::{Migrate, Refused, Versions};

use super::GuestRam;
use super::image::{self, VirtioRngImage};
use super::mmio::{Request, VirtioMmio};
use super::queue::{Broken, Chain};
use crate::cpu::{BusFault, Width};

/// Device type of VIRTIO 1.2, section 5.
const DEVICE_ID: u32 = 4;

/// Octets that one request gets at most; the driver reads in the used ring how many it got.
const REQUEST_BYTES_MAX: u32 = 64 << 10;

/// Octets moved at a time.
const PIECE_BYTES: usize = 4096;

/// Where the entropy comes from.
pub trait EntropySource: Send {
    /// Fills `bytes`.
    ///
    /// # Errors
    ///
    /// The source failed; the request is answered with what there is.
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()>;
}

/// The host's `/dev/urandom`.
#[derive(Debug)]
pub struct HostEntropy(pub(super) File);

impl HostEntropy {
    /// Opens the host's source.
    ///
    /// # Errors
    ///
    /// It cannot be opened.
    pub fn open() -> io::Result<Self> {
        File::open("/dev/urandom").map(Self)
    }
}

/// The device with its transport.
pub struct VirtioRng {
    pub(super) mmio: VirtioMmio,
    source: Box<dyn EntropySource>,
}

impl fmt::Debug for VirtioRng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtioRng").field("mmio", &self.mmio).finish_non_exhaustive()
    }
}

impl VirtioRng {
    /// Bytes of its registers.
    pub const BYTES: u64 = VirtioMmio::BYTES;

    /// A device out of reset.
    #[must_use]
    pub fn new(source: Box<dyn EntropySource>) -> Self {
        Self { mmio: VirtioMmio::new(DEVICE_ID), source }
    }

    /// Reads a register.
    ///
    /// # Errors
    ///
    /// Not a 32-bit access.
    pub fn read(&mut self, offset: u64, width: Width) -> Result<u64, BusFault> {
        self.mmio.read(offset, width)
    }

    /// Writes a register; a notification is answered at once, in `ram`.
    ///
    /// # Errors
    ///
    /// Not a 32-bit access.
    pub fn write(&mut self, offset: u64, width: Width, value: u64, ram: &dyn GuestRam) -> Result<(), BusFault> {
        match self.mmio.write(offset, width, value)? {
            Request::None => {}
            Request::Notify => {
                if self.serve(ram).is_err() {
                    self.mmio.break_down();
                }
            }
        }
        Ok(())
    }

    /// The interrupt line.
    #[must_use]
    pub const fn level(&self) -> bool {
        self.mmio.level()
    }

    /// Checks the loaded queue against loaded RAM: a ring that is out of step stops the device. Called once devices and
    /// RAM are there, before the guest runs.
    pub fn check_queue(&mut self, ram: &dyn GuestRam) {
        let queue = self.mmio.queue;
        if queue.is_ready && !queue.in_flight(ram).is_ok_and(|requests| requests <= queue.size) {
            self.mmio.break_down();
        }
    }

    /// Answers what waits. Bounded: a ring holds no more requests than its size, and no more arrive while this runs.
    fn serve(&mut self, ram: &dyn GuestRam) -> Result<(), Broken> {
        while let Some(chain) = self.mmio.queue.pop(ram)? {
            let bytes = self.fill(ram, &chain)?;
            if self.mmio.queue.push(ram, &chain, bytes)? {
                self.mmio.interrupt();
            }
        }
        Ok(())
    }

    /// Fills the buffers of a request up to the limit; gives the octets written.
    fn fill(&mut self, ram: &dyn GuestRam, chain: &Chain) -> Result<u32, Broken> {
        let mut written = 0;
        let mut piece = [0; PIECE_BYTES];
        for buffer in &chain.writable {
            let mut address = buffer.address;
            let mut left = buffer.bytes.min(REQUEST_BYTES_MAX - written);
            while left > 0 {
                let count = usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
                let bytes = piece.get_mut(..count).unwrap_or_default();
                if self.source.fill(bytes).is_err() {
                    return Ok(written);
                }
                ram.write(address, bytes)?;
                let count = u32::try_from(count).unwrap_or(left);
                written += count;
                left -= count;
                address = vm_memory::GuestAddress(address.0.checked_add(u64::from(count)).ok_or(Broken)?);
            }
        }
        Ok(written)
    }
}

impl Migrate for VirtioRng {
    type Image = VirtioRngImage;
    type Props = ();

    fn props(&self) {}

    fn snapshot(&self) -> Result<VirtioRngImage, Refused> {
        // The source holds nothing that a guest could tell apart.
        let Self { mmio, source: _ } = self;
        Ok(image::snapshot(mmio))
    }

    fn template(&self) -> Result<VirtioRngImage, Refused> {
        self.snapshot()
    }

    fn restore(&mut self, image: VirtioRngImage, _: &Versions) -> Result<(), Refused> {
        self.mmio = image::restore(DEVICE_ID, image)?;
        Ok(())
    }
}
