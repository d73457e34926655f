//! Every number that a stream says meets its limit, and the error says which and where.

use vmstate_qemu::virtio::balloon::BalloonImage;
use vmstate_qemu::virtio::blk::BlkPart;
use vmstate_qemu::virtio::console::ConsolePart;
use vmstate_qemu::virtio::iommu::IommuImage;
use vmstate_qemu::virtio::mem::{BLOCKS_MAX, MemImage};
use vmstate_qemu::virtio::net::{NetImage, RssImage};

use crate::bodies::{
    Body, CONFIG, DEVICE, QUEUE_SEL, QUEUES, encode, image_refusal, load, mmio, mmio_queue, pci, subsection,
};

fn refused(path: &str, offset: u64, reason: &str) -> (String, u64, String) {
    (path.to_owned(), offset, reason.to_owned())
}

#[test]
fn the_selected_queue_is_one() {
    let body = Body { queue_sel: 1023, ..Body::default() };
    assert_eq!(body.load::<()>().unwrap().common.queue_sel, 1023);
    let body = Body { queue_sel: 1024, ..Body::default() };
    assert_eq!(
        body.refusal::<()>(),
        refused("queue_sel", QUEUE_SEL, "value 1024 is not from 0 to 1023, as it must be here")
    );
}

#[test]
fn a_configuration_has_a_limit() {
    let body = Body { config: (4096, vec![7; 4096]), ..Body::default() };
    assert_eq!(body.load::<()>().unwrap().common.config, vec![7; 4096]);
    for length in [4097, i32::MAX as u32, 1 << 31, u32::MAX] {
        let body = Body { config: (length, vec![0; 64]), ..Body::default() };
        let reason = format!("count {length} is over the limit of 4096");
        assert_eq!(body.refusal::<()>(), refused("config", CONFIG, &reason));
    }
}

#[test]
fn queues_have_a_limit() {
    let body = Body { queues: (1024, mmio_queue(8, 0, 0).repeat(1024)), ..Body::default() };
    assert_eq!(body.load::<()>().unwrap().queues.len(), 1024);
    for number in [1025, u32::MAX] {
        let body = Body { queues: (number, mmio_queue(8, 0, 0)), ..Body::default() };
        let reason = format!("count {number} is over the limit of 1024");
        assert_eq!(body.refusal::<()>(), refused("queues", QUEUES, &reason));
    }
}

#[test]
fn an_index_needs_an_address() {
    let body = Body { queues: (2, [mmio_queue(8, 0, 0), mmio_queue(8, 0, 5)].concat()), ..Body::default() };
    let at = QUEUES + 4 + 18 + 16;
    assert_eq!(body.refusal::<()>(), refused("queues[1].last_avail_idx", at, "5 in a queue without an address"));
}

/// A body on PCI without queues, with so many vectors.
fn pci_body(vectors: u16, config_vector: u16, queue_vector: u16) -> Vec<u8> {
    let mut config = [0; 256];
    config[0x06] = 0x10;
    config[0x34] = 0x98;
    config[0x98..0x9c].copy_from_slice(&[0x11, 0, (vectors - 1).to_le_bytes()[0], (vectors - 1).to_le_bytes()[1]]);
    let vectors = usize::from(vectors);
    let queue = [&8_u32.to_be_bytes()[..], &[0; 10], &queue_vector.to_be_bytes()].concat();
    [
        &[0, 0, 0, 2][..],
        &config,
        &[0; 16],
        &vec![0; 16 * vectors + vectors.div_ceil(8)],
        &config_vector.to_be_bytes(),
        &[0; 12],
        &[0, 0, 0, 1],
        &queue,
    ]
    .concat()
}

#[test]
fn vectors_are_those_of_the_device() {
    for vectors in [1, 3, 2048] {
        let last = vectors - 1;
        let virtio = load::<()>(pci(), &pci_body(vectors, last, 0xffff)).unwrap();
        assert_eq!((virtio.transport.vectors(), virtio.queues[0].vector), (Some(vectors.into()), Some(0xffff)));
        let table = 4 + 256 + 16 + 16 * u64::from(vectors) + u64::from(vectors).div_ceil(8);
        let error = load::<()>(pci(), &pci_body(vectors, vectors, 0)).unwrap_err();
        assert_eq!((error.path().as_str(), error.offset()), ("transport.config_vector", table));
        let error = load::<()>(pci(), &pci_body(vectors, 0, vectors)).unwrap_err();
        assert_eq!((error.path().as_str(), error.offset()), ("queues[0].vector", table + 2 + 12 + 4 + 14));
        assert_eq!(error.reason().to_string(), format!("vector {vectors}, but the device has {vectors}"));
    }
}

