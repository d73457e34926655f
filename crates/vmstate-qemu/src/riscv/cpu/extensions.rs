//! Subsections of a hart that more than one of the layouts has.
//!
//! | image, version | fields |
//! |---|---|
//! | `cpu/pmp` 1 | `pmp` PmpEntryImage × 16 |
//! | `cpu/pmp/entry` 1 | `addr_reg` u64; `cfg_reg` u8 |
//! | `cpu/vector` 2 | `vreg` u64 × 512; `vxrm`, `vxsat`, `vl`, `vstart`, `vtype` u64; `vill` bool |
//! | `cpu/rv128` 1 | `gprh` u64 × 32; `mscratchh`, `sscratchh` u64 |
//! | `cpu/envcfg` 1 | `menvcfg`, `senvcfg`, `henvcfg` u64 |
//! | `cpu/debug` 2 | `trigger_cur` u64; `tdata1`, `tdata2`, `tdata3` u64 × 2 |
//! | `cpu/smtateen` 1 | `mstateen`, `hstateen`, `sstateen` u64 × 4 |
//! | `cpu/elp` 1 | `elp` bool |
//! | `cpu/ctr` 1 | `mctrctl` u64; `sctrdepth`, `sctrstatus` u32; `vsctrctl` u64; `ctr_src`, `ctr_dst`, `ctr_data` u64 × 256 |
//! | `cpu/timer` 1 | `stimer`, `vstimer` timer |
//! | `cpu/mseccfg` 1 | `mseccfg` u64 |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`virt`).

use vmstate::VmState;
use vmstate::codecs::TimerExpiry;

use crate::arrays::Table;

/// Physical memory protection.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/pmp", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct PmpImage {
    #[vmstate(name = "env.pmp_state.pmp")]
    pub pmp: [PmpEntryImage; 16],
}

/// A region of physical memory protection.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/pmp/entry", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct PmpEntryImage {
    pub addr_reg: u64,
    pub cfg_reg: u8,
}

/// The vector extension.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/vector", version = 2)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct VectorImage {
    #[vmstate(name = "env.vreg")]
    pub vreg: Table<u64, 512>,
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
    #[vmstate(name = "env.vill")]
    pub vill: bool,
}

/// Upper halves of the registers of a hart with 128 bits.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/rv128", version = 1)]
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
#[vmstate(name = "cpu/envcfg", version = 1)]
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
#[vmstate(name = "cpu/debug", version = 2)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct DebugImage {
    #[vmstate(name = "env.trigger_cur")]
    pub trigger_cur: u64,
    #[vmstate(name = "env.tdata1")]
    pub tdata1: [u64; 2],
    #[vmstate(name = "env.tdata2")]
    pub tdata2: [u64; 2],
    #[vmstate(name = "env.tdata3")]
    pub tdata3: [u64; 2],
}

/// State enable; the name is QEMU's.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/smtateen", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct StateenImage {
    #[vmstate(name = "env.mstateen")]
    pub mstateen: [u64; 4],
    #[vmstate(name = "env.hstateen")]
    pub hstateen: [u64; 4],
    #[vmstate(name = "env.sstateen")]
    pub sstateen: [u64; 4],
}

/// Landing pads of Zicfilp.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/elp", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct ElpImage {
    #[vmstate(name = "env.elp")]
    pub elp: bool,
}

/// Records of control transfers.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/ctr", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct CtrImage {
    #[vmstate(name = "env.mctrctl")]
    pub mctrctl: u64,
    #[vmstate(name = "env.sctrdepth")]
    pub sctrdepth: u32,
    #[vmstate(name = "env.sctrstatus")]
    pub sctrstatus: u32,
    #[vmstate(name = "env.vsctrctl")]
    pub vsctrctl: u64,
    #[vmstate(name = "env.ctr_src")]
    pub ctr_src: Table<u64, 256>,
    #[vmstate(name = "env.ctr_dst")]
    pub ctr_dst: Table<u64, 256>,
    #[vmstate(name = "env.ctr_data")]
    pub ctr_data: Table<u64, 256>,
}

/// Timers of Sstc.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/timer", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct SupervisorTimerImage {
    #[vmstate(name = "env.stimer")]
    pub stimer: TimerExpiry,
    #[vmstate(name = "env.vstimer")]
    pub vstimer: TimerExpiry,
}

/// Security configuration of machine mode.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/mseccfg", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in the architecture or in QEMU")]
pub struct MseccfgImage {
    #[vmstate(name = "env.mseccfg")]
    pub mseccfg: u64,
}
