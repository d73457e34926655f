//! What the hart sees of the machine: RAM, devices, interrupt lines.

use vm_memory::GuestAddress;

/// Size of an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// 1 byte.
    Byte,
    /// 2 bytes.
    Half,
    /// 4 bytes.
    Word,
    /// 8 bytes.
    Double,
}

impl Width {
    /// Number of bytes.
    #[must_use]
    #[inline(always)]
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Byte => 1,
            Self::Half => 2,
            Self::Word => 4,
            Self::Double => 8,
        }
    }

    /// Mask of the bits that an access of this size carries.
    #[must_use]
    #[inline(always)]
    pub const fn mask(self) -> u64 {
        match self {
            Self::Byte => 0xff,
            Self::Half => 0xffff,
            Self::Word => 0xffff_ffff,
            Self::Double => u64::MAX,
        }
    }
}

/// Nothing answers at this address, or not to this size: an access fault for the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusFault;

/// The levels of the interrupt lines that enter the hart, and whether it is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lines {
    /// Machine software interrupt (ACLINT MSWI).
    pub software: bool,
    /// Machine timer interrupt (ACLINT MTIMER).
    pub timer: bool,
    /// Machine external interrupt (PLIC context M).
    pub external: bool,
    /// A device wants the machine's attention (power off, reset): [`super::Hart::run`] returns
    /// [`super::Exit::Requested`].
    pub leave: bool,
}

/// The hart's side of the machine.
///
/// RAM and devices are asked separately, so that the common case is inlined into the interpreter and only device
/// accesses make it look at the interrupt lines again. Values are little-endian, zero-extended; of a value stored, bits
/// above the width are to be ignored.
pub trait Bus {
    /// Reads RAM at any alignment; `None` if the whole access does not lie in RAM.
    fn ram_load(&mut self, address: GuestAddress, width: Width) -> Option<u64>;

    /// Writes RAM at any alignment and marks the page dirty; `false`, with nothing written, if the whole access does
    /// not lie in RAM.
    fn ram_store(&mut self, address: GuestAddress, width: Width, value: u64) -> bool;

    /// Reads a device register.
    ///
    /// # Errors
    ///
    /// [`BusFault`] if no device takes an access of this size there.
    fn device_load(&mut self, address: GuestAddress, width: Width) -> Result<u64, BusFault>;

    /// Writes a device register.
    ///
    /// # Errors
    ///
    /// [`BusFault`] if no device takes an access of this size there.
    fn device_store(&mut self, address: GuestAddress, width: Width, value: u64) -> Result<(), BusFault>;

    /// Reads one instruction parcel (16 bits at an even address) from memory that may hold code.
    fn fetch(&mut self, address: GuestAddress) -> Option<u16>;

    /// The interrupt lines as they are now. Asked at the start of a run and after each device access.
    fn lines(&mut self) -> Lines;
}
