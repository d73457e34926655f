//! Devices of Arm boards.

use vmferry_wire::description::Vmsd;
use vmstate_qemu::arm::armv7m::{Armv7mImage, NvicImage, SystickImage};
use vmstate_qemu::arm::cpu::protection::Pmsav7Image;
use vmstate_qemu::arm::cpu::{qemu_5_2, qemu_7_2, qemu_10_0, qemu_11_1};
use vmstate_qemu::arm::gic::GicImage;
use vmstate_qemu::arm::gicv3::Gicv3Image;
use vmstate_qemu::arm::gicv3_its::ItsImage;
use vmstate_qemu::arm::pl011::{Pl011Image, Pl011ReadbuffImage};
use vmstate_qemu::arm::pl031::Pl031Image;
use vmstate_qemu::arm::pl061::{GpioKeyImage, Pl061Image};
use vmstate_qemu::arm::smmuv3::Smmuv3Image;

use super::{elements, fields, has, subsection};
use crate::round_trip::{Entry, image, image_over};
use crate::sections::Section;

pub(super) fn entries() -> Vec<Entry> {
    vec![
        image_over(|vmsd| qemu_5_2::CpuImage {
            pmsav7: pmsav7(vmsd),
            ..qemu_5_2::CpuImage::with_registers(registers(vmsd))
        })
        .only(|section| is_cpu(section) && says(section, "env.features")),
        image_over(|vmsd| qemu_7_2::CpuImage {
            pmsav7: pmsav7(vmsd),
            ..qemu_7_2::CpuImage::with_registers(registers(vmsd))
        })
        .only(|section| is_cpu(section) && says(section, "gt_timer[0]")),
        image_over(|vmsd| qemu_10_0::CpuImage {
            pmsav7: pmsav7(vmsd),
            ..qemu_10_0::CpuImage::with_registers(registers(vmsd))
        })
        .only(|section| is_cpu(section) && is_bounded(section)),
        image_over(|vmsd| qemu_11_1::CpuImage { pmsav7: pmsav7(vmsd), ..qemu_11_1::CpuImage::default() }).only(is_cpu),
        image::<Pl011ReadbuffImage>().only(|section| section.vmsd().is_some_and(|vmsd| has(vmsd, "readbuff"))),
        image::<Pl011Image>(),
        image::<Pl031Image>(),
        image::<Pl061Image>(),
        image::<GpioKeyImage>(),
        image::<NvicImage>(),
        image::<SystickImage>(),
        image::<Armv7mImage>(),
        image::<GicImage>(),
        image_over(|vmsd| Gicv3Image::with_cpus(elements(vmsd, "cpu"))),
        image::<ItsImage>(),
        image::<Smmuv3Image>(),
    ]
}

fn says(section: &Section, field: &str) -> bool {
    section.vmsd().is_some_and(|vmsd| has(vmsd, field))
}

/// Every target has a section of this name; of this one those with `cpu/m-security` cannot be declared.
fn is_cpu(section: &Section) -> bool {
    let is_declared = |vmsd| subsection(vmsd, "cpu/m-security").is_none();
    says(section, "env.xregs") && section.vmsd().is_some_and(is_declared)
}

fn is_bounded(section: &Section) -> bool {
    let length = section.vmsd().and_then(|vmsd| fields(vmsd, "cpreg_vmstate_array_len").next());
    length.is_some_and(|field| field.type_name == "int32 le")
}

fn registers(vmsd: &Vmsd) -> i32 {
    elements(vmsd, "cpreg_vmstate_indexes").try_into().unwrap()
}

fn pmsav7(vmsd: &Vmsd) -> Option<Pmsav7Image> {
    subsection(vmsd, "cpu/pmsav7").map(|regions| Pmsav7Image::with_regions(elements(regions, "env.pmsav7.drbar")))
}
