//! What of a virtio device is sent only when it is needed: behind the device part, in this order.
//!
//! | subsection of `virtio`, version 1 | octets | what | sent |
//! |---|---|---|---|
//! | `virtio/device_endian` | 1 | byte order: 1 little, 2 big | it is not what the target's devices have |
//! | `virtio/128bit_features` | 8 | features 64 to 127 that the driver acknowledged | the device offers some of them |
//! | `virtio/64bit_features` | 8 | features 0 to 63 | the device offers any above 31 |
//! | `virtio/virtqueues` | 1024 × 16 | addresses of both rings | the device offers `VERSION_1` |
//! | `virtio/ringsize` | 1024 × 4 | sizes by default | the driver chose a smaller ring |
//! | `virtio/broken` | 1 | true | the driver broke the rules |
//! | `virtio/extra_state` | … | [`ExtraStateImage`] | on PCI always, in memory without legacy |
//! | `virtio/started` | 1 | true | the driver started the device |
//! | `virtio/packed_virtqueues` | 1024 × 10 | [`PackedQueueImage`] | the device offers packed rings |
//! | `virtio/disabled` | 1 | true | bus mastering is off |
//!
//! | state of the transport, version 1 | octets |
//! |---|---|
//! | `virtio_pci/modern_state` of `virtio_pci` | 4, 4, 2 × 4, 1024 × 28; 24 for a queue are three addresses, low word first |
//! | `virtio_pci/modern_state/features128` of that | 2 × 4 |
//! | `virtio_mmio/state` of `virtio_mmio` | 2 × 4, 1024 × 27 |
//!
//! Elements of these tables have no name on the wire or in any description; those of the images here are ours.
//!
//! Source: `docs/spec/virtio-state.md` section 2; streams of QEMU 5.2 to 11.1.

use vmstate::VmState;

use super::queue::PerQueue;

/// The nested image behind the device part, which has subsections only.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio", version = 1)]
pub struct VirtioSubsectionsImage {
    /// Byte order of the device.
    #[vmstate(subsection)]
    pub device_endian: Option<DeviceEndianImage>,
    /// Features 64 to 127; QEMU 10.2 and later.
    #[vmstate(subsection)]
    pub features_128: Option<Features128Image>,
    /// Features 0 to 63.
    #[vmstate(subsection)]
    pub features_64: Option<Features64Image>,
    /// Addresses of the rings of modern devices.
    #[vmstate(subsection)]
    pub virtqueues: Option<VirtqueuesImage>,
    /// Sizes by default.
    #[vmstate(subsection)]
    pub ringsize: Option<RingSizeImage>,
    /// The device is broken.
    #[vmstate(subsection)]
    pub broken: Option<BrokenImage>,
    /// State of the transport.
    #[vmstate(subsection)]
    pub extra_state: Option<ExtraStateImage>,
    /// The device was started.
    #[vmstate(subsection)]
    pub started: Option<StartedImage>,
    /// Indices of packed rings.
    #[vmstate(subsection)]
    pub packed_virtqueues: Option<PackedVirtqueuesImage>,
    /// The device may not use memory.
    #[vmstate(subsection)]
    pub disabled: Option<DisabledImage>,
}

/// Byte order of the device.
#[derive(VmState, Debug, Default, Clone, Copy, PartialEq, Eq)]
#[vmstate(name = "virtio/device_endian", version = 1)]
pub struct DeviceEndianImage {
    /// 1 little, 2 big.
    pub device_endian: u8,
}

/// Features that the driver acknowledged.
#[derive(VmState, Debug, Default, Clone, Copy, PartialEq, Eq)]
#[vmstate(name = "virtio/128bit_features", version = 1)]
pub struct Features128Image {
    /// Bits 64 to 127.
    pub guest_features: u64,
}

/// Features that the driver acknowledged.
#[derive(VmState, Debug, Default, Clone, Copy, PartialEq, Eq)]
#[vmstate(name = "virtio/64bit_features", version = 1)]
pub struct Features64Image {
    /// Bits 0 to 63.
    pub guest_features: u64,
}

/// Addresses of the rings.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio/virtqueues", version = 1)]
pub struct VirtqueuesImage {
    /// Those of each queue.
    pub vq: PerQueue<RingsImage>,
}

/// Addresses of the rings of a queue.
#[derive(VmState, Debug, Default, Clone, Copy, PartialEq, Eq)]
#[vmstate(name = "virtqueue_state", version = 1)]
pub struct RingsImage {
    /// Guest address of the available ring.
    pub avail: u64,
    /// Guest address of the used ring.
    pub used: u64,
}

/// Sizes of the rings that the device would have by default.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio/ringsize", version = 1)]
pub struct RingSizeImage {
    /// Entries of each queue.
    pub num_default: PerQueue<u32>,
}

/// The driver broke the rules, and the device does nothing until it is reset.
#[derive(VmState, Debug, Default, Clone, Copy, PartialEq, Eq)]
#[vmstate(name = "virtio/broken", version = 1)]
pub struct BrokenImage {
    /// True in what QEMU sends.
    pub broken: bool,
}

