//! Virtio devices that have no part of their own.
//!
//! | image | section, version | |
//! |---|---|---|
//! | [`VirtioRngImage`] | `virtio-rng` 1 | |
//! | [`VirtioScsiImage`] | `virtio-scsi` 1 | requests are in the sections of the disks |
//! | [`VirtioInputImage`] | `virtio-input` 1 | keyboard, mouse, tablet and multitouch alike |
//! | [`Virtio9pImage`] | `virtio-9p` 1 | a mounted share blocks migration |
//!
//! Each has the one field `virtio`. Source: `docs/spec/virtio-state.md` section 4; streams of QEMU 5.2 to 11.1.

use vmstate::VmState;

use super::Virtio;

/// A source of entropy.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-rng", version = 1)]
pub struct VirtioRngImage {
    /// All of it.
    pub virtio: Virtio<()>,
}

/// A SCSI host adapter.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-scsi", version = 1)]
pub struct VirtioScsiImage {
    /// All of it.
    pub virtio: Virtio<()>,
}

/// A keyboard, mouse, tablet or touch screen.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-input", version = 1)]
pub struct VirtioInputImage {
    /// All of it.
    pub virtio: Virtio<()>,
}

/// A share of files.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-9p", version = 1)]
pub struct Virtio9pImage {
    /// All of it.
    pub virtio: Virtio<()>,
}
