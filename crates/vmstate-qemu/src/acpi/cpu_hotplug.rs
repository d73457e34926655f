//! The registers through which a guest learns of CPUs that were plugged.
//!
//! | image, version | fields |
//! |---|---|
//! | `CPU hotplug state` 1 | `selector` u32, `command` u8; `devs`, one for each CPU that the machine may have (`-smp …,maxcpus=N`) |
//! | `CPU hotplug device state` 1 | `is_inserting`, `is_removing` bool; `ost_event`, `ost_status` u32 |
//!
//! PCs send it once the guest has left the older interface, which is a mere bit for each CPU (`outb 0xaf00 0`). QEMU
//! 11.1 has no other.
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`pc`, `q35`).

use vmstate::VmState;

/// Most CPUs that a machine is taken to have.
pub const CPUS_MAX: usize = 8192;

/// The registers.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "CPU hotplug state", version = 1)]
pub struct CpuHotplugImage {
    /// CPUs that the machine may have: configuration.
    #[vmstate(local)]
    pub dev_count: u32,
    /// The CPU that was selected.
    pub selector: u32,
    /// What the guest wants to know.
    pub command: u8,
    /// The CPUs.
    #[vmstate(len = dev_count, max = CPUS_MAX)]
    pub devs: Vec<CpuSlotImage>,
}

impl CpuHotplugImage {
    /// The template of a machine that may have so many CPUs, at most [`CPUS_MAX`].
    #[must_use]
    pub fn with_cpus(dev_count: u32) -> Self {
        let devs = vec![CpuSlotImage::default(); (dev_count as usize).min(CPUS_MAX)];
        Self { dev_count, devs, ..Self::default() }
    }
}

/// A CPU that may be there.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "CPU hotplug device state", version = 1)]
pub struct CpuSlotImage {
    /// Whether the guest does not know of it yet.
    pub is_inserting: bool,
    /// Whether the guest was asked to let go of it.
    pub is_removing: bool,
    /// Last event that the guest reported on.
    pub ost_event: u32,
    /// What it reported.
    pub ost_status: u32,
}
