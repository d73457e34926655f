//! General registers.

use kvm_bindings::kvm_regs;
use vmstate::{Refused, VmState};

use super::expect_bits;

/// Bits of RFLAGS that exist; of the others bit 1 is 1 and the rest 0.
///
/// Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, section 3.4.3.
const RFLAGS: u64 = 0x003f_7fd5;
const RFLAGS_ALWAYS: u64 = 2;

/// Image of the general registers.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "x86_vcpu_regs", version = 1)]
pub(crate) struct RegistersImage {
    rax: u64,
    rbx: u64,
    rcx: u64,
    rdx: u64,
    rsi: u64,
    rdi: u64,
    rsp: u64,
    rbp: u64,
    r8: u64,
    r9: u64,
    r10: u64,
    r11: u64,
    r12: u64,
    r13: u64,
    r14: u64,
    r15: u64,
    rip: u64,
    rflags: u64,
}

impl From<kvm_regs> for RegistersImage {
    fn from(regs: kvm_regs) -> Self {
        let kvm_regs { rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags } =
            regs;
        Self { rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags }
    }
}

impl RegistersImage {
    /// The registers, if a processor can hold them.
    pub(crate) fn checked(self) -> Result<kvm_regs, Refused> {
        let Self { rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags } = self;
        expect_bits("regs.rflags", rflags, RFLAGS | RFLAGS_ALWAYS)?;
        if rflags & RFLAGS_ALWAYS == 0 {
            return Err(Refused::new(format!("regs.rflags is {rflags:#x}; bit 1 must be 1")));
        }
        Ok(kvm_regs { rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags })
    }
}

#[cfg(test)]
impl RegistersImage {
    /// Flags that a processor can hold, and interrupts on.
    pub(crate) fn set_flags_for_test(&mut self) {
        self.rflags = 0x202;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    vmstate::vmstate_tests!(RegistersImage);

    #[test]
    fn flags_that_do_not_exist_are_refused() {
        let of = |rflags| RegistersImage { rflags, ..RegistersImage::default() }.checked();
        assert!(of(0x202).is_ok());
        for wrong in [0, 0x200, 0x8002, 0x2a, 1 << 40 | 2] {
            assert!(of(wrong).unwrap_err().to_string().contains("rflags"), "{wrong:#x}");
        }
    }
}
