//! How a virtio device is reached.
//!
//! PCI:
//!
//! | octets | what | there |
//! |---|---|---|
//! | 4, 256 or 4096, 16 | [`PciDeviceImage`]; 4096 on PCI Express | |
//! | 16 for each vector, a bit for each | [`MsixState`] | MSI-X |
//! | 2 | vector of changes of the configuration, `ffff` for none | MSI-X |
//!
//! Both conditions are in the first 256 octets of the configuration space: the capabilities 10 and 11 are there if and
//! only if the device is one of PCI Express and has MSI-X; the latter has the number of vectors.
//!
//! Memory:
//!
//! | octets | what |
//! |---|---|
//! | 4 | selector of the word of features that the device offers |
//! | 4 | selector of the word that the driver acknowledges |
//! | 4 | size of a page, as a power of 2, for drivers of the legacy interface |
//!
//! Source: `docs/spec/virtio-state.md` sections 1.1, 1.2, 5 and 6; streams of QEMU 5.2 to 11.1.

use vmstate::{Input, LoadError, Reason, Refused, SaveError, Sink, VmState, Wire};

use super::body::read;
use crate::pci::msix::MsixState;
use crate::pci::{CONVENTIONAL_OCTETS, PciDeviceImage};

/// In place of a vector: none.
pub const NO_VECTOR: u16 = 0xffff;

/// How the device is reached, with the state of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// A device on a PCI bus.
    Pci(PciTransport),
    /// Registers in memory.
    Mmio(MmioTransport),
}

/// The state of a device on a PCI bus.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PciTransport {
    /// The device; which configuration space it has is taken from the stream.
    pub device: PciDeviceImage,
    /// There if and only if the configuration space has the capability.
    pub msix: Option<Msix>,
}

/// Vectors of a device on a PCI bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Msix {
    /// As many as the configuration space says.
    pub state: MsixState,
    /// The one that tells of changes of the configuration, or [`NO_VECTOR`].
    pub config_vector: u16,
}

/// The state of registers in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MmioTransport {
    /// Word of the features that the device offers.
    pub host_features_sel: u32,
    /// Word of the features that the driver acknowledges.
    pub guest_features_sel: u32,
    /// Size of a page, as a power of 2.
    pub guest_page_shift: u32,
}

impl Transport {
    /// The template of a device whose section has this id string: `virtio-mmio@…/virtio-blk` is in memory,
    /// `0000:00:03.0/virtio-blk` on PCI. Nothing if it is neither.
    #[must_use]
    pub fn of_idstr(idstr: &str) -> Option<Self> {
        let (place, _) = idstr.rsplit_once('/')?;
        if place.starts_with("virtio-mmio@") {
            return Some(Self::Mmio(MmioTransport::default()));
        }
        let is_pci = place.bytes().all(|octet| octet.is_ascii_hexdigit() || matches!(octet, b':' | b'.'));
        (is_pci && place.contains(':')).then(|| Self::Pci(PciTransport::default()))
    }

    /// Whether the device's registers are in memory.
    #[must_use]
    pub fn is_mmio(&self) -> bool {
        matches!(self, Self::Mmio(_))
    }

    /// How many vectors the device has; nothing if it has no MSI-X.
    #[must_use]
    pub fn vectors(&self) -> Option<usize> {
        match self {
            Self::Pci(pci) => pci.msix.as_ref().map(|msix| msix.state.table.len()),
            Self::Mmio(_) => None,
        }
    }

    /// Refuses a vector that the device does not have.
    pub(super) fn check_vector(&self, vector: u16) -> Result<(), Refused> {
        let vectors = self.vectors().unwrap_or(0);
        if vector == NO_VECTOR || usize::from(vector) < vectors {
            return Ok(());
        }
        Err(Refused::new(format!("vector {vector}, but the device has {vectors}")))
    }

    /// Reads a vector that the device has, or none.
    pub(super) fn read_vector(&self, name: &'static str, input: &mut Input<'_>) -> Result<u16, LoadError> {
        let at = input.offset();
        let mut vector = 0;
        read(&mut vector, name, input)?;
        let refuse = |refused| LoadError::new(at, Reason::Refused(refused)).within(name);
        self.check_vector(vector).map_err(refuse)?;
        Ok(vector)
    }

    pub(super) fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        match self {
            Self::Pci(pci) => {
                pci.write_to(sink)?;
                let Some(msix) = &pci.msix else { return Ok(()) };
                self.check_vector(msix.config_vector)
                    .map_err(|refused| SaveError::new(refused).within("config_vector"))?;
                msix.config_vector.write_to(sink)
            }
            Self::Mmio(mmio) => {
                mmio.host_features_sel.write_to(sink)?;
                mmio.guest_features_sel.write_to(sink)?;
                mmio.guest_page_shift.write_to(sink)
            }
        }
    }

    pub(super) fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
        match self {
            Self::Pci(pci) => pci.read_from(input)?,
            Self::Mmio(mmio) => {
                read(&mut mmio.host_features_sel, "host_features_sel", input)?;
                read(&mut mmio.guest_features_sel, "guest_features_sel", input)?;
                return read(&mut mmio.guest_page_shift, "guest_page_shift", input);
            }
        }
        if self.vectors().is_some() {
            let vector = self.read_vector("config_vector", input)?;
            if let Self::Pci(PciTransport { msix: Some(msix), .. }) = self {
                msix.config_vector = vector;
            }
        }
        Ok(())
    }
}

