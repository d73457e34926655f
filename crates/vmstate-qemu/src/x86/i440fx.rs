//! The chip set of `pc`: host bridge, ISA bridge, power management.
//!
//! | image | section, version | fields |
//! |---|---|---|
//! | [`I440FxImage`] | `I440FX` 3 | `parent_obj`, a conventional device; 1 unused |
//! | [`Piix3Image`] | `PIIX3` 3 | `dev`, a conventional device; `pci_irq_levels_vmstate` i32 × 4 (since 3) |
//! | [`Piix4PmImage`] | `piix4_pm` 3 | below |
//!
//! | field of `piix4_pm` | there | |
//! |---|---|---|
//! | `parent_obj` | | a conventional device |
//! | `ar.pm1.evt.sts`, `ar.pm1.evt.en`, `ar.pm1.cnt.cnt` u16 | | |
//! | `apm` | | [`ApmImage`] |
//! | `smb` | on machine types from 3.1 on | [`PmSmbusImage`] |
//! | `ar.tmr.timer` timer, `ar.tmr.overflow_time` i64 | | |
//! | `ar.gpe` | since 2 | `gpe` 1: `sts`, `en` u16 |
//! | `acpi_pci_hotplug.acpi_pcihp_pci_status[0x0]` | without `acpi-pci-hotplug-with-bridge-support` | [`RootSlotsImage`] |
//! | `acpi_pci_hotplug.hotplug_select` u32, `acpi_pci_hotplug.acpi_pcihp_pci_status` × 256 | with it | [`PciSlotsImage`] |
//! | `acpi_pci_hotplug.acpi_index` u32 | with it, on machine types from 6.1 on | |
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `PIIX3/rcr` 1 | `rcr` u8 | the register of resets was written to |
//! | `piix4_pm/memhp` 1 | `acpi_memory_hotplug` (since 1) | memory can be plugged |
//! | `piix4_pm/cpuhp` 1 | `cpuhp_state` (since 1) | the guest uses the newer interface; in 11.1 always |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`pc`, also of version 2.4 and 2.5), and their schema dumps.

use vmstate::VmState;
use vmstate::codecs::TimerExpiry;

use crate::acpi::cpu_hotplug::CpuHotplugImage;
use crate::acpi::memory_hotplug::MemoryHotplugImage;
use crate::acpi::pci_hotplug::{BUSES, PciSlotsImage, RootSlotsImage};
use crate::arrays::LongTable;
use crate::i2c::PmSmbusImage;
use crate::pci::PciDeviceImage;
use crate::x86::isa::ApmImage;

/// The host bridge.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "I440FX", version = 3)]
pub struct I440FxImage {
    /// The device.
    pub parent_obj: PciDeviceImage,
    /// No longer used.
    #[vmstate(unused = 1)]
    pub unused: (),
}

/// The ISA bridge.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "PIIX3", version = 3, min = 2)]
pub struct Piix3Image {
    /// The device.
    pub dev: PciDeviceImage,
    /// Levels of the lines of PCI.
    #[vmstate(since = 3, name = "pci_irq_levels_vmstate")]
    pub pci_irq_levels: [i32; 4],
    /// The register of resets.
    #[vmstate(subsection)]
    pub rcr: Option<RcrImage>,
}

/// The register of resets.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "PIIX3/rcr", version = 1)]
pub struct RcrImage {
    /// What was written to it.
    pub rcr: u8,
}

