//! The host controller for USB 3.
//!
//! | image | name, version | fields |
//! |---|---|---|
//! | [`XhciImage`] | section `xhci` 1 | `parent_obj`, `parent_obj`: the device and its MSI-X; `xhci` (since 1) |
//! | [`XhciCoreImage`] | `xhci-core` 1 | `ports`, `slots`, `intr` (since 1); `usbcmd`, `usbsts`, `dnctrl`, `crcr_low`, `crcr_high`, `dcbaap_low`, `dcbaap_high`, `config` u32; `mfindex_start` i64; `mfwrap_timer` timer; `cmd_ring` (since 1) |
//! | [`PortImage`] | `xhci-port` 1 | `portsc` u32 |
//! | [`SlotImage`] | `xhci-slot` 1 | `enabled`, `addressed` bool |
//! | [`InterrupterImage`] | `xhci-intr` 1 | `iman`, `imod`, `erstsz`, `erstba_low`, `erstba_high`, `erdp_low`, `erdp_high` u32; `msix_used`, `er_pcs` bool; `er_start` u64; `er_size`, `er_ep_idx` u32; `er_full_unused` bool |
//! | [`RingImage`] | `xhci-ring` 1 | `dequeue` u64, `ccs` bool |
//!
//! Slots have no more than that on the wire: a destination reads the rest from the guest's memory. The schema dumps
//! have three more fields of `xhci-intr`, events that wait, that no release seen sends.
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`q35`), and their schema dumps.

use vmstate::VmState;
use vmstate::codecs::TimerExpiry;

use crate::pci::PciDeviceImage;
use crate::pci::msix::MsixImage;

/// Most ports, for both speeds together.
pub const PORTS_MAX: usize = 255;
/// Most slots.
pub const SLOTS_MAX: usize = 255;
/// Most interrupters.
pub const INTERRUPTERS_MAX: usize = 1024;

/// The controller as a PCI device, a PCI Express one on such a bus.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "xhci", version = 1, min = 0)]
pub struct XhciImage {
    /// The device.
    pub parent_obj: PciDeviceImage,
    /// Its interrupts.
    #[vmstate(name = "parent_obj")]
    pub msix: MsixImage,
    /// The controller.
    #[vmstate(since = 1)]
    pub xhci: XhciCoreImage,
}

/// The controller.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "xhci-core", version = 1, min = 0)]
#[expect(missing_docs, reason = "registers, by their names in QEMU")]
pub struct XhciCoreImage {
    /// Ports, slots and interrupters that the controller has: configuration.
    #[vmstate(local)]
    pub num_ports: u32,
    #[vmstate(local)]
    pub num_slots: u32,
    #[vmstate(local)]
    pub num_intrs: u32,
    /// The ports.
    #[vmstate(since = 1, len = num_ports, max = PORTS_MAX)]
    pub ports: Vec<PortImage>,
    /// The slots, one for each device.
    #[vmstate(since = 1, len = num_slots, max = SLOTS_MAX)]
    pub slots: Vec<SlotImage>,
    /// The interrupters.
    #[vmstate(since = 1, len = num_intrs, max = INTERRUPTERS_MAX)]
    pub intr: Vec<InterrupterImage>,
    pub usbcmd: u32,
    pub usbsts: u32,
    pub dnctrl: u32,
    pub crcr_low: u32,
    pub crcr_high: u32,
    pub dcbaap_low: u32,
    pub dcbaap_high: u32,
    pub config: u32,
    pub mfindex_start: i64,
    pub mfwrap_timer: TimerExpiry,
    /// The ring of commands.
    #[vmstate(since = 1)]
    pub cmd_ring: RingImage,
}

impl XhciCoreImage {
    /// The template of a controller with so many ports, slots and interrupters, each up to its limit.
    #[must_use]
    pub fn with(num_ports: u32, num_slots: u32, num_intrs: u32) -> Self {
        let number = |count: u32, limit: usize| (count as usize).min(limit);
        Self {
            num_ports,
            num_slots,
            num_intrs,
            ports: vec![PortImage::default(); number(num_ports, PORTS_MAX)],
            slots: vec![SlotImage::default(); number(num_slots, SLOTS_MAX)],
            intr: vec![InterrupterImage::default(); number(num_intrs, INTERRUPTERS_MAX)],
            ..Self::default()
        }
    }
}

/// A port.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "xhci-port", version = 1, min = 0)]
pub struct PortImage {
    /// Status and control.
    pub portsc: u32,
}

/// A slot.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "xhci-slot", version = 1, min = 0)]
pub struct SlotImage {
    /// Whether the guest has it.
    pub enabled: bool,
    /// Whether its device has an address.
    pub addressed: bool,
}

/// An interrupter with its ring of events.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "xhci-intr", version = 1, min = 0)]
#[expect(missing_docs, reason = "registers, by their names in QEMU")]
pub struct InterrupterImage {
    pub iman: u32,
    pub imod: u32,
    pub erstsz: u32,
    pub erstba_low: u32,
    pub erstba_high: u32,
    pub erdp_low: u32,
    pub erdp_high: u32,
    pub msix_used: bool,
    pub er_pcs: bool,
    pub er_start: u64,
    pub er_size: u32,
    pub er_ep_idx: u32,
    pub er_full_unused: bool,
}

/// A ring.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "xhci-ring", version = 1, min = 0)]
pub struct RingImage {
    /// Where the next request is.
    pub dequeue: u64,
    /// The cycle bit of those that are valid.
    pub ccs: bool,
}
