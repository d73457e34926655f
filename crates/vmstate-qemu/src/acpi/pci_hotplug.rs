//! The registers through which a guest learns of PCI devices that were plugged, without a hot-plug controller of PCI.
//!
//! | image, version | fields |
//! |---|---|
//! | `acpi_pcihp_pci_status` 1 | `up`, `down` u32 |
//! | `pci_status` 1 | the same, where only the root bus has slots |
//!
//! There is one for each of 256 buses; a bit stands for a slot. The device that has them adds which bus is selected,
//! and since 6.1 an index that firmware gave (`acpi_index`).
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`pc`, `q35`).

use vmstate::VmState;

/// Buses that can have slots.
pub const BUSES: usize = 256;

/// Slots of a bus.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "acpi_pcihp_pci_status", version = 1)]
pub struct PciSlotsImage {
    /// Those that were plugged.
    pub up: u32,
    /// Those that are to be unplugged.
    pub down: u32,
}

/// Slots of the root bus, where no other has any.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "pci_status", version = 1)]
pub struct RootSlotsImage {
    /// Those that were plugged.
    pub up: u32,
    /// Those that are to be unplugged.
    pub down: u32,
}
