//! Devices of PCs and of `microvm`.

use vmstate_qemu::x86::apic::ApicImage;
use vmstate_qemu::x86::cpu::CpuImage;
use vmstate_qemu::x86::i8254::PitImage;
use vmstate_qemu::x86::i8259::I8259Image;
use vmstate_qemu::x86::ioapic::IoapicImage;
use vmstate_qemu::x86::kvm_tpr_opt::KvmTprOptImage;

use super::has;
use crate::round_trip::{Entry, image};

pub(super) fn entries() -> Vec<Entry> {
    vec![
        image::<CpuImage>().only(|section| section.vmsd().is_some_and(|vmsd| has(vmsd, "env.eip"))),
        image::<ApicImage>(),
        image::<IoapicImage>(),
        image::<I8259Image>(),
        image::<PitImage>(),
        image::<KvmTprOptImage>(),
    ]
}
