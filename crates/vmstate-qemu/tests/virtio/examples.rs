//! The examples of `docs/spec/virtio-state.md`, octet for octet.

use vmstate_qemu::virtio::blk::BlkPart;
use vmstate_qemu::virtio::console::ConsolePart;
use vmstate_qemu::virtio::subsections::{Features64Image, StartedImage};

use crate::bodies::{Body, encode, load, mmio, subsection};

fn octets(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// Section 1.5, the second one.
#[test]
fn a_source_of_entropy_in_memory() {
    let body = octets(
        "00 00 00 00 00 00 00 00 00 00 00 00   00 00 00 00  00 00 00 00  00 00 00 00   00 00 00 01
         00 00 00 08  00 00 10 00  00 00 00 00 00 00 00 00  00 00",
    );
    let virtio = load::<()>(mmio(), &body).unwrap();
    let queue = &virtio.queues[0];
    assert_eq!((queue.size, queue.align, queue.desc, queue.last_avail_idx, queue.vector), (8, Some(4096), 0, 0, None));
    assert_eq!(encode(&virtio), body);
}

/// Section 1.5, the first one, its end.
#[test]
fn subsections_of_a_disk() {
    let features = octets("05 15 7669727469 6f2f3634 6269745f 66656174 75726573 00000001 00000001 00000044");
    let started = octets("05 0e 76697274 696f2f73 74617274 6564 00000001 01");
    assert_eq!(features, subsection("virtio/64bit_features", 1, &[0, 0, 0, 1, 0, 0, 0, 0x44]));
    let body = Body { device: vec![0], subsections: [features, started].concat(), ..Body::default() };
    let virtio = body.load::<BlkPart>().unwrap();
    assert_eq!(virtio.subsections.features_64, Some(Features64Image { guest_features: 0x1_0000_0044 }));
    assert_eq!(virtio.subsections.started, Some(StartedImage { started: true }));
    assert_eq!(encode(&virtio), body.octets());
}

/// Section 3.
#[test]
fn a_request_that_failed() {
    let mut element = vec![0; 49_168];
    let mut put = |at: usize, hex: &str| {
        let octets = octets(hex);
        element[at..at + octets.len()].copy_from_slice(&octets);
    };
    put(0, "00 00 00 00  01 00 00 00  02 00 00 00  00 00 00 00");
    put(16, "00 7c 00 00 00 00 00 00  77 8b 0e 00 00 00 00 00");
    put(8208, "78 8b 0e 00 00 00 00 00");
    put(16_400, "00 00 00 00 00 00 00 00  00 02 00 00 00 00 00 00");
    put(16_416, "00 00 00 00 00 00 00 00  01 00 00 00 00 00 00 00");
    put(32_784, "00 00 00 00 00 00 00 00  10 00 00 00 00 00 00 00");
    let body = Body { device: [&[1], &element[..], &[0]].concat(), ..Body::default() };
    let virtio = body.load::<BlkPart>().unwrap();
    let request = &virtio.device.requests[0].element;
    let buffers = |buffers: &[vmstate_qemu::virtio::element::Buffer]| -> Vec<(u64, u64)> {
        buffers.iter().map(|buffer| (buffer.address, buffer.octets)).collect()
    };
    assert_eq!(buffers(&request.r#in), [(0x7c00, 512), (0xe_8b77, 1)]);
    assert_eq!(buffers(&request.out), [(0xe_8b78, 16)]);
    assert_eq!(encode(&virtio), body.octets());
}

/// Section 4.4.
#[test]
fn a_console_and_a_port() {
    let map = octets("00 00 00 21 00 00 00 00");
    let device = octets(
        "00 00 00 00 00 00 00 28  00 00 00 21 00 00 00 00  00 00 00 02  00 00 00 00 00 01 00 00 00 00
         00 00 00 05 00 00 00 00 00 00",
    );
    let body = Body { device, ..Body::default() };
    let virtio = body.load::<ConsolePart>().unwrap();
    let ports: Vec<_> = virtio.device.ports.iter().map(|port| (port.id, port.host_connected)).collect();
    assert_eq!((virtio.device.max_nr_ports, &ports[..]), (40, &[(0, 1), (5, 0)][..]));
    assert_eq!(virtio.device.ports_map.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>(), map);
    assert_eq!(encode(&virtio), body.octets());
}
