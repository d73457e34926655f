//! The x86 CPU of a 64-bit QEMU.
//!
//! | field of `cpu` 12, all begin with `env.` | |
//! |---|---|
//! | `regs` u64 × 16, `eip`, `eflags` u64, `hflags` u32 | |
//! | `fpuc`, `fpus_vmstate`, `fptag_vmstate`, `fpregs_format_vmstate` u16, `fpregs` × 8 | x87 |
//! | `segs` × 6, `ldt`, `tr`, `gdt`, `idt` | segments |
//! | `sysenter_cs` u32, `sysenter_esp`, `sysenter_eip` u64 | |
//! | `cr[0]`, `cr[2]`, `cr[3]`, `cr[4]` u64, `dr` u64 × 8, `a20_mask` i32 | |
//! | `mxcsr` u32, `xmm_regs[0]` × 16 | vectors of 128 bits |
//! | `efer`, `star`, `lstar`, `cstar`, `fmask`, `kernelgsbase` u64, `smbase` u32, `pat` u64 | |
//! | `hflags2` u32, `vm_hsave`, `vm_vmcb`, `tsc_offset`, `intercept` u64, `intercept_cr_read`, `intercept_cr_write`, `intercept_dr_read`, `intercept_dr_write` u16, `intercept_exceptions` u32, `v_tpr` u8 | nested guests |
//! | `mtrr_fixed` u64 × 11, `mtrr_deftype` u64, `mtrr_var` × 8 | |
//! | `interrupt_injected` i32, `mp_state` u32, `tsc` u64, `exception_nr` i32, `soft_interrupt`, `nmi_injected`, `nmi_pending`, `has_error_code` u8, `sipi_vector` u32 | what a hypervisor keeps |
//! | `mcg_cap`, `mcg_status`, `mcg_ctl` u64, `mce_banks` u64 × 40 | machine checks |
//! | `tsc_aux`, `system_time_msr`, `wall_clock_msr` u64 | |
//! | `xcr0`, `xstate_bv` u64, `xmm_regs[1]` × 16 | upper halves of vectors of 256 bits |
//!
//! | part, version | fields |
//! |---|---|
//! | `fpreg` 0 | `tmp_mant` u64, `tmp_exp` u16: mantissa, and exponent with sign |
//! | `segment` 1 | `selector` u32, `base` u64, `limit`, `flags` u32 |
//! | `xmm_reg` 1, `ymmh_reg` 1 | two u64, the lower one first |
//! | `mtrr_var` 1 | `base`, `mask` u64 |
//! | `bnd_regs` 1 | `lb`, `ub` u64 |
//!
//! | subsection, version | fields, all begin with `env.` | sent |
//! |---|---|---|
//! | `cpu/poll_control_msr` 1 | `poll_control_msr` u64 | it is not 1; under TCG always, as 0 |
//! | `cpu/fpop_ip_dp` 1 | `fpop` u16, `fpip`, `fpdp` u64 | an x87 instruction was executed; not in 5.2 |
//! | `cpu/msr_ia32_misc_enable` 1 | `msr_ia32_misc_enable` u64 | the guest changed it |
//! | `cpu/mpx` 1 | `bnd_regs` × 4, `bndcs_regs.cfgu`, `bndcs_regs.sts`, `msr_bndcfgs` u64 | there are bounds |
//! | `cpu/tsc_khz` 1 | `tsc_khz` i64 | property `tsc-frequency` |
//! | `cpu/msr_smi_count` 1 | `msr_smi_count` u64 | there was one |
//! | `cpu/pkru` 1 | `pkru` u32 | it is not 0 |
//! | `cpu/pkrs` 1 | `pkrs` u32 | it is not 0; not in 5.2 |
//! | `cpu/svn_npt` 1 | `nested_cr3` u64, `nested_pg_mode` u32 | a nested guest has nested pages |
//! | `cpu/svm_guest` 1 | `int_ctl` u32 | a nested guest runs; not in 5.2 |
//!
//! These are the subsections of CPUs under TCG, in their order, as `tests/data/recordings/pc-cpu.s` brings them out.
//! There are others under KVM, and such a section is refused by the subsection's name. All releases seen write version
//! 12 with the same fields; older versions are not loaded, as schema dumps do not have this section and no stream was
//! seen.
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`pc`, `q35`, `microvm`).

