//! Devices of PCs and of `microvm`.
//!
//! | image | section, version | what |
//! |---|---|---|
//! | [`cpu::CpuImage`] | `cpu` 12 | a CPU |
//! | [`apic::ApicImage`] | `apic` 3 | a CPU's own interrupt controller |
//! | [`ioapic::IoapicImage`] | `ioapic` 3 | that for lines |
//! | [`i8259::I8259Image`] | `i8259` 1 | the old one |
//! | [`i8254::PitImage`] | `i8254` 3 | interval timer |
//! | [`hpet::HpetImage`] | `hpet` 2 | the newer timer |
//! | [`i8042::I8042Image`] | `pckbd` 3 | keyboard controller |
//! | [`ps2::Ps2KeyboardImage`], [`ps2::Ps2MouseImage`] | `ps2kbd` 3, `ps2mouse` 2 | what is behind it |
//! | [`isa::DmaImage`] and others | `dma` 1, … | small devices on the ISA bus |
//! | [`fdc::IsaFdcImage`] | `fdc` 2 | floppy disks |
//! | [`i440fx::Piix4PmImage`] and others | `piix4_pm` 3, … | the chip set of `pc` |
//! | [`q35::Ich9LpcImage`] and others | `ICH9LPC` 1, … | the chip set of `q35` |
//! | [`kvm_tpr_opt::KvmTprOptImage`] | `kvm-tpr-opt` 1 | patches of the task priority, for old Windows |

pub mod apic;
pub mod cpu;
pub mod fdc;
pub mod hpet;
pub mod i440fx;
pub mod i8042;
pub mod i8254;
pub mod i8259;
pub mod ioapic;
pub mod isa;
pub mod kvm_tpr_opt;
pub mod ps2;
pub mod q35;
