//! The e1000e network card (82574L).
//!
//! | field of `e1000e` 1 | |
//! |---|---|
//! | `parent_obj`, `parent_obj` | a PCI Express device; its MSI-X, with 5 vectors |
//! | `ioaddr` u32 | |
//! | `core.rxbuf_min_shift` u32, `core.rx_desc_len` u8, `core.rxbuf_sizes` u32 × 4, `core.rx_desc_buf_size` u32 | receive buffers |
//! | `core.eeprom` u16 × 64, `core.phy` u16 × 224, `core.mac` u32 × 32768, `core.permanent_mac` u8 × 6 | registers |
//! | `core.delayed_causes` u32 | interrupts that are held back |
//! | `subsys`, `subsys_ven` u16 | |
//! | `core.rdtr`, `.radv`, `.raid`, `.tadv`, `.tidv`, `.itr`; `core.itr_intr_pending` bool; `core.eitr` × 5; `core.eitr_intr_pending` bool × 5 | `e1000e-intr-timer` 1 each; from QEMU 10.0 on the flags are 1 and 5 unused octets |
//! | `core.itr_guest_value` u32, `core.eitr_guest_value` u32 × 5 | |
//! | `core.vet` u16 | |
//! | `core.tx` × 2 | `e1000e-tx` 1 each |
//! | `core.timadj` i64 | not in 5.2 and 7.2; property `migrate-timadj` |
//!
//! | image, version | fields |
//! |---|---|
//! | `e1000e-intr-timer` 1 | `timer` timer, `running` bool |
//! | `e1000e-tx` 1 | `sum_needed` u8; `props.ipcss`, `.ipcso` u8, `.ipcse` u16, `.tucss`, `.tucso` u8, `.tucse` u16, `.hdr_len` u8, `.mss` u16, `.paylen` u32, `.ip`, `.tcp` i8, `.tse` bool; `cptse`, `skip_cp` bool |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`q35`), and their schema dumps.

use vmstate::VmState;
use vmstate::codecs::TimerExpiry;

use crate::arrays::{LongTable, Table};
use crate::net::e1000::MAC_REGISTERS;
use crate::pci::PciDeviceImage;
use crate::pci::msix::MsixImage;

/// Vectors of the card.
pub const VECTORS: usize = 5;

/// The card. The template says which form of it is on the wire; the default is that of the newest release.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "e1000e", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the data sheet and in QEMU; the page has what they are")]
pub struct E1000eImage {
    /// Whether `timadj` is sent.
    #[vmstate(local)]
    pub has_timadj: bool,
    /// Whether the release sends which interrupts are held back.
    #[vmstate(local)]
    pub has_pending: bool,
    /// The device.
    pub parent_obj: PciDeviceImage,
    /// Its interrupts.
    #[vmstate(name = "parent_obj")]
    pub msix: MsixImage,
    pub ioaddr: u32,
    #[vmstate(name = "core.rxbuf_min_shift")]
    pub rxbuf_min_shift: u32,
    #[vmstate(name = "core.rx_desc_len")]
    pub rx_desc_len: u8,
    #[vmstate(name = "core.rxbuf_sizes")]
    pub rxbuf_sizes: [u32; 4],
    #[vmstate(name = "core.rx_desc_buf_size")]
    pub rx_desc_buf_size: u32,
    #[vmstate(name = "core.eeprom")]
    pub eeprom: Table<u16, 64>,
    #[vmstate(name = "core.phy")]
    pub phy: Table<u16, 224>,
    #[vmstate(name = "core.mac")]
    pub mac: LongTable<u32, MAC_REGISTERS>,
    #[vmstate(name = "core.permanent_mac")]
    pub permanent_mac: [u8; 6],
    #[vmstate(name = "core.delayed_causes")]
    pub delayed_causes: u32,
    pub subsys: u16,
    pub subsys_ven: u16,
    #[vmstate(name = "core.rdtr")]
    pub rdtr: IntrTimerImage,
    #[vmstate(name = "core.radv")]
    pub radv: IntrTimerImage,
    #[vmstate(name = "core.raid")]
    pub raid: IntrTimerImage,
    #[vmstate(name = "core.tadv")]
    pub tadv: IntrTimerImage,
    #[vmstate(name = "core.tidv")]
    pub tidv: IntrTimerImage,
    #[vmstate(name = "core.itr")]
    pub itr: IntrTimerImage,
    /// Whether its interrupt is held back.
    #[vmstate(when = has_pending, name = "core.itr_intr_pending")]
    pub itr_intr_pending: bool,
    /// In place of it in newer releases.
    #[vmstate(when = has_no_pending, name = "unused", unused = 1)]
    pub unused_0: (),
    #[vmstate(name = "core.eitr")]
    pub eitr: [IntrTimerImage; 5],
    /// Whether their interrupts are held back.
    #[vmstate(when = has_pending, name = "core.eitr_intr_pending")]
    pub eitr_intr_pending: [bool; 5],
    /// In place of it in newer releases.
    #[vmstate(when = has_no_pending, name = "unused", unused = 5)]
    pub unused_1: (),
    #[vmstate(name = "core.itr_guest_value")]
    pub itr_guest_value: u32,
    #[vmstate(name = "core.eitr_guest_value")]
    pub eitr_guest_value: [u32; 5],
    #[vmstate(name = "core.vet")]
    pub vet: u16,
    #[vmstate(name = "core.tx")]
    pub tx: [TxImage; 2],
    /// Offset of the time stamps, ns.
    #[vmstate(when = has_timadj, name = "core.timadj")]
    pub timadj: i64,
}