use vmstate::VmState;

use crate::arrays::Table;

/// The CPU.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu", version = 12)]
#[expect(missing_docs, reason = "registers, by their names in manuals and in QEMU; the page has what they are")]
pub struct CpuImage {
    /// General registers, RAX to R15 in the order of their codes.
    #[vmstate(name = "env.regs")]
    pub regs: [u64; 16],
    /// Instruction pointer.
    #[vmstate(name = "env.eip")]
    pub eip: u64,
    #[vmstate(name = "env.eflags")]
    pub eflags: u64,
    /// Modes, as QEMU keeps them.
    #[vmstate(name = "env.hflags")]
    pub hflags: u32,
    /// x87 control word.
    #[vmstate(name = "env.fpuc")]
    pub fpuc: u16,
    /// x87 status word, with the top of the stack.
    #[vmstate(name = "env.fpus_vmstate")]
    pub fpus: u16,
    /// x87 tags, a bit for each register.
    #[vmstate(name = "env.fptag_vmstate")]
    pub fptag: u16,
    /// 0: the registers have 80 bits.
    #[vmstate(name = "env.fpregs_format_vmstate")]
    pub fpregs_format: u16,
    /// x87 registers.
    #[vmstate(name = "env.fpregs")]
    pub fpregs: [FpRegImage; 8],
    /// ES, CS, SS, DS, FS, GS.
    #[vmstate(name = "env.segs")]
    pub segs: [SegmentImage; 6],
    #[vmstate(name = "env.ldt")]
    pub ldt: SegmentImage,
    #[vmstate(name = "env.tr")]
    pub tr: SegmentImage,
    #[vmstate(name = "env.gdt")]
    pub gdt: SegmentImage,
    #[vmstate(name = "env.idt")]
    pub idt: SegmentImage,
    #[vmstate(name = "env.sysenter_cs")]
    pub sysenter_cs: u32,
    #[vmstate(name = "env.sysenter_esp")]
    pub sysenter_esp: u64,
    #[vmstate(name = "env.sysenter_eip")]
    pub sysenter_eip: u64,
    #[vmstate(name = "env.cr[0]")]
    pub cr0: u64,
    #[vmstate(name = "env.cr[2]")]
    pub cr2: u64,
    #[vmstate(name = "env.cr[3]")]
    pub cr3: u64,
    #[vmstate(name = "env.cr[4]")]
    pub cr4: u64,
    /// Debug registers.
    #[vmstate(name = "env.dr")]
    pub dr: [u64; 8],
    /// Which address lines go through.
    #[vmstate(name = "env.a20_mask")]
    pub a20_mask: i32,
    #[vmstate(name = "env.mxcsr")]
    pub mxcsr: u32,
    /// Lower halves of the vector registers.
    #[vmstate(name = "env.xmm_regs[0]")]
    pub xmm_regs: [XmmRegImage; 16],
    #[vmstate(name = "env.efer")]
    pub efer: u64,
    #[vmstate(name = "env.star")]
    pub star: u64,
    #[vmstate(name = "env.lstar")]
    pub lstar: u64,
    #[vmstate(name = "env.cstar")]
    pub cstar: u64,
    #[vmstate(name = "env.fmask")]
    pub fmask: u64,
    #[vmstate(name = "env.kernelgsbase")]
    pub kernelgsbase: u64,
    /// Where system management mode begins.
    #[vmstate(name = "env.smbase")]
    pub smbase: u32,
    #[vmstate(name = "env.pat")]
    pub pat: u64,
    /// More modes.
    #[vmstate(name = "env.hflags2")]
    pub hflags2: u32,
    #[vmstate(name = "env.vm_hsave")]
    pub vm_hsave: u64,
    #[vmstate(name = "env.vm_vmcb")]
    pub vm_vmcb: u64,
    #[vmstate(name = "env.tsc_offset")]
    pub tsc_offset: u64,
    #[vmstate(name = "env.intercept")]
    pub intercept: u64,
    #[vmstate(name = "env.intercept_cr_read")]
    pub intercept_cr_read: u16,
    #[vmstate(name = "env.intercept_cr_write")]
    pub intercept_cr_write: u16,
    #[vmstate(name = "env.intercept_dr_read")]
    pub intercept_dr_read: u16,
    #[vmstate(name = "env.intercept_dr_write")]
    pub intercept_dr_write: u16,
    #[vmstate(name = "env.intercept_exceptions")]
    pub intercept_exceptions: u32,
    #[vmstate(name = "env.v_tpr")]
    pub v_tpr: u8,
    /// Memory types of fixed ranges.
    #[vmstate(name = "env.mtrr_fixed")]
    pub mtrr_fixed: [u64; 11],
    #[vmstate(name = "env.mtrr_deftype")]
    pub mtrr_deftype: u64,
    /// Those of others.
    #[vmstate(name = "env.mtrr_var")]
    pub mtrr_var: [MtrrVarImage; 8],
    /// Interrupt that a hypervisor has injected; −1 for none.
    #[vmstate(name = "env.interrupt_injected")]
    pub interrupt_injected: i32,
    /// Whether a hypervisor runs the CPU.
    #[vmstate(name = "env.mp_state")]
    pub mp_state: u32,
    #[vmstate(name = "env.tsc")]
    pub tsc: u64,
    /// Exception that a hypervisor has injected; −1 for none.
    #[vmstate(name = "env.exception_nr")]
    pub exception_nr: i32,
    #[vmstate(name = "env.soft_interrupt")]
    pub soft_interrupt: u8,
    #[vmstate(name = "env.nmi_injected")]
    pub nmi_injected: u8,
    #[vmstate(name = "env.nmi_pending")]
    pub nmi_pending: u8,
    #[vmstate(name = "env.has_error_code")]
    pub has_error_code: u8,
    #[vmstate(name = "env.sipi_vector")]
    pub sipi_vector: u32,
    #[vmstate(name = "env.mcg_cap")]
    pub mcg_cap: u64,
    #[vmstate(name = "env.mcg_status")]
    pub mcg_status: u64,
    #[vmstate(name = "env.mcg_ctl")]
    pub mcg_ctl: u64,
    /// Banks of machine checks, four numbers each.
    #[vmstate(name = "env.mce_banks")]
    pub mce_banks: Table<u64, 40>,
    #[vmstate(name = "env.tsc_aux")]
    pub tsc_aux: u64,
    #[vmstate(name = "env.system_time_msr")]
    pub system_time_msr: u64,
    #[vmstate(name = "env.wall_clock_msr")]
    pub wall_clock_msr: u64,
    #[vmstate(name = "env.xcr0")]
    pub xcr0: u64,
    #[vmstate(name = "env.xstate_bv")]
    pub xstate_bv: u64,
    /// Upper halves of their first 256 bits.
    #[vmstate(name = "env.xmm_regs[1]")]
    pub ymmh_regs: [YmmhRegImage; 16],
    /// Whether the guest wants the host to poll.
    #[vmstate(subsection)]
    pub poll_control_msr: Option<PollControlImage>,
    /// The last x87 instruction.
    #[vmstate(subsection)]
    pub fpop_ip_dp: Option<FpopImage>,
    /// Features that are enabled.
    #[vmstate(subsection)]
    pub msr_ia32_misc_enable: Option<MiscEnableImage>,
    /// Bounds of memory.
    #[vmstate(subsection)]
    pub mpx: Option<MpxImage>,
    /// The rate of the time stamp counter.
    #[vmstate(subsection)]
    pub tsc_khz: Option<TscKhzImage>,
    /// System management interrupts so far.
    #[vmstate(subsection)]
    pub msr_smi_count: Option<SmiCountImage>,
    /// Protection keys of users.
    #[vmstate(subsection)]
    pub pkru: Option<PkruImage>,
    /// Protection keys of supervisors.
    #[vmstate(subsection)]
    pub pkrs: Option<PkrsImage>,
    /// Nested pages.
    #[vmstate(subsection)]
    pub svm_npt: Option<SvmNptImage>,
    /// A nested guest.
    #[vmstate(subsection)]
    pub svm_guest: Option<SvmGuestImage>,
}

