//! Any body around a device part.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use vmstate_qemu::pci::msix::MsixState;
use vmstate_qemu::pci::{PciDeviceImage, PciIrqState};
use vmstate_qemu::virtio::subsections::{
    BrokenImage, DeviceEndianImage, DisabledImage, ExtraStateImage, Features64Image, Features128Image,
    PackedQueueImage, PackedVirtqueuesImage, RingSizeImage, RingsImage, StartedImage, VirtioMmioImage,
    VirtioMmioQueueImage, VirtioMmioStateImage, VirtioPciFeatures128Image, VirtioPciImage, VirtioPciModernImage,
    VirtioPciQueueImage, VirtioSubsectionsImage, VirtqueuesImage,
};
use vmstate_qemu::virtio::{Common, MmioTransport, Msix, NO_VECTOR, PciTransport, PerQueue, Queue, Transport, Virtio};

/// A table with a few elements that are not as by default.
fn table<T: Clone + Default + PartialEq + std::fmt::Debug + 'static>(
    element: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<PerQueue<T>> {
    vec((0..1024_usize, element), 0..4)
        .prop_map(|elements| {
            let mut table = PerQueue::default();
            for (index, element) in elements {
                *table.get_mut(index).unwrap() = element;
            }
            table
        })
        .boxed()
}

/// A configuration space, with these capabilities among its octets.
fn config(octets: usize, is_express: bool, vectors: Option<usize>) -> BoxedStrategy<Vec<u8>> {
    vec(any::<u8>(), octets)
        .prop_map(move |mut config| {
            let mut ids = vec![(0x09, 0)];
            ids.extend(is_express.then_some((0x10, 0)));
            ids.extend(vectors.map(|vectors| (0x11, vectors - 1)));
            config[0x06] |= 0x10;
            config[0x34] = 0x40;
            for (place, (id, control)) in (0x40_u8..).step_by(0x10).zip(&ids) {
                let at = usize::from(place);
                let next = if at == 0x30 + 0x10 * ids.len() { 0 } else { place + 0x10 };
                config[at..at + 2].copy_from_slice(&[*id, next]);
                config[at + 2..at + 4].copy_from_slice(&u16::try_from(*control).unwrap().to_le_bytes());
            }
            config
        })
        .boxed()
}

fn pci() -> BoxedStrategy<Transport> {
    (any::<bool>(), option::of(prop_oneof![1..5_usize, Just(2048_usize)]))
        .prop_flat_map(|(is_express, vectors)| {
            let octets = if is_express { 4096 } else { 256 };
            let vector = vector(vectors.unwrap_or(0));
            let table = vec(any::<[u8; 16]>(), vectors.unwrap_or(0));
            let pending = vec(any::<u8>(), vectors.unwrap_or(0).div_ceil(8));
            (config(octets, is_express, vectors), any::<[u32; 4]>(), vector, table, pending).prop_map(
                move |(config, irq_state, config_vector, table, pending)| {
                    let mut device =
                        if is_express { PciDeviceImage::express() } else { PciDeviceImage::conventional() };
                    if is_express {
                        device.express.0.copy_from_slice(&config);
                    } else {
                        device.conventional.0.copy_from_slice(&config);
                    }
                    device.irq_state = PciIrqState(irq_state);
                    let msix = vectors.map(|_| Msix { state: MsixState { table, pending }, config_vector });
                    Transport::Pci(PciTransport { device, msix })
                },
            )
        })
        .boxed()
}

fn vector(vectors: usize) -> BoxedStrategy<u16> {
    let most = u16::try_from(vectors).unwrap();
    if most == 0 { Just(NO_VECTOR).boxed() } else { prop_oneof![Just(NO_VECTOR), 0..most].boxed() }
}

fn transport() -> BoxedStrategy<Transport> {
    let mmio = any::<[u32; 3]>().prop_map(|[host_features_sel, guest_features_sel, guest_page_shift]| {
        Transport::Mmio(MmioTransport { host_features_sel, guest_features_sel, guest_page_shift })
    });
    prop_oneof![mmio, pci()].boxed()
}

fn queue(transport: &Transport) -> BoxedStrategy<Queue> {
    let (is_mmio, vectors) = (transport.is_mmio(), transport.vectors());
    (any::<[u32; 2]>(), any::<u64>(), any::<u16>(), vector(vectors.unwrap_or(0)))
        .prop_map(move |([size, align], desc, last_avail_idx, vector)| Queue {
            size,
            align: is_mmio.then_some(align),
            desc,
            last_avail_idx: if desc == 0 { 0 } else { last_avail_idx },
            vector: vectors.map(|_| vector),
        })
        .boxed()
}

