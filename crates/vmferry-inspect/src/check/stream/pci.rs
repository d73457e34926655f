//! Configuration space of PCI: which octets a destination compares with its own.
//!
//! A destination refuses a stream if a bit differs that it compares and that neither the guest can write nor is cleared
//! by writing 1 (`docs/spec/virtio-state.md` section 5). The masks are in no stream. What stands here was found by
//! giving a real QEMU 10.0 streams with one octet turned over, for each octet of a root port, virtio, e1000, xhci,
//! AHCI, HDA, VGA and the bridges of q35; it names the three masks in its error.
//!
//! | octets | compared |
//! |---|---|
//! | 0x00–0x03, 0x08–0x0b, 0x0e, 0x34 | all bits: ids, revision, class, header type, first capability |
//! | 0x06 | bit 4: whether there are capabilities |
//! | a BAR | kind (the low bits); the address is the guest's |
//! | windows of a bridge | kind, in the low nibbles |
//! | a capability | all but what its registers let the guest write |
//! | subsystem ids | nothing, but a device may look at them |
//! | anything else | nothing |
//!
//! Registers of capabilities follow the PCI Express base specification: a bit that it makes read-write or
//! write-1-to-clear may differ, whether or not the device has it writable.

use std::ops::Range;

/// Octets of a conventional configuration space.
pub(super) const CONVENTIONAL_BYTES: usize = 256;

/// Octets of the configuration space of a device on PCI Express.
pub(super) const EXPRESS_BYTES: usize = 4096;

/// Capabilities of one device that are followed; a list has no room for more in 256 octets.
const CAPABILITY_COUNT_LIMIT: usize = 48;

/// Where extended capabilities begin.
const EXTENDED_AT: usize = 0x100;

const STATUS_AT: usize = 0x06;
const HAS_CAPABILITIES: u8 = 0x10;
const HEADER_TYPE_AT: usize = 0x0e;
const FIRST_CAPABILITY_AT: usize = 0x34;
const BRIDGE: u8 = 1;

/// How sure it is that a difference is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sureness {
    Certain,
    /// The capability is not known here, so that its bits may be writable.
    Doubtful,
}

/// An octet that differs and is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) offset: usize,
    pub(super) found: u8,
    pub(super) own: u8,
    /// What stands there.
    pub(super) what: String,
    pub(super) sureness: Sureness,
}

/// The octets of `stream` that a destination whose configuration space is `own` refuses.
pub(super) fn compare(stream: &[u8], own: &[u8]) -> Vec<Difference> {
    let mut compared = Compared { stream, own, differences: Vec::new() };
    compared.header();
    // The destination's list says what it compares; where the list itself differs, that was found already.
    for capability in capabilities(own) {
        compared.capability(&capability);
    }
    for capability in extended_capabilities(own) {
        compared.extended(&capability);
    }
    compared.differences
}

/// Number of MSI-X vectors, if the device has the capability.
pub(super) fn msix_vectors(space: &[u8]) -> Option<u16> {
    let capability = capabilities(space).into_iter().find(|capability| capability.id == MSIX)?;
    let control = [*space.get(capability.at + 2)?, *space.get(capability.at + 3)?];
    Some((u16::from_le_bytes(control) & 0x7ff) + 1)
}

/// Whether the device says that it is one of PCI Express.
pub(super) fn is_express(space: &[u8]) -> bool {
    capabilities(space).iter().any(|capability| capability.id == EXPRESS)
}

const POWER_MANAGEMENT: u8 = 0x01;
const MSI: u8 = 0x05;
const VENDOR: u8 = 0x09;
const SUBSYSTEM: u8 = 0x0d;
const EXPRESS: u8 = 0x10;
const MSIX: u8 = 0x11;
const SATA: u8 = 0x12;

/// A capability in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Capability {
    id: u8,
    at: usize,
}

fn capabilities(space: &[u8]) -> Vec<Capability> {
    let octet = |at: usize| space.get(at).copied().unwrap_or(0);
    let mut found = Vec::new();
    if octet(STATUS_AT) & HAS_CAPABILITIES == 0 {
        return found;
    }
    let mut at = usize::from(octet(FIRST_CAPABILITY_AT) & !3);
    // The list comes from a stream, and may be a ring.
    while at >= 0x40 && found.len() < CAPABILITY_COUNT_LIMIT {
        found.push(Capability { id: octet(at), at });
        at = usize::from(octet(at + 1) & !3);
    }
    found
}

/// An extended capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extended {
    id: u16,
    at: usize,
}

fn extended_capabilities(space: &[u8]) -> Vec<Extended> {
    let word = |at: usize| {
        let octets = space.get(at..at + 4).and_then(|octets| octets.try_into().ok());
        octets.map_or(0, u32::from_le_bytes)
    };
    let (mut found, mut at) = (Vec::new(), EXTENDED_AT);
    while at >= EXTENDED_AT && found.len() < CAPABILITY_COUNT_LIMIT {
        let header = word(at);
        if header == 0 {
            break;
        }
        found.push(Extended { id: (header & 0xffff) as u16, at });
        at = (header >> 20) as usize & !3;
    }
    found
}