/// An x87 register.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "fpreg", version = 0)]
pub struct FpRegImage {
    /// Mantissa.
    #[vmstate(name = "tmp_mant")]
    pub mantissa: u64,
    /// Exponent and sign.
    #[vmstate(name = "tmp_exp")]
    pub exponent: u16,
}

/// A segment register with what was loaded from the table.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "segment", version = 1)]
pub struct SegmentImage {
    /// Selector.
    pub selector: u32,
    /// First address.
    pub base: u64,
    /// Last offset.
    pub limit: u32,
    /// The second word of the descriptor.
    pub flags: u32,
}

/// The lower half of a vector register's first 256 bits.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "xmm_reg", version = 1)]
pub struct XmmRegImage {
    /// Bits 0 to 63.
    #[vmstate(name = "_q_ZMMReg[0]")]
    pub low: u64,
    /// Bits 64 to 127.
    #[vmstate(name = "_q_ZMMReg[1]")]
    pub high: u64,
}

/// The upper half of a vector register's first 256 bits.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ymmh_reg", version = 1)]
pub struct YmmhRegImage {
    /// Bits 128 to 191.
    #[vmstate(name = "_q_ZMMReg[2]")]
    pub low: u64,
    /// Bits 192 to 255.
    #[vmstate(name = "_q_ZMMReg[3]")]
    pub high: u64,
}