/// The driver started the device.
#[derive(VmState, Debug, Default, Clone, Copy, PartialEq, Eq)]
#[vmstate(name = "virtio/started", version = 1)]
pub struct StartedImage {
    /// True in what QEMU sends.
    pub started: bool,
}

/// The device may not use memory, as bus mastering is off.
#[derive(VmState, Debug, Default, Clone, Copy, PartialEq, Eq)]
#[vmstate(name = "virtio/disabled", version = 1)]
pub struct DisabledImage {
    /// True in what QEMU sends.
    pub disabled: bool,
}

/// Indices of packed rings.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio/packed_virtqueues", version = 1)]
pub struct PackedVirtqueuesImage {
    /// Those of each queue.
    pub vq: PerQueue<PackedQueueImage>,
}

/// Indices of a packed ring.
#[derive(VmState, Debug, Clone, Copy, PartialEq, Eq)]
#[vmstate(name = "packed_virtqueue_state", version = 1)]
pub struct PackedQueueImage {
    /// Where the device looks next.
    pub last_avail_idx: u16,
    /// Its wrap counter.
    pub last_avail_wrap_counter: bool,
    /// Where the device writes next.
    pub used_idx: u16,
    /// Its wrap counter.
    pub used_wrap_counter: bool,
    /// Requests that were taken and not yet given back.
    pub inuse: u32,
}

impl Default for PackedQueueImage {
    /// The state after a reset, in which a wrap counter is true.
    fn default() -> Self {
        Self { last_avail_idx: 0, last_avail_wrap_counter: true, used_idx: 0, used_wrap_counter: true, inuse: 0 }
    }
}

/// State of the transport. Only that of the device's transport may hold anything; that of a legacy device on PCI holds
/// nothing either.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio/extra_state", version = 1)]
pub struct ExtraStateImage {
    /// Of a device on PCI.
    pub virtio_pci: VirtioPciImage,
    /// Of a device in memory.
    pub virtio_mmio: VirtioMmioImage,
}

/// State of a device on PCI.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio_pci", version = 1)]
pub struct VirtioPciImage {
    /// Registers of modern devices.
    #[vmstate(subsection)]
    pub modern_state: Option<VirtioPciModernImage>,
}

/// Registers of a modern device on PCI.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio_pci/modern_state", version = 1)]
pub struct VirtioPciModernImage {
    /// Word of the features that the device offers.
    pub dfselect: u32,
    /// Word of the features that the driver acknowledges.
    pub gfselect: u32,
    /// Words that the driver wrote, bits 0 to 63.
    pub guest_features: [u32; 2],
    /// What the driver wrote of each queue.
    pub vqs: PerQueue<VirtioPciQueueImage>,
    /// Words 2 and 3, if one of them is not 0; QEMU 10.2 and later.
    #[vmstate(subsection)]
    pub features128: Option<VirtioPciFeatures128Image>,
}

/// What the driver wrote of a queue.
#[derive(VmState, Debug, Default, Clone, Copy, PartialEq, Eq)]
#[vmstate(name = "modern_queue_state", version = 1)]
pub struct VirtioPciQueueImage {
    /// Entries of its rings; 0 if it was not written.
    pub num: u16,
    /// Once a bool.
    #[vmstate(unused = 1)]
    pub unused: (),
    /// Whether the driver enabled it.
    pub enabled: bool,
    /// Guest address of the descriptors, low word first.
    pub desc: [u32; 2],
    /// Guest address of the available ring, low word first.
    pub avail: [u32; 2],
    /// Guest address of the used ring, low word first.
    pub used: [u32; 2],
}

/// More features that the driver wrote.
#[derive(VmState, Debug, Default, Clone, Copy, PartialEq, Eq)]
#[vmstate(name = "virtio_pci/modern_state/features128", version = 1)]
pub struct VirtioPciFeatures128Image {
    /// Words 2 and 3, bits 64 to 127.
    pub guest_features: [u32; 2],
}

/// State of a device in memory.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio_mmio", version = 1)]
pub struct VirtioMmioImage {
    /// Registers of modern devices.
    #[vmstate(subsection)]
    pub state: Option<VirtioMmioStateImage>,
}

/// Registers of a modern device in memory.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio_mmio/state", version = 1)]
pub struct VirtioMmioStateImage {
    /// Words that the driver wrote, bits 0 to 63.
    pub guest_features: [u32; 2],
    /// What the driver wrote of each queue.
    pub vqs: PerQueue<VirtioMmioQueueImage>,
}

/// What the driver wrote of a queue.
#[derive(VmState, Debug, Default, Clone, Copy, PartialEq, Eq)]
#[vmstate(name = "mmio_queue_state", version = 1)]
pub struct VirtioMmioQueueImage {
    /// Entries of its rings.
    pub num: u16,
    /// Whether the driver enabled it.
    pub enabled: bool,
    /// Guest address of the descriptors, low word first.
    pub desc: [u32; 2],
    /// Guest address of the available ring, low word first.
    pub avail: [u32; 2],
    /// Guest address of the used ring, low word first.
    pub used: [u32; 2],
}
