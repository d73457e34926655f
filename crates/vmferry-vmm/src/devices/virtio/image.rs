//! State of the entropy device: the octets of QEMU's `virtio-rng` version 1 on modern MMIO.
//!
//! QEMU's body is written by hand; its parts A, B, C and E are declared here as one image with a nested `virtio`
//! (`docs/spec/virtio-state.md` sections 1 and 2):
//!
//! | part | fields |
//! |---|---|
//! | A | selectors of the feature words; the page shift of legacy drivers, 0 |
//! | B | status, isr, selected queue, features 0–31, length of the configuration, 0 |
//! | C | number of queues, 1; size, alignment (4096, of legacy drivers), descriptor table, last available index |
//! | E | `virtio/64bit_features`, `virtio/virtqueues`, `virtio/ringsize` if the ring is smaller than offered, `virtio/extra_state`, `virtio/started` |
//!
//! The section's id string has the slot in it: `virtio-mmio@0000000010008000/virtio-rng`.

use vmstate::{Refused, VmState};

use super::mmio::{OFFERED, STATUS_DRIVER_OK, STATUS_FEATURES_OK, STATUS_NEEDS_RESET, VirtioMmio};
use super::queue::{QUEUE_SIZE_MAX, Queue};
use crate::devices::half;

/// Elements of every array over queues, used or not.
const QUEUES_MAX: usize = 1024;

/// Configuration octets that are read and dropped; the device has none.
const CONFIG_BYTES_MAX: usize = 4096;

const LEGACY_ALIGNMENT: u32 = 4096;

/// Image of the device.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-rng", version = 1)]
pub struct VirtioRngImage {
    host_features_sel: u32,
    guest_features_sel: u32,
    guest_page_shift: u32,
    status: u8,
    isr: u8,
    queue_sel: u16,
    guest_features: u32,
    config_len: u32,
    #[vmstate(buffer, len = config_len, max = CONFIG_BYTES_MAX)]
    config: Vec<u8>,
    queue_count: u32,
    #[vmstate(len = queue_count, max = QUEUES_MAX)]
    queues: Vec<QueueImage>,
    virtio: VirtioImage,
}

#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio_mmio_queue", version = 1)]
struct QueueImage {
    num: u32,
    align: u32,
    desc: u64,
    last_avail_idx: u16,
}

#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio", version = 1)]
struct VirtioImage {
    #[vmstate(subsection)]
    features: Option<FeaturesImage>,
    #[vmstate(subsection)]
    virtqueues: Option<RingsImage>,
    #[vmstate(subsection)]
    ringsize: Option<RingSizesImage>,
    #[vmstate(subsection)]
    broken: Option<BrokenImage>,
    #[vmstate(subsection)]
    extra_state: Option<ExtraStateImage>,
    #[vmstate(subsection)]
    started: Option<StartedImage>,
}

#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio/64bit_features", version = 1)]
struct FeaturesImage {
    guest_features: u64,
}

#[derive(VmState, Debug, Default, Clone, Copy, PartialEq, Eq)]
#[vmstate(name = "virtqueue_state", version = 1)]
struct RingImage {
    avail: u64,
    used: u64,
}

#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio/virtqueues", version = 1)]
struct RingsImage {
    vq: [RingImage; QUEUES_MAX],
}

impl Default for RingsImage {
    fn default() -> Self {
        Self { vq: [RingImage::default(); QUEUES_MAX] }
    }
}

#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio/ringsize", version = 1)]
struct RingSizesImage {
    num_default: [u32; QUEUES_MAX],
}

impl Default for RingSizesImage {
    fn default() -> Self {
        Self { num_default: [0; QUEUES_MAX] }
    }
}

#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio/broken", version = 1)]
struct BrokenImage {
    broken: bool,
}

#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio/started", version = 1)]
struct StartedImage {
    started: bool,
}

#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio/extra_state", version = 1)]
struct ExtraStateImage {
    extra_state: MmioImage,
}

#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio_mmio", version = 1)]
struct MmioImage {
    #[vmstate(subsection)]
    state: Option<MmioStateImage>,
}

#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio_mmio/state", version = 1)]
struct MmioStateImage {
    guest_features: [u32; 2],
    vqs: [MmioQueueImage; QUEUES_MAX],
}

impl Default for MmioStateImage {
    fn default() -> Self {
        Self { guest_features: [0; 2], vqs: [MmioQueueImage::default(); QUEUES_MAX] }
    }
}

#[derive(VmState, Debug, Default, Clone, Copy, PartialEq, Eq)]
#[vmstate(name = "virtio_mmio/queue_state", version = 1)]
struct MmioQueueImage {
    num: u16,
    enabled: bool,
    /// Low half, high half.
    desc: [u32; 2],
    avail: [u32; 2],
    used: [u32; 2],
}

