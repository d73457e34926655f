//! The system memory management unit, version 3.
//!
//! | image, version | fields |
//! |---|---|
//! | `smmuv3` 1 | `features` u32; `sid_size`, `sid_split` u8; `cr` u32 × 3; `cr0ack`, `statusr`, `irq_ctrl`, `gerror`, `gerrorn` u32; `gerror_irq_cfg0` u64; `gerror_irq_cfg1`, `gerror_irq_cfg2` u32; `strtab_base` u64; `strtab_base_cfg` u32; `eventq_irq_cfg0` u64; `eventq_irq_cfg1`, `eventq_irq_cfg2` u32; `cmdq`, `eventq` `smmuv3_queue` |
//! | `smmuv3_queue` 1 | `base` u64; `prod`, `cons` u32; `log2size` u8 |
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `smmuv3/gbpa` 1 | `gbpa` u32 | it is not what it is after a reset; not in 7.2 |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`virt` of aarch64), with `iommu=smmuv3`.

use vmstate::VmState;

/// The unit.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "smmuv3", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the manual or in QEMU")]
pub struct Smmuv3Image {
    pub features: u32,
    pub sid_size: u8,
    pub sid_split: u8,
    pub cr: [u32; 3],
    pub cr0ack: u32,
    pub statusr: u32,
    pub irq_ctrl: u32,
    pub gerror: u32,
    pub gerrorn: u32,
    pub gerror_irq_cfg0: u64,
    pub gerror_irq_cfg1: u32,
    pub gerror_irq_cfg2: u32,
    pub strtab_base: u64,
    pub strtab_base_cfg: u32,
    pub eventq_irq_cfg0: u64,
    pub eventq_irq_cfg1: u32,
    pub eventq_irq_cfg2: u32,
    pub cmdq: SmmuQueueImage,
    pub eventq: SmmuQueueImage,
    /// Global bypass.
    #[vmstate(subsection)]
    pub gbpa: Option<GbpaImage>,
}

/// A queue in guest memory.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "smmuv3_queue", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the manual or in QEMU")]
pub struct SmmuQueueImage {
    pub base: u64,
    pub prod: u32,
    pub cons: u32,
    pub log2size: u8,
}

/// Global bypass.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "smmuv3/gbpa", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the manual or in QEMU")]
pub struct GbpaImage {
    pub gbpa: u32,
}
