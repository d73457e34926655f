//! Any device part.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use vmstate_qemu::arrays::Octets;
use vmstate_qemu::virtio::balloon::{Balloon5Part, BalloonImage, FreePageReportImage, PagePoisonImage};
use vmstate_qemu::virtio::blk::{BlkPart, BlkRequest};
use vmstate_qemu::virtio::console::{ConsolePart, PortImage, WaitingBuffer};
use vmstate_qemu::virtio::element::{Buffer, QueueElement};
use vmstate_qemu::virtio::gpu::{Blob, Blobs, GpuState, Piece, Resource, Scanout};
use vmstate_qemu::virtio::iommu::{DomainImage, EndpointImage, IntervalImage, IommuImage, MappingImage};
use vmstate_qemu::virtio::mem::MemImage;
use vmstate_qemu::virtio::net::{CardImage, NetImage, QueuePairs, RssImage};

pub(crate) fn none(_: u32, _: usize) -> BoxedStrategy<()> {
    Just(()).boxed()
}

fn buffers(least: usize) -> BoxedStrategy<Vec<Buffer>> {
    let buffer = (any::<u64>(), 1..=u64::from(u32::MAX)).prop_map(|(address, octets)| Buffer { address, octets });
    prop_oneof![9 => vec(buffer.clone(), least..4), 1 => vec(buffer, 1024)].boxed()
}

