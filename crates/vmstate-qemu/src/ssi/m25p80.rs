//! Flash memory on a serial bus.
//!
//! | fields | |
//! |---|---|
//! | `state` u8, `data` u8 × 16, `len`, `pos` u32, `needed_bytes`, `cmd_in_progress` u8, `cur_addr` u32 | the command |
//! | `write_enable`, `reset_enable` bool, `ear` u8, `four_bytes_address_mode` bool | modes |
//! | `nonvolatile_cfg`, `volatile_cfg`, `enh_volatile_cfg` u32, `quad_enable` bool | configuration |
//! | `spansion_cr1nv`, `spansion_cr2nv`, `spansion_cr3nv`, `spansion_cr4nv` u8 | that of Spansion's |
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `m25p80/data_read_loop` 1 | `data_read_loop` bool | a register is being read over and over |
//!
//! The schema dumps have three more that no recorded machine sent and whose types are not known: `m25p80/aai_enable`,
//! `m25p80/write_protect`, `m25p80/block_protect`. They are refused by name.
//!
//! Source: streams of QEMU 7.2, 10.0 and 11.1 (`sifive_u`), and their schema dumps.

use vmstate::VmState;

/// The memory's state machine.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "m25p80", version = 0)]
#[expect(missing_docs, reason = "by their names in QEMU")]
pub struct M25p80Image {
    pub state: u8,
    pub data: [u8; 16],
    pub len: u32,
    pub pos: u32,
    pub needed_bytes: u8,
    pub cmd_in_progress: u8,
    pub cur_addr: u32,
    pub write_enable: bool,
    pub reset_enable: bool,
    pub ear: u8,
    pub four_bytes_address_mode: bool,
    pub nonvolatile_cfg: u32,
    pub volatile_cfg: u32,
    pub enh_volatile_cfg: u32,
    pub quad_enable: bool,
    pub spansion_cr1nv: u8,
    pub spansion_cr2nv: u8,
    pub spansion_cr3nv: u8,
    pub spansion_cr4nv: u8,
    /// Sent while a register is being read over and over.
    #[vmstate(subsection)]
    pub data_read_loop: Option<DataReadLoopImage>,
}

/// A register that is read over and over.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "m25p80/data_read_loop", version = 1)]
pub struct DataReadLoopImage {
    /// Whether it is.
    pub data_read_loop: bool,
}