/// Power management. The template says what of it the machine type sends.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "piix4_pm", version = 3)]
pub struct Piix4PmImage {
    /// Whether the registers of the SMBus are sent.
    #[vmstate(local)]
    pub has_smbus: bool,
    /// Whether buses behind bridges have slots.
    #[vmstate(local)]
    pub has_bridges: bool,
    /// Whether the index of devices is sent; not without `has_bridges`.
    #[vmstate(local)]
    pub has_acpi_index: bool,
    /// The device.
    pub parent_obj: PciDeviceImage,
    /// Status of fixed events.
    #[vmstate(name = "ar.pm1.evt.sts")]
    pub pm1_sts: u16,
    /// Fixed events that are enabled.
    #[vmstate(name = "ar.pm1.evt.en")]
    pub pm1_en: u16,
    /// Control register.
    #[vmstate(name = "ar.pm1.cnt.cnt")]
    pub pm1_cnt: u16,
    /// Calls of the firmware.
    pub apm: ApmImage,
    /// Registers of the SMBus.
    #[vmstate(when = has_smbus)]
    pub smb: PmSmbusImage,
    /// When the power management timer overflows.
    #[vmstate(name = "ar.tmr.timer")]
    pub timer: TimerExpiry,
    /// The same in ticks of the timer.
    #[vmstate(name = "ar.tmr.overflow_time")]
    pub overflow_time: i64,
    /// General events.
    #[vmstate(since = 2, name = "ar.gpe")]
    pub gpe: GpeImage,
    /// Slots of the only bus that has any.
    #[vmstate(when = has_root_slots_only, name = "acpi_pci_hotplug.acpi_pcihp_pci_status[0x0]")]
    pub root_slots: RootSlotsImage,
    /// The bus that was selected.
    #[vmstate(when = has_bridges, name = "acpi_pci_hotplug.hotplug_select")]
    pub hotplug_select: u32,
    /// Slots of all buses.
    #[vmstate(when = has_bridges, name = "acpi_pci_hotplug.acpi_pcihp_pci_status")]
    pub slots: LongTable<PciSlotsImage, BUSES>,
    /// Index of the device that was selected.
    #[vmstate(when = has_acpi_index, name = "acpi_pci_hotplug.acpi_index")]
    pub acpi_index: u32,
    /// Memory that is plugged.
    #[vmstate(subsection)]
    pub memhp: Option<MemhpImage>,
    /// CPUs that are plugged.
    #[vmstate(subsection)]
    pub cpuhp: Option<CpuhpImage>,
}

impl Piix4PmImage {
    /// The template of a machine of today with so many slots for memory and so many CPUs at most.
    #[must_use]
    pub fn with_slots(memory_slots: u32, cpus: u32) -> Self {
        Self {
            has_smbus: true,
            has_bridges: true,
            has_acpi_index: true,
            parent_obj: PciDeviceImage::conventional(),
            pm1_sts: 0,
            pm1_en: 0,
            pm1_cnt: 0,
            apm: ApmImage::default(),
            smb: PmSmbusImage::default(),
            timer: TimerExpiry(None),
            overflow_time: 0,
            gpe: GpeImage::default(),
            root_slots: RootSlotsImage::default(),
            hotplug_select: 0,
            slots: LongTable::default(),
            acpi_index: 0,
            memhp: Some(MemhpImage { acpi_memory_hotplug: MemoryHotplugImage::with_slots(memory_slots) }),
            cpuhp: Some(CpuhpImage { cpuhp_state: CpuHotplugImage::with_cpus(cpus) }),
        }
    }
}

fn has_smbus(image: &Piix4PmImage, _: u32) -> bool {
    image.has_smbus
}

fn has_bridges(image: &Piix4PmImage, _: u32) -> bool {
    image.has_bridges
}

fn has_root_slots_only(image: &Piix4PmImage, _: u32) -> bool {
    !image.has_bridges
}

fn has_acpi_index(image: &Piix4PmImage, _: u32) -> bool {
    image.has_bridges && image.has_acpi_index
}

/// General events.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "gpe", version = 1)]
pub struct GpeImage {
    /// Status, a bit for each.
    pub sts: u16,
    /// Those that are enabled.
    pub en: u16,
}

/// Memory that is plugged.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "piix4_pm/memhp", version = 1)]
pub struct MemhpImage {
    /// The registers.
    #[vmstate(since = 1)]
    pub acpi_memory_hotplug: MemoryHotplugImage,
}

/// CPUs that are plugged.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "piix4_pm/cpuhp", version = 1)]
pub struct CpuhpImage {
    /// The registers.
    #[vmstate(since = 1)]
    pub cpuhp_state: CpuHotplugImage,
}
