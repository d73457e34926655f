//! Buses of two wires, and the SMBus controllers of PCs.
//!
//! | image | section, version | fields |
//! |---|---|---|
//! | [`I2cBusImage`] | `i2c_bus` 1 | `saved_address` u8 |
//! | [`PmSmbusImage`] | `pmsmb` 1, in `piix4_pm` and `ich9_smb` | `smb_stat`, `smb_ctl`, `smb_cmd`, `smb_addr`, `smb_data0`, `smb_data1` u8; `smb_index` u32; `smb_data` u8 × 32; `smb_auxctl`, `smb_blkdata` u8; `i2c_enable`, `op_done`, `in_i2c_block_read`, `start_transaction_on_status_read` bool |
//! | [`Ich9SmbusImage`] | `ich9_smb` 1 | `dev`, a conventional device; then, on machine types from 3.1 on, `irq_enabled` bool and `smb` (since 1) |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`pc`, `q35`, and `q35` of version 2.5 and 2.11), and their schema
//! dumps.

use vmstate::VmState;

use crate::pci::PciDeviceImage;

/// A bus.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "i2c_bus", version = 1)]
pub struct I2cBusImage {
    /// Address of the device that takes part in a transfer; 255 for none, 0 for all.
    pub saved_address: u8,
}

/// The registers of a controller.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "pmsmb", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in QEMU")]
pub struct PmSmbusImage {
    pub smb_stat: u8,
    pub smb_ctl: u8,
    pub smb_cmd: u8,
    pub smb_addr: u8,
    pub smb_data0: u8,
    pub smb_data1: u8,
    /// Position in the block.
    pub smb_index: u32,
    /// The block.
    pub smb_data: [u8; 32],
    pub smb_auxctl: u8,
    pub smb_blkdata: u8,
    pub i2c_enable: bool,
    pub op_done: bool,
    pub in_i2c_block_read: bool,
    pub start_transaction_on_status_read: bool,
}

/// The controller of ICH9. The template says whether its machine type sends the registers.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "ich9_smb", version = 1)]
pub struct Ich9SmbusImage {
    /// Whether the registers are sent.
    #[vmstate(local)]
    pub has_registers: bool,
    /// The device.
    pub dev: PciDeviceImage,
    /// Whether it interrupts.
    #[vmstate(when = has_registers)]
    pub irq_enabled: bool,
    /// The registers.
    #[vmstate(when = has_registers)]
    pub smb: PmSmbusImage,
}

impl Default for Ich9SmbusImage {
    fn default() -> Self {
        let (dev, smb) = (PciDeviceImage::conventional(), PmSmbusImage::default());
        Self { has_registers: true, dev, irq_enabled: false, smb }
    }
}

fn has_registers(image: &Ich9SmbusImage, _: u32) -> bool {
    image.has_registers
}
