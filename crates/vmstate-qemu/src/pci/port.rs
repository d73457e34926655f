//! Ports of PCI Express: root ports, and both ends of a switch.
//!
//! | image | section, version | |
//! |---|---|---|
//! | [`RootPortImage`] | `pcie-root-port` 1 | with MSI-X, unless its machine type is older than 2.10 |
//! | [`Ioh3420Image`] | `ioh-3240-express-root-port` 1 | |
//! | [`UpstreamPortImage`] | `xio3130-express-upstream-port` 1 | |
//! | [`DownstreamPortImage`] | `xio3130-express-downstream-port` 1 | |
//!
//! All have a PCI Express device (`parent_obj`, with more of `.parent_obj` before it) and its log of errors
//! (`….exp.aer_log`).
//!
//! | image, version | fields |
//! |---|---|
//! | `PCIE_AER_ERROR_LOG` 1 | `log_num` u16; `log_max` u16, must be equal; `log` × `log_num` |
//! | `PCIE_AER_ERROR` 1 | `status` u32; `source_id`, `flags` u16; `header`, `prefix` u32 × 4 |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`q35`; errors made by `pcie_aer_inject_error`), and their schema
//! dumps.

use vmstate::VmState;

use crate::pci::PciDeviceImage;
use crate::pci::msix::MsixImage;

/// Most errors that a log is taken to have; QEMU's own limit is 128.
pub const ERRORS_MAX: usize = 128;
/// Errors that a log has room for, if nobody says otherwise.
pub const ERRORS_DEFAULT: u16 = 8;

/// The root port. The template says whether it has MSI-X.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "pcie-root-port", version = 1)]
pub struct RootPortImage {
    /// Whether it has MSI-X.
    #[vmstate(local)]
    pub has_msix: bool,
    /// The device.
    #[vmstate(name = "parent_obj.parent_obj.parent_obj")]
    pub parent_obj: PciDeviceImage,
    /// Its errors.
    #[vmstate(name = "parent_obj.parent_obj.parent_obj.exp.aer_log")]
    pub aer_log: AerLogImage,
    /// Its interrupts.
    #[vmstate(when = has_msix, name = "parent_obj.parent_obj.parent_obj.parent_obj")]
    pub msix: MsixImage,
}

impl RootPortImage {
    /// The template of a port with so many vectors; none if it has no MSI-X.
    #[must_use]
    pub fn with_vectors(vectors: usize) -> Self {
        Self {
            has_msix: vectors != 0,
            parent_obj: PciDeviceImage::express(),
            aer_log: AerLogImage::default(),
            msix: MsixImage::with_vectors(vectors),
        }
    }
}

fn has_msix(image: &RootPortImage, _: u32) -> bool {
    image.has_msix
}

/// Intel's root port.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "ioh-3240-express-root-port", version = 1)]
pub struct Ioh3420Image {
    /// The device.
    #[vmstate(name = "parent_obj.parent_obj.parent_obj")]
    pub parent_obj: PciDeviceImage,
    /// Its errors.
    #[vmstate(name = "parent_obj.parent_obj.parent_obj.exp.aer_log")]
    pub aer_log: AerLogImage,
}

/// The end of a switch that looks to the root.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "xio3130-express-upstream-port", version = 1)]
pub struct UpstreamPortImage {
    /// The device.
    #[vmstate(name = "parent_obj.parent_obj")]
    pub parent_obj: PciDeviceImage,
    /// Its errors.
    #[vmstate(name = "parent_obj.parent_obj.exp.aer_log")]
    pub aer_log: AerLogImage,
}

/// The end of a switch that looks to the devices.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "xio3130-express-downstream-port", version = 1)]
pub struct DownstreamPortImage {
    /// The device.
    #[vmstate(name = "parent_obj.parent_obj.parent_obj")]
    pub parent_obj: PciDeviceImage,
    /// Its errors.
    #[vmstate(name = "parent_obj.parent_obj.parent_obj.exp.aer_log")]
    pub aer_log: AerLogImage,
}

impl Default for Ioh3420Image {
    fn default() -> Self {
        Self { parent_obj: PciDeviceImage::express(), aer_log: AerLogImage::default() }
    }
}

impl Default for UpstreamPortImage {
    fn default() -> Self {
        Self { parent_obj: PciDeviceImage::express(), aer_log: AerLogImage::default() }
    }
}

impl Default for DownstreamPortImage {
    fn default() -> Self {
        Self { parent_obj: PciDeviceImage::express(), aer_log: AerLogImage::default() }
    }
}

/// Errors that a device reported and the guest has not read yet.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "PCIE_AER_ERROR_LOG", version = 1)]
pub struct AerLogImage {
    /// How many.
    pub log_num: u16,
    /// For how many there is room.
    #[vmstate(equal, hint = "property aer_log_max of both devices")]
    pub log_max: u16,
    /// The errors.
    #[vmstate(len = log_num, max = ERRORS_MAX)]
    pub log: Vec<AerErrorImage>,
}

impl Default for AerLogImage {
    fn default() -> Self {
        Self { log_num: 0, log_max: ERRORS_DEFAULT, log: Vec::new() }
    }
}

/// An error.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "PCIE_AER_ERROR", version = 1)]
pub struct AerErrorImage {
    /// What it was, a bit for each.
    pub status: u32,
    /// The device that it is from.
    pub source_id: u16,
    /// Whether it could be corrected, and what of the rest means something.
    pub flags: u16,
    /// Head of the packet.
    pub header: [u32; 4],
    /// What stood before it.
    pub prefix: [u32; 4],
}
