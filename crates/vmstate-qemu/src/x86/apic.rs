//! The local APIC of a CPU.
//!
//! | fields | |
//! |---|---|
//! | `apicbase` u32, `id`, `arb_id`, `tpr` u8, `spurious_vec` u32, `log_dest`, `dest_mode` u8 | |
//! | `isr`, `tmr`, `irr` u32 × 8 each | in service, trigger mode, requested |
//! | `lvt` u32 × 6, `esr` u32, `icr` u32 × 2 | local vectors, errors, interrupt command |
//! | `divide_conf` u32, `count_shift` i32, `initial_count` u32 | timer |
//! | `initial_count_load_time`, `next_time`, `timer_expiry` i64 | ns of the virtual clock; −1: not running |
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `apic_sipi` 1 | `sipi_vector`, `wait_for_sipi` i32 | the CPU waits to be started |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`microvm`).

use vmstate::VmState;

/// The controller.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "apic", version = 3)]
#[expect(missing_docs, reason = "registers, by their names in QEMU; the page has what they are")]
pub struct ApicImage {
    pub apicbase: u32,
    pub id: u8,
    pub arb_id: u8,
    pub tpr: u8,
    pub spurious_vec: u32,
    pub log_dest: u8,
    pub dest_mode: u8,
    pub isr: [u32; 8],
    pub tmr: [u32; 8],
    pub irr: [u32; 8],
    pub lvt: [u32; 6],
    pub esr: u32,
    pub icr: [u32; 2],
    pub divide_conf: u32,
    pub count_shift: i32,
    pub initial_count: u32,
    pub initial_count_load_time: i64,
    pub next_time: i64,
    pub timer_expiry: i64,
    /// Sent while the CPU waits to be started.
    #[vmstate(subsection)]
    pub sipi: Option<SipiImage>,
}

/// The start of a CPU by another one.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "apic_sipi", version = 1)]
pub struct SipiImage {
    /// Page where it will begin.
    pub sipi_vector: i32,
    /// Whether it waits.
    pub wait_for_sipi: i32,
}
