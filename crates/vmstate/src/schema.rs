//! Descriptions as data: what a derive emits and a checker reads.

/// When a device is loaded relative to others; higher first (`docs/spec/stream.md` section 4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum Priority {
    /// Everything else.
    #[default]
    Default,
    /// Before PCI devices.
    Iommu,
    /// Bridges and root ports; before the IOMMU.
    PciBus,
}

/// The description of one image.
#[derive(Debug)]
pub struct Schema {
    /// Name: of the section, or of the subsection on the wire.
    pub name: &'static str,
    /// Newest version, the one that is written.
    pub version: u32,
    /// Oldest version that is loaded.
    pub minimum_version: u32,
    /// Load priority; counts for sections only.
    pub priority: Priority,
}
