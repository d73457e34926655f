//! The IO-APIC.
//!
//! | field | since | |
//! |---|---|---|
//! | `id`, `ioregsel` u8 | | |
//! | 8 unused | 2 | |
//! | `irr` u32 | 2 | lines that ask |
//! | `ioredtbl` u64 × 24 | | an entry for each line |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`microvm`), and their schema dumps.

use vmstate::VmState;

/// The controller.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ioapic", version = 3, min = 1)]
pub struct IoapicImage {
    /// Its number on the bus.
    pub id: u8,
    /// The register that was selected.
    pub ioregsel: u8,
    /// Once a flag and an address.
    #[vmstate(since = 2, unused = 8)]
    pub unused: (),
    /// Lines that ask for service.
    #[vmstate(since = 2)]
    pub irr: u32,
    /// What becomes of each line.
    pub ioredtbl: [u64; 24],
}
