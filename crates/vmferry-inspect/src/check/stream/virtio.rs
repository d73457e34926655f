//! The hand-written body of a virtio device, as far as its start goes: what a destination compares or limits.
//!
//! ```text
//! A transport (PCI: configuration space, MSI-X)   B status, features, configuration   C queues   D device part   E subsections
//! ```
//!
//! Source: `docs/spec/virtio-state.md` sections 1, 2 and 4. D has no length of its own; of it only the ports of a
//! serial controller are read.

use super::pci;

/// The version before a configuration space.
const VERSION_BYTES: usize = 4;

/// Queues of a device: more is refused by every loader.
const QUEUE_COUNT_LIMIT: usize = 1024;

/// Words of the map of ports: 511 ports have 16 of them.
const PORT_MAP_WORDS_LIMIT: usize = 16;

/// The start of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Body {
    /// Features acknowledged, bits 0 to 31, and the upper half where it is sent.
    pub(super) features: u64,
    /// Sizes of the queues.
    pub(super) queues: Vec<u32>,
    /// The ports of a serial controller that there are, one bit each.
    pub(super) ports: Option<Vec<u32>>,
}

/// Reads the start of a body; `None` if it is none.
pub(super) fn read(idstr: &str, body: &[u8]) -> Option<Body> {
    match is_mmio(idstr) {
        true => read_with(idstr, body, None),
        false => read_with(idstr, body, Some(space(idstr, body)?.len())),
    }
}

fn is_mmio(idstr: &str) -> bool {
    idstr.contains("virtio-mmio@")
}

/// The configuration space of a device on PCI.
pub(super) fn space<'b>(idstr: &str, body: &'b [u8]) -> Option<&'b [u8]> {
    if is_mmio(idstr) {
        return None;
    }
    // Behind a port of PCI Express, and nowhere else, a virtio device has the capability, and the larger space.
    let rest = body.get(VERSION_BYTES..)?;
    let is_express = pci::is_express(rest.get(..pci::CONVENTIONAL_BYTES)?);
    rest.get(..if is_express { pci::EXPRESS_BYTES } else { pci::CONVENTIONAL_BYTES })
}

/// Number of outputs of a display without resources, which ends with them.
///
/// `None` if there are resources: only a walk over their pixels would find the end of those.
pub(super) fn gpu_outputs(field: &[u8]) -> Option<u32> {
    let mut rest = Octets(field);
    if rest.u32()? != 0 {
        return None;
    }
    rest.take(4)?;
    rest.u32()
}

fn read_with(idstr: &str, body: &[u8], space_bytes: Option<usize>) -> Option<Body> {
    let mut rest = Octets(body);
    let mut has_vectors = false;
    match space_bytes {
        Some(bytes) => {
            if rest.u32()? != 2 {
                return None;
            }
            let space = rest.take(bytes)?;
            let levels = [rest.u32()?, rest.u32()?, rest.u32()?, rest.u32()?];
            if levels.iter().any(|level| *level > 1) {
                return None;
            }
            if let Some(vectors) = pci::msix_vectors(space) {
                has_vectors = true;
                let vectors = usize::from(vectors);
                rest.take(16 * vectors + vectors.div_ceil(8) + 2)?;
            }
        }
        None => drop(rest.take(12)?),
    }
    rest.take(4)?;
    let features = rest.u32()?;
    let configuration_len = usize::try_from(rest.u32()?).ok().filter(|len| *len <= 1 << 16)?;
    rest.take(configuration_len)?;
    let queue_count = usize::try_from(rest.u32()?).ok().filter(|count| *count <= QUEUE_COUNT_LIMIT)?;
    let mut queues = Vec::with_capacity(queue_count);
    for _ in 0..queue_count {
        queues.push(rest.u32()?);
        rest.take(if space_bytes.is_none() { 4 } else { 0 })?;
        rest.take(8 + 2)?;
        rest.take(if has_vectors { 2 } else { 0 })?;
    }
    let ports = if idstr.ends_with("/virtio-console") { Some(ports(&mut rest)?) } else { None };
    Some(Body { features: u64::from(features) | upper_features(rest.0), queues, ports })
}

