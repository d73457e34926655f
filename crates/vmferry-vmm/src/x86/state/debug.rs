//! Debug registers.

use kvm_bindings::kvm_debugregs;
use vmstate::{Refused, VmState};

/// DR6 and DR7 out of reset (manual, volume 3, table 10-1); breakpoints are 0.
const DR6_RESET: u64 = 0xffff_0ff0;
const DR7_RESET: u64 = 0x400;

/// Image of the debug registers, sent if they are not those of a reset.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "x86_vcpu/debug", version = 1)]
pub(crate) struct DebugImage {
    db: [u64; 4],
    dr6: u64,
    dr7: u64,
}

impl DebugImage {
    /// What is to be sent of `registers`.
    pub(crate) fn of(registers: &kvm_debugregs) -> Option<Self> {
        let kvm_debugregs { db, dr6, dr7, flags: _, reserved: _ } = *registers;
        let image = Self { db, dr6, dr7 };
        (image != Self { db: [0; 4], dr6: DR6_RESET, dr7: DR7_RESET }).then_some(image)
    }

    /// The registers for what came.
    pub(crate) fn checked(image: Option<Self>) -> Result<kvm_debugregs, Refused> {
        let Self { db, dr6, dr7 } = image.unwrap_or(Self { db: [0; 4], dr6: DR6_RESET, dr7: DR7_RESET });
        for (name, value) in [("dr6", dr6), ("dr7", dr7)] {
            super::expect_bits(&format!("debug.{name}"), value, u32::MAX.into())?;
        }
        Ok(kvm_debugregs { db, dr6, dr7, ..kvm_debugregs::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    vmstate::vmstate_tests!(DebugImage);

    #[test]
    fn what_is_not_sent_is_what_a_reset_leaves() {
        let reset = DebugImage::checked(None).unwrap();
        assert_eq!((reset.dr6, reset.dr7), (DR6_RESET, DR7_RESET));
        assert_eq!(DebugImage::of(&reset), None);
        let armed = kvm_debugregs { db: [0x1000, 0, 0, 0], dr7: 0x401, ..reset };
        let image = DebugImage::of(&armed).unwrap();
        assert_eq!(DebugImage::of(&DebugImage::checked(Some(image.clone())).unwrap()), Some(image.clone()));
        assert!(DebugImage::checked(Some(DebugImage { dr7: 1 << 32, ..image })).is_err());
    }
}
