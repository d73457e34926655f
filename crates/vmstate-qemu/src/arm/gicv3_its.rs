//! The interrupt translation service of the generic interrupt controller; its tables are in guest memory.
//!
//! Fields: `ctlr`, `iidr` u32; `cbaser`, `cwriter`, `creadr` u64; `baser` u64 × 8.
//!
//! Source: streams of QEMU 7.2, 10.0 and 11.1 (`virt` of aarch64, `gic-version=3`); 5.2 has none under TCG.

use vmstate::VmState;

/// The service.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "arm_gicv3_its", version = 0)]
#[expect(missing_docs, reason = "registers, by their names in the manual or in QEMU")]
pub struct ItsImage {
    pub ctlr: u32,
    pub iidr: u32,
    pub cbaser: u64,
    pub cwriter: u64,
    pub creadr: u64,
    pub baser: [u64; 8],
}
