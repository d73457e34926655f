//! The hart of QEMU 7.2: section `cpu`, version 5.
//!
//! | image, version | fields |
//! |---|---|
//! | `cpu` 5 | `gpr`, `fpr` u64 × 32; `miprio`, `siprio` u8 × 64; `pc`, `load_res`, `load_val`, `frm`, `badaddr`, `guest_phys_fault_addr`, `priv_ver`, `vext_ver` u64; `misa_mxl`, `misa_ext`, `misa_mxl_max`, `misa_ext_mask`, `features` u32; `priv`, `virt`, `resetvec`, `mhartid`, `mstatus`, `mip`, `miclaim`, `mie`, `mideleg`, `satp`, `stval`, `medeleg`, `stvec`, `sepc`, `scause`, `mtvec`, `mepc`, `mcause`, `mtval`, `miselect`, `siselect`, `scounteren`, `mcounteren`, `mcountinhibit` u64; `pmu_ctrs` PmuCounterImage × 32; `mhpmevent_val`, `mhpmeventh_val` u64 × 32; `sscratch`, `mscratch`, `mfromhost`, `mtohost`, `stimecmp` u64 |
//! | `cpu/pmu` 1 | `mhpmcounter_val`, `mhpmcounterh_val`, `mhpmcounter_prev`, `mhpmcounterh_prev` u64; `started` bool |
//! | `cpu/hyper` 2 | `hstatus`, `hedeleg`, `hideleg`, `hcounteren`, `htval`, `htinst`, `hgatp`, `hgeie`, `hgeip`, `htimedelta`, `vstimecmp`, `hvictl` u64; `hviprio` u8 × 64; `vsstatus`, `vstvec`, `vsscratch`, `vsepc`, `vscause`, `vstval`, `vsatp`, `vsiselect`, `mtval2`, `mtinst`, `stvec_hs`, `sscratch_hs`, `sepc_hs`, `scause_hs`, `stval_hs`, `satp_hs`, `mstatus_hs` u64 |
//! | `cpu/pointer_masking` 1 | `mmte`, `mpmmask`, `mpmbase`, `spmmask`, `spmbase`, `upmmask`, `upmbase` u64 |
//!
//! From [`extensions`](super::extensions): `cpu/pmp` 1, `cpu/pmp/entry` 1, `cpu/vector` 2, `cpu/rv128` 1, `cpu/envcfg`
//! 1, `cpu/debug` 2.
//!
//! Source: streams of QEMU 7.2 (`virt`, recordings `virt-cpu-all`, `virt-cpu-rv128`).

use vmstate::VmState;

use crate::arrays::Table;
use crate::riscv::cpu::extensions::{DebugImage, EnvcfgImage, PmpImage, Rv128Image, VectorImage};

/// A hart.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu", version = 5)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct CpuImage {
    #[vmstate(name = "env.gpr")]
    pub gpr: [u64; 32],
    #[vmstate(name = "env.fpr")]
    pub fpr: [u64; 32],
    #[vmstate(name = "env.miprio")]
    pub miprio: Table<u8, 64>,
    #[vmstate(name = "env.siprio")]
    pub siprio: Table<u8, 64>,
    #[vmstate(name = "env.pc")]
    pub pc: u64,
    #[vmstate(name = "env.load_res")]
    pub load_res: u64,
    #[vmstate(name = "env.load_val")]
    pub load_val: u64,
    #[vmstate(name = "env.frm")]
    pub frm: u64,
    #[vmstate(name = "env.badaddr")]
    pub badaddr: u64,
    #[vmstate(name = "env.guest_phys_fault_addr")]
    pub guest_phys_fault_addr: u64,
    #[vmstate(name = "env.priv_ver")]
    pub priv_ver: u64,
    #[vmstate(name = "env.vext_ver")]
    pub vext_ver: u64,
    #[vmstate(name = "env.misa_mxl")]
    pub misa_mxl: u32,
    #[vmstate(name = "env.misa_ext")]
    pub misa_ext: u32,
    #[vmstate(name = "env.misa_mxl_max")]
    pub misa_mxl_max: u32,
    #[vmstate(name = "env.misa_ext_mask")]
    pub misa_ext_mask: u32,
    #[vmstate(name = "env.features")]
    pub features: u32,
    #[vmstate(name = "env.priv")]
    pub privilege: u64,
    #[vmstate(name = "env.virt")]
    pub virt: u64,
    #[vmstate(name = "env.resetvec")]
    pub resetvec: u64,
    #[vmstate(name = "env.mhartid")]
    pub mhartid: u64,
    #[vmstate(name = "env.mstatus")]
    pub mstatus: u64,
    #[vmstate(name = "env.mip")]
    pub mip: u64,
    #[vmstate(name = "env.miclaim")]
    pub miclaim: u64,
    #[vmstate(name = "env.mie")]
    pub mie: u64,
    #[vmstate(name = "env.mideleg")]
    pub mideleg: u64,
    #[vmstate(name = "env.satp")]
    pub satp: u64,
    #[vmstate(name = "env.stval")]
    pub stval: u64,
    #[vmstate(name = "env.medeleg")]
    pub medeleg: u64,
    #[vmstate(name = "env.stvec")]
    pub stvec: u64,
    #[vmstate(name = "env.sepc")]
    pub sepc: u64,
    #[vmstate(name = "env.scause")]
    pub scause: u64,
    #[vmstate(name = "env.mtvec")]
    pub mtvec: u64,
    #[vmstate(name = "env.mepc")]
    pub mepc: u64,
    #[vmstate(name = "env.mcause")]
    pub mcause: u64,
    #[vmstate(name = "env.mtval")]
    pub mtval: u64,
    #[vmstate(name = "env.miselect")]
    pub miselect: u64,
    #[vmstate(name = "env.siselect")]
    pub siselect: u64,
    #[vmstate(name = "env.scounteren")]
    pub scounteren: u64,
    #[vmstate(name = "env.mcounteren")]
    pub mcounteren: u64,
    #[vmstate(name = "env.mcountinhibit")]
    pub mcountinhibit: u64,
    #[vmstate(name = "env.pmu_ctrs")]
    pub pmu_ctrs: [PmuCounterImage; 32],
    #[vmstate(name = "env.mhpmevent_val")]
    pub mhpmevent_val: [u64; 32],
    #[vmstate(name = "env.mhpmeventh_val")]
    pub mhpmeventh_val: [u64; 32],
    #[vmstate(name = "env.sscratch")]
    pub sscratch: u64,
    #[vmstate(name = "env.mscratch")]
    pub mscratch: u64,
    #[vmstate(name = "env.mfromhost")]
    pub mfromhost: u64,
    #[vmstate(name = "env.mtohost")]
    pub mtohost: u64,
    #[vmstate(name = "env.stimecmp")]
    pub stimecmp: u64,
    /// Sent by a hart with memory protection.
    #[vmstate(subsection)]
    pub pmp: Option<PmpImage>,
    /// Sent by a hart with the extension H.
    #[vmstate(subsection)]
    pub hyper: Option<HyperImage>,
    /// Sent by a hart with the extension V.
    #[vmstate(subsection)]
    pub vector: Option<VectorImage>,
    /// Sent by a hart with the extension J.
    #[vmstate(subsection)]
    pub pointer_masking: Option<PointerMaskingImage>,
    /// Sent by a hart of 128 bits.
    #[vmstate(subsection)]
    pub rv128: Option<Rv128Image>,
    /// Sent by a hart with the privileged architecture 1.12.
    #[vmstate(subsection)]
    pub envcfg: Option<EnvcfgImage>,
    /// Sent by a hart with triggers.
    #[vmstate(subsection)]
    pub debug: Option<DebugImage>,
}