struct Compared<'c> {
    stream: &'c [u8],
    own: &'c [u8],
    differences: Vec<Difference>,
}

impl Compared<'_> {
    /// Notes an octet that differs in the bits of `mask`.
    fn octet(&mut self, offset: usize, mask: u8, what: &str, sureness: Sureness) {
        let (Some(found), Some(own)) = (self.stream.get(offset), self.own.get(offset)) else { return };
        if (found ^ own) & mask != 0 {
            self.differences.push(Difference { offset, found: *found, own: *own, what: what.to_owned(), sureness });
        }
    }

    fn octets(&mut self, offsets: Range<usize>, what: &str) {
        offsets.for_each(|offset| self.octet(offset, 0xff, what, Sureness::Certain));
    }

    fn is_bridge(&self) -> bool {
        self.own.get(HEADER_TYPE_AT).is_some_and(|kind| kind & 0x7f == BRIDGE)
    }

    fn header(&mut self) {
        self.octets(0x00..0x02, "vendor id");
        self.octets(0x02..0x04, "device id");
        self.octet(STATUS_AT, HAS_CAPABILITIES, "whether there are capabilities", Sureness::Certain);
        self.octets(0x08..0x09, "revision");
        self.octets(0x09..0x0c, "class");
        self.octets(HEADER_TYPE_AT..HEADER_TYPE_AT + 1, "header type");
        self.octets(FIRST_CAPABILITY_AT..FIRST_CAPABILITY_AT + 1, "place of the first capability");
        // Not compared as such, but the guest cannot write it: a device that is configured otherwise may object.
        if !self.is_bridge() {
            (0x2c..0x30).for_each(|at| self.octet(at, 0xff, "subsystem id", Sureness::Doubtful));
        }
        let is_bridge = self.is_bridge();
        let bars = if is_bridge { 2 } else { 6 };
        let mut upper_half = false;
        for bar in 0..bars {
            let at = 0x10 + 4 * bar;
            let (Some(found), Some(own)) = (self.stream.get(at), self.own.get(at)) else { return };
            if std::mem::take(&mut upper_half) {
                continue;
            }
            let is_io = own & 1 == 1;
            upper_half = !is_io && own & 0x6 == 0x4;
            // A BAR that is not there reads as zero and is not compared; so does one of 32 bits in memory.
            if *own != 0 || *found & 0xf != 0 {
                let sureness = if *own == 0 { Sureness::Doubtful } else { Sureness::Certain };
                self.octet(at, if is_io { 0x3 } else { 0xf }, &format!("kind of BAR {bar}"), sureness);
            }
        }
        if is_bridge {
            for at in [0x1c, 0x1d, 0x24, 0x26] {
                self.octet(at, 0x0f, "kind of a bridge's window", Sureness::Certain);
            }
        }
    }

    fn capability(&mut self, capability: &Capability) {
        let Capability { id, at } = *capability;
        let own = |offset: usize| self.own.get(at + offset).copied().unwrap_or(0);
        // Length, and per octet the bits that the guest writes.
        let (name, len, writable): (&str, usize, Vec<(usize, u8)>) = match id {
            POWER_MANAGEMENT => ("power management", 8, vec![(4, 0xff), (5, 0xff)]),
            MSI => {
                let control = own(2);
                let address_bytes = if control & 0x80 != 0 { 8 } else { 4 };
                let mask_bytes = if own(3) & 1 != 0 { 8 } else { 0 };
                let len = 4 + address_bytes + 2 + if mask_bytes > 0 { 2 + mask_bytes } else { 0 };
                let written = (4..len).map(|offset| (offset, 0xff));
                ("MSI", len, [(2, 0x71)].into_iter().chain(written).collect())
            }
            VENDOR => {
                // The window of virtio (type 5), through which the guest reaches the BARs.
                let is_window = own(3) == 5 && self.own.starts_with(&[0xf4, 0x1a]);
                let written =
                    if is_window { [4].into_iter().chain(8..20).map(|at| (at, 0xff)).collect() } else { vec![] };
                ("vendor specific", usize::from(own(2)).max(3), written)
            }
            SUBSYSTEM => ("subsystem id", 8, vec![]),
            EXPRESS => ("PCI Express", 60, express_writable()),
            MSIX => ("MSI-X", 12, vec![(3, 0xc0)]),
            SATA => ("SATA", 8, vec![]),
            // Its length is not known; the id and the next one's place are what all have.
            _ => ("capability", 2, vec![]),
        };
        let sureness = if name == "capability" { Sureness::Doubtful } else { Sureness::Certain };
        for offset in 0..len {
            let free = writable.iter().find(|(place, _)| *place == offset).map_or(0, |(_, bits)| *bits);
            // A wrong id or successor is a different list, of which there is no doubt.
            let sureness = if offset < 2 { Sureness::Certain } else { sureness };
            self.octet(at + offset, !free, &format!("capability {name} (0x{id:02x})"), sureness);
        }
    }

    fn extended(&mut self, capability: &Extended) {
        let Extended { id, at } = *capability;
        let what = format!("extended capability 0x{id:04x}");
        for offset in 0..4 {
            self.octet(at + offset, 0xff, &what, Sureness::Certain);
        }
        // Advanced error reporting: a destination without the mask of uncorrectable errors has it zero and read-only.
        if id == ADVANCED_ERRORS {
            let mask_at = at + 8;
            let internal_at = mask_at + 2;
            let has = |space: &[u8]| space.get(internal_at).is_some_and(|octet| octet & INTERNAL_ERROR != 0);
            if has(self.stream) && !has(self.own) {
                self.octet(internal_at, INTERNAL_ERROR, "mask of uncorrectable errors", Sureness::Certain);
            }
        }
    }
}