fn element() -> BoxedStrategy<QueueElement> {
    (any::<u32>(), prop_oneof![(buffers(1), buffers(0)), (buffers(0), buffers(1))], option::of(any::<u32>()))
        .prop_map(|(index, (out, r#in), descriptors)| QueueElement { index, out, r#in, descriptors })
        .boxed()
}

pub(crate) fn blk(_: u32, queues: usize) -> BoxedStrategy<BlkPart> {
    let most = u32::try_from(queues.max(1)).unwrap();
    vec((0..most, element()).prop_map(|(queue, element)| BlkRequest { queue, element }), 0..3)
        .prop_map(|requests| BlkPart { requests })
        .boxed()
}

pub(crate) fn console(_: u32, _: usize) -> BoxedStrategy<ConsolePart> {
    let waiting = (any::<u32>(), any::<u64>(), element()).prop_map(|(iov_idx, iov_offset, element)| WaitingBuffer {
        iov_idx,
        iov_offset,
        element,
    });
    let port = (any::<u32>(), any::<[u8; 2]>(), option::weighted(0.2, waiting)).prop_map(
        |(id, [guest_connected, host_connected], element)| PortImage { id, guest_connected, host_connected, element },
    );
    (any::<[u16; 2]>(), 1..=511_u32, any::<bool>())
        .prop_flat_map(move |([cols, rows], ports, is_little)| {
            let words = usize::try_from(ports).unwrap().div_ceil(32);
            let most = usize::try_from(ports).unwrap().min(4);
            (vec(any::<u32>(), words), vec(port.clone(), 0..=most)).prop_map(move |(ports_map, list)| ConsolePart {
                cols,
                rows,
                // 256 is 1 in the other order, and read as such.
                max_nr_ports: if is_little || ports == 256 { ports.swap_bytes() } else { ports },
                ports_map,
                ports: list,
            })
        })
        .boxed()
}

prop_compose! {
    fn rss()(
        flags in any::<[bool; 3]>(),
        types in any::<[u32; 2]>(),
        default_queue in any::<u16>(),
        key in vec(any::<u8>(), 40),
        table in vec(any::<u16>(), 0..=128),
    ) -> RssImage {
        RssImage {
            enabled: flags[0],
            redirect: flags[1],
            populate_hash: flags[2],
            hash_types: types[0],
            supported_hash_types: types[1],
            indirections_len: u16::try_from(table.len()).unwrap(),
            default_queue,
            key: Octets(key.try_into().unwrap()),
            indirections_table: table,
        }
    }
}

fn pairs(features: u32) -> BoxedStrategy<QueuePairs> {
    let offloads = features & 4 != 0;
    (1..=511_u16)
        .prop_flat_map(move |maximum| {
            // Numbers as devices have them: what is not known of the card is found out from them.
            let waiting = vec(0..=1_u32, 0..usize::from(maximum).min(5));
            (waiting, any::<u16>()).prop_map(move |(tx_waiting, bits)| QueuePairs {
                maximum,
                tx_waiting,
                guest_offloads: offloads.then_some(u64::from(bits)),
            })
        })
        .boxed()
}

pub(crate) fn net(features: u32, _: usize) -> BoxedStrategy<NetImage> {
    let flags = any::<[u8; 9]>();
    let numbers = any::<[u32; 3]>();
    let filter = vec(any::<[u8; 6]>(), 0..=64);
    let vlans = vec(any::<u8>(), 512);
    let card = (any::<[u8; 6]>(), any::<u16>(), numbers, flags, filter, vlans, pairs(features)).prop_map(
        |(mac, status, numbers, flags, filter, vlans, pairs)| CardImage {
            mac,
            tx_waiting: numbers[0],
            mergeable_rx_bufs: numbers[1],
            status,
            promisc: flags[0],
            allmulti: flags[1],
            mac_table_in_use: u32::try_from(filter.len()).unwrap(),
            mac_table_macs: filter.concat(),
            vlans: Octets(vlans.try_into().unwrap()),
            has_vnet_hdr: numbers[2],
            multi_overflow: flags[2],
            uni_overflow: flags[3],
            alluni: flags[4],
            nomulti: flags[5],
            nouni: flags[6],
            nobcast: flags[7],
            has_ufo: flags[8],
            pairs,
        },
    );
    (card, option::of(rss())).prop_map(|(card, rss)| NetImage { card, rss }).boxed()
}

pub(crate) fn balloon(_: u32, _: usize) -> BoxedStrategy<BalloonImage> {
    (any::<[u32; 2]>(), option::of(any::<[u32; 2]>()), option::of(any::<u32>()))
        .prop_map(|([num_pages, actual], hints, poison)| BalloonImage {
            num_pages,
            actual,
            free_page_report: hints.map(|[free_page_hint_cmd_id, free_page_hint_status]| FreePageReportImage {
                free_page_hint_cmd_id,
                free_page_hint_status,
            }),
            page_poison: poison.map(|poison_val| PagePoisonImage { poison_val }),
        })
        .boxed()
}

pub(crate) fn balloon_5(features: u32, queues: usize) -> BoxedStrategy<Balloon5Part> {
    (balloon(features, queues), option::of(any::<u32>()))
        .prop_map(|(balloon, poison)| Balloon5Part {
            balloon,
            page_poison: poison.map(|poison_val| PagePoisonImage { poison_val }),
        })
        .boxed()
}

pub(crate) fn iommu(_: u32, _: usize) -> BoxedStrategy<IommuImage> {
    let interval = any::<[u64; 2]>().prop_map(|[low, high]| IntervalImage { low, high });
    let mapping = (any::<u64>(), any::<u32>()).prop_map(|(phys_addr, flags)| MappingImage { phys_addr, flags });
    let endpoints = vec(any::<u32>().prop_map(|id| EndpointImage { id }), 0..4);
    let domain = (any::<u32>(), btree_map(interval, mapping, 0..5), endpoints, any::<bool>())
        .prop_map(|(id, mappings, endpoint_list, bypass)| DomainImage { id, mappings, endpoint_list, bypass });
    (btree_map(any::<u64>(), domain, 0..4), any::<u8>())
        .prop_map(|(domains, bypass)| IommuImage { domains, bypass })
        .boxed()
}

pub(crate) fn mem(_: u32, _: usize) -> BoxedStrategy<MemImage> {
    let block_size = (20..30_u32).prop_map(|shift| 1_u64 << shift);
    (any::<[u64; 4]>(), any::<u32>(), block_size, 0..200_u32)
        .prop_flat_map(|([addr, usable_region_size, size, requested_size], node, block_size, blocks)| {
            let words = usize::try_from(blocks).unwrap().div_ceil(64);
            vec(any::<u64>(), words).prop_map(move |bitmap| MemImage {
                is_early: false,
                blocks,
                addr,
                memory_region_size: block_size * u64::from(blocks),
                block_size,
                node,
                usable_region_size,
                size,
                requested_size,
                bitmap,
            })
        })
        .boxed()
}

fn pieces() -> BoxedStrategy<Vec<Piece>> {
    vec((any::<u64>(), any::<u32>()).prop_map(|(address, octets)| Piece { address, octets }), 0..4).boxed()
}

fn scanout() -> BoxedStrategy<Scanout> {
    // A format is above 2^24, and no resource is, or outputs could not be told apart.
    let frame_buffer = (0x0100_0000..=0x7dff_ffff_u32, any::<[u32; 5]>())
        .prop_map(|(format, rest)| [format, rest[0], rest[1], rest[2], rest[3], rest[4]]);
    let resource = 1..0x0100_0000_u32;
    let place = 0..0x0400_0000_u32;
    (resource, any::<[u16; 9]>(), place, option::of(frame_buffer))
        .prop_map(|(resource, numbers, place, frame_buffer)| {
            let [width, height, x, y, cursor, hot_x, hot_y, position, _] = numbers.map(u32::from);
            Scanout {
                resource,
                rectangle: [width, height, x, y],
                cursor_resource: cursor,
                cursor_hot: [hot_x, hot_y],
                cursor_position: [position, place],
                frame_buffer,
            }
        })
        .boxed()
}

/// Numbers in it are below 2^26, so that none of them looks like the footer behind the outputs.
pub(crate) fn gpu() -> BoxedStrategy<GpuState> {
    let resource = (1..u32::MAX, 0..20_u32, 0..20_u32, any::<u32>(), pieces()).prop_flat_map(
        |(id, width, height, format, pieces)| {
            vec(any::<u8>(), usize::try_from(width * height * 4).unwrap()).prop_map(move |pixels| Resource {
                id,
                width,
                height,
                format,
                pieces: pieces.clone(),
                pixels,
            })
        },
    );
    (vec(resource, 0..4), any::<i32>(), vec(scanout(), 0..=16))
        .prop_map(|(resources, enabled_outputs, mut scanouts)| {
            for frame_buffer in scanouts.iter_mut().filter_map(|scanout| scanout.frame_buffer.as_mut()) {
                frame_buffer[1..].iter_mut().for_each(|number| *number &= 0x00ff_ffff);
            }
            GpuState { resources, enabled_outputs, scanouts }
        })
        .boxed()
}

pub(crate) fn blobs() -> BoxedStrategy<Blobs> {
    let blob = (1..u32::MAX, any::<u32>(), pieces()).prop_map(|(id, octets, pieces)| Blob { id, octets, pieces });
    vec(blob, 0..4).prop_map(Blobs).boxed()
}
