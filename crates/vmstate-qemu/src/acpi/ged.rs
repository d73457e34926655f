//! The generic event device of boards without a chip set.
//!
//! | image, version | fields |
//! |---|---|
//! | `acpi-ged` 1 | `ged_state` |
//! | `acpi-ged-state` 1 | `sel` u32: events that are pending |
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `acpi-ged/memhp` 1 | `memhp_state`, a [`MemoryHotplugImage`] | always on the boards seen |
//! | `acpi-ged/ghes` 1 | `ghes_state`: `ghes_addr_le` u64, from 10.0 on `hw_error_le` u64 | firmware told where hardware errors go |
//! | `acpi-ged/pcihp` 1 | `hotplug_select` u32, [`PciSlotsImage`] × 256, `acpi_index` u32 | with `acpi-pci-hotplug-with-bridge-support`, 11.1 |
//! | `acpi-ged/hest` 1 | `ghes_state`: `hest_addr_le` u64 | as `ghes`, in its place, 11.1 |
//!
//! The schema dumps have `acpi-ged/cpuhp` too, from 10.0 on, which no recorded machine sent: it is refused by name.
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`virt` of aarch64 with `ras=on`, `microvm`), and their schema
//! dumps.

use vmstate::VmState;

use crate::acpi::memory_hotplug::MemoryHotplugImage;
use crate::acpi::pci_hotplug::{BUSES, PciSlotsImage};
use crate::arrays::Table;

/// The device as QEMU 10.0 and 11.1 send it.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "acpi-ged", version = 1)]
pub struct AcpiGedImage {
    /// Events.
    #[vmstate(since = 1)]
    pub ged_state: GedStateImage,
    /// Memory that is plugged.
    #[vmstate(subsection)]
    pub memhp: Option<MemhpImage>,
    /// Hardware errors.
    #[vmstate(subsection)]
    pub ghes: Option<GhesImage>,
    /// PCI devices that are plugged.
    #[vmstate(subsection)]
    pub pcihp: Option<PcihpImage>,
    /// Table of sources of hardware errors.
    #[vmstate(subsection)]
    pub hest: Option<HestImage>,
}

/// The device as QEMU 5.2 and 7.2 send it.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "acpi-ged", version = 1)]
pub struct AcpiGed7Image {
    /// Events.
    #[vmstate(since = 1)]
    pub ged_state: GedStateImage,
    /// Memory that is plugged.
    #[vmstate(subsection)]
    pub memhp: Option<MemhpImage>,
    /// Hardware errors.
    #[vmstate(subsection)]
    pub ghes: Option<Ghes7Image>,
}

impl AcpiGedImage {
    /// The template of a machine with so many slots for memory.
    #[must_use]
    pub fn with_memory_slots(slots: u32) -> Self {
        let memhp = MemhpImage { memhp_state: MemoryHotplugImage::with_slots(slots) };
        Self { memhp: Some(memhp), ..Self::default() }
    }
}

impl AcpiGed7Image {
    /// The template of a machine with so many slots for memory.
    #[must_use]
    pub fn with_memory_slots(slots: u32) -> Self {
        let memhp = MemhpImage { memhp_state: MemoryHotplugImage::with_slots(slots) };
        Self { memhp: Some(memhp), ..Self::default() }
    }
}

/// Events.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "acpi-ged-state", version = 1)]
pub struct GedStateImage {
    /// Those that are pending, a bit for each.
    pub sel: u32,
}

/// Memory that is plugged.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "acpi-ged/memhp", version = 1)]
pub struct MemhpImage {
    /// The registers.
    #[vmstate(since = 1)]
    pub memhp_state: MemoryHotplugImage,
}

/// Hardware errors.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "acpi-ged/ghes", version = 1)]
pub struct GhesImage {
    /// Where they go.
    #[vmstate(since = 1)]
    pub ghes_state: ErrorAddressImage,
}

/// Where hardware errors go.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "acpi-ghes", version = 1)]
pub struct ErrorAddressImage {
    /// Guest physical address, as firmware wrote it: its octets are little-endian in memory.
    pub hw_error_le: u64,
}

/// Hardware errors, in QEMU 5.2 and 7.2.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "acpi-ged/ghes", version = 1)]
pub struct Ghes7Image {
    /// Where they go.
    #[vmstate(since = 1)]
    pub ghes_state: ErrorAddress7Image,
}

/// Where hardware errors go, in QEMU 5.2 and 7.2.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "acpi-ghes", version = 1)]
pub struct ErrorAddress7Image {
    /// Guest physical address, as firmware wrote it: its octets are little-endian in memory.
    pub ghes_addr_le: u64,
}

/// PCI devices that are plugged.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "acpi-ged/pcihp", version = 1)]
pub struct PcihpImage {
    /// The bus that is selected.
    #[vmstate(name = "pcihp_state.hotplug_select")]
    pub hotplug_select: u32,
    /// Slots of each bus.
    #[vmstate(name = "pcihp_state.acpi_pcihp_pci_status", since = 1)]
    pub slots: Table<PciSlotsImage, BUSES>,
    /// Index of the device that is asked about.
    #[vmstate(name = "pcihp_state.acpi_index")]
    pub acpi_index: u32,
}

/// Table of sources of hardware errors.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "acpi-ged/hest", version = 1)]
pub struct HestImage {
    /// Where it is.
    #[vmstate(since = 1)]
    pub ghes_state: HestAddressImage,
}

/// Where the table of sources of hardware errors is.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "acpi-hest", version = 1)]
pub struct HestAddressImage {
    /// Guest physical address, as firmware wrote it: its octets are little-endian in memory.
    pub hest_addr_le: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> AcpiGedImage {
        AcpiGedImage {
            ged_state: GedStateImage { sel: 1 },
            ghes: Some(GhesImage { ghes_state: ErrorAddressImage { hw_error_le: 0x4000 } }),
            pcihp: Some(PcihpImage { hotplug_select: 1, ..PcihpImage::default() }),
            hest: Some(HestImage::default()),
            ..AcpiGedImage::with_memory_slots(2)
        }
    }

    vmstate::vmstate_tests! {
        mod acpi_ged_image: AcpiGedImage {
            props: (),
            template: AcpiGedImage::with_memory_slots(2),
            samples: [sample()],
        }
    }
}
