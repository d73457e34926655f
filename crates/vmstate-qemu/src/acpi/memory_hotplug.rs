//! The registers through which a guest learns of memory that was plugged.
//!
//! | image, version | fields |
//! |---|---|
//! | `memory hotplug state` 1 | `selector` u32; `devs`, one for each slot of the machine (`-m …,slots=N`) |
//! | `memory hotplug device state` 1 | `is_enabled`, `is_inserting` bool; `ost_event`, `ost_status` u32 |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`virt` of aarch64 with two slots, `microvm` with none).

use vmstate::VmState;

/// Most slots that a machine is taken to have; QEMU's own limit is 256.
pub const SLOTS_MAX: usize = 256;

/// The registers.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "memory hotplug state", version = 1)]
pub struct MemoryHotplugImage {
    /// Slots of the machine: configuration.
    #[vmstate(local)]
    pub dev_count: u32,
    /// The slot that was selected.
    pub selector: u32,
    /// The slots.
    #[vmstate(len = dev_count, max = SLOTS_MAX)]
    pub devs: Vec<MemorySlotImage>,
}

impl MemoryHotplugImage {
    /// The template of a machine with so many slots.
    #[must_use]
    pub fn with_slots(dev_count: u32) -> Self {
        Self { dev_count, selector: 0, devs: vec![MemorySlotImage::default(); dev_count as usize] }
    }
}

/// A slot.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "memory hotplug device state", version = 1)]
pub struct MemorySlotImage {
    /// Whether there is memory in it.
    pub is_enabled: bool,
    /// Whether the guest does not know of it yet.
    pub is_inserting: bool,
    /// Last event that the guest reported on.
    pub ost_event: u32,
    /// What it reported.
    pub ost_status: u32,
}
