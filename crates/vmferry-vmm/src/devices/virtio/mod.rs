//! The virtio entropy device on a modern virtio-mmio transport.
//!
//! ```text
//!   guest ──registers──> [mmio] ──notify──> [rng] ──chains──> [queue] ──checked accesses──> guest RAM
//!                          │                                                 ^
//!                          └── interrupt level                               └── entropy
//! ```
//!
//! | file | subject |
//! |---|---|
//! | `mmio` | the register block and the negotiation |
//! | `queue` | the split virtqueue |
//! | `rng` | the device: requests and their answer |
//! | `image` | the section's state |
//!
//! The guest is hostile: every address it names goes through [`GuestRam`], every index meets the size of the ring, and
//! a ring that breaks the rules stops the device (DEVICE_NEEDS_RESET) instead of being guessed at.
//! Source: Virtual I/O Device (VIRTIO) 1.2, sections 2.7, 4.2 and 5.4.

mod image;
mod mmio;
mod queue;
mod rng;
#[cfg(test)]
mod tests;

use std::io;

use vm_memory::{Bytes, GuestAddress, GuestMemory};

pub use image::VirtioRngImage;
pub use mmio::VirtioMmio;
pub use rng::{EntropySource, HostEntropy, VirtioRng};

/// The address lies outside of RAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RamFault;

/// RAM as devices reach it. Writes mark the pages dirty.
pub trait GuestRam {
    /// Fills `bytes` from RAM.
    ///
    /// # Errors
    ///
    /// Not all of the range is RAM.
    fn read(&self, address: GuestAddress, bytes: &mut [u8]) -> Result<(), RamFault>;

    /// Puts `bytes` into RAM.
    ///
    /// # Errors
    ///
    /// Not all of the range is RAM; part of it may have been written.
    fn write(&self, address: GuestAddress, bytes: &[u8]) -> Result<(), RamFault>;
}

impl<M: GuestMemory> GuestRam for M {
    fn read(&self, address: GuestAddress, bytes: &mut [u8]) -> Result<(), RamFault> {
        self.read_slice(bytes, address).map_err(|_| RamFault)
    }

    fn write(&self, address: GuestAddress, bytes: &[u8]) -> Result<(), RamFault> {
        self.write_slice(bytes, address).map_err(|_| RamFault)
    }
}

impl EntropySource for HostEntropy {
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        io::Read::read_exact(&mut self.0, bytes)
    }
}
