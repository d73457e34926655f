//! Model-specific registers: those that KVM lists, and that can be read and written here.

use std::collections::BTreeSet;
use std::io;

use kvm_bindings::{Msrs, kvm_msr_entry};
use kvm_ioctls::{Kvm, VcpuFd};
use vmstate::{Refused, VmState};

/// Most registers in an image: a kernel lists some hundred.
pub(crate) const MSRS_MAX: usize = 2048;

/// Registers of one request, as many as the kernel takes (`MAX_IO_MSRS`).
const BATCH: usize = 256;

/// The time stamp counter, which others are set relative to, goes first; the deadline of the local APIC's timer last.
const TSC: u32 = 0x10;
const TSC_DEADLINE: u32 = 0x6e0;

/// Memory type ranges, which KVM has and does not list: capability aside, the default, then fixed, then variable ones.
const MTRRS: [u32; 28] = [
    0x2ff, 0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f, 0x200, 0x201, 0x202, 0x203,
    0x204, 0x205, 0x206, 0x207, 0x208, 0x209, 0x20a, 0x20b, 0x20c, 0x20d, 0x20e, 0x20f,
];

/// Image of a register.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "x86_vcpu_msr", version = 1)]
pub(crate) struct MsrImage {
    index: u32,
    data: u64,
}

#[cfg(test)]
impl MsrImage {
    /// A register with a value.
    pub(crate) fn new(index: u32, data: u64) -> Self {
        Self { index, data }
    }

    /// Its number.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }
}

/// The registers that are state on this host.
#[derive(Debug, Clone)]
pub(crate) struct MsrSet {
    /// In the order in which they are set.
    indices: Vec<u32>,
}

impl MsrSet {
    /// Finds them by trying on `vcpu`, which has its CPUID and did not run yet: a register is state if what was read of
    /// it can be written.
    pub(crate) fn probe(kvm: &Kvm, vcpu: &VcpuFd) -> io::Result<Self> {
        let listed = kvm.get_msr_index_list()?;
        let candidates: BTreeSet<u32> = listed.as_slice().iter().copied().chain(MTRRS).collect();
        let is_state = |index: &u32| {
            let entry = kvm_msr_entry { index: *index, ..kvm_msr_entry::default() };
            Msrs::from_entries(&[entry]).is_ok_and(|mut one| {
                vcpu.get_msrs(&mut one).is_ok_and(|read| read == 1) && vcpu.set_msrs(&one).is_ok_and(|set| set == 1)
            })
        };
        let mut indices: Vec<u32> = candidates.into_iter().filter(is_state).collect();
        indices.sort_by_key(|index| match *index {
            TSC => (0, 0),
            TSC_DEADLINE => (2, 0),
            other => (1, other),
        });
        tracing::debug!(count = indices.len(), "model-specific registers that are state");
        Ok(Self { indices })
    }

    /// Reads them.
    pub(crate) fn read(&self, vcpu: &VcpuFd) -> Result<Vec<MsrImage>, Refused> {
        let mut images = Vec::with_capacity(self.indices.len());
        for indices in self.indices.chunks(BATCH) {
            let entries: Vec<_> =
                indices.iter().map(|index| kvm_msr_entry { index: *index, ..kvm_msr_entry::default() }).collect();
            let mut batch = batch(&entries)?;
            let read = vcpu.get_msrs(&mut batch).map_err(|errno| Refused::new(format!("KVM_GET_MSRS: {errno}")))?;
            if let Some(entry) = batch.as_slice().get(read) {
                return Err(Refused::new(format!("MSR {:#x} cannot be read any more", entry.index)));
            }
            images.extend(batch.as_slice().iter().map(|entry| MsrImage { index: entry.index, data: entry.data }));
        }
        Ok(images)
    }

    /// The registers of `images` in the order in which they are set, if this host has them all.
    pub(crate) fn checked(&self, images: &[MsrImage]) -> Result<Vec<kvm_msr_entry>, Refused> {
        let mut entries: Vec<(usize, kvm_msr_entry)> = Vec::with_capacity(images.len());
        for MsrImage { index, data } in images {
            let Some(position) = self.indices.iter().position(|known| known == index) else {
                return Err(Refused::new(format!(
                    "MSR {index:#x}, with the value {data:#x}, is not one that KVM can set here: the processor or the \
                     kernel lacks what it belongs to"
                )));
            };
            entries.push((position, kvm_msr_entry { index: *index, data: *data, ..kvm_msr_entry::default() }));
        }
        entries.sort_by_key(|(position, _)| *position);
        if let Some([(_, twice), _]) = entries.array_windows().find(|[(a, _), (b, _)]| a == b) {
            return Err(Refused::new(format!("MSR {:#x} came twice", twice.index)));
        }
        Ok(entries.into_iter().map(|(_, entry)| entry).collect())
    }
}

/// Writes registers; those before one that is refused are written.
pub(crate) fn write(vcpu: &VcpuFd, entries: &[kvm_msr_entry]) -> Result<(), Refused> {
    for entries in entries.chunks(BATCH) {
        let set = vcpu.set_msrs(&batch(entries)?).map_err(|errno| Refused::new(format!("KVM_SET_MSRS: {errno}")))?;
        if let Some(kvm_msr_entry { index, data, reserved: _ }) = entries.get(set) {
            return Err(Refused::new(format!("MSR {index:#x}: KVM does not accept the value {data:#x}")));
        }
    }
    Ok(())
}

fn batch(entries: &[kvm_msr_entry]) -> Result<Msrs, Refused> {
    Msrs::from_entries(entries).map_err(|error| Refused::new(format!("no room for {} MSRs: {error:?}", entries.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    vmstate::vmstate_tests!(MsrImage);

    #[test]
    fn registers_are_set_in_order_and_unknown_ones_are_named() {
        let set = MsrSet { indices: vec![TSC, 0x174, 0xc000_0081, TSC_DEADLINE] };
        let image = |index| MsrImage::new(index, 5);
        let order = set.checked(&[image(TSC_DEADLINE), image(0xc000_0081), image(TSC)]).unwrap();
        assert_eq!(order.iter().map(|entry| entry.index).collect::<Vec<_>>(), [TSC, 0xc000_0081, TSC_DEADLINE]);
        assert!(set.checked(&[image(0x1234)]).unwrap_err().to_string().contains("MSR 0x1234, with the value 0x5"));
        assert!(set.checked(&[image(TSC), image(TSC)]).unwrap_err().to_string().contains("0x10 came twice"));
    }
}
