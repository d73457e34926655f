//! Subsections of CPUs of the M profile. Of registers that there are two of, one for each side of the security
//! extension, names end in `_ns`.
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `cpu/m` 4 | `v7m.vecbase[M_REG_NS]`, `v7m.basepri[M_REG_NS]`, `v7m.control[M_REG_NS]`, `v7m.ccr[M_REG_NS]`, `v7m.cfsr[M_REG_NS]`, `v7m.hfsr`, `v7m.dfsr`, `v7m.mmfar[M_REG_NS]`, `v7m.bfar`, `v7m.mpu_ctrl[M_REG_NS]` u32; `v7m.exception` i32 | it is of the M profile |
//! | `cpu/m/faultmask-primask` 1 | `v7m.faultmask[M_REG_NS]`, `v7m.primask[M_REG_NS]` u32 | always |
//! | `cpu/m/csselr` 1 | `v7m.csselr` u32 × 2 | always |
//! | `cpu/m/scr` 1 | `v7m.scr[M_REG_NS]` u32 | always |
//! | `cpu/m/other-sp` 1 | `v7m.other_sp` u32 | always |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`mps2-an385`).

use vmstate::VmState;

/// What the M profile has.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/m", version = 4)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct MProfileImage {
    #[vmstate(name = "env.v7m.vecbase[M_REG_NS]")]
    pub vecbase_ns: u32,
    #[vmstate(name = "env.v7m.basepri[M_REG_NS]")]
    pub basepri_ns: u32,
    #[vmstate(name = "env.v7m.control[M_REG_NS]")]
    pub control_ns: u32,
    #[vmstate(name = "env.v7m.ccr[M_REG_NS]")]
    pub ccr_ns: u32,
    #[vmstate(name = "env.v7m.cfsr[M_REG_NS]")]
    pub cfsr_ns: u32,
    #[vmstate(name = "env.v7m.hfsr")]
    pub hfsr: u32,
    #[vmstate(name = "env.v7m.dfsr")]
    pub dfsr: u32,
    #[vmstate(name = "env.v7m.mmfar[M_REG_NS]")]
    pub mmfar_ns: u32,
    #[vmstate(name = "env.v7m.bfar")]
    pub bfar: u32,
    #[vmstate(name = "env.v7m.mpu_ctrl[M_REG_NS]")]
    pub mpu_ctrl_ns: u32,
    #[vmstate(name = "env.v7m.exception")]
    pub exception: i32,
    /// Masks.
    #[vmstate(subsection)]
    pub faultmask_primask: Option<FaultmaskPrimaskImage>,
    /// Cache that is described.
    #[vmstate(subsection)]
    pub csselr: Option<CsselrImage>,
    /// System control.
    #[vmstate(subsection)]
    pub scr: Option<ScrImage>,
    /// The stack pointer that is not in use.
    #[vmstate(subsection)]
    pub other_sp: Option<OtherSpImage>,
}

/// Masks.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/m/faultmask-primask", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct FaultmaskPrimaskImage {
    #[vmstate(name = "env.v7m.faultmask[M_REG_NS]")]
    pub faultmask_ns: u32,
    #[vmstate(name = "env.v7m.primask[M_REG_NS]")]
    pub primask_ns: u32,
}

/// Cache that is described.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/m/csselr", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct CsselrImage {
    #[vmstate(name = "env.v7m.csselr")]
    pub csselr: [u32; 2],
}

/// System control.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/m/scr", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct ScrImage {
    #[vmstate(name = "env.v7m.scr[M_REG_NS]")]
    pub scr_ns: u32,
}

/// The stack pointer that is not in use.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/m/other-sp", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct OtherSpImage {
    #[vmstate(name = "env.v7m.other_sp")]
    pub other_sp: u32,
}
