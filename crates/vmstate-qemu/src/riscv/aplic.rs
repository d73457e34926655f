//! The advanced platform-level interrupt controller: one for each domain.
//!
//! | field | since | elements |
//! |---|---|---|
//! | `domaincfg`, `mmsicfgaddr`, `mmsicfgaddrH`, `smsicfgaddr`, `smsicfgaddrH`, `genmsi` u32 | | |
//! | `kvm_msicfgaddr`, `kvm_msicfgaddrH` u32 | 2 | |
//! | `sourcecfg`, `state`, `target` u32 each | | `num_irqs`: 97 on `virt` |
//! | `idelivery`, `iforce`, `ithreshold` u32 each | | harts; none if interrupts are messages |
//!
//! Source: streams of QEMU 7.2 (version 1), 10.0 (2) and 11.1 (3, with the octets of 2), `virt,aia=aplic` and
//! `aia=aplic-imsic`. Each of them loads its own version only.

use vmstate::VmState;

/// Most sources that the specification allows, and source 0 that is none.
pub const SOURCES_MAX: usize = 1024;
/// Most harts that the specification allows.
pub const HARTS_MAX: usize = 16_384;

/// The controller.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "riscv_aplic", version = 3, min = 1)]
pub struct AplicImage {
    /// Sources: configuration.
    #[vmstate(local)]
    pub num_irqs: u32,
    /// Harts that are interrupted by lines: configuration.
    #[vmstate(local)]
    pub num_harts: u32,
    /// Domain configuration.
    pub domaincfg: u32,
    /// Address of messages, machine mode.
    pub mmsicfgaddr: u32,
    /// Its upper half.
    #[vmstate(name = "mmsicfgaddrH")]
    pub mmsicfgaddr_high: u32,
    /// Address of messages, supervisor mode.
    pub smsicfgaddr: u32,
    /// Its upper half.
    #[vmstate(name = "smsicfgaddrH")]
    pub smsicfgaddr_high: u32,
    /// Message that software asks for.
    pub genmsi: u32,
    /// Address of messages under KVM.
    #[vmstate(since = 2)]
    pub kvm_msicfgaddr: u32,
    /// Its upper half.
    #[vmstate(since = 2, name = "kvm_msicfgaddrH")]
    pub kvm_msicfgaddr_high: u32,
    /// Configuration of each source.
    #[vmstate(len = num_irqs, max = SOURCES_MAX)]
    pub sourcecfg: Vec<u32>,
    /// Whether each is pending and enabled.
    #[vmstate(len = num_irqs, max = SOURCES_MAX)]
    pub state: Vec<u32>,
    /// Where each goes.
    #[vmstate(len = num_irqs, max = SOURCES_MAX)]
    pub target: Vec<u32>,
    /// Delivery to each hart.
    #[vmstate(len = num_harts, max = HARTS_MAX)]
    pub idelivery: Vec<u32>,
    /// Interrupt that is forced on each hart.
    #[vmstate(len = num_harts, max = HARTS_MAX)]
    pub iforce: Vec<u32>,
    /// Threshold of each hart.
    #[vmstate(len = num_harts, max = HARTS_MAX)]
    pub ithreshold: Vec<u32>,
}

impl AplicImage {
    /// The template of a controller with so many sources and harts.
    #[must_use]
    pub fn with(num_irqs: u32, num_harts: u32) -> Self {
        let (sources, harts) = (vec![0; num_irqs as usize], vec![0; num_harts as usize]);
        Self {
            num_irqs,
            num_harts,
            sourcecfg: sources.clone(),
            state: sources.clone(),
            target: sources,
            idelivery: harts.clone(),
            iforce: harts.clone(),
            ithreshold: harts,
            ..Self::default()
        }
    }
}
