//! PrimeCell real-time clock PL031.
//!
//! Fields: `tick_offset_vmstate`, `mr`, `lr`, `cr`, `im`, `is` u32.
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `pl031/tick-offset` 1 | `tick_offset` u32 | always in these releases |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`virt` of aarch64).

use vmstate::VmState;

/// The clock.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "pl031", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the manual or in QEMU")]
pub struct Pl031Image {
    pub tick_offset_vmstate: u32,
    pub mr: u32,
    pub lr: u32,
    pub cr: u32,
    pub im: u32,
    pub is: u32,
    /// Offset to the clock of the RTC, s.
    #[vmstate(subsection)]
    pub tick_offset: Option<TickOffsetImage>,
}

/// Offset to the clock of the RTC.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "pl031/tick-offset", version = 1)]
pub struct TickOffsetImage {
    /// The offset, s.
    pub tick_offset: u32,
}