/// A counter of the performance monitor.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/pmu", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct PmuCounterImage {
    pub mhpmcounter_val: u64,
    pub mhpmcounterh_val: u64,
    pub mhpmcounter_prev: u64,
    pub mhpmcounterh_prev: u64,
    pub started: bool,
}

/// The hypervisor extension.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/hyper", version = 2)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct HyperImage {
    #[vmstate(name = "env.hstatus")]
    pub hstatus: u64,
    #[vmstate(name = "env.hedeleg")]
    pub hedeleg: u64,
    #[vmstate(name = "env.hideleg")]
    pub hideleg: u64,
    #[vmstate(name = "env.hcounteren")]
    pub hcounteren: u64,
    #[vmstate(name = "env.htval")]
    pub htval: u64,
    #[vmstate(name = "env.htinst")]
    pub htinst: u64,
    #[vmstate(name = "env.hgatp")]
    pub hgatp: u64,
    #[vmstate(name = "env.hgeie")]
    pub hgeie: u64,
    #[vmstate(name = "env.hgeip")]
    pub hgeip: u64,
    #[vmstate(name = "env.htimedelta")]
    pub htimedelta: u64,
    #[vmstate(name = "env.vstimecmp")]
    pub vstimecmp: u64,
    #[vmstate(name = "env.hvictl")]
    pub hvictl: u64,
    #[vmstate(name = "env.hviprio")]
    pub hviprio: Table<u8, 64>,
    #[vmstate(name = "env.vsstatus")]
    pub vsstatus: u64,
    #[vmstate(name = "env.vstvec")]
    pub vstvec: u64,
    #[vmstate(name = "env.vsscratch")]
    pub vsscratch: u64,
    #[vmstate(name = "env.vsepc")]
    pub vsepc: u64,
    #[vmstate(name = "env.vscause")]
    pub vscause: u64,
    #[vmstate(name = "env.vstval")]
    pub vstval: u64,
    #[vmstate(name = "env.vsatp")]
    pub vsatp: u64,
    #[vmstate(name = "env.vsiselect")]
    pub vsiselect: u64,
    #[vmstate(name = "env.mtval2")]
    pub mtval2: u64,
    #[vmstate(name = "env.mtinst")]
    pub mtinst: u64,
    #[vmstate(name = "env.stvec_hs")]
    pub stvec_hs: u64,
    #[vmstate(name = "env.sscratch_hs")]
    pub sscratch_hs: u64,
    #[vmstate(name = "env.sepc_hs")]
    pub sepc_hs: u64,
    #[vmstate(name = "env.scause_hs")]
    pub scause_hs: u64,
    #[vmstate(name = "env.stval_hs")]
    pub stval_hs: u64,
    #[vmstate(name = "env.satp_hs")]
    pub satp_hs: u64,
    #[vmstate(name = "env.mstatus_hs")]
    pub mstatus_hs: u64,
}

/// The J extension's pointer masking, as it was before it was ratified.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/pointer_masking", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct PointerMaskingImage {
    #[vmstate(name = "env.mmte")]
    pub mmte: u64,
    #[vmstate(name = "env.mpmmask")]
    pub mpmmask: u64,
    #[vmstate(name = "env.mpmbase")]
    pub mpmbase: u64,
    #[vmstate(name = "env.spmmask")]
    pub spmmask: u64,
    #[vmstate(name = "env.spmbase")]
    pub spmbase: u64,
    #[vmstate(name = "env.upmmask")]
    pub upmmask: u64,
    #[vmstate(name = "env.upmbase")]
    pub upmbase: u64,
}
