//! SiFive's general-purpose pins: one bit for each pin in every register.
//!
//! | fields, u32 each |
//! |---|
//! | `value`, `input_en`, `output_en`, `port`, `pue`, `rise_ie`, `rise_ip`, `fall_ie`, `fall_ip`, `high_ie`, `high_ip`, `low_ie`, `low_ip` |
//! | `iof_en`, `iof_sel`, `out_xor`, `in`, `in_mask` |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`sifive_u`).

use vmstate::VmState;

/// The pins.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "sifive_soc.gpio", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the manual of the chip")]
pub struct SifiveGpioImage {
    pub value: u32,
    pub input_en: u32,
    pub output_en: u32,
    pub port: u32,
    pub pue: u32,
    pub rise_ie: u32,
    pub rise_ip: u32,
    pub fall_ie: u32,
    pub fall_ip: u32,
    pub high_ie: u32,
    pub high_ip: u32,
    pub low_ie: u32,
    pub low_ip: u32,
    pub iof_en: u32,
    pub iof_sel: u32,
    pub out_xor: u32,
    /// Levels that are driven from outside.
    #[vmstate(name = "in")]
    pub input: u32,
    /// Pins that are driven from outside.
    pub in_mask: u32,
}
