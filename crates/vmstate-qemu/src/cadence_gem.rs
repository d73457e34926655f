//! Cadence's Gigabit Ethernet controller.
//!
//! | field | |
//! |---|---|
//! | `regs` u32 × 512 | |
//! | `phy_regs` u16 × 32, `phy_loop` u8 | |
//! | `rx_desc_addr`, `tx_desc_addr` u32 × 8 each | where each queue is |
//! | `sar_active` bool × 4 | filters that are armed |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`sifive_u`).

use vmstate::VmState;

use crate::arrays::Table;

/// The controller.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cadence_gem", version = 4)]
pub struct CadenceGemImage {
    /// Registers.
    pub regs: Table<u32, 512>,
    /// Registers of the PHY.
    pub phy_regs: [u16; 32],
    /// Whether the PHY loops back.
    pub phy_loop: u8,
    /// Descriptor that each queue receives into.
    pub rx_desc_addr: [u32; 8],
    /// Descriptor that each queue sends from.
    pub tx_desc_addr: [u32; 8],
    /// Filters by address that are armed.
    pub sar_active: [bool; 4],
}