fn ports(rest: &mut Octets<'_>) -> Option<Vec<u32>> {
    rest.take(4)?;
    // In the device's byte order, sent big endian: the smaller reading is the right one.
    let most = rest.u32()?;
    let most = usize::try_from(most.min(most.swap_bytes())).ok()?;
    let words = most.div_ceil(32);
    (0..words.min(PORT_MAP_WORDS_LIMIT)).map(|_| rest.u32()).collect()
}

/// The upper half of the features, where the subsection is sent.
fn upper_features(rest: &[u8]) -> u64 {
    const NAME: &[u8] = b"\x05\x15virtio/64bit_features\x00\x00\x00\x01";
    let at = rest.windows(NAME.len()).position(|octets| octets == NAME);
    let value =
        at.and_then(|at| rest.get(at + NAME.len()..at + NAME.len() + 8)).and_then(|octets| octets.try_into().ok());
    value.map_or(0, u64::from_be_bytes)
}

struct Octets<'b>(&'b [u8]);

impl<'b> Octets<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A conventional body, as in `docs/spec/virtio-state.md` section 1.5.
    fn block_device() -> Vec<u8> {
        let mut body = vec![0, 0, 0, 2];
        let mut space = [0; 256];
        space[..4].copy_from_slice(&[0xf4, 0x1a, 0x01, 0x10]);
        space[0x06] = 0x10;
        space[0x34] = 0x98;
        space[0x98..0xa4].copy_from_slice(&[0x11, 0, 1, 0, 1, 0, 0, 0, 1, 8, 0, 0]);
        body.extend_from_slice(&space);
        body.extend_from_slice(&[0; 16]);
        // Two vectors, their pending bits, the vector of the configuration.
        body.extend_from_slice(&[0; 16 * 2 + 1]);
        body.extend_from_slice(&[0xff, 0xff]);
        body.extend_from_slice(&[0x0f, 0, 0, 0, 0, 0, 0, 0x44, 0, 0, 0, 2, 8, 0, 0, 0, 0, 1]);
        body.extend_from_slice(&[0, 0, 1, 0, 0, 0, 0, 0, 0, 0xfd, 0xd0, 0, 0, 0, 0xff, 0xff]);
        body.push(0);
        body.extend_from_slice(b"\x05\x15virtio/64bit_features\0\0\0\x01\0\0\0\x01\0\0\0\x44");
        body
    }

    #[test]
    fn queues_and_features_are_found_behind_the_configuration_space() {
        let body = read("0000:00:02.0/virtio-blk", &block_device()).unwrap();
        assert_eq!((body.queues.as_slice(), body.features, body.ports), ([256].as_slice(), 0x1_0000_0044, None));
    }

    #[test]
    fn a_body_that_ends_early_is_none() {
        let whole = block_device();
        let queues_end = whole.len() - 36;
        for len in 0..queues_end - 1 {
            assert_eq!(read("0000:00:02.0/virtio-blk", &whole[..len]), None, "{len}");
        }
    }

    #[test]
    fn a_number_of_queues_beyond_the_limit_is_refused() {
        let mut body = vec![0; 12 + 4 + 4 + 4];
        body.extend_from_slice(&1025_u32.to_be_bytes());
        body.extend_from_slice(&[0; 14 * 1025]);
        assert_eq!(read("virtio-mmio@000000000a000000/virtio-rng", &body), None);
    }

    #[test]
    fn ports_are_read_whatever_the_byte_order_of_their_number() {
        let controller = |most: [u8; 4]| {
            let mut body = vec![0; 12 + 12];
            body.extend_from_slice(&0_u32.to_be_bytes());
            body.extend_from_slice(&[0; 4]);
            body.extend_from_slice(&most);
            body.extend_from_slice(&[0, 0, 0, 0x21, 0, 0, 0, 0x80]);
            body
        };
        for most in [[0, 0, 0, 40], [40, 0, 0, 0]] {
            let body = read("virtio-mmio@0/virtio-console", &controller(most)).unwrap();
            assert_eq!(body.ports, Some(vec![0x21, 0x80]));
        }
    }

    #[test]
    fn outputs_are_known_of_a_display_without_resources() {
        assert_eq!(gpu_outputs(&[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2]), Some(2));
        assert_eq!(gpu_outputs(&[0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 2]), None);
        assert_eq!(gpu_outputs(&[0; 9]), None);
    }
}
