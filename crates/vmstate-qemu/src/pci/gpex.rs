//! The generic PCI Express host of boards that have no chip set.
//!
//! | image | section, version | fields |
//! |---|---|---|
//! | [`GpexRootImage`] | `DEVICE/gpex_root` 1 | `parent_obj`, a conventional [`PciDeviceImage`] |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`virt` of riscv64).

use vmstate::VmState;

use crate::pci::PciDeviceImage;

/// The root device of the bus.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "gpex_root", version = 1)]
pub struct GpexRootImage {
    /// The device.
    pub parent_obj: PciDeviceImage,
}