prop_compose! {
    fn common()(
        status in any::<u8>(),
        isr in any::<u8>(),
        queue_sel in 0..1024_u16,
        guest_features in any::<u32>(),
        config in vec(any::<u8>(), 0..200),
    ) -> Common {
        Common { status, isr, queue_sel, guest_features, config }
    }
}

fn pci_state() -> BoxedStrategy<VirtioPciImage> {
    let addresses = any::<[[u32; 2]; 3]>();
    let queue = (any::<u16>(), any::<bool>(), addresses).prop_map(|(num, enabled, [desc, avail, used])| {
        VirtioPciQueueImage { num, unused: (), enabled, desc, avail, used }
    });
    let features128 = any::<[u32; 2]>().prop_map(|guest_features| VirtioPciFeatures128Image { guest_features });
    let modern = (any::<[u32; 2]>(), any::<[u32; 2]>(), table(queue), option::of(features128));
    let modern = modern.prop_map(|([dfselect, gfselect], guest_features, vqs, features128)| VirtioPciModernImage {
        dfselect,
        gfselect,
        guest_features,
        vqs,
        features128,
    });
    option::of(modern).prop_map(|modern_state| VirtioPciImage { modern_state }).boxed()
}

fn mmio_state() -> BoxedStrategy<VirtioMmioImage> {
    let addresses = any::<[[u32; 2]; 3]>();
    let queue = (any::<u16>(), any::<bool>(), addresses)
        .prop_map(|(num, enabled, [desc, avail, used])| VirtioMmioQueueImage { num, enabled, desc, avail, used });
    let state = (any::<[u32; 2]>(), table(queue))
        .prop_map(|(guest_features, vqs)| VirtioMmioStateImage { guest_features, vqs });
    option::of(state).prop_map(|state| VirtioMmioImage { state }).boxed()
}

fn extra_state(is_mmio: bool) -> BoxedStrategy<ExtraStateImage> {
    if is_mmio {
        mmio_state().prop_map(|virtio_mmio| ExtraStateImage { virtio_mmio, ..Default::default() }).boxed()
    } else {
        pci_state().prop_map(|virtio_pci| ExtraStateImage { virtio_pci, ..Default::default() }).boxed()
    }
}

fn subsections(is_mmio: bool) -> BoxedStrategy<VirtioSubsectionsImage> {
    let flags = (option::of(any::<bool>()), option::of(any::<bool>()), option::of(any::<bool>()));
    let numbers = (option::of(any::<u8>()), option::of(any::<u64>()), option::of(any::<u64>()));
    let rings = any::<[u64; 2]>().prop_map(|[avail, used]| RingsImage { avail, used });
    let packed = (any::<[u16; 2]>(), any::<[bool; 2]>(), any::<u32>()).prop_map(
        |([last_avail_idx, used_idx], [last_avail_wrap_counter, used_wrap_counter], inuse)| PackedQueueImage {
            last_avail_idx,
            last_avail_wrap_counter,
            used_idx,
            used_wrap_counter,
            inuse,
        },
    );
    let tables = (
        option::of(table(rings).prop_map(|vq| VirtqueuesImage { vq })),
        option::of(table(any::<u32>()).prop_map(|num_default| RingSizeImage { num_default })),
        option::of(table(packed).prop_map(|vq| PackedVirtqueuesImage { vq })),
    );
    (flags, numbers, tables, option::of(extra_state(is_mmio)))
        .prop_map(|(flags, numbers, (virtqueues, ringsize, packed_virtqueues), extra_state)| VirtioSubsectionsImage {
            device_endian: numbers.0.map(|device_endian| DeviceEndianImage { device_endian }),
            features_128: numbers.1.map(|guest_features| Features128Image { guest_features }),
            features_64: numbers.2.map(|guest_features| Features64Image { guest_features }),
            virtqueues,
            ringsize,
            broken: flags.0.map(|broken| BrokenImage { broken }),
            extra_state,
            started: flags.1.map(|started| StartedImage { started }),
            packed_virtqueues,
            disabled: flags.2.map(|disabled| DisabledImage { disabled }),
        })
        .boxed()
}

/// A body whose device part may depend on the features that were acknowledged and on the number of queues.
pub(crate) fn virtio<P: std::fmt::Debug + Clone + 'static>(
    part: fn(u32, usize) -> BoxedStrategy<P>,
) -> BoxedStrategy<Virtio<P>> {
    (transport(), common(), 0..6_usize)
        .prop_flat_map(move |(transport, common, queues)| {
            let part = part(common.guest_features, queues);
            let inside = (vec(queue(&transport), queues), part, subsections(transport.is_mmio()));
            (Just(transport), Just(common), inside).prop_map(|(transport, common, (queues, device, subsections))| {
                Virtio { transport, common, queues, device, subsections }
            })
        })
        .boxed()
}
