//! RISC-V harts: section `cpu`, which changed its layout with nearly every release and keeps no older one loadable.
//!
//! | version | seen in | image |
//! |---|---|---|
//! | 1 | QEMU 5.2 | [`v1::CpuImage`] |
//! | 5 | QEMU 7.2 | [`v5::CpuImage`] |
//! | 10 | QEMU 10.0 | [`v10::CpuImage`] |
//! | 12 | QEMU 11.1 | [`v12::CpuImage`] |
//!
//! Subsections say which extensions the hart has: they are there by configuration and not by what the guest did. Those
//! that several versions share are in [`extensions`]. Registers are as wide as those of a
//! hart of 64 bits; QEMU for 32 bits was not looked at. Not seen, since it needs KVM: `cpu/kvmtimer`.

pub mod extensions;
pub mod v1;
pub mod v10;
pub mod v12;
pub mod v5;