#[test]
fn subsections_are_known_come_once_and_fit_the_transport() {
    let with = |subsections: Vec<u8>| Body { subsections, ..Body::default() };
    let started = subsection("virtio/started", 1, &[1]);
    assert!(with(started.clone()).load::<()>().unwrap().subsections.started.is_some_and(|image| image.started));
    let twice = with(started.repeat(2)).refusal::<()>();
    let behind = DEVICE + started.len() as u64;
    assert_eq!(twice, refused("", behind, "subsection 'virtio/started' comes twice"));
    let unknown = with(subsection("virtio/other", 1, &[])).refusal::<()>();
    assert_eq!(unknown, refused("", DEVICE, "subsection 'virtio/other' is not known to this release"));
    let newer = with(subsection("virtio/broken", 2, &[1])).refusal::<()>();
    let reason = "version 2 is too new: this release loads up to version 1";
    assert_eq!(newer, refused("virtio/broken", DEVICE + 15, reason));
    let state = subsection("virtio_pci/modern_state", 1, &[0; 16 + 28 * 1024]);
    let other = with(subsection("virtio/extra_state", 1, &state)).refusal::<()>();
    assert_eq!(other, refused("virtio/extra_state", DEVICE, "state of a transport that the device does not have"));
    let state = subsection("virtio_mmio/state", 1, &[0; 8 + 27 * 1024]);
    with(subsection("virtio/extra_state", 1, &state)).load::<()>().unwrap();
}

