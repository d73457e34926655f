//! The hart of QEMU 5.2: section `cpu`, version 1.
//!
//! | image, version | fields |
//! |---|---|
//! | `cpu` 1 | `gpr`, `fpr` u64 × 32; `pc`, `load_res`, `load_val`, `frm`, `badaddr`, `guest_phys_fault_addr`, `priv_ver`, `vext_ver`, `misa`, `misa_mask` u64; `features` u32; `priv`, `virt`, `resetvec`, `mhartid`, `mstatus`, `mip` u64; `miclaim` u32; `mie`, `mideleg`, `sptbr`, `satp`, `sbadaddr`, `mbadaddr`, `medeleg`, `stvec`, `sepc`, `scause`, `mtvec`, `mepc`, `mcause`, `mtval`, `scounteren`, `mcounteren`, `sscratch`, `mscratch`, `mfromhost`, `mtohost`, `timecmp` u64 |
//! | `cpu/hyper` 1 | `hstatus`, `hedeleg`, `hideleg`, `hcounteren`, `htval`, `htinst`, `hgatp`, `htimedelta`, `vsstatus`, `vstvec`, `vsscratch`, `vsepc`, `vscause`, `vstval`, `vsatp`, `mtval2`, `mtinst`, `stvec_hs`, `sscratch_hs`, `sepc_hs`, `scause_hs`, `stval_hs`, `satp_hs`, `mstatus_hs` u64 |
//! | `cpu/vector` 1 | `vreg` u64 × 128; `vxrm`, `vxsat`, `vl`, `vstart`, `vtype` u64 |
//!
//! From [`extensions`](super::extensions): `cpu/pmp` 1, `cpu/pmp/entry` 1.
//!
//! Source: streams of QEMU 5.2 (`virt`, recordings `virt-cpu-all`).

use vmstate::VmState;

use crate::arrays::Table;
use crate::riscv::cpu::extensions::PmpImage;

/// A hart.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct CpuImage {
    #[vmstate(name = "env.gpr")]
    pub gpr: [u64; 32],
    #[vmstate(name = "env.fpr")]
    pub fpr: [u64; 32],
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
    #[vmstate(name = "env.misa")]
    pub misa: u64,
    #[vmstate(name = "env.misa_mask")]
    pub misa_mask: u64,
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
    pub miclaim: u32,
    #[vmstate(name = "env.mie")]
    pub mie: u64,
    #[vmstate(name = "env.mideleg")]
    pub mideleg: u64,
    #[vmstate(name = "env.sptbr")]
    pub sptbr: u64,
    #[vmstate(name = "env.satp")]
    pub satp: u64,
    #[vmstate(name = "env.sbadaddr")]
    pub sbadaddr: u64,
    #[vmstate(name = "env.mbadaddr")]
    pub mbadaddr: u64,
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
    #[vmstate(name = "env.scounteren")]
    pub scounteren: u64,
    #[vmstate(name = "env.mcounteren")]
    pub mcounteren: u64,
    #[vmstate(name = "env.sscratch")]
    pub sscratch: u64,
    #[vmstate(name = "env.mscratch")]
    pub mscratch: u64,
    #[vmstate(name = "env.mfromhost")]
    pub mfromhost: u64,
    #[vmstate(name = "env.mtohost")]
    pub mtohost: u64,
    #[vmstate(name = "env.timecmp")]
    pub timecmp: u64,
    /// Sent by a hart with memory protection.
    #[vmstate(subsection)]
    pub pmp: Option<PmpImage>,
    /// Sent by a hart with the extension H.
    #[vmstate(subsection)]
    pub hyper: Option<HyperImage>,
    /// Sent by a hart with the extension V.
    #[vmstate(subsection)]
    pub vector: Option<VectorImage>,
}

/// The hypervisor extension.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/hyper", version = 1)]
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
    #[vmstate(name = "env.htimedelta")]
    pub htimedelta: u64,
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

/// The vector extension.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/vector", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct VectorImage {
    #[vmstate(name = "env.vreg")]
    pub vreg: Table<u64, 128>,
    #[vmstate(name = "env.vxrm")]
    pub vxrm: u64,
    #[vmstate(name = "env.vxsat")]
    pub vxsat: u64,
    #[vmstate(name = "env.vl")]
    pub vl: u64,
    #[vmstate(name = "env.vstart")]
    pub vstart: u64,
    #[vmstate(name = "env.vtype")]
    pub vtype: u64,
}
