//! The 8259 interrupt controller, of which a PC has two: instance 0 is the first.
//!
//! | fields, u8 each |
//! |---|
//! | `last_irr`, `irr`, `imr`, `isr`, `priority_add`, `irq_base`, `read_reg_select`, `poll`, `special_mask`, `init_state` |
//! | `auto_eoi`, `rotate_on_auto_eoi`, `special_fully_nested_mode`, `init4`, `single_mode`, `elcr` |
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `i8259/ltim` 1 | `ltim` u8 | all lines are triggered by level; not in 5.2 |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`microvm`), and their schema dumps.

use vmstate::VmState;

/// The controller.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "i8259", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in QEMU")]
pub struct I8259Image {
    pub last_irr: u8,
    pub irr: u8,
    pub imr: u8,
    pub isr: u8,
    pub priority_add: u8,
    pub irq_base: u8,
    pub read_reg_select: u8,
    pub poll: u8,
    pub special_mask: u8,
    pub init_state: u8,
    pub auto_eoi: u8,
    pub rotate_on_auto_eoi: u8,
    pub special_fully_nested_mode: u8,
    pub init4: u8,
    pub single_mode: u8,
    pub elcr: u8,
    /// Sent if all lines are triggered by level.
    #[vmstate(subsection)]
    pub ltim: Option<LtimImage>,
}

/// How lines are triggered.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "i8259/ltim", version = 1)]
pub struct LtimImage {
    /// Whether all are triggered by level.
    pub ltim: u8,
}
