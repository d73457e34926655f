//! The AHCI controller for serial ATA.
//!
//! | image | name, version | fields |
//! |---|---|---|
//! | [`PciAhciImage`] | section `ich9_ahci` 1 | `parent_obj`, a conventional device; `ahci` |
//! | [`AhciImage`] | `ahci` 1 | `dev`, one for each port; `control_regs.cap`, `.ghc`, `.irqstatus`, `.impl`, `.version` u32; `idp_index` u32; `ports` u32, must be equal (i32 in QEMU 5.2 and 7.2) |
//! | [`AhciPortImage`] | `ahci port` 1 | below |
//! | [`NcqImage`] | `ncq state` 1 | `sector_count` u32; `lba` u64; `tag`, `cmd`, `slot` u8; `used`, `halt` bool |
//!
//! | field of `ahci port` 1 | |
//! |---|---|
//! | `port` (since 1) | [`IdeBusImage`] |
//! | `port.ifs[0]` (since 1) | [`IdeDriveImage`] |
//! | `port_state`, `finished` u32 | |
//! | `port_regs.lst_addr`, `.lst_addr_hi`, `.fis_addr`, `.fis_addr_hi`, `.irq_stat`, `.irq_mask`, `.cmd`, `.tfdata`, `.sig`, `.scr_stat`, `.scr_ctl`, `.scr_err`, `.scr_act`, `.cmd_issue` u32 | registers |
//! | `done_first_drq` bool, `busy_slot` i32, `init_d2h_sent` bool | |
//! | `ncq_tfs` × 32 (since 1) | queued commands |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`q35`), and their schema dumps.

use vmstate::VmState;

use crate::ide::{IdeBusImage, IdeDriveImage};
use crate::pci::PciDeviceImage;

/// Most ports that a controller has.
pub const PORTS_MAX: usize = 32;

/// The controller as a PCI device.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ich9_ahci", version = 1, min = 0)]
pub struct PciAhciImage {
    /// The device.
    pub parent_obj: PciDeviceImage,
    /// The controller.
    pub ahci: AhciImage,
}

impl PciAhciImage {
    /// The template of a controller with so many ports, at most [`PORTS_MAX`]; that of ICH9 has 6.
    #[must_use]
    pub fn with_ports(ports: u32) -> Self {
        let dev = vec![AhciPortImage::template(); (ports as usize).min(PORTS_MAX)];
        Self { ahci: AhciImage { ports_here: ports, dev, ports, ..Default::default() }, ..Default::default() }
    }
}

/// The controller.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ahci", version = 1, min = 0)]
#[expect(missing_docs, reason = "registers, by their names in QEMU")]
pub struct AhciImage {
    /// Ports that the controller has: configuration. What the stream says about it comes too late.
    #[vmstate(local)]
    pub ports_here: u32,
    /// The ports.
    #[vmstate(len = ports_here, max = PORTS_MAX)]
    pub dev: Vec<AhciPortImage>,
    #[vmstate(name = "control_regs.cap")]
    pub cap: u32,
    #[vmstate(name = "control_regs.ghc")]
    pub ghc: u32,
    #[vmstate(name = "control_regs.irqstatus")]
    pub irqstatus: u32,
    #[vmstate(name = "control_regs.impl")]
    pub implemented: u32,
    #[vmstate(name = "control_regs.version")]
    pub version: u32,
    pub idp_index: u32,
    /// Ports of the controller.
    #[vmstate(equal)]
    pub ports: u32,
}

/// A port, with the drive behind it.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ahci port", version = 1, min = 0)]
#[expect(missing_docs, reason = "registers, by their names in QEMU")]
pub struct AhciPortImage {
    /// The bus, on which there is one drive.
    #[vmstate(since = 1)]
    pub port: IdeBusImage,
    /// The drive.
    #[vmstate(since = 1, name = "port.ifs[0]")]
    pub drive: IdeDriveImage,
    pub port_state: u32,
    /// Commands that are done, a bit for each.
    pub finished: u32,
    #[vmstate(name = "port_regs.lst_addr")]
    pub lst_addr: u32,
    #[vmstate(name = "port_regs.lst_addr_hi")]
    pub lst_addr_hi: u32,
    #[vmstate(name = "port_regs.fis_addr")]
    pub fis_addr: u32,
    #[vmstate(name = "port_regs.fis_addr_hi")]
    pub fis_addr_hi: u32,
    #[vmstate(name = "port_regs.irq_stat")]
    pub irq_stat: u32,
    #[vmstate(name = "port_regs.irq_mask")]
    pub irq_mask: u32,
    #[vmstate(name = "port_regs.cmd")]
    pub cmd: u32,
    #[vmstate(name = "port_regs.tfdata")]
    pub tfdata: u32,
    #[vmstate(name = "port_regs.sig")]
    pub sig: u32,
    #[vmstate(name = "port_regs.scr_stat")]
    pub scr_stat: u32,
    #[vmstate(name = "port_regs.scr_ctl")]
    pub scr_ctl: u32,
    #[vmstate(name = "port_regs.scr_err")]
    pub scr_err: u32,
    #[vmstate(name = "port_regs.scr_act")]
    pub scr_act: u32,
    #[vmstate(name = "port_regs.cmd_issue")]
    pub cmd_issue: u32,
    pub done_first_drq: bool,
    /// The slot whose command runs; −1 for none.
    pub busy_slot: i32,
    pub init_d2h_sent: bool,
    /// Queued commands, by their tags.
    #[vmstate(since = 1)]
    pub ncq_tfs: [NcqImage; 32],
}

impl AhciPortImage {
    /// A template with room for what may arrive.
    #[must_use]
    pub fn template() -> Self {
        Self { drive: IdeDriveImage::template(), ..Self::default() }
    }
}

/// A queued command.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ncq state", version = 1, min = 0)]
pub struct NcqImage {
    /// Sectors that it moves.
    pub sector_count: u32,
    /// The first of them.
    pub lba: u64,
    /// Its tag.
    pub tag: u8,
    /// Its code.
    pub cmd: u8,
    /// Slot in the command list.
    pub slot: u8,
    /// Whether it runs.
    pub used: bool,
    /// Whether it waits for the machine to go on.
    pub halt: bool,
}
