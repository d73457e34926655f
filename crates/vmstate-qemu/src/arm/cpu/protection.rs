//! Subsections of CPUs with regions of protection instead of pages.
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `cpu/pmsav7-rnr` 1 | `pmsav7.rnr[M_REG_NS]` u32 | it has regions of protection, M profile |
//! | `cpu/pmsav7` 1 | `pmsav7.drbar`, `pmsav7.drsr`, `pmsav7.dracr` u32 × 8 | it has regions of protection, version 7 |
//!
//! The number of regions is configuration.
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`mps2-an385`).

use vmstate::VmState;

/// Most regions that a CPU is taken to have; the architecture allows 255.
pub const REGIONS_MAX: usize = 256;

/// The region that is selected.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/pmsav7-rnr", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct Pmsav7RnrImage {
    #[vmstate(name = "env.pmsav7.rnr[M_REG_NS]")]
    pub rnr_ns: u32,
}

/// Regions, version 7.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/pmsav7", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct Pmsav7Image {
    /// Regions: configuration.
    #[vmstate(local)]
    pub dregion: u32,
    #[vmstate(name = "env.pmsav7.drbar", len = dregion, max = REGIONS_MAX)]
    pub drbar: Vec<u32>,
    #[vmstate(name = "env.pmsav7.drsr", len = dregion, max = REGIONS_MAX)]
    pub drsr: Vec<u32>,
    #[vmstate(name = "env.pmsav7.dracr", len = dregion, max = REGIONS_MAX)]
    pub dracr: Vec<u32>,
}

impl Pmsav7Image {
    /// The template of a CPU with so many regions.
    #[must_use]
    pub fn with_regions(dregion: u32) -> Self {
        let regions = vec![0; dregion as usize];
        Self { dregion, drbar: regions.clone(), drsr: regions.clone(), dracr: regions }
    }
}
