//! ATA disks and CD-ROM drives, with their controllers.
//!
//! | image | section, version | fields |
//! |---|---|---|
//! | [`PciIdeImage`] | `ide` 3 | `parent_obj`, a conventional device; `bmdma` × 2; `bus` × 2 (since 1); `bus[0].ifs` × 2, `bus[1].ifs` × 2 (since 3) |
//! | [`BmdmaImage`] | `ide bmdma` 3, within it | `cmd`, `migration_compat_status` u8; `addr` u32; `migration_retry_sector_num` i64; `migration_retry_nsector` u32; `migration_retry_unit` u8 |
//! | [`IdeBusImage`] | `ide_bus` 1 | `cmd`, `unit` u8 |
//! | [`IdeDriveImage`] | `ide_drive` 3 | below |
//! | [`IsaIdeImage`] | `isa-ide` 3 | `bus`; `bus.ifs` × 2 |
//! | [`ahci::PciAhciImage`] | `ich9_ahci` 1 | the controller for serial ATA |
//!
//! A drive that is not there has its fields all the same.
//!
//! | field of `ide_drive` 3 | there |
//! |---|---|
//! | `mult_sectors`, `identify_set` i32 | |
//! | `identify_data` 512 octets | if `identify_set` is not 0 |
//! | `feature`, `error` u8; `nsector` u32; `sector`, `lcyl`, `hcyl`, `hob_feature`, `hob_sector`, `hob_nsector`, `hob_lcyl`, `hob_hcyl`, `select`, `status`, `lba48`, `sense_key`, `asc` u8 | |
//! | `cdrom_changed` u8 | since 3 |
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `ide bmdma_current` 1 | `cur_addr`, `cur_prd_last`, `cur_prd_addr`, `cur_prd_len` u32 | within an entry of the table of a transfer; not seen |
//! | `ide bmdma/status` 1 | `status` u8 | its bits that say which drive can do it are set |
//! | `ide_bus/error` 2 | `error_status` i32; `retry_sector_num` i64, `retry_nsector` u32, `retry_unit` u8 (since 2) | the machine was stopped by an error |
//! | `ide_drive/pio_state` 1 | `req_nb_sectors` i32; `io_buffer` u8 × 131076 (since 1); `cur_io_buffer_offset`, `cur_io_buffer_len` i32; `end_transfer_fn_idx` u8; `elementary_transfer_size`, `packet_transfer_size` i32 | the guest is about to move data |
//! | `ide_drive/tray_state` 1 | `tray_open`, `tray_locked` bool | the tray is open or locked |
//! | `ide_drive/atapi/gesn_state` 1 | `events.new_media`, `events.eject_request` bool | the guest was not told yet |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`pc`, `q35`; a disk with an error made by `blkdebug`), and their
//! schema dumps, from which the widths of what was not seen are taken.

pub mod ahci;

use vmstate::VmState;

use crate::arrays::Octets;
use crate::pci::PciDeviceImage;

/// Octets of a drive's buffer: 256 sectors and a word.
pub const IO_BUFFER_OCTETS: u32 = 256 * 512 + 4;

/// The controller of PIIX3, PIIX4 and others, with two buses of two drives each.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ide", version = 3, min = 0)]
pub struct PciIdeImage {
    /// The device.
    pub parent_obj: PciDeviceImage,
    /// Transfers by the controller, for each bus.
    pub bmdma: [BmdmaImage; 2],
    /// The buses.
    #[vmstate(since = 1)]
    pub bus: [IdeBusImage; 2],
    /// Drives of the first bus.
    #[vmstate(since = 3, name = "bus[0].ifs")]
    pub primary: [IdeDriveImage; 2],
    /// Drives of the second.
    #[vmstate(since = 3, name = "bus[1].ifs")]
    pub secondary: [IdeDriveImage; 2],
}

impl PciIdeImage {
    /// A template with room for what may arrive.
    #[must_use]
    pub fn template() -> Self {
        let drives = || std::array::from_fn(|_| IdeDriveImage::template());
        Self { primary: drives(), secondary: drives(), ..Self::default() }
    }
}

/// The controller on the ISA bus, with one bus of two drives.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "isa-ide", version = 3, min = 0)]
pub struct IsaIdeImage {
    /// The bus.
    pub bus: IdeBusImage,
    /// Its drives.
    #[vmstate(name = "bus.ifs")]
    pub drives: [IdeDriveImage; 2],
}

impl IsaIdeImage {
    /// A template with room for what may arrive.
    #[must_use]
    pub fn template() -> Self {
        Self { drives: std::array::from_fn(|_| IdeDriveImage::template()), ..Self::default() }
    }
}

/// Transfers by the controller.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ide bmdma", version = 3, min = 0)]
pub struct BmdmaImage {
    /// Command register.
    pub cmd: u8,
    /// Status register, with bits that older releases understand.
    pub migration_compat_status: u8,
    /// Where the table of the transfer is.
    pub addr: u32,
    /// First sector of what is to be tried again.
    pub migration_retry_sector_num: i64,
    /// How many sectors.
    pub migration_retry_nsector: u32,
    /// Of which drive.
    pub migration_retry_unit: u8,
    /// Within an entry of the table.
    #[vmstate(subsection)]
    pub current: Option<BmdmaCurrentImage>,
    /// The status.
    #[vmstate(subsection)]
    pub status: Option<BmdmaStatusImage>,
}

