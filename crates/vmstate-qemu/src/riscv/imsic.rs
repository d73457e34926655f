//! The incoming MSI controller: one for each privilege mode of each hart that has one.
//!
//! | field | |
//! |---|---|
//! | `eidelivery`, `eithreshold` u32 for each file | delivery, threshold |
//! | `eistate` u32 for each file and identity | pending and enabled |
//!
//! The numbers of files (one, and one for each guest) and of identities (256) are configuration.
//!
//! Source: streams of QEMU 7.2 and 10.0 (version 1) and 11.1 (version 2, the same octets; it loads no other),
//! `virt,aia=aplic-imsic`.

use vmstate::VmState;

/// Most files of a hart's mode: one, and one for each of 63 guests.
pub const PAGES_MAX: usize = 64;
/// Most identities that the specification allows, one more for each file.
pub const IDENTITIES_MAX: usize = 2048;

/// The controller.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "riscv_imsic", version = 2, min = 1)]
pub struct ImsicImage {
    /// Files: configuration.
    #[vmstate(local)]
    pub num_pages: u32,
    /// Files times identities.
    #[vmstate(local)]
    pub num_eistate: u32,
    /// Delivery of each file.
    #[vmstate(len = num_pages, max = PAGES_MAX)]
    pub eidelivery: Vec<u32>,
    /// Threshold of each file.
    #[vmstate(len = num_pages, max = PAGES_MAX)]
    pub eithreshold: Vec<u32>,
    /// State of each identity.
    #[vmstate(len = num_eistate, max = PAGES_MAX * IDENTITIES_MAX)]
    pub eistate: Vec<u32>,
}

impl ImsicImage {
    /// The template of a controller with so many files and states.
    #[must_use]
    pub fn with(num_pages: u32, num_eistate: u32) -> Self {
        let pages = vec![0; num_pages as usize];
        let eistate = vec![0; num_eistate as usize];
        Self { num_pages, num_eistate, eidelivery: pages.clone(), eithreshold: pages, eistate }
    }
}
