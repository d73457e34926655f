//! Devices of RISC-V boards.

use vmstate_qemu::riscv::aplic::AplicImage;
use vmstate_qemu::riscv::cpu::{v1, v5, v10, v12};
use vmstate_qemu::riscv::imsic::ImsicImage;
use vmstate_qemu::riscv::mtimer::MtimerImage;
use vmstate_qemu::riscv::plic::PlicImage;
use vmstate_qemu::riscv::sifive_gpio::SifiveGpioImage;
use vmstate_qemu::riscv::sifive_pwm::SifivePwmImage;
use vmstate_qemu::riscv::sifive_uart::SifiveUartImage;

use super::{elements, has};
use crate::round_trip::{Entry, image, image_over};
use crate::sections::Section;

pub(super) fn entries() -> Vec<Entry> {
    vec![
        image::<v1::CpuImage>().only(|section| is_hart(section, 1)),
        image::<v5::CpuImage>().only(|section| is_hart(section, 5)),
        image::<v10::CpuImage>().only(|section| is_hart(section, 10)),
        image::<v12::CpuImage>().only(|section| is_hart(section, 12)),
        image_over(|vmsd| MtimerImage::with_harts(elements(vmsd, "timecmp"))),
        image_over(|vmsd| PlicImage::with(elements(vmsd, "source_priority"), elements(vmsd, "target_priority"))),
        image_over(|vmsd| AplicImage::with(elements(vmsd, "sourcecfg"), elements(vmsd, "idelivery"))),
        image_over(|vmsd| ImsicImage::with(elements(vmsd, "eidelivery"), elements(vmsd, "eistate"))),
        image_over(|_| SifiveUartImage::template()),
        image::<SifiveGpioImage>(),
        image::<SifivePwmImage>(),
    ]
}

/// Every target has a section of this name.
fn is_hart(section: &Section, version: u32) -> bool {
    section.version == version && section.vmsd().is_some_and(|vmsd| has(vmsd, "env.gpr"))
}
