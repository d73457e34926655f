//! What the guest was told of its processor: it must find the same at the destination.

use kvm_bindings::{CpuId, kvm_cpuid_entry2};
use vmstate::{Refused, VmState};

/// Most entries, as many as the kernel takes (`KVM_MAX_CPUID_ENTRIES`).
pub(crate) const CPUID_MAX: usize = 256;

/// Image of an answer of CPUID.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "x86_vcpu_cpuid", version = 1)]
pub(crate) struct CpuidImage {
    function: u32,
    index: u32,
    flags: u32,
    eax: u32,
    ebx: u32,
    ecx: u32,
    edx: u32,
}

impl From<&kvm_cpuid_entry2> for CpuidImage {
    fn from(entry: &kvm_cpuid_entry2) -> Self {
        let kvm_cpuid_entry2 { function, index, flags, eax, ebx, ecx, edx, padding: _ } = *entry;
        Self { function, index, flags, eax, ebx, ecx, edx }
    }
}

/// The images of a table.
pub(crate) fn images(table: &CpuId) -> Vec<CpuidImage> {
    table.as_slice().iter().map(CpuidImage::from).collect()
}

/// Refuses a table that is not that of this vCPU.
pub(crate) fn expect_same(came: &[CpuidImage], here: &[CpuidImage]) -> Result<(), Refused> {
    let find = |among: &[CpuidImage], of: &CpuidImage| {
        among.iter().find(|entry| (entry.function, entry.index) == (of.function, of.index)).cloned()
    };
    let differs = came.iter().find(|entry| find(here, entry).as_ref() != Some(*entry));
    if let Some(entry) = differs {
        let registers =
            |CpuidImage { eax, ebx, ecx, edx, .. }: &CpuidImage| format!("{eax:#x} {ebx:#x} {ecx:#x} {edx:#x}");
        let found = find(here, entry).map_or("nothing".to_owned(), |entry| registers(&entry));
        return Err(Refused::new(format!(
            "the guest was told of another processor: CPUID {:#x}, index {}, is eax, ebx, ecx, edx = {} there and {found} \
             here; take a host with the same processor and kernel",
            entry.function,
            entry.index,
            registers(entry),
        )));
    }
    match here.iter().find(|entry| find(came, entry).is_none()) {
        None => Ok(()),
        Some(entry) => Err(Refused::new(format!(
            "the guest was told of another processor: CPUID {:#x}, index {}, is here and not there; take a host with the \
             same processor and kernel",
            entry.function, entry.index
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    vmstate::vmstate_tests!(CpuidImage);

    #[test]
    fn another_processor_is_refused_with_the_leaf() {
        let entry = |function, eax| CpuidImage { function, eax, ..CpuidImage::default() };
        let here = [entry(0, 16), entry(7, 1)];
        assert!(expect_same(&here, &here).is_ok());
        let reordered = [entry(7, 1), entry(0, 16)];
        assert!(expect_same(&reordered, &here).is_ok());
        for other in [vec![entry(0, 16), entry(7, 3)], vec![entry(0, 16)], vec![entry(0, 16), entry(7, 1), entry(9, 0)]]
        {
            let refused = expect_same(&other, &here).unwrap_err().to_string();
            assert!(refused.contains("CPUID 0x7") || refused.contains("CPUID 0x9"), "{refused}");
        }
    }
}
