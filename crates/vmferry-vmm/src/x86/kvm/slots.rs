//! Guest memory as the kernel's memory slots.

#![expect(unsafe_code, reason = "the kernel is told an address at which it reads and writes this process's memory")]

use std::io;
use std::sync::Arc;

use kvm_bindings::{KVM_MEM_LOG_DIRTY_PAGES, kvm_userspace_memory_region};
use kvm_ioctls::VmFd;
use vm_memory::GuestAddress;
use vmferry::memory::{MappedBlock, RamBlock as _, TARGET_PAGE};

/// A RAM block that the guest sees, in one slot. The memory stays mapped while the slot is there.
#[derive(Debug)]
pub(crate) struct Slot {
    vm: Arc<VmFd>,
    number: u32,
    address: GuestAddress,
    block: MappedBlock,
}

impl Slot {
    /// Shows `block` to the guest at `address`, as slot `number`.
    ///
    /// # Errors
    ///
    /// The kernel's: the number or the addresses are taken.
    pub(crate) fn new(vm: &Arc<VmFd>, number: u32, address: GuestAddress, block: MappedBlock) -> io::Result<Self> {
        let slot = Self { vm: Arc::clone(vm), number, address, block };
        slot.set(0, slot.block.used_len())?;
        Ok(slot)
    }

    /// Its number.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// The VM that has it.
    pub(crate) fn vm(&self) -> &VmFd {
        &self.vm
    }

    /// Its pages.
    pub(crate) fn pages(&self) -> usize {
        self.block.region().size() / TARGET_PAGE
    }

    /// Starts or stops the log of the guest's writes to it; nothing happens if it is so already.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub(crate) fn log_writes(&self, on: bool) -> io::Result<()> {
        self.set(if on { KVM_MEM_LOG_DIRTY_PAGES } else { 0 }, self.block.used_len())
    }

    fn set(&self, flags: u32, bytes: u64) -> io::Result<()> {
        let region = kvm_userspace_memory_region {
            slot: self.number,
            flags,
            guest_phys_addr: self.address.0,
            memory_size: bytes,
            userspace_addr: self.block.region().as_ptr() as u64,
        };
        // SAFETY: the address and the length are those of the block's mapping (or the length is 0, which takes the slot
        // away), which `self` keeps; `drop` takes the slot away before the mapping goes. The guest's accesses race with
        // those of this process, which are volatile or atomic all.
        Ok(unsafe { self.vm.set_user_memory_region(region) }?)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Err(error) = self.set(0, 0) {
            // The memory must outlive the slot.
            std::mem::forget(self.block.clone());
            tracing::warn!(%error, slot = self.number, "a memory slot stays, and with it its memory");
        }
    }
}