impl Default for E1000eImage {
    fn default() -> Self {
        Self {
            has_timadj: true,
            has_pending: false,
            parent_obj: PciDeviceImage::express(),
            msix: MsixImage::with_vectors(VECTORS),
            ioaddr: 0,
            rxbuf_min_shift: 0,
            rx_desc_len: 0,
            rxbuf_sizes: [0; 4],
            rx_desc_buf_size: 0,
            eeprom: Table::default(),
            phy: Table::default(),
            mac: LongTable::default(),
            permanent_mac: [0; 6],
            delayed_causes: 0,
            subsys: 0,
            subsys_ven: 0,
            rdtr: IntrTimerImage::default(),
            radv: IntrTimerImage::default(),
            raid: IntrTimerImage::default(),
            tadv: IntrTimerImage::default(),
            tidv: IntrTimerImage::default(),
            itr: IntrTimerImage::default(),
            itr_intr_pending: false,
            unused_0: (),
            eitr: Default::default(),
            eitr_intr_pending: [false; 5],
            unused_1: (),
            itr_guest_value: 0,
            eitr_guest_value: [0; 5],
            vet: 0,
            tx: Default::default(),
            timadj: 0,
        }
    }
}

fn has_pending(image: &E1000eImage, _: u32) -> bool {
    image.has_pending
}

fn has_no_pending(image: &E1000eImage, _: u32) -> bool {
    !image.has_pending
}

fn has_timadj(image: &E1000eImage, _: u32) -> bool {
    image.has_timadj
}

/// A timer that holds interrupts back.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "e1000e-intr-timer", version = 1)]
pub struct IntrTimerImage {
    /// When it ends.
    pub timer: TimerExpiry,
    /// Whether it runs.
    pub running: bool,
}

/// A transmit queue.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "e1000e-tx", version = 1)]
#[expect(missing_docs, reason = "parts of descriptors, by their names in the data sheet and in QEMU")]
pub struct TxImage {
    pub sum_needed: u8,
    #[vmstate(name = "props.ipcss")]
    pub ipcss: u8,
    #[vmstate(name = "props.ipcso")]
    pub ipcso: u8,
    #[vmstate(name = "props.ipcse")]
    pub ipcse: u16,
    #[vmstate(name = "props.tucss")]
    pub tucss: u8,
    #[vmstate(name = "props.tucso")]
    pub tucso: u8,
    #[vmstate(name = "props.tucse")]
    pub tucse: u16,
    #[vmstate(name = "props.hdr_len")]
    pub hdr_len: u8,
    #[vmstate(name = "props.mss")]
    pub mss: u16,
    #[vmstate(name = "props.paylen")]
    pub paylen: u32,
    #[vmstate(name = "props.ip")]
    pub ip: i8,
    #[vmstate(name = "props.tcp")]
    pub tcp: i8,
    #[vmstate(name = "props.tse")]
    pub tse: bool,
    pub cptse: bool,
    pub skip_cp: bool,
}
