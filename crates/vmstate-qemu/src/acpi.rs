//! ACPI tables that are made when the guest first asks for them.
//!
//! | image | section, version | fields |
//! |---|---|---|
//! | [`VirtAcpiBuildImage`] | `virt_acpi_build` 1 | `patched` bool |
//!
//! Source: streams of QEMU 10.0 and 11.1 (`virt` of riscv64).

use vmstate::VmState;

/// Whether the `virt` boards have made theirs.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virt_acpi_build", version = 1)]
pub struct VirtAcpiBuildImage {
    /// Whether they are made.
    pub patched: bool,
}