const ADVANCED_ERRORS: u16 = 1;

/// Bit 22 of the mask of uncorrectable errors, set at reset where the register exists (`docs/spec/compat.md` 8.1).
const INTERNAL_ERROR: u8 = 0x40;

/// Octets of the capability in which the guest writes: control and status registers.
fn express_writable() -> Vec<(usize, u8)> {
    let whole = [0x08, 0x09, 0x0a, 0x10, 0x11, 0x12, 0x13, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x20, 0x22];
    let second = [0x28, 0x29, 0x30, 0x31, 0x32, 0x33];
    // The slot's state of presence and its latch are written by the device itself.
    whole.into_iter().chain(second).map(|at| (at, 0xff)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An e1000-like device with MSI at 0x50 and an unknown capability at 0x70.
    fn space() -> Vec<u8> {
        let mut space = vec![0; CONVENTIONAL_BYTES];
        space[..4].copy_from_slice(&[0x86, 0x80, 0x0e, 0x10]);
        space[0x06] = 0x10;
        space[0x14] = 0x01;
        space[0x34] = 0x50;
        space[0x50..0x54].copy_from_slice(&[MSI, 0x70, 0x80, 0]);
        space[0x70..0x72].copy_from_slice(&[0x55, 0]);
        space
    }

    fn differing(at: usize, bits: u8) -> Vec<(usize, Sureness)> {
        let own = space();
        let mut stream = own.clone();
        stream[at] ^= bits;
        compare(&stream, &own).into_iter().map(|difference| (difference.offset, difference.sureness)).collect()
    }

    #[test]
    fn what_a_guest_writes_may_differ() {
        for (at, bits) in [
            (0x04, 0xff),
            (0x06, 0xef),
            (0x07, 0xff),
            (0x0c, 0xff),
            (0x10, 0xf0),
            (0x12, 0xff),
            (0x14, 0xfc),
            (0x3c, 0xff),
            (0x52, 0x71),
            (0x54, 0xff),
            (0x5c, 0xff),
        ] {
            assert_eq!(differing(at, bits), [], "{at:#x}");
        }
    }

    #[test]
    fn what_it_cannot_write_is_compared() {
        for (at, bits) in [(0x00, 1), (0x02, 1), (0x06, 0x10), (0x08, 1), (0x0b, 1), (0x0e, 1), (0x34, 4), (0x14, 1)] {
            assert!(differing(at, bits).contains(&(at, Sureness::Certain)), "{at:#x}");
        }
        for (at, bits) in [(0x50, 1), (0x51, 4), (0x52, 0x02), (0x53, 1), (0x70, 1)] {
            assert!(differing(at, bits).contains(&(at, Sureness::Certain)), "{at:#x}");
        }
        assert_eq!(differing(0x2e, 1), [(0x2e, Sureness::Doubtful)]);
    }

    #[test]
    fn a_capability_of_another_length_is_a_difference() {
        let mut own = space();
        own[0x50..0x5c].copy_from_slice(&[MSIX, 0x70, 1, 0, 1, 0, 0, 0, 1, 8, 0, 0]);
        let mut stream = own.clone();
        stream[0x52] = 3;
        assert_eq!(msix_vectors(&own), Some(2));
        assert_eq!(compare(&stream, &own).iter().map(|d| d.offset).collect::<Vec<_>>(), [0x52]);
        stream[0x52] = 1;
        stream[0x53] = 0xc0;
        assert_eq!(compare(&stream, &own), [], "enabled and masked by the guest");
    }

    #[test]
    fn a_list_that_is_a_ring_ends() {
        let mut own = space();
        own[0x71] = 0x50;
        assert_eq!(capabilities(&own).len(), CAPABILITY_COUNT_LIMIT);
        compare(&space(), &own);
        compare(&[], &own);
        compare(&own, &[]);
    }

    #[test]
    fn the_mask_of_errors_must_exist_where_the_stream_has_it() {
        let mut own = space();
        own.resize(EXPRESS_BYTES, 0);
        own[0x100..0x104].copy_from_slice(&[1, 0, 2, 0]);
        let mut stream = own.clone();
        stream[0x10a] = INTERNAL_ERROR;
        assert_eq!(compare(&stream, &own).iter().map(|d| d.offset).collect::<Vec<_>>(), [0x10a]);
        assert_eq!(compare(&own, &stream), [], "the destination has it, and takes any value");
    }
}
