//! The local APIC's registers, as its page of memory has them.

use kvm_bindings::kvm_lapic_state;
use vmstate::VmState;

/// Bytes of the registers: the last one that KVM gives is at 0x3f0.
const BYTES: usize = 1024;

/// Image of the local APIC. What it may hold, the kernel checks: its mode has to fit `sregs.apic_base`.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "x86_vcpu_lapic", version = 1)]
pub(crate) struct LapicImage {
    #[vmstate(buffer)]
    regs: [u8; BYTES],
}

impl Default for LapicImage {
    fn default() -> Self {
        Self { regs: [0; BYTES] }
    }
}

impl From<kvm_lapic_state> for LapicImage {
    fn from(state: kvm_lapic_state) -> Self {
        Self { regs: state.regs.map(i8::cast_unsigned) }
    }
}

impl From<LapicImage> for kvm_lapic_state {
    fn from(image: LapicImage) -> Self {
        Self { regs: image.regs.map(u8::cast_signed) }
    }
}

#[cfg(test)]
impl LapicImage {
    /// Takes the timer's current count out, which goes on by itself.
    pub(crate) fn clear_current_count(&mut self) {
        self.regs[0x390..0x394].fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    vmstate::vmstate_tests!(LapicImage);
}
