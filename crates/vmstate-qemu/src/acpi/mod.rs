//! ACPI: tables that are made when the guest first asks for them, and the devices behind its events.
//!
//! | image | section, version | fields |
//! |---|---|---|
//! | [`VirtAcpiBuildImage`] | `virt_acpi_build` 1 | `patched` bool |
//! | [`AcpiBuildImage`] | `acpi_build` 1 | `patched` u8 |
//! | [`ged::AcpiGedImage`] | `acpi-ged` 1 | the device for events of boards without a chip set |
//! | [`memory_hotplug::MemoryHotplugImage`] | part of others | memory that is plugged while the guest runs |
//! | [`cpu_hotplug::CpuHotplugImage`] | part of others | CPUs that are |
//! | [`pci_hotplug::PciSlotsImage`] | part of others | PCI devices that are |
//! | [`tco::TcoImage`] | part of `ICH9LPC` | the watchdog of Intel's chip sets |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`virt`, `microvm`, `pc`, `q35`).

pub mod cpu_hotplug;
pub mod ged;
pub mod memory_hotplug;
pub mod pci_hotplug;
pub mod tco;

use vmstate::VmState;

/// Whether the `virt` boards have made their tables.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virt_acpi_build", version = 1)]
pub struct VirtAcpiBuildImage {
    /// Whether they are made.
    pub patched: bool,
}

/// Whether PCs have made their tables.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "acpi_build", version = 1)]
pub struct AcpiBuildImage {
    /// Not 0 if they are made.
    pub patched: u8,
}
