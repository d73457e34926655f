//! The e1000 network card (82540EM and others).
//!
//! | field of `e1000` 2 | there | |
//! |---|---|---|
//! | `parent_obj` | | a conventional device |
//! | 4 unused | in version 1 only | |
//! | 4 unused | | |
//! | `rxbuf_size`, `rxbuf_min_shift` u32 | | |
//! | `eecd_state.val_in` u32, `.bitnum_in`, `.bitnum_out`, `.reading` u16, `.old_eecd` u32 | | what the guest writes to the EEPROM bit by bit |
//! | `mig_props.ipcss`, `.ipcso` u8, `.ipcse` u16, `.tucss`, `.tucso` u8, `.tucse` u16, `.paylen` u32, `.hdr_len` u8, `.mss` u16 | | context of the next packet, or of a segmentation |
//! | `tx.size`, `tx.tso_frames` u16, `tx.sum_needed` u8 | | |
//! | `mig_props.ip`, `mig_props.tcp` i8 | | |
//! | `tx.header` 256 octets, `tx.data` 65536 octets | | the packet that is put together |
//! | `eeprom_data` u16 × 64, `phy_reg` u16 × 32 | | |
//! | `mac_reg[…]` u32 each, for 37 registers from `CTRL` to `VET` | | |
//! | `mac_reg` u32 × 32, × 128, × 128 | | address filters: `RA`, `MTA`, `VFTA` |
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `e1000/mit_state` 1 | `mac_reg[RDTR]`, `[RADV]`, `[TADV]`, `[ITR]` u32, `mit_irq_level` bool | property `mitigation` |
//! | `e1000/full_mac_state` 1 | `mac_reg` u32 × 32768 | property `extra_mac_registers` |
//! | `e1000/tx_tso_state` 1 | the fields of `mig_props` again, as `tx.tso_props` | property `migrate_tso_props` |
//!
//! All three are on by default.
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`pc`, `q35`), and their schema dumps.

use vmstate::VmState;

use crate::arrays::{LongOctets, LongTable, Octets, Table};
use crate::pci::PciDeviceImage;

/// Registers of the card, of four octets each.
pub const MAC_REGISTERS: usize = 0x8000;

