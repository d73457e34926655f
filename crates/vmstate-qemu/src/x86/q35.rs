//! The chip set of `q35`: host bridge, and ICH9's bridge to ISA with power management.
//!
//! | image | section, version | fields |
//! |---|---|---|
//! | [`MchImage`] | `mch` 1 | `parent_obj`, a conventional device; 1 unused |
//! | [`Ich9LpcImage`] | `ICH9LPC` 1 | `d`, a conventional device; `apm`, [`ApmImage`]; `pm`, [`Ich9PmImage`]; `chip_config` u8 × 16384; `sci_level` u32 |
//! | [`Ich9PmImage`] | `ich9_pm` 1, within it | `acpi_regs.pm1.evt.sts`, `acpi_regs.pm1.evt.en`, `acpi_regs.pm1.cnt.cnt` u16; `acpi_regs.tmr.timer` timer, `acpi_regs.tmr.overflow_time` i64; `acpi_regs.gpe.sts`, `acpi_regs.gpe.en` u8 × 16; `smi_en`, `smi_sts` u32 |
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `ICH9LPC/rst_cnt` 1 | `rst_cnt` u8 | the register of resets was written to |
//! | `ICH9LPC/smi_feat` 1 | `smi_guest_features_le` u8 × 8, `smi_features_ok` u8, `smi_negotiated_features` u64 | firmware asked for features of system management mode |
//! | `ich9_pm/memhp` 1 | `acpi_memory_hotplug` (since 1) | memory can be plugged |
//! | `ich9_pm/tco` 1 | `tco_regs` (since 1) | the watchdog is enabled |
//! | `ich9_pm/cpuhp` 1 | `cpuhp_state` (since 1) | the guest uses the newer interface; in 11.1 always |
//! | `ich9_pm/pcihp` 1 | `acpi_pci_hotplug.hotplug_select` u32; `acpi_pci_hotplug.acpi_pcihp_pci_status` × 256 (since 1); `acpi_pci_hotplug.acpi_index` u32 | devices can be plugged by ACPI; not in 5.2 |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`q35`), and their schema dumps.

use vmstate::VmState;
use vmstate::codecs::TimerExpiry;

use crate::acpi::cpu_hotplug::CpuHotplugImage;
use crate::acpi::memory_hotplug::MemoryHotplugImage;
use crate::acpi::pci_hotplug::{BUSES, PciSlotsImage};
use crate::acpi::tco::TcoImage;
use crate::arrays::LongTable;
use crate::pci::PciDeviceImage;
use crate::x86::isa::ApmImage;

/// Octets of the configuration of the chip.
pub const CHIP_CONFIG_OCTETS: usize = 16384;

/// The host bridge.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "mch", version = 1)]
pub struct MchImage {
    /// The device.
    pub parent_obj: PciDeviceImage,
    /// No longer used.
    #[vmstate(unused = 1)]
    pub unused: (),
}

/// The bridge to ISA.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ICH9LPC", version = 1)]
pub struct Ich9LpcImage {
    /// The device.
    #[vmstate(name = "d")]
    pub dev: PciDeviceImage,
    /// Calls of the firmware.
    pub apm: ApmImage,
    /// Power management.
    pub pm: Ich9PmImage,
    /// Configuration of the chip.
    pub chip_config: LongTable<u8, CHIP_CONFIG_OCTETS>,
    /// Level of ACPI's interrupt.
    pub sci_level: u32,
    /// The register of resets.
    #[vmstate(subsection)]
    pub rst_cnt: Option<RstCntImage>,
    /// Features of system management mode.
    #[vmstate(subsection)]
    pub smi_feat: Option<SmiFeaturesImage>,
}

