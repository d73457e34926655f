//! PCI buses and host bridges.
//!
//! | image | section, version | fields |
//! |---|---|---|
//! | [`PciBusImage`] | `PCIBUS` 1 | `nirq` i32, must be equal; `irq_count` i32 for each of these lines |
//! | [`PciHostImage`] | `PCIHost` 1 | `config_reg` u32 |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1.

use vmstate::VmState;

/// Most lines that a bus is taken to have; those of QEMU have up to 256.
pub const IRQ_LINES_MAX: usize = 1024;

/// A bus.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "PCIBUS", version = 1)]
pub struct PciBusImage {
    /// Interrupt lines of the bus: configuration.
    #[vmstate(equal)]
    pub nirq: i32,
    /// How many devices drive each line.
    #[vmstate(len = nirq, max = IRQ_LINES_MAX)]
    pub irq_count: Vec<i32>,
}

impl PciBusImage {
    /// The template of a bus with so many lines, at most [`IRQ_LINES_MAX`].
    #[must_use]
    pub fn with_lines(nirq: i32) -> Self {
        Self { nirq, irq_count: vec![0; usize::try_from(nirq).unwrap_or(0).min(IRQ_LINES_MAX)] }
    }
}

/// A host bridge with an address register.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "PCIHost", version = 1)]
pub struct PciHostImage {
    /// What was written to the address register.
    pub config_reg: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    vmstate::vmstate_tests! {
        mod pci_bus_image: PciBusImage {
            props: (),
            template: PciBusImage::with_lines(4),
            samples: [PciBusImage { nirq: 4, irq_count: vec![0, 1, 0, 2] }],
        }
    }
}
