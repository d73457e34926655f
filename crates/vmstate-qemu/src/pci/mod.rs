//! What every device on a PCI bus has, and the buses themselves.
//!
//! | image | name, version | octets |
//! |---|---|---|
//! | [`PciDeviceImage`] | `PCIDevice` 2 | 276, or 4116 on PCI Express |
//! | [`bus::PciBusImage`] | `PCIBUS` 1 | 4, and 4 for each line |
//! | [`bus::PciHostImage`] | `PCIHost` 1 | 4 |
//! | [`gpex::GpexRootImage`] | `gpex_root` 1 | a device |
//! | [`bridge::PciBridgeImage`] and others | `pci_bridge` 0, … | a device, and the registers of a hot-plug controller |
//! | [`port::RootPortImage`] and others | `pcie-root-port` 1, … | a device, a log of errors, and its MSI-X |
//! | [`msix::MsixState`] | codec `msix state` | 16 for each vector, and a bit for each |
//!
//! Source: `docs/spec/virtio-state.md` sections 5 and 6, whose bodies are the same for devices that are not virtio;
//! streams of QEMU 5.2 to 11.1.

pub mod bridge;
pub mod bus;
pub mod gpex;
pub mod msix;
pub mod port;

use std::fmt;

use vmstate::schema::Kind;
use vmstate::{Input, LoadError, SaveError, Sink, VmState, Wire};

/// Octets of the configuration space of a conventional device.
pub const CONVENTIONAL_OCTETS: usize = 256;
/// Octets of that of a PCI Express device.
pub const EXPRESS_OCTETS: usize = 4096;

/// The device's part that the bus owns. The template says which of the two configuration spaces it has.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "PCIDevice", version = 2, min = 1)]
pub struct PciDeviceImage {
    /// Whether the device is one of PCI Express.
    #[vmstate(local)]
    pub is_express: bool,
    /// Version of this part; 2 is the newest.
    #[vmstate(le)]
    pub version_id: i32,
    /// Configuration space of a conventional device.
    #[vmstate(name = "config", when = is_conventional)]
    pub conventional: PciConfig<CONVENTIONAL_OCTETS>,
    /// Configuration space of a PCI Express device.
    #[vmstate(name = "config", when = is_express)]
    pub express: PciConfig<EXPRESS_OCTETS>,
    /// Levels of the pins.
    #[vmstate(since = 2)]
    pub irq_state: PciIrqState,
}

impl PciDeviceImage {
    /// The template of a conventional device.
    #[must_use]
    pub fn conventional() -> Self {
        Self {
            is_express: false,
            version_id: 2,
            conventional: PciConfig::default(),
            express: PciConfig::default(),
            irq_state: PciIrqState::default(),
        }
    }

    /// The template of a PCI Express device.
    #[must_use]
    pub fn express() -> Self {
        Self { is_express: true, ..Self::conventional() }
    }

    /// The configuration space that the device has.
    #[must_use]
    pub fn config(&self) -> &[u8] {
        if self.is_express { &*self.express.0 } else { &*self.conventional.0 }
    }
}

impl Default for PciDeviceImage {
    fn default() -> Self {
        Self::conventional()
    }
}

fn is_conventional(image: &PciDeviceImage, _: u32) -> bool {
    !image.is_express
}

fn is_express(image: &PciDeviceImage, _: u32) -> bool {
    image.is_express
}

/// A configuration space, whose words are little-endian.
#[derive(Clone, PartialEq, Eq)]
pub struct PciConfig<const N: usize>(pub Box<[u8; N]>);

impl<const N: usize> Default for PciConfig<N> {
    fn default() -> Self {
        Self(Box::new([0; N]))
    }
}

impl<const N: usize> fmt::Debug for PciConfig<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const N: usize> Wire for PciConfig<N> {
    const KIND: Kind = Kind::Codec { name: "pci config", octets: Some(N) };

    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        sink.put(&*self.0);
        Ok(())
    }

    fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
        input.read_exact(&mut *self.0)
    }
}

/// Levels of the pins A to D; a device that restores them refuses all but 0 and 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PciIrqState(pub [u32; 4]);

impl Wire for PciIrqState {
    const KIND: Kind = Kind::Codec { name: "pci irq state", octets: Some(16) };

    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        self.0.write_to(sink)
    }

    fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
        self.0.read_from(input)
    }
}