impl PciTransport {
    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        let Self { device, msix } = self;
        let refuse = |name: &str, text: String| Err(SaveError::new(Refused::new(text)).within(name));
        let said = Shape::of(device.config());
        if said.is_express != device.is_express {
            let octets = device.config().len();
            let text = format!("has {octets} octets, but its capabilities say PCI Express: {}", said.is_express);
            return refuse("config", text);
        }
        let found = msix.as_ref().map(|msix| msix.state.table.len());
        if found != said.vectors {
            return refuse("msix", format!("{found:?} vectors, but the configuration space says {:?}", said.vectors));
        }
        device.encode(&(), sink).map_err(|error| error.within("device"))?;
        let Some(Msix { state, config_vector: _ }) = msix else { return Ok(()) };
        if state.pending.len() != state.table.len().div_ceil(8) {
            return refuse("msix.pending", format!("{} octets for {} vectors", state.pending.len(), state.table.len()));
        }
        state.write_to(sink)
    }

    /// Reads all but the vector of changes.
    fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
        // What is missing at the end of the stream is missed when it is read.
        let ahead = input.peek(VERSION_OCTETS + CONVENTIONAL_OCTETS)?;
        let shape = Shape::of(ahead.get(VERSION_OCTETS..).unwrap_or_default());
        self.device = if shape.is_express { PciDeviceImage::express() } else { PciDeviceImage::conventional() };
        self.device.decode(&(), PciDeviceImage::SCHEMA.version, input).map_err(|error| error.within("device"))?;
        self.msix = None;
        if let Some(vectors) = shape.vectors {
            let mut state = MsixState::with_vectors(vectors);
            state.read_from(input).map_err(|error| error.within("msix"))?;
            self.msix = Some(Msix { state, config_vector: NO_VECTOR });
        }
        Ok(())
    }
}

/// Octets before the configuration space.
const VERSION_OCTETS: usize = 4;

/// What the configuration space says of what is behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    is_express: bool,
    vectors: Option<usize>,
}

/// Low octet of the status register, and its bit for a list of capabilities.
const STATUS: usize = 0x06;
const STATUS_CAPABILITIES: u8 = 0x10;
/// Where the first capability is.
const CAPABILITIES: usize = 0x34;
/// Capabilities.
const EXPRESS: u8 = 0x10;
const MSIX: u8 = 0x11;
/// Bits of the control word of MSI-X that have the number of vectors less 1.
const MSIX_VECTORS: u16 = 0x7ff;
/// Most capabilities that 256 octets have room for.
const CAPABILITIES_MAX: usize = 48;

impl Shape {
    /// What the space says; a list of capabilities that is a circle or leaves the space ends there.
    fn of(config: &[u8]) -> Self {
        let mut shape = Self { is_express: false, vectors: None };
        let octet = |at: usize| config.get(at).copied().unwrap_or(0);
        if octet(STATUS) & STATUS_CAPABILITIES == 0 {
            return shape;
        }
        let mut at = usize::from(octet(CAPABILITIES) & !3);
        for _ in 0..CAPABILITIES_MAX {
            match octet(at) {
                _ if at == 0 => break,
                EXPRESS => shape.is_express = true,
                MSIX => {
                    let control = u16::from_le_bytes([octet(at + 2), octet(at + 3)]);
                    shape.vectors = Some(usize::from(control & MSIX_VECTORS) + 1);
                }
                _ => {}
            }
            at = usize::from(octet(at + 1) & !3);
        }
        shape
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A configuration space with capabilities `(place, next, id, control)`.
    fn space(first: u8, capabilities: &[(usize, u8, u8, u16)]) -> [u8; CONVENTIONAL_OCTETS] {
        let mut space = [0; CONVENTIONAL_OCTETS];
        space[STATUS] = STATUS_CAPABILITIES;
        space[CAPABILITIES] = first;
        for (at, next, id, control) in capabilities {
            space[*at..at + 2].copy_from_slice(&[*id, *next]);
            space[at + 2..at + 4].copy_from_slice(&control.to_le_bytes());
        }
        space
    }

    #[test]
    fn capabilities_tell_what_follows() {
        let none = Shape { is_express: false, vectors: None };
        assert_eq!(Shape::of(&[]), none);
        assert_eq!(Shape::of(&space(0, &[])), none);
        let mut off = space(0x98, &[(0x98, 0, MSIX, 3)]);
        assert_eq!(Shape::of(&off), Shape { vectors: Some(4), ..none });
        off[STATUS] = 0;
        assert_eq!(Shape::of(&off), none);
        let both = space(0x40, &[(0x40, 0x84, EXPRESS, 0), (0x84, 0, MSIX, 0xffff)]);
        assert_eq!(Shape::of(&both), Shape { is_express: true, vectors: Some(2048) });
    }

    #[test]
    fn a_circle_of_capabilities_ends() {
        let circle = space(0x40, &[(0x40, 0x44, 9, 0), (0x44, 0x40, MSIX, 1)]);
        assert_eq!(Shape::of(&circle).vectors, Some(2));
        assert_eq!(Shape::of(&space(0xfc, &[(0xfc, 0xfc, MSIX, 0)])).vectors, Some(1));
    }

    #[test]
    fn places_tell_the_transport() {
        let is_mmio = |idstr| Transport::of_idstr(idstr).map(|transport| transport.is_mmio());
        assert_eq!(is_mmio("virtio-mmio@00000000feb02e00/virtio-blk"), Some(true));
        assert_eq!(is_mmio("0000:00:03.0/virtio-blk"), Some(false));
        assert_eq!(is_mmio("0000:00:01.0:00.0/virtio-rng"), Some(false));
        for neither in ["virtio-rng", "fe.0.0001/virtio-rng", "/virtio-rng", "usb/virtio-rng"] {
            assert_eq!(is_mmio(neither), None, "{neither}");
        }
    }
}
