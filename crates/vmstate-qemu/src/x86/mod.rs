//! Devices of PCs and of `microvm`.
//!
//! | image | section, version | what |
//! |---|---|---|
//! | [`apic::ApicImage`] | `apic` 3 | a CPU's own interrupt controller |
//! | [`ioapic::IoapicImage`] | `ioapic` 3 | that for lines |
//! | [`i8259::I8259Image`] | `i8259` 1 | the old one |
//! | [`i8254::PitImage`] | `i8254` 3 | interval timer |
//! | [`kvm_tpr_opt::KvmTprOptImage`] | `kvm-tpr-opt` 1 | patches of the task priority, for old Windows |

pub mod apic;
pub mod i8254;
pub mod i8259;
pub mod ioapic;
pub mod kvm_tpr_opt;
