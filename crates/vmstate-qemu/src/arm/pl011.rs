//! PrimeCell UART PL011.
//!
//! Fields: 4 unused; `flags`, `lcr`, `rsr`, `cr`, `dmacr`, `int_enabled`, `int_level` u32; `read_fifo` u32 × 16;
//! `ilpr`, `ibrd`, `fbrd`, `ifl` u32; `read_pos`, `read_count`, `read_trigger` i32. In 5.2 and 7.2 the unused octets
//! are `readbuff` u32.
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `pl011/clock` 1 | `clk`, a clock | always in these releases |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`virt` of aarch64).

use vmstate::VmState;
use vmstate::parts::ClockImage;

/// The UART as QEMU 10.0 and 11.1 send it.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "pl011", version = 2)]
#[expect(missing_docs, reason = "registers, by their names in the manual or in QEMU")]
pub struct Pl011Image {
    #[vmstate(unused = 4)]
    pub unused: (),
    pub flags: u32,
    pub lcr: u32,
    pub rsr: u32,
    pub cr: u32,
    pub dmacr: u32,
    pub int_enabled: u32,
    pub int_level: u32,
    pub read_fifo: [u32; 16],
    pub ilpr: u32,
    pub ibrd: u32,
    pub fbrd: u32,
    pub ifl: u32,
    pub read_pos: i32,
    pub read_count: i32,
    pub read_trigger: i32,
    /// Its clock.
    #[vmstate(subsection)]
    pub clock: Option<Pl011ClockImage>,
}

/// The UART as QEMU 5.2 and 7.2 send it.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "pl011", version = 2)]
#[expect(missing_docs, reason = "registers, by their names in the manual or in QEMU")]
pub struct Pl011ReadbuffImage {
    pub readbuff: u32,
    pub flags: u32,
    pub lcr: u32,
    pub rsr: u32,
    pub cr: u32,
    pub dmacr: u32,
    pub int_enabled: u32,
    pub int_level: u32,
    pub read_fifo: [u32; 16],
    pub ilpr: u32,
    pub ibrd: u32,
    pub fbrd: u32,
    pub ifl: u32,
    pub read_pos: i32,
    pub read_count: i32,
    pub read_trigger: i32,
    /// Its clock.
    #[vmstate(subsection)]
    pub clock: Option<Pl011ClockImage>,
}

/// The clock of the UART.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "pl011/clock", version = 1)]
pub struct Pl011ClockImage {
    /// The clock.
    pub clk: ClockImage,
}
