//! The hart of QEMU 11.1: section `cpu`, version 12.
//!
//! | image, version | fields |
//! |---|---|
//! | `cpu` 12 | `gpr`, `fpr` u64 × 32; `miprio`, `siprio` u8 × 64; `pc`, `load_res`, `load_val` u64; `frm` u8; `badaddr`, `guest_phys_fault_addr` u64; `priv_ver`, `vext_ver`, `misa_mxl`, `misa_ext` u32; 4 unused; `misa_ext_mask` u32; `priv` u8; `virt_enabled` bool; `resetvec`, `mhartid`, `mstatus`, `mip`, `miclaim`, `mie`, `mvien`, `mvip`, `sie`, `mideleg`, `satp`, `stval`, `medeleg`, `stvec`, `sepc`, `scause`, `mtvec`, `mepc`, `mcause`, `mtval` u64; `miselect`, `siselect` u16; `scounteren`, `mcounteren`, `scountinhibit`, `mcountinhibit` u32; `pmu_ctrs` PmuCounterImage × 32; `mhpmevent_val` u64 × 32; `sscratch`, `mscratch`, `stimecmp` u64 |
//! | `cpu/pmu` 3 | `mhpmcounter_val`, `mhpmcounter_prev` u64 |
//! | `cpu/pmp` 2 | `pmp` PmpEntryImage × 64 |
//! | `cpu/pmp/entry` 2 | `addr_reg` u64; `cfg_reg` u8 |
//! | `cpu/hyper` 5 | `hstatus`, `hedeleg`, `hideleg` u64; `hcounteren` u32; `htval`, `htinst`, `hgatp`, `hgeie`, `hgeip`, `hvien`, `hvip`, `htimedelta`, `vstimecmp` u64; `hvictl` u32; `hviprio` u8 × 64; `vsstatus`, `vstvec`, `vsscratch`, `vsepc`, `vscause`, `vstval`, `vsatp` u64; `vsiselect` u16; `vsie`, `mtval2`, `mtinst`, `stvec_hs`, `sscratch_hs`, `sepc_hs`, `scause_hs`, `stval_hs`, `satp_hs`, `mstatus_hs` u64 |
//! | `cpu/vector` 3 | `vreg` u64 × 512; `vtype` u64; `vl`, `vstart` u32; `vxrm`, `vxsat` u8; `vill` bool |
//! | `cpu/rv128` 2 | `gprh` u64 × 32; `mscratchh`, `sscratchh` u64 |
//! | `cpu/envcfg` 2 | `menvcfg`, `senvcfg`, `henvcfg` u64 |
//! | `cpu/debug` 4 | `mcontext` u16; `trigger_cur` u8; `tdata1`, `tdata2`, `tdata3` u64 × 2 |
//! | `cpu/jvt` 2 | `jvt` u64 |
//! | `cpu/ssp` 2 | `ssp` u64 |
//!
//! From [`extensions`](super::extensions): `cpu/smtateen` 1, `cpu/elp` 1, `cpu/ctr` 1, `cpu/timer` 1, `cpu/mseccfg` 1.
//!
//! Source: streams of QEMU 11.1 (`virt`, recordings `virt-cpu-all`, `virt-cpu-rv128`, `virt-cpu-zcmt`).

use vmstate::VmState;

use crate::arrays::Table;
use crate::riscv::cpu::extensions::{CtrImage, ElpImage, MseccfgImage, StateenImage, SupervisorTimerImage};

/// A hart.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu", version = 12)]
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
    pub frm: u8,
    #[vmstate(name = "env.badaddr")]
    pub badaddr: u64,
    #[vmstate(name = "env.guest_phys_fault_addr")]
    pub guest_phys_fault_addr: u64,
    #[vmstate(name = "env.priv_ver")]
    pub priv_ver: u32,
    #[vmstate(name = "env.vext_ver")]
    pub vext_ver: u32,
    #[vmstate(name = "env.misa_mxl")]
    pub misa_mxl: u32,
    #[vmstate(name = "env.misa_ext")]
    pub misa_ext: u32,
    #[vmstate(unused = 4)]
    pub unused: (),
    #[vmstate(name = "env.misa_ext_mask")]
    pub misa_ext_mask: u32,
    #[vmstate(name = "env.priv")]
    pub privilege: u8,
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
    pub miselect: u16,
    #[vmstate(name = "env.siselect")]
    pub siselect: u16,
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
#[vmstate(name = "cpu/pmu", version = 3)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct PmuCounterImage {
    pub mhpmcounter_val: u64,
    pub mhpmcounter_prev: u64,
}

/// Physical memory protection.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/pmp", version = 2)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct PmpImage {
    #[vmstate(name = "env.pmp_state.pmp")]
    pub pmp: Table<PmpEntryImage, 64>,
}

/// A region of physical memory protection.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/pmp/entry", version = 2)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct PmpEntryImage {
    pub addr_reg: u64,
    pub cfg_reg: u8,
}

/// The hypervisor extension.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/hyper", version = 5)]
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
    pub hvictl: u32,
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
    pub vsiselect: u16,
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

/// The vector extension.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/vector", version = 3)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct VectorImage {
    #[vmstate(name = "env.vreg")]
    pub vreg: Table<u64, 512>,
    #[vmstate(name = "env.vtype")]
    pub vtype: u64,
    #[vmstate(name = "env.vl")]
    pub vl: u32,
    #[vmstate(name = "env.vstart")]
    pub vstart: u32,
    #[vmstate(name = "env.vxrm")]
    pub vxrm: u8,
    #[vmstate(name = "env.vxsat")]
    pub vxsat: u8,
    #[vmstate(name = "env.vill")]
    pub vill: bool,
}

/// Upper halves of the registers of a hart with 128 bits.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/rv128", version = 2)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct Rv128Image {
    #[vmstate(name = "env.gprh")]
    pub gprh: [u64; 32],
    #[vmstate(name = "env.mscratchh")]
    pub mscratchh: u64,
    #[vmstate(name = "env.sscratchh")]
    pub sscratchh: u64,
}

/// Environment configuration.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/envcfg", version = 2)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct EnvcfgImage {
    #[vmstate(name = "env.menvcfg")]
    pub menvcfg: u64,
    #[vmstate(name = "env.senvcfg")]
    pub senvcfg: u64,
    #[vmstate(name = "env.henvcfg")]
    pub henvcfg: u64,
}

/// Triggers.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/debug", version = 4)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct DebugImage {
    #[vmstate(name = "env.mcontext")]
    pub mcontext: u16,
    #[vmstate(name = "env.trigger_cur")]
    pub trigger_cur: u8,
    #[vmstate(name = "env.tdata1")]
    pub tdata1: [u64; 2],
    #[vmstate(name = "env.tdata2")]
    pub tdata2: [u64; 2],
    #[vmstate(name = "env.tdata3")]
    pub tdata3: [u64; 2],
}

/// Table of jumps of Zcmt.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/jvt", version = 2)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct JvtImage {
    #[vmstate(name = "env.jvt")]
    pub jvt: u64,
}

/// Shadow stack of Zicfiss.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/ssp", version = 2)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct SspImage {
    #[vmstate(name = "env.ssp")]
    pub ssp: u64,
}
