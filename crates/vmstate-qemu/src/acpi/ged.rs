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
//!
//! The schema dumps have further subsections that no recorded machine sent and whose types are not known:
//! `acpi-ged/ghes`, from 10.0 on `acpi-ged/cpuhp`, and in 11.1 `acpi-ged/pcihp` and `acpi-ged/hest`. They are refused
//! by name.
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`virt` of aarch64, `microvm`), and their schema dumps.

use vmstate::VmState;

use crate::acpi::memory_hotplug::MemoryHotplugImage;

/// The device.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "acpi-ged", version = 1)]
pub struct AcpiGedImage {
    /// Events.
    #[vmstate(since = 1)]
    pub ged_state: GedStateImage,
    /// Memory that is plugged.
    #[vmstate(subsection)]
    pub memhp: Option<MemhpImage>,
}

impl AcpiGedImage {
    /// The template of a machine with so many slots for memory.
    #[must_use]
    pub fn with_memory_slots(slots: u32) -> Self {
        let memhp = MemhpImage { memhp_state: MemoryHotplugImage::with_slots(slots) };
        Self { ged_state: GedStateImage::default(), memhp: Some(memhp) }
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

#[cfg(test)]
mod tests {
    use super::*;

    vmstate::vmstate_tests! {
        mod acpi_ged_image: AcpiGedImage {
            props: (),
            template: AcpiGedImage::with_memory_slots(2),
            samples: [AcpiGedImage { ged_state: GedStateImage { sel: 1 }, ..AcpiGedImage::with_memory_slots(2) }],
        }
    }
}
