//! Break 3: a field's test that was written for another structure.

use vmstate::VmState;

/// The structure that the test was written for.
#[derive(VmState)]
#[vmstate(name = "acpi-pci-hotplug", version = 1)]
struct AcpiPciHotplug {
    acpi_index: u32,
    #[vmstate(when = has_acpi_index)]
    selected: u32,
}

fn has_acpi_index(hotplug: &AcpiPciHotplug, _version: u32) -> bool {
    hotplug.acpi_index != 0
}

/// The structure that a macro put the field into, with the same test.
#[derive(VmState)]
#[vmstate(name = "piix4_pm", version = 3)]
struct Piix4Pm {
    status: u16,
    #[vmstate(when = has_acpi_index)]
    acpi_index: u32,
}

fn main() {}
