//! What stands beside a CPU of the M profile: interrupt controller, system timer, clocks.
//!
//! | image | section, version | fields |
//! |---|---|---|
//! | [`NvicImage`] | `armv7m_nvic` 4 | `vectors`, 512 of `armv7m_nvic_info` 1; `prigroup[M_REG_NS]` u32 |
//! | [`NvicVectorImage`] | part of it | `prio` i16; `enabled`, `pending`, `active`, `level` u8 |
//! | [`SystickImage`] | `armv7m_systick` 3 | `refclk`, `cpuclk`, clocks (since 3); `control` u32; `tick` i64; `ptimer`, a timer |
//! | [`Armv7mImage`] | `armv7m` 1 | `refclk`, `cpuclk`, clocks |
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `armv7m_nvic/m-security` 1 | `sec_vectors`, 16 as above; `prigroup[M_REG_S]` u32; `itns` bool × 512 | with the security extension |
//!
//! With the security extension there are two system timers: instance 0 is not secure, 1 is.
//!
//! Source: streams of QEMU 5.2 (`armv7m_systick` 2, no `armv7m`), 7.2, 10.0 and 11.1 (`mps2-an385`, `mps2-an505`).

use vmstate::VmState;
use vmstate::parts::{ClockImage, PtimerImage};

use crate::arrays::Table;

/// Most vectors: 16 of the CPU, the rest of devices.
pub const VECTORS: usize = 512;

/// The interrupt controller.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "armv7m_nvic", version = 4)]
pub struct NvicImage {
    /// The vectors.
    pub vectors: Table<NvicVectorImage, VECTORS>,
    /// How priorities are split, not secure.
    #[vmstate(name = "prigroup[M_REG_NS]")]
    pub prigroup_ns: u32,
    /// Sent with the security extension.
    #[vmstate(subsection)]
    pub m_security: Option<NvicSecurityImage>,
}

/// A vector.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "armv7m_nvic_info", version = 1)]
pub struct NvicVectorImage {
    /// Priority; those of the CPU's own may be negative.
    pub prio: i16,
    /// Whether it is enabled.
    pub enabled: u8,
    /// Whether it asks for service.
    pub pending: u8,
    /// Whether it is served.
    pub active: u8,
    /// Level of its line.
    pub level: u8,
}

/// The secure side of the interrupt controller.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "armv7m_nvic/m-security", version = 1)]
pub struct NvicSecurityImage {
    /// Vectors of the CPU that there are two of.
    pub sec_vectors: [NvicVectorImage; 16],
    /// How priorities are split, secure.
    #[vmstate(name = "prigroup[M_REG_S]")]
    pub prigroup_s: u32,
    /// Vectors that are not secure.
    pub itns: Table<bool, VECTORS>,
}

/// The system timer.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "armv7m_systick", version = 3, min = 2)]
pub struct SystickImage {
    /// Reference clock.
    #[vmstate(since = 3)]
    pub refclk: ClockImage,
    /// Clock of the CPU.
    #[vmstate(since = 3)]
    pub cpuclk: ClockImage,
    /// Control register.
    pub control: u32,
    /// When it was last set, ns.
    pub tick: i64,
    /// What counts.
    pub ptimer: PtimerImage,
}

/// The clocks of the whole.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "armv7m", version = 1)]
pub struct Armv7mImage {
    /// Reference clock.
    pub refclk: ClockImage,
    /// Clock of the CPU.
    pub cpuclk: ClockImage,
}