/// The image of a transport.
pub(super) fn snapshot(mmio: &VirtioMmio) -> VirtioRngImage {
    let queue = mmio.queue;
    let features = mmio.features();
    // Before FEATURES_OK the words are only what the driver has written so far.
    let acknowledged = if mmio.status & STATUS_FEATURES_OK == 0 { 0 } else { features };
    let is_running = mmio.status & STATUS_DRIVER_OK != 0;
    let mut rings = RingsImage::default();
    rings.vq[0] =
        if queue.is_ready { RingImage { avail: queue.available, used: queue.used } } else { RingImage::default() };
    let mut sizes = RingSizesImage::default();
    sizes.num_default[0] = u32::from(QUEUE_SIZE_MAX);
    let mut state = MmioStateImage { guest_features: mmio.driver_features, ..MmioStateImage::default() };
    state.vqs[0] = MmioQueueImage {
        num: queue.size,
        enabled: queue.is_ready,
        desc: halves(queue.descriptors),
        avail: halves(queue.available),
        used: halves(queue.used),
    };
    VirtioRngImage {
        host_features_sel: mmio.device_features_sel,
        guest_features_sel: mmio.driver_features_sel,
        guest_page_shift: 0,
        status: mmio.status,
        isr: mmio.interrupt_status,
        queue_sel: mmio.queue_sel,
        guest_features: crate::devices::low32(acknowledged),
        config_len: 0,
        config: Vec::new(),
        queue_count: 1,
        queues: vec![QueueImage {
            num: if queue.is_ready { u32::from(queue.size) } else { u32::from(QUEUE_SIZE_MAX) },
            align: LEGACY_ALIGNMENT,
            desc: if queue.is_ready { queue.descriptors } else { 0 },
            last_avail_idx: queue.last_available,
        }],
        virtio: VirtioImage {
            features: Some(FeaturesImage { guest_features: acknowledged }),
            virtqueues: Some(rings),
            ringsize: (queue.is_ready && queue.size != QUEUE_SIZE_MAX).then_some(sizes),
            broken: (mmio.status & STATUS_NEEDS_RESET != 0).then_some(BrokenImage { broken: true }),
            extra_state: Some(ExtraStateImage { extra_state: MmioImage { state: Some(state) } }),
            started: is_running.then_some(StartedImage { started: true }),
        },
    }
}

/// The transport of an image.
pub(super) fn restore(device_id: u32, image: VirtioRngImage) -> Result<VirtioMmio, Refused> {
    let VirtioRngImage {
        host_features_sel,
        guest_features_sel,
        guest_page_shift,
        status,
        isr,
        queue_sel,
        guest_features,
        config_len: _,
        // Regenerated from the device, which has none.
        config: _,
        queue_count,
        queues,
        virtio,
    } = image;
    let VirtioImage { features, virtqueues, ringsize: _, broken, extra_state, started: _ } = virtio;
    if guest_page_shift != 0 {
        return Err(refused(format_args!("guest_page_shift is {guest_page_shift}: the driver is a legacy one")));
    }
    let [QueueImage { num, align: _, desc, last_avail_idx }] = &*queues else {
        return Err(refused(format_args!("there are {queue_count} queues, not 1")));
    };
    let state = extra_state
        .and_then(|image| image.extra_state.state)
        .ok_or_else(|| Refused::new("there is no virtio_mmio/state: the sender's transport is a legacy one"))?;
    let acknowledged = features.map_or(u64::from(guest_features), |image| image.guest_features);
    if acknowledged & !OFFERED != 0 {
        return Err(refused(format_args!(
            "features {acknowledged:#x} were acknowledged, of which {OFFERED:#x} are offered"
        )));
    }
    let [first, ..] = state.vqs;
    let MmioQueueImage { num: size, enabled, desc: descriptors, avail, used } = first;
    let queue = Queue {
        // Before the driver chooses a size QEMU has 0 there.
        size: if size == 0 && !enabled { QUEUE_SIZE_MAX } else { size },
        is_ready: enabled,
        descriptors: whole(descriptors),
        available: whole(avail),
        used: whole(used),
        last_available: *last_avail_idx,
    };
    check_queue(&queue, *num, *desc, virtqueues.as_ref())?;
    let status = status | if broken.is_some_and(|image| image.broken) { STATUS_NEEDS_RESET } else { 0 };
    if status & STATUS_FEATURES_OK != 0 && acknowledged != OFFERED {
        return Err(refused(format_args!("status {status:#04x} has FEATURES_OK with features {acknowledged:#x}")));
    }
    Ok(VirtioMmio {
        device_id,
        device_features_sel: host_features_sel,
        driver_features_sel: guest_features_sel,
        driver_features: state.guest_features,
        status,
        interrupt_status: isr,
        queue_sel,
        queue,
    })
}

/// The two places that name a queue's parts must agree, and a ready queue must be one that could have become ready.
fn check_queue(queue: &Queue, num: u32, desc: u64, rings: Option<&RingsImage>) -> Result<(), Refused> {
    if !queue.is_ready {
        return if queue.last_available == 0 {
            Ok(())
        } else {
            Err(refused(format_args!("the queue is not ready but its last index is {}", queue.last_available)))
        };
    }
    if !queue.is_valid() {
        return Err(refused(format_args!(
            "a queue of {} entries at {:#x}, {:#x}, {:#x} cannot be ready: a power of two up to {QUEUE_SIZE_MAX} is accepted, and parts on their alignment",
            queue.size, queue.descriptors, queue.available, queue.used
        )));
    }
    let ring = rings.map(|image| image.vq[0]).unwrap_or_default();
    let agree = num == u32::from(queue.size)
        && desc == queue.descriptors
        && ring == RingImage { avail: queue.available, used: queue.used };
    if agree { Ok(()) } else { Err(Refused::new("virtio/virtqueues and virtio_mmio/state name different rings")) }
}

fn refused(text: std::fmt::Arguments<'_>) -> Refused {
    Refused::new(text.to_string())
}

fn halves(address: u64) -> [u32; 2] {
    [crate::devices::low32(half(address, false)), crate::devices::low32(half(address, true))]
}

fn whole([low, high]: [u32; 2]) -> u64 {
    u64::from(low) | u64::from(high) << 32
}
