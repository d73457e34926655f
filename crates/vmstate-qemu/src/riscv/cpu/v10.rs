//! The hart of QEMU 10.0: section `cpu`, version 10.
//!
//! | image, version | fields |
//! |---|---|
//! | `cpu` 10 | `gpr`, `fpr` u64 × 32; `miprio`, `siprio` u8 × 64; `pc`, `load_res`, `load_val`, `frm`, `badaddr`, `guest_phys_fault_addr`, `priv_ver`, `vext_ver` u64; `misa_mxl`, `misa_ext` u32; 4 unused; `misa_ext_mask` u32; `priv` u64; `virt_enabled` bool; `resetvec`, `mhartid`, `mstatus`, `mip`, `miclaim`, `mie`, `mvien`, `mvip`, `sie`, `mideleg`, `satp`, `stval`, `medeleg`, `stvec`, `sepc`, `scause`, `mtvec`, `mepc`, `mcause`, `mtval`, `miselect`, `siselect` u64; `scounteren`, `mcounteren`, `scountinhibit`, `mcountinhibit` u32; `pmu_ctrs` PmuCounterImage × 32; `mhpmevent_val`, `mhpmeventh_val` u64 × 32; `sscratch`, `mscratch`, `stimecmp` u64 |
//! | `cpu/pmu` 2 | `mhpmcounter_val`, `mhpmcounterh_val`, `mhpmcounter_prev`, `mhpmcounterh_prev` u64 |
//! | `cpu/hyper` 4 | `hstatus`, `hedeleg`, `hideleg` u64; `hcounteren` u32; `htval`, `htinst`, `hgatp`, `hgeie`, `hgeip`, `hvien`, `hvip`, `htimedelta`, `vstimecmp`, `hvictl` u64; `hviprio` u8 × 64; `vsstatus`, `vstvec`, `vsscratch`, `vsepc`, `vscause`, `vstval`, `vsatp`, `vsiselect`, `vsie`, `mtval2`, `mtinst`, `stvec_hs`, `sscratch_hs`, `sepc_hs`, `scause_hs`, `stval_hs`, `satp_hs`, `mstatus_hs` u64 |
//! | `cpu/jvt` 1 | `jvt` u64 |
//! | `cpu/ssp` 1 | `ssp` u64 |
//!
//! From [`extensions`](super::extensions): `cpu/pmp` 1, `cpu/pmp/entry` 1, `cpu/vector` 2, `cpu/rv128` 1, `cpu/envcfg`
//! 1, `cpu/debug` 2, `cpu/smtateen` 1, `cpu/elp` 1, `cpu/ctr` 1, `cpu/timer` 1, `cpu/mseccfg` 1.
//!
//! Source: streams of QEMU 10.0 (`virt`, recordings `virt-cpu-all`, `virt-cpu-rv128`, `virt-cpu-zcmt`).

use vmstate::VmState;

use crate::arrays::Table;
use crate::riscv::cpu::extensions::{
    CtrImage, DebugImage, ElpImage, EnvcfgImage, MseccfgImage, PmpImage, Rv128Image, StateenImage,
    SupervisorTimerImage, VectorImage,
};

/// A hart.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu", version = 10)]
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
    #[vmstate(unused = 4)]
    pub unused: (),
    #[vmstate(name = "env.misa_ext_mask")]
    pub misa_ext_mask: u32,
    #[vmstate(name = "env.priv")]
    pub privilege: u64,
    #[vmstate(name = "env.virt_enabled")]
    pub virt_enabled: bool,
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
    #[vmstate(name = "env.mvien")]
    pub mvien: u64,
    #[vmstate(name = "env.mvip")]
    pub mvip: u64,
    #[vmstate(name = "env.sie")]
    pub sie: u64,
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
    pub scounteren: u32,
    #[vmstate(name = "env.mcounteren")]
    pub mcounteren: u32,
    #[vmstate(name = "env.scountinhibit")]
    pub scountinhibit: u32,
    #[vmstate(name = "env.mcountinhibit")]
    pub mcountinhibit: u32,
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
    /// Sent by a hart of 128 bits.
    #[vmstate(subsection)]
    pub rv128: Option<Rv128Image>,
    /// Sent by a hart with the privileged architecture 1.12.
    #[vmstate(subsection)]
    pub envcfg: Option<EnvcfgImage>,
    /// Sent by a hart with triggers.
    #[vmstate(subsection)]
    pub debug: Option<DebugImage>,
    /// Sent by a hart with Smstateen.
    #[vmstate(subsection)]
    pub stateen: Option<StateenImage>,
    /// Sent by a hart with Zcmt.
    #[vmstate(subsection)]
    pub jvt: Option<JvtImage>,
    /// Sent by a hart with Zicfilp.
    #[vmstate(subsection)]
    pub elp: Option<ElpImage>,
    /// Sent by a hart with Zicfiss.
    #[vmstate(subsection)]
    pub ssp: Option<SspImage>,
    /// Sent by a hart with Smctr or Ssctr.
    #[vmstate(subsection)]
    pub ctr: Option<CtrImage>,
    /// Sent by a hart with Sstc.
    #[vmstate(subsection)]
    pub timer: Option<SupervisorTimerImage>,
    /// Sent by a hart with Smepmp.
    #[vmstate(subsection)]
    pub mseccfg: Option<MseccfgImage>,
}

/// A counter of the performance monitor.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/pmu", version = 2)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct PmuCounterImage {
    pub mhpmcounter_val: u64,
    pub mhpmcounterh_val: u64,
    pub mhpmcounter_prev: u64,
    pub mhpmcounterh_prev: u64,
}

/// The hypervisor extension.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/hyper", version = 4)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct HyperImage {
    #[vmstate(name = "env.hstatus")]
    pub hstatus: u64,
    #[vmstate(name = "env.hedeleg")]
    pub hedeleg: u64,
    #[vmstate(name = "env.hideleg")]
    pub hideleg: u64,
    #[vmstate(name = "env.hcounteren")]
    pub hcounteren: u32,
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
    #[vmstate(name = "env.hvien")]
    pub hvien: u64,
    #[vmstate(name = "env.hvip")]
    pub hvip: u64,
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
    #[vmstate(name = "env.vsie")]
    pub vsie: u64,
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

/// Table of jumps of Zcmt.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/jvt", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct JvtImage {
    #[vmstate(name = "env.jvt")]
    pub jvt: u64,
}

/// Shadow stack of Zicfiss.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/ssp", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct SspImage {
    #[vmstate(name = "env.ssp")]
    pub ssp: u64,
}