impl Ich9LpcImage {
    /// The template of a machine with so many slots for memory and so many CPUs at most.
    #[must_use]
    pub fn with_slots(memory_slots: u32, cpus: u32) -> Self {
        let memhp = Some(MemhpImage { acpi_memory_hotplug: MemoryHotplugImage::with_slots(memory_slots) });
        let cpuhp = Some(CpuhpImage { cpuhp_state: CpuHotplugImage::with_cpus(cpus) });
        Self { pm: Ich9PmImage { memhp, cpuhp, ..Default::default() }, ..Default::default() }
    }
}

/// Power management.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ich9_pm", version = 1)]
pub struct Ich9PmImage {
    /// Status of fixed events.
    #[vmstate(name = "acpi_regs.pm1.evt.sts")]
    pub pm1_sts: u16,
    /// Fixed events that are enabled.
    #[vmstate(name = "acpi_regs.pm1.evt.en")]
    pub pm1_en: u16,
    /// Control register.
    #[vmstate(name = "acpi_regs.pm1.cnt.cnt")]
    pub pm1_cnt: u16,
    /// When the power management timer overflows.
    #[vmstate(name = "acpi_regs.tmr.timer")]
    pub timer: TimerExpiry,
    /// The same in ticks of the timer.
    #[vmstate(name = "acpi_regs.tmr.overflow_time")]
    pub overflow_time: i64,
    /// Status of general events, a bit for each.
    #[vmstate(name = "acpi_regs.gpe.sts")]
    pub gpe_sts: [u8; 16],
    /// Those that are enabled.
    #[vmstate(name = "acpi_regs.gpe.en")]
    pub gpe_en: [u8; 16],
    /// System management interrupts that are enabled.
    pub smi_en: u32,
    /// Their status.
    pub smi_sts: u32,
    /// Memory that is plugged.
    #[vmstate(subsection)]
    pub memhp: Option<MemhpImage>,
    /// The watchdog.
    #[vmstate(subsection)]
    pub tco: Option<TcoSubsectionImage>,
    /// CPUs that are plugged.
    #[vmstate(subsection)]
    pub cpuhp: Option<CpuhpImage>,
    /// Devices that are plugged.
    #[vmstate(subsection)]
    pub pcihp: Option<PcihpImage>,
}

/// Memory that is plugged.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ich9_pm/memhp", version = 1)]
pub struct MemhpImage {
    /// The registers.
    #[vmstate(since = 1)]
    pub acpi_memory_hotplug: MemoryHotplugImage,
}

/// The watchdog.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ich9_pm/tco", version = 1)]
pub struct TcoSubsectionImage {
    /// The watchdog.
    #[vmstate(since = 1)]
    pub tco_regs: TcoImage,
}

/// CPUs that are plugged.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ich9_pm/cpuhp", version = 1)]
pub struct CpuhpImage {
    /// The registers.
    #[vmstate(since = 1)]
    pub cpuhp_state: CpuHotplugImage,
}

/// Devices that are plugged.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ich9_pm/pcihp", version = 1)]
pub struct PcihpImage {
    /// The bus that was selected.
    #[vmstate(name = "acpi_pci_hotplug.hotplug_select")]
    pub hotplug_select: u32,
    /// Slots of all buses.
    #[vmstate(since = 1, name = "acpi_pci_hotplug.acpi_pcihp_pci_status")]
    pub slots: LongTable<PciSlotsImage, BUSES>,
    /// Index of the device that was selected.
    #[vmstate(name = "acpi_pci_hotplug.acpi_index")]
    pub acpi_index: u32,
}

/// The register of resets.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ICH9LPC/rst_cnt", version = 1)]
pub struct RstCntImage {
    /// What was written to it.
    pub rst_cnt: u8,
}

/// Features of system management mode, which firmware and QEMU agree on.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ICH9LPC/smi_feat", version = 1)]
pub struct SmiFeaturesImage {
    /// Those that firmware asks for, a little-endian number.
    pub smi_guest_features_le: [u8; 8],
    /// Whether QEMU agreed.
    pub smi_features_ok: u8,
    /// Those that were agreed on.
    pub smi_negotiated_features: u64,
}