/// The card.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "e1000", version = 2, min = 1)]
#[expect(missing_docs, reason = "registers, by their names in the data sheet and in QEMU; the page has what they are")]
pub struct E1000Image {
    /// The device.
    pub parent_obj: PciDeviceImage,
    /// No longer used.
    #[vmstate(name = "unused", unused = 4, when = is_version_1)]
    pub unused_0: (),
    /// No longer used.
    #[vmstate(name = "unused", unused = 4)]
    pub unused_1: (),
    /// Octets of a receive buffer.
    pub rxbuf_size: u32,
    pub rxbuf_min_shift: u32,
    #[vmstate(name = "eecd_state.val_in")]
    pub eecd_val_in: u32,
    #[vmstate(name = "eecd_state.bitnum_in")]
    pub eecd_bitnum_in: u16,
    #[vmstate(name = "eecd_state.bitnum_out")]
    pub eecd_bitnum_out: u16,
    #[vmstate(name = "eecd_state.reading")]
    pub eecd_reading: u16,
    #[vmstate(name = "eecd_state.old_eecd")]
    pub old_eecd: u32,
    #[vmstate(name = "mig_props.ipcss")]
    pub prop_ipcss: u8,
    #[vmstate(name = "mig_props.ipcso")]
    pub prop_ipcso: u8,
    #[vmstate(name = "mig_props.ipcse")]
    pub prop_ipcse: u16,
    #[vmstate(name = "mig_props.tucss")]
    pub prop_tucss: u8,
    #[vmstate(name = "mig_props.tucso")]
    pub prop_tucso: u8,
    #[vmstate(name = "mig_props.tucse")]
    pub prop_tucse: u16,
    #[vmstate(name = "mig_props.paylen")]
    pub prop_paylen: u32,
    #[vmstate(name = "mig_props.hdr_len")]
    pub prop_hdr_len: u8,
    #[vmstate(name = "mig_props.mss")]
    pub prop_mss: u16,
    #[vmstate(name = "tx.size")]
    pub tx_size: u16,
    #[vmstate(name = "tx.tso_frames")]
    pub tx_tso_frames: u16,
    #[vmstate(name = "tx.sum_needed")]
    pub tx_sum_needed: u8,
    #[vmstate(name = "mig_props.ip")]
    pub prop_ip: i8,
    #[vmstate(name = "mig_props.tcp")]
    pub prop_tcp: i8,
    #[vmstate(name = "tx.header")]
    pub tx_header: Octets<256>,
    #[vmstate(name = "tx.data")]
    pub tx_data: LongOctets<65536>,
    pub eeprom_data: Table<u16, 64>,
    pub phy_reg: [u16; 32],
    #[vmstate(name = "mac_reg[CTRL]")]
    pub ctrl: u32,
    #[vmstate(name = "mac_reg[EECD]")]
    pub eecd: u32,
    #[vmstate(name = "mac_reg[EERD]")]
    pub eerd: u32,
    #[vmstate(name = "mac_reg[GPRC]")]
    pub gprc: u32,
    #[vmstate(name = "mac_reg[GPTC]")]
    pub gptc: u32,
    #[vmstate(name = "mac_reg[ICR]")]
    pub icr: u32,
    #[vmstate(name = "mac_reg[ICS]")]
    pub ics: u32,
    #[vmstate(name = "mac_reg[IMC]")]
    pub imc: u32,
    #[vmstate(name = "mac_reg[IMS]")]
    pub ims: u32,
    #[vmstate(name = "mac_reg[LEDCTL]")]
    pub ledctl: u32,
    #[vmstate(name = "mac_reg[MANC]")]
    pub manc: u32,
    #[vmstate(name = "mac_reg[MDIC]")]
    pub mdic: u32,
    #[vmstate(name = "mac_reg[MPC]")]
    pub mpc: u32,
    #[vmstate(name = "mac_reg[PBA]")]
    pub pba: u32,
    #[vmstate(name = "mac_reg[RCTL]")]
    pub rctl: u32,
    #[vmstate(name = "mac_reg[RDBAH]")]
    pub rdbah: u32,
    #[vmstate(name = "mac_reg[RDBAL]")]
    pub rdbal: u32,
    #[vmstate(name = "mac_reg[RDH]")]
    pub rdh: u32,
    #[vmstate(name = "mac_reg[RDLEN]")]
    pub rdlen: u32,
    #[vmstate(name = "mac_reg[RDT]")]
    pub rdt: u32,
    #[vmstate(name = "mac_reg[STATUS]")]
    pub status: u32,
    #[vmstate(name = "mac_reg[SWSM]")]
    pub swsm: u32,
    #[vmstate(name = "mac_reg[TCTL]")]
    pub tctl: u32,
    #[vmstate(name = "mac_reg[TDBAH]")]
    pub tdbah: u32,
    #[vmstate(name = "mac_reg[TDBAL]")]
    pub tdbal: u32,
    #[vmstate(name = "mac_reg[TDH]")]
    pub tdh: u32,
    #[vmstate(name = "mac_reg[TDLEN]")]
    pub tdlen: u32,
    #[vmstate(name = "mac_reg[TDT]")]
    pub tdt: u32,
    #[vmstate(name = "mac_reg[TORH]")]
    pub torh: u32,
    #[vmstate(name = "mac_reg[TORL]")]
    pub torl: u32,
    #[vmstate(name = "mac_reg[TOTH]")]
    pub toth: u32,
    #[vmstate(name = "mac_reg[TOTL]")]
    pub totl: u32,
    #[vmstate(name = "mac_reg[TPR]")]
    pub tpr: u32,
    #[vmstate(name = "mac_reg[TPT]")]
    pub tpt: u32,
    #[vmstate(name = "mac_reg[TXDCTL]")]
    pub txdctl: u32,
    #[vmstate(name = "mac_reg[WUFC]")]
    pub wufc: u32,
    #[vmstate(name = "mac_reg[VET]")]
    pub vet: u32,
    /// Addresses that are received.
    #[vmstate(name = "mac_reg")]
    pub ra: [u32; 32],
    /// Groups of addresses.
    #[vmstate(name = "mac_reg")]
    pub mta: Table<u32, 128>,
    /// VLANs.
    #[vmstate(name = "mac_reg")]
    pub vfta: Table<u32, 128>,
    /// When interrupts are held back.
    #[vmstate(subsection)]
    pub mit_state: Option<MitStateImage>,
    /// All registers.
    #[vmstate(subsection)]
    pub full_mac_state: Option<FullMacStateImage>,
    /// Context of segmentation.
    #[vmstate(subsection)]
    pub tx_tso_state: Option<TxTsoStateImage>,
}

fn is_version_1(_: &E1000Image, version: u32) -> bool {
    version == 1
}

/// When interrupts are held back.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "e1000/mit_state", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the data sheet")]
pub struct MitStateImage {
    #[vmstate(name = "mac_reg[RDTR]")]
    pub rdtr: u32,
    #[vmstate(name = "mac_reg[RADV]")]
    pub radv: u32,
    #[vmstate(name = "mac_reg[TADV]")]
    pub tadv: u32,
    #[vmstate(name = "mac_reg[ITR]")]
    pub itr: u32,
    /// Level of the line.
    pub mit_irq_level: bool,
}

/// All registers, those that have a field of their own among them.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "e1000/full_mac_state", version = 1)]
pub struct FullMacStateImage {
    /// By their offset divided by four.
    pub mac_reg: LongTable<u32, MAC_REGISTERS>,
}

/// Context of segmentation, beside that of the next packet.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "e1000/tx_tso_state", version = 1)]
#[expect(missing_docs, reason = "parts of a descriptor, by their names in the data sheet")]
pub struct TxTsoStateImage {
    #[vmstate(name = "tx.tso_props.ipcss")]
    pub ipcss: u8,
    #[vmstate(name = "tx.tso_props.ipcso")]
    pub ipcso: u8,
    #[vmstate(name = "tx.tso_props.ipcse")]
    pub ipcse: u16,
    #[vmstate(name = "tx.tso_props.tucss")]
    pub tucss: u8,
    #[vmstate(name = "tx.tso_props.tucso")]
    pub tucso: u8,
    #[vmstate(name = "tx.tso_props.tucse")]
    pub tucse: u16,
    #[vmstate(name = "tx.tso_props.paylen")]
    pub paylen: u32,
    #[vmstate(name = "tx.tso_props.hdr_len")]
    pub hdr_len: u8,
    #[vmstate(name = "tx.tso_props.mss")]
    pub mss: u16,
    #[vmstate(name = "tx.tso_props.ip")]
    pub ip: i8,
    #[vmstate(name = "tx.tso_props.tcp")]
    pub tcp: i8,
}
