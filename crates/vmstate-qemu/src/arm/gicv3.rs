//! The generic interrupt controller, versions 3 and 4.
//!
//! | image, version | fields |
//! |---|---|
//! | `arm_gicv3` 1 | `gicd_ctlr` u32; `gicd_statusr` u32 × 2; `group`, `grpmod`, `enabled`, `pending`, `active`, `level`, `edge_trigger` u32 × 32; `gicd_ipriority` u8 × 1020; `gicd_irouter` u64 × 1020; `gicd_nsacr` u32 × 64; `cpu` `arm_gicv3_cpu` for each CPU |
//! | `arm_gicv3_cpu` 1 | `level`, `gicr_ctlr` u32; `gicr_statusr` u32 × 2; `gicr_waker` u32; `gicr_propbaser`, `gicr_pendbaser` u64; `gicr_igroupr0`, `gicr_ienabler0`, `gicr_ipendr0`, `gicr_iactiver0`, `edge_trigger`, `gicr_igrpmodr0`, `gicr_nsacr` u32; `gicr_ipriorityr` u8 × 32; `icc_ctlr_el1` u64 × 2; `icc_pmr_el1` u64; `icc_bpr` u64 × 3; `icc_apr` u64 × 12; `icc_igrpen` u64 × 3; `icc_ctlr_el3` u64 |
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `arm_gicv3_cpu/virt` 1 | `ich_apr` u64 × 12; `ich_hcr_el2` u64; `ich_lr_el2` u64 × 16; `ich_vmcr_el2` u64 | the CPU has virtualization |
//! | `arm_gicv3_cpu/sre_el1` 1 | `icc_sre_el1` u64 | always on these machines |
//! | `arm_gicv3_cpu/gicv4` 1 | `gicr_vpropbaser`, `gicr_vpendbaser` u64 | version 4 |
//! | `arm_gicv3_cpu/nmi` 1 | `gicr_inmir0` u32 | interrupts may be non-maskable; from 10.0 on |
//! | `arm_gicv3/gicd_no_migration_shift_bug` 1 | `gicd_no_migration_shift_bug` bool | always |
//! | `arm_gicv3/gicd_nmi` 1 | `nmi` u32 × 32 | as `nmi` |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`virt` of aarch64), with `gic-version=3` and `4` (from 7.2 on),
//! with and without security and virtualization.

use vmstate::VmState;

use crate::arrays::Table;

/// Most CPUs that a controller is taken to have; QEMU's boards have 512 at most.
pub const CPUS_MAX: usize = 1024;

/// The controller.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "arm_gicv3", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the manual or in QEMU")]
pub struct Gicv3Image {
    /// CPUs: configuration.
    #[vmstate(local)]
    pub num_cpu: u32,
    pub gicd_ctlr: u32,
    pub gicd_statusr: [u32; 2],
    pub group: [u32; 32],
    pub grpmod: [u32; 32],
    pub enabled: [u32; 32],
    pub pending: [u32; 32],
    pub active: [u32; 32],
    pub level: [u32; 32],
    pub edge_trigger: [u32; 32],
    pub gicd_ipriority: Table<u8, 1020>,
    pub gicd_irouter: Table<u64, 1020>,
    pub gicd_nsacr: Table<u32, 64>,
    #[vmstate(len = num_cpu, max = CPUS_MAX)]
    pub cpu: Vec<Gicv3CpuImage>,
    /// Whether the bits of lines are where they belong: an old release had them shifted.
    #[vmstate(subsection)]
    pub no_migration_shift_bug: Option<ShiftBugImage>,
    /// Lines that cannot be masked.
    #[vmstate(subsection)]
    pub nmi: Option<Gicv3NmiImage>,
}

impl Gicv3Image {
    /// The template of a controller for so many CPUs.
    #[must_use]
    pub fn with_cpus(num_cpu: u32) -> Self {
        Self { num_cpu, cpu: vec![Gicv3CpuImage::default(); num_cpu as usize], ..Self::default() }
    }
}

/// The part of a CPU.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "arm_gicv3_cpu", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the manual or in QEMU")]
pub struct Gicv3CpuImage {
    pub level: u32,
    pub gicr_ctlr: u32,
    pub gicr_statusr: [u32; 2],
    pub gicr_waker: u32,
    pub gicr_propbaser: u64,
    pub gicr_pendbaser: u64,
    pub gicr_igroupr0: u32,
    pub gicr_ienabler0: u32,
    pub gicr_ipendr0: u32,
    pub gicr_iactiver0: u32,
    pub edge_trigger: u32,
    pub gicr_igrpmodr0: u32,
    pub gicr_nsacr: u32,
    pub gicr_ipriorityr: [u8; 32],
    pub icc_ctlr_el1: [u64; 2],
    pub icc_pmr_el1: u64,
    pub icc_bpr: [u64; 3],
    pub icc_apr: [u64; 12],
    pub icc_igrpen: [u64; 3],
    pub icc_ctlr_el3: u64,
    /// Sent by a CPU with virtualization.
    #[vmstate(subsection)]
    pub virt: Option<Gicv3VirtImage>,
    /// System register enable.
    #[vmstate(subsection)]
    pub sre_el1: Option<SreEl1Image>,
    /// Sent in version 4.
    #[vmstate(subsection)]
    pub gicv4: Option<Gicv4Image>,
    /// Interrupts of the CPU that cannot be masked.
    #[vmstate(subsection)]
    pub nmi: Option<Gicv3CpuNmiImage>,
}

/// What virtual machines have.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "arm_gicv3_cpu/virt", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the manual or in QEMU")]
pub struct Gicv3VirtImage {
    pub ich_apr: [u64; 12],
    pub ich_hcr_el2: u64,
    pub ich_lr_el2: [u64; 16],
    pub ich_vmcr_el2: u64,
}

/// System register enable.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "arm_gicv3_cpu/sre_el1", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the manual or in QEMU")]
pub struct SreEl1Image {
    pub icc_sre_el1: u64,
}

/// What version 4 has.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "arm_gicv3_cpu/gicv4", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the manual or in QEMU")]
pub struct Gicv4Image {
    pub gicr_vpropbaser: u64,
    pub gicr_vpendbaser: u64,
}

/// Interrupts of a CPU that cannot be masked.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "arm_gicv3_cpu/nmi", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the manual or in QEMU")]
pub struct Gicv3CpuNmiImage {
    pub gicr_inmir0: u32,
}

/// A mark of releases whose lines are where they belong.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "arm_gicv3/gicd_no_migration_shift_bug", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the manual or in QEMU")]
pub struct ShiftBugImage {
    pub gicd_no_migration_shift_bug: bool,
}

/// Lines that cannot be masked.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "arm_gicv3/gicd_nmi", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the manual or in QEMU")]
pub struct Gicv3NmiImage {
    pub nmi: [u32; 32],
}
