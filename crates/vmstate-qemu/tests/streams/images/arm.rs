//! Devices of Arm boards.

use vmstate_qemu::arm::gic::GicImage;
use vmstate_qemu::arm::gicv3::Gicv3Image;
use vmstate_qemu::arm::gicv3_its::ItsImage;
use vmstate_qemu::arm::pl011::{Pl011Image, Pl011ReadbuffImage};
use vmstate_qemu::arm::pl031::Pl031Image;
use vmstate_qemu::arm::pl061::{GpioKeyImage, Pl061Image};
use vmstate_qemu::arm::smmuv3::Smmuv3Image;

use super::{elements, has};
use crate::round_trip::{Entry, image, image_over};

pub(super) fn entries() -> Vec<Entry> {
    vec![
        image::<Pl011ReadbuffImage>().only(|section| section.vmsd().is_some_and(|vmsd| has(vmsd, "readbuff"))),
        image::<Pl011Image>(),
        image::<Pl031Image>(),
        image::<Pl061Image>(),
        image::<GpioKeyImage>(),
        image::<GicImage>(),
        image_over(|vmsd| Gicv3Image::with_cpus(elements(vmsd, "cpu"))),
        image::<ItsImage>(),
        image::<Smmuv3Image>(),
    ]
}
