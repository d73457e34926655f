//! State of a vCPU: section `x86_vcpu`, version 1, one a vCPU, with its number as instance id.
//!
//! | part | request | file |
//! |---|---|---|
//! | `cpuid` | `KVM_SET_CPUID2`, at the start; must be the same | `cpuid` |
//! | `regs` | `KVM_GET_REGS` | `registers` |
//! | `sregs` | `KVM_GET_SREGS` | `segments` |
//! | `xcrs`, `xsave` | `KVM_GET_XCRS`, `KVM_GET_XSAVE2` | `extended` |
//! | `lapic` | `KVM_GET_LAPIC` | `lapic` |
//! | `msrs` | `KVM_GET_MSRS` | `msrs` |
//! | `events` | `KVM_GET_VCPU_EVENTS` | `events` |
//! | `mp_state` | `KVM_GET_MP_STATE` | `vcpu` |
//! | `x86_vcpu/debug` | `KVM_GET_DEBUGREGS`, if they are not what they are out of reset | `debug` |
//!
//! Every value is checked before any is set; what the kernel alone can judge, it judges while the old state is still
//! known, which is put back then. So a vCPU whose load is refused is what it was.
//!
//! `Differs from QEMU:` its `cpu` section has what its own CPU models need, in an order that grew; this vCPU has what
//! KVM has, as KVM gives it.
//!
//! Source: `Documentation/virt/kvm/api.rst`.

pub(crate) mod cpuid;
pub(crate) mod debug;
pub(crate) mod events;
pub(crate) mod extended;
pub(crate) mod lapic;
pub(crate) mod msrs;
pub(crate) mod registers;
pub(crate) mod segments;
pub(crate) mod vcpu;

use vmstate::Refused;

/// Refuses a value that is not one of `accepted`.
fn expect_at_most(name: &str, found: impl Into<u64>, most: u64) -> Result<(), Refused> {
    let found = found.into();
    if found <= most {
        return Ok(());
    }
    Err(Refused::new(format!("{name} is {found:#x}; accepted are 0 to {most:#x}")))
}

/// Refuses a value with bits outside `accepted`.
fn expect_bits(name: &str, found: impl Into<u64>, accepted: u64) -> Result<(), Refused> {
    let found = found.into();
    if found & !accepted == 0 {
        return Ok(());
    }
    Err(Refused::new(format!("{name} is {found:#x}; bits outside {accepted:#x} must be 0")))
}
