//! Devices on a synchronous serial bus (SPI).
//!
//! | image | name, version | fields |
//! |---|---|---|
//! | [`SsiPeripheralImage`] | `SSISlave` 1 | `cs` bool |
//! | [`m25p80::M25p80Image`] | `m25p80` 0 | flash memory |
//!
//! Source: streams of QEMU 7.2, 10.0 and 11.1 (`sifive_u`).

pub mod m25p80;

use vmstate::VmState;

/// The part that the bus owns.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "SSISlave", version = 1)]
pub struct SsiPeripheralImage {
    /// Level of the chip select.
    pub cs: bool,
}
