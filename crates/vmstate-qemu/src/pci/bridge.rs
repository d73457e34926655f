//! Bridges from PCI to PCI, and from PCI Express to PCI.
//!
//! | image | section, version | fields |
//! |---|---|---|
//! | [`PciBridgeImage`] | `pci_bridge` 0 | `parent_obj`, a conventional device; `shpc`, unless the property `shpc` is off |
//! | [`PciePciBridgeImage`] | `pcie-pci-bridge` 0 | `parent_obj`, a PCI Express device; `shpc` |
//! | [`I82801b11BridgeImage`] | `i82801b11_bridge` 0 | `parent_obj`, a conventional device |
//!
//! `shpc` are the registers of the hot-plug controller, as the guest sees them in the bridge's memory (PCI Standard
//! Hot-Plug Controller, revision 1.0, section 4; little-endian):
//!
//! | offset | octets | what |
//! |---|---|---|
//! | 0x00 | 12 | base offset, slots available by speed |
//! | 0x0c | 4 | slots: their number (bits 0 to 4), first device number (8 to 12), physical number, buttons and latches |
//! | 0x10 | 4 | speed of the bus, message control, version |
//! | 0x14 | 4 | command, status |
//! | 0x18 | 12 | interrupt and error locators, their masks |
//! | 0x24 | 4 each | the slots |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`pc`, `q35`). That the octets are those registers is an experiment
//! of the tests (`experiments.rs`): plugging a device at place 3 changes the register of the third slot and nothing
//! else.

use vmstate::schema::Kind;
use vmstate::{Input, LoadError, SaveError, Sink, VmState, Wire};

use crate::pci::PciDeviceImage;

/// Slots of a controller in all releases.
pub const SLOTS: usize = 31;
/// Octets of a controller's registers.
pub const SHPC_OCTETS: usize = SLOTS_OFFSET + SLOTS * 4;
/// Where the slots begin.
const SLOTS_OFFSET: usize = 0x24;

/// The bridge. The template says whether it has a hot-plug controller.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "pci_bridge", version = 0)]
pub struct PciBridgeImage {
    /// Whether it has a hot-plug controller.
    #[vmstate(local)]
    pub has_shpc: bool,
    /// The device.
    pub parent_obj: PciDeviceImage,
    /// The hot-plug controller.
    #[vmstate(when = has_shpc)]
    pub shpc: ShpcState,
}

impl Default for PciBridgeImage {
    fn default() -> Self {
        Self { has_shpc: true, parent_obj: PciDeviceImage::conventional(), shpc: ShpcState::default() }
    }
}

fn has_shpc(image: &PciBridgeImage, _: u32) -> bool {
    image.has_shpc
}

/// The bridge from PCI Express.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "pcie-pci-bridge", version = 0)]
pub struct PciePciBridgeImage {
    /// The device.
    pub parent_obj: PciDeviceImage,
    /// The hot-plug controller.
    pub shpc: ShpcState,
}

impl Default for PciePciBridgeImage {
    fn default() -> Self {
        Self { parent_obj: PciDeviceImage::express(), shpc: ShpcState::default() }
    }
}

/// ICH9's bridge to conventional PCI.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "i82801b11_bridge", version = 0)]
pub struct I82801b11BridgeImage {
    /// The device.
    pub parent_obj: PciDeviceImage,
}

/// The registers of a hot-plug controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShpcState(pub [u8; SHPC_OCTETS]);

impl ShpcState {
    /// The register of a slot, counted from 0: status in the lower half, events in the upper one.
    #[must_use]
    pub fn slot(&self, slot: usize) -> Option<u32> {
        let registers = self.0.get(SLOTS_OFFSET..)?;
        registers.as_chunks().0.get(slot).map(|octets| u32::from_le_bytes(*octets))
    }
}

impl Default for ShpcState {
    fn default() -> Self {
        Self([0; SHPC_OCTETS])
    }
}

impl Wire for ShpcState {
    const KIND: Kind = Kind::Codec { name: "shpc", octets: Some(SHPC_OCTETS) };

    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        sink.put(&self.0);
        Ok(())
    }

    fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
        input.read_exact(&mut self.0)
    }
}