/// The memory type of a range.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "mtrr_var", version = 1)]
pub struct MtrrVarImage {
    /// Base and type.
    pub base: u64,
    /// Mask, and whether it is valid.
    pub mask: u64,
}

/// Bounds.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "bnd_regs", version = 1)]
pub struct BoundsImage {
    /// Lower bound.
    #[vmstate(name = "lb")]
    pub lower: u64,
    /// Upper bound, inverted.
    #[vmstate(name = "ub")]
    pub upper: u64,
}

/// Whether the guest wants the host to poll.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/poll_control_msr", version = 1)]
pub struct PollControlImage {
    /// 1 if it does.
    #[vmstate(name = "env.poll_control_msr")]
    pub poll_control_msr: u64,
}

/// The last x87 instruction.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/fpop_ip_dp", version = 1)]
pub struct FpopImage {
    /// Its code.
    #[vmstate(name = "env.fpop")]
    pub fpop: u16,
    /// Its address.
    #[vmstate(name = "env.fpip")]
    pub fpip: u64,
    /// Address of its operand.
    #[vmstate(name = "env.fpdp")]
    pub fpdp: u64,
}

/// Features that are enabled.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/msr_ia32_misc_enable", version = 1)]
pub struct MiscEnableImage {
    /// The register.
    #[vmstate(name = "env.msr_ia32_misc_enable")]
    pub msr_ia32_misc_enable: u64,
}

/// Bounds of memory.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/mpx", version = 1)]
pub struct MpxImage {
    /// The registers.
    #[vmstate(name = "env.bnd_regs")]
    pub bnd_regs: [BoundsImage; 4],
    /// Configuration of users.
    #[vmstate(name = "env.bndcs_regs.cfgu")]
    pub cfgu: u64,
    /// Status.
    #[vmstate(name = "env.bndcs_regs.sts")]
    pub sts: u64,
    /// Configuration of the supervisor.
    #[vmstate(name = "env.msr_bndcfgs")]
    pub msr_bndcfgs: u64,
}

/// The rate of the time stamp counter.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/tsc_khz", version = 1)]
pub struct TscKhzImage {
    /// In kHz.
    #[vmstate(name = "env.tsc_khz")]
    pub tsc_khz: i64,
}

/// System management interrupts so far.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/msr_smi_count", version = 1)]
pub struct SmiCountImage {
    /// How many.
    #[vmstate(name = "env.msr_smi_count")]
    pub msr_smi_count: u64,
}

/// Protection keys of users.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/pkru", version = 1)]
pub struct PkruImage {
    /// Two bits for each key.
    #[vmstate(name = "env.pkru")]
    pub pkru: u32,
}

/// Protection keys of supervisors.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/pkrs", version = 1)]
pub struct PkrsImage {
    /// Two bits for each key.
    #[vmstate(name = "env.pkrs")]
    pub pkrs: u32,
}

/// Nested pages.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/svn_npt", version = 1)]
pub struct SvmNptImage {
    /// Where the tables are.
    #[vmstate(name = "env.nested_cr3")]
    pub nested_cr3: u64,
    /// Their form, as QEMU keeps it.
    #[vmstate(name = "env.nested_pg_mode")]
    pub nested_pg_mode: u32,
}

/// A nested guest.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu/svm_guest", version = 1)]
pub struct SvmGuestImage {
    /// Virtual interrupt control.
    #[vmstate(name = "env.int_ctl")]
    pub int_ctl: u32,
}