/// Within an entry of the table of a transfer.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ide bmdma_current", version = 1)]
pub struct BmdmaCurrentImage {
    /// Address of the next entry.
    pub cur_addr: u32,
    /// Whether this one is the last.
    pub cur_prd_last: u32,
    /// Where its rest is.
    pub cur_prd_addr: u32,
    /// Octets of its rest.
    pub cur_prd_len: u32,
}

/// The status of transfers.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ide bmdma/status", version = 1)]
pub struct BmdmaStatusImage {
    /// The register, as it is.
    pub status: u8,
}

/// A bus.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ide_bus", version = 1)]
pub struct IdeBusImage {
    /// Device control register.
    pub cmd: u8,
    /// Drive that is selected.
    pub unit: u8,
    /// An error that stopped the machine.
    #[vmstate(subsection)]
    pub error: Option<IdeErrorImage>,
}

/// An error that stopped the machine; what failed is tried again when it goes on.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ide_bus/error", version = 2, min = 1)]
pub struct IdeErrorImage {
    /// What is to be done again.
    pub error_status: i32,
    /// From which sector on.
    #[vmstate(since = 2)]
    pub retry_sector_num: i64,
    /// How many sectors.
    #[vmstate(since = 2)]
    pub retry_nsector: u32,
    /// Of which drive.
    #[vmstate(since = 2)]
    pub retry_unit: u8,
}

/// A drive, whether it is there or not.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ide_drive", version = 3, min = 0)]
#[expect(missing_docs, reason = "registers, by their names in QEMU")]
pub struct IdeDriveImage {
    /// Sectors that are moved for one interrupt.
    pub mult_sectors: i32,
    /// Whether the drive's identity follows.
    pub identify_set: i32,
    /// The drive's identity, as the guest reads it.
    #[vmstate(when = has_identity)]
    pub identify_data: Octets<512>,
    pub feature: u8,
    pub error: u8,
    pub nsector: u32,
    pub sector: u8,
    pub lcyl: u8,
    pub hcyl: u8,
    pub hob_feature: u8,
    pub hob_sector: u8,
    pub hob_nsector: u8,
    pub hob_lcyl: u8,
    pub hob_hcyl: u8,
    pub select: u8,
    pub status: u8,
    pub lba48: u8,
    pub sense_key: u8,
    pub asc: u8,
    #[vmstate(since = 3)]
    pub cdrom_changed: u8,
    /// Data that the guest is about to move.
    #[vmstate(subsection)]
    pub pio_state: Option<PioStateImage>,
    /// The tray.
    #[vmstate(subsection)]
    pub tray_state: Option<TrayStateImage>,
    /// Events that the guest was not told of.
    #[vmstate(subsection)]
    pub gesn_state: Option<GesnStateImage>,
}

impl IdeDriveImage {
    /// A template with room for what may arrive.
    #[must_use]
    pub fn template() -> Self {
        let io_buffer = vec![0; IO_BUFFER_OCTETS as usize];
        let pio_state = PioStateImage { io_buffer_octets: IO_BUFFER_OCTETS, io_buffer, ..PioStateImage::default() };
        Self { pio_state: Some(pio_state), ..Self::default() }
    }
}

fn has_identity(image: &IdeDriveImage, _: u32) -> bool {
    image.identify_set != 0
}

/// Data that the guest is about to move.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ide_drive/pio_state", version = 1)]
pub struct PioStateImage {
    /// Octets of the buffer: [`IO_BUFFER_OCTETS`].
    #[vmstate(local)]
    pub io_buffer_octets: u32,
    /// Sectors that are asked for.
    pub req_nb_sectors: i32,
    /// The buffer.
    #[vmstate(since = 1, len = io_buffer_octets, max = IO_BUFFER_OCTETS as usize)]
    pub io_buffer: Vec<u8>,
    /// Where in it the next data is.
    pub cur_io_buffer_offset: i32,
    /// Octets of data.
    pub cur_io_buffer_len: i32,
    /// What is done after the transfer.
    pub end_transfer_fn_idx: u8,
    /// Octets that are moved at once.
    pub elementary_transfer_size: i32,
    /// Octets that are yet to be moved for the packet.
    pub packet_transfer_size: i32,
}

/// The tray of a CD-ROM drive.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ide_drive/tray_state", version = 1)]
pub struct TrayStateImage {
    /// Whether it is open.
    pub tray_open: bool,
    /// Whether the guest locked it.
    pub tray_locked: bool,
}

/// Events that the guest was not told of.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ide_drive/atapi/gesn_state", version = 1)]
pub struct GesnStateImage {
    /// Whether there is a new medium.
    #[vmstate(name = "events.new_media")]
    pub new_media: bool,
    /// Whether the user wants it out.
    #[vmstate(name = "events.eject_request")]
    pub eject_request: bool,
}
