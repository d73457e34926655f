//! The translation of addresses for other devices.
//!
//! Device part, image `virtio-iommu-device` 2:
//!
//! | field | |
//! |---|---|
//! | `domains` | tree by number of the domain, u64, of [`DomainImage`] |
//! | `bypass` u8 | devices without a domain are not translated |
//!
//! A domain has its number u32, a tree of mappings by [`IntervalImage`], a list of endpoints, and `bypass` bool. The
//! names of these nested images are not on the wire; those here are ours.
//!
//! Source: `docs/spec/virtio-state.md` section 4.6; streams of QEMU 7.2 to 11.1.

use std::collections::BTreeMap;

use vmstate::VmState;

use super::Virtio;
use super::part::image_is_part;

/// Most domains, endpoints of a domain, and mappings of a domain.
pub const DOMAINS_MAX: usize = 1 << 16;
/// Most endpoints of a domain.
pub const ENDPOINTS_MAX: usize = 1 << 16;
/// Most mappings of a domain.
pub const MAPPINGS_MAX: usize = 1 << 20;

/// The section.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-iommu", version = 2)]
pub struct VirtioIommuImage {
    /// All of it.
    pub virtio: Virtio<IommuImage>,
}

/// The device part.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-iommu-device", version = 2)]
pub struct IommuImage {
    /// Domains by number.
    #[vmstate(tree, max = DOMAINS_MAX)]
    pub domains: BTreeMap<u64, DomainImage>,
    /// Devices without a domain are not translated.
    pub bypass: u8,
}

image_is_part!(IommuImage);

/// Devices that share a translation.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "domain", version = 2)]
pub struct DomainImage {
    /// Its number.
    pub id: u32,
    /// What is translated.
    #[vmstate(tree, max = MAPPINGS_MAX)]
    pub mappings: BTreeMap<IntervalImage, MappingImage>,
    /// The devices.
    #[vmstate(list = qlist, max = ENDPOINTS_MAX)]
    pub endpoint_list: Vec<EndpointImage>,
    /// They are not translated.
    pub bypass: bool,
}

/// Addresses as the devices see them.
#[derive(VmState, Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[vmstate(name = "interval", version = 1)]
pub struct IntervalImage {
    /// The first.
    pub low: u64,
    /// The last.
    pub high: u64,
}

/// What they become.
#[derive(VmState, Debug, Default, Clone, Copy, PartialEq, Eq)]
#[vmstate(name = "mapping", version = 1)]
pub struct MappingImage {
    /// Guest address of the first.
    pub phys_addr: u64,
    /// Bits 0 and 1: reading and writing.
    pub flags: u32,
}

/// A device.
#[derive(VmState, Debug, Default, Clone, Copy, PartialEq, Eq)]
#[vmstate(name = "endpoint", version = 1)]
pub struct EndpointImage {
    /// Its number.
    pub id: u32,
}