/// An element with so many buffers in each direction, all of `octets`.
fn element(out: u32, r#in: u32, octets: u64) -> Vec<u8> {
    let mut element = vec![0; 49_168];
    element[4..8].copy_from_slice(&out.to_le_bytes());
    element[8..12].copy_from_slice(&r#in.to_le_bytes());
    for (start, count) in [(16_400, r#in), (32_784, out)] {
        for index in 0..usize::try_from(count).unwrap().min(1024) {
            element[start + 16 * index + 8..][..8].copy_from_slice(&octets.to_le_bytes());
        }
    }
    element
}

fn blk(element: &[u8]) -> Body {
    Body { device: [&[1], element, &[0]].concat(), ..Body::default() }
}

#[test]
fn a_request_has_so_many_buffers_of_so_many_octets() {
    let path = |field: &str| format!("device.requests[0].element.{field}");
    for (out, r#in) in [(1024, 1024), (1, 0), (0, 1)] {
        let part = blk(&element(out, r#in, 512)).load::<BlkPart>().unwrap().device;
        let found = &part.requests[0].element;
        assert_eq!((found.out.len(), found.r#in.len()), (out as usize, r#in as usize));
        assert_eq!(found.descriptors, None);
    }
    let over = "count 1025 is over the limit of 1024";
    assert_eq!(blk(&element(1025, 1, 1)).refusal::<BlkPart>(), refused(&path("out_num"), DEVICE + 1 + 4, over));
    assert_eq!(blk(&element(1, 1025, 1)).refusal::<BlkPart>(), refused(&path("in_num"), DEVICE + 1 + 8, over));
    let long = blk(&element(1, 1, 1 << 32)).refusal::<BlkPart>();
    assert_eq!((long.0, long.1), (path("in_sg"), DEVICE + 1 + 16_400 + 8));
    let empty = blk(&element(1, 1, 0)).refusal::<BlkPart>();
    assert_eq!(empty.2, "a request without buffers, or with empty ones only");
}

#[test]
fn what_a_request_does_not_use_is_zero() {
    for at in [12, 16 + 8, 16_400 + 16, 16_400, 49_167] {
        let mut element = element(1, 1, 512);
        element[at] = 1;
        let (_, offset, reason) = blk(&element).refusal::<BlkPart>();
        assert_eq!((offset, reason.as_str()), (DEVICE + 1 + at as u64, "not 0, as what is not used must be"));
    }
}

#[test]
fn requests_of_packed_rings_have_their_number_of_descriptors_in_front() {
    let body = blk(&[&3_u32.to_be_bytes()[..], &element(1, 2, 512)].concat());
    let part = body.load::<BlkPart>().unwrap().device;
    assert_eq!(part.requests[0].element.descriptors, Some(3));
    let mut octets = body.octets();
    octets.truncate(usize::try_from(DEVICE).unwrap() + 1 + 49_168);
    let cut = load::<BlkPart>(mmio(), &octets[..octets.len() - 8]).map(|_| ()).unwrap_err();
    assert!(cut.path().starts_with("device.requests[0]"), "{cut}");
}

#[test]
fn a_list_of_requests_has_its_marks() {
    let body = Body { device: vec![2], ..Body::default() };
    let reason = "octet 0x02 neither announces an element nor ends the list";
    assert_eq!(body.refusal::<BlkPart>(), refused("device.requests[0]", DEVICE, reason));
}

#[test]
fn a_request_is_of_a_queue_of_the_device() {
    let two = |queue: u32| Body {
        queues: (2, mmio_queue(8, 0, 0).repeat(2)),
        device: [&[1][..], &queue.to_be_bytes(), &element(1, 1, 1), &[0]].concat(),
        ..Body::default()
    };
    assert_eq!(two(1).load::<BlkPart>().unwrap().device.requests[0].queue, 1);
    let reason = "value 2 is not from 0 to 1, as it must be here";
    assert_eq!(two(2).refusal::<BlkPart>(), refused("device.requests[0].queue", DEVICE + 18 + 1, reason));
}

#[test]
fn ports_have_a_limit() {
    let part = |most: u32, maps: &[u8], ports: u32| Body {
        device: [&[0; 4][..], &most.to_be_bytes(), maps, &ports.to_be_bytes(), &[0; 10]].concat(),
        ..Body::default()
    };
    // Both byte orders of 33 ports, which have two words of the map.
    for most in [33, 33_u32.swap_bytes()] {
        assert_eq!(part(most, &[0; 8], 1).load::<ConsolePart>().unwrap().device.ports_map.len(), 2);
        let reason = "count 34 is over the limit of 33";
        assert_eq!(part(most, &[0; 8], 34).refusal::<ConsolePart>(), refused("device.ports", DEVICE + 16, reason));
    }
    for most in [0, 512, 512_u32.swap_bytes(), u32::MAX] {
        let (path, offset, _) = part(most, &[], 0).refusal::<ConsolePart>();
        assert_eq!((path.as_str(), offset), ("device.max_nr_ports", DEVICE + 4));
    }
}

/// The device part of a network card up to the queue pairs.
fn card(in_use: u32) -> Vec<u8> {
    let filter = vec![0; 6 * in_use.min(64) as usize];
    [&[0; 6 + 4 + 4 + 2 + 2][..], &in_use.to_be_bytes(), &filter, &[0; 512 + 4 + 6 + 1]].concat()
}

#[test]
fn filters_queue_pairs_and_tables_of_a_card_have_limits() {
    let net = |device: Vec<u8>| Body { device, ..Body::default() };
    net(card(64)).load::<NetImage>().unwrap();
    let (path, _, reason) = net(card(65)).refusal::<NetImage>();
    assert_eq!((path.as_str(), reason.as_str()), ("device.card.mac_table.macs", "count 390 is over the limit of 384"));
    let at = DEVICE + card(0).len() as u64;
    let pairs = |most: u16, in_use: u16| {
        let waiting = vec![0; 4 * usize::from(in_use.clamp(1, 511) - 1)];
        net([&card(0)[..], &most.to_be_bytes(), &in_use.to_be_bytes(), &waiting].concat())
    };
    assert_eq!(pairs(511, 511).load::<NetImage>().unwrap().device.card.pairs.tx_waiting.len(), 510);
    assert_eq!(pairs(2, 1).load::<NetImage>().unwrap().device.card.pairs.maximum, 2);
    for most in [0, 1, 512, 0xffff] {
        let (path, offset, _) = pairs(most, 1).refusal::<NetImage>();
        assert_eq!((path.as_str(), offset), ("device.card.pairs.max_queue_pairs", at));
    }
    for in_use in [0, 5] {
        let (path, offset, _) = pairs(4, in_use).refusal::<NetImage>();
        assert_eq!((path.as_str(), offset), ("device.card.pairs.curr_queue_pairs", at + 2));
    }
    let rss = [&[1; 3][..], &[0; 8], &129_u16.to_be_bytes(), &[0; 42 + 258]].concat();
    let (path, _, reason) = image_refusal::<RssImage>(&rss);
    assert_eq!((path.as_str(), reason.as_str()), ("indirections_table", "count 129 is over the limit of 128"));
}

#[test]
fn blocks_of_memory_have_a_limit() {
    let whole = |region: u64, block: u64, words: usize| Body {
        device: [&[0; 8][..], &region.to_be_bytes(), &block.to_be_bytes(), &[0; 4 + 8 + 8 + 8], &vec![0; 8 * words]]
            .concat(),
        ..Body::default()
    };
    assert_eq!(whole(65 << 20, 1 << 20, 2).load::<MemImage>().unwrap().device.bitmap.len(), 2);
    assert_eq!(whole(1 << 20, 0, 0).load::<MemImage>().unwrap().device.blocks, 0);
    for region in [BLOCKS_MAX as u64 + 1, u64::MAX] {
        let (path, _, reason) = whole(region, 1, 0).refusal::<MemImage>();
        assert!(path == "device.bitmap" && reason.contains("over the limit of 16777216"), "{path}: {reason}");
    }
}

#[test]
fn trees_of_domains_say_how_many_they_have() {
    let body = Body { device: [0, 0, 0, 1, 0, 0].to_vec(), ..Body::default() };
    let (path, _, reason) = body.refusal::<IommuImage>();
    assert_eq!((path.as_str(), reason.as_str()), ("device.domains[0]", "0 nodes, but the tree says it has 1"));
    let body = Body { device: [0xff; 6].to_vec(), ..Body::default() };
    assert_eq!(body.refusal::<IommuImage>().0, "device.domains");
}

#[test]
fn a_part_that_does_not_belong_there_is_refused() {
    let with_balloon = Body { device: encode(&BalloonImage::default()), ..Body::default() };
    with_balloon.load::<BalloonImage>().unwrap();
    let stream = [with_balloon.octets(), vec![0x7e]].concat();
    let mut virtio = vmstate_qemu::virtio::Virtio::<()>::on(mmio());
    let mut input = vmstate::Input::from_slice(&stream, 0);
    vmstate::Wire::read_from(&mut virtio, &mut input).unwrap();
    assert_ne!(input.buffered(), [0x7e], "the footer must not be met where the part was left over");
}
