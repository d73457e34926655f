//! The generic interrupt controller, version 2 and older.
//!
//! | image, version | fields |
//! |---|---|
//! | `arm_gic` 12 | `ctlr` u32; `cpu_ctlr` u32 × 8; `irq_state` `arm_gic_irq_state` × 1020; `irq_target` u8 × 1020; `priority1` u8 × 256; `priority2` u8 × 988; `sgi_pending` u8 × 128; `priority_mask`, `running_priority`, `current_pending` u16 × 8; `bpr`, `abpr` u8 × 8; `apr`, `nsapr` u32 × 32 |
//! | `arm_gic_irq_state` 1 | `enabled`, `pending`, `active`, `level` u8; `model`, `edge_trigger` bool; `group` u8 |
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `arm_gic_virt_state` 1 | `h_hcr`, `h_misr` u32 × 8; `h_lr` u32 × 512; `h_apr`, `cpu_ctlr` u32 × 8; `priority_mask`, `running_priority`, `current_pending` u16 × 8; `bpr`, `abpr` u8 × 8 | the machine has virtualization |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`virt` of aarch64), with and without security and virtualization.

use vmstate::VmState;

use crate::arrays::Table;

/// The controller.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "arm_gic", version = 12)]
#[expect(missing_docs, reason = "registers, by their names in the manual or in QEMU")]
pub struct GicImage {
    pub ctlr: u32,
    pub cpu_ctlr: [u32; 8],
    pub irq_state: Table<GicIrqImage, 1020>,
    pub irq_target: Table<u8, 1020>,
    pub priority1: Table<u8, 256>,
    pub priority2: Table<u8, 988>,
    pub sgi_pending: Table<u8, 128>,
    pub priority_mask: [u16; 8],
    pub running_priority: [u16; 8],
    pub current_pending: [u16; 8],
    pub bpr: [u8; 8],
    pub abpr: [u8; 8],
    pub apr: [u32; 32],
    pub nsapr: [u32; 32],
    /// Sent by a controller for virtual machines.
    #[vmstate(subsection)]
    pub virt_state: Option<GicVirtImage>,
}

/// A line; a bit for each CPU.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "arm_gic_irq_state", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the manual or in QEMU")]
pub struct GicIrqImage {
    pub enabled: u8,
    pub pending: u8,
    pub active: u8,
    pub level: u8,
    pub model: bool,
    pub edge_trigger: bool,
    pub group: u8,
}

/// What virtual machines have.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "arm_gic_virt_state", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the manual or in QEMU")]
pub struct GicVirtImage {
    pub h_hcr: [u32; 8],
    pub h_misr: [u32; 8],
    pub h_lr: Table<u32, 512>,
    pub h_apr: [u32; 8],
    pub cpu_ctlr: [u32; 8],
    pub priority_mask: [u16; 8],
    pub running_priority: [u16; 8],
    pub current_pending: [u16; 8],
    pub bpr: [u8; 8],
    pub abpr: [u8; 8],
}
