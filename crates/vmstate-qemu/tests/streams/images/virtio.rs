//! Virtio devices.

use vmstate_qemu::virtio::balloon::VirtioBalloonImage;
use vmstate_qemu::virtio::devices::{Virtio9pImage, VirtioInputImage, VirtioRngImage, VirtioScsiImage};
use vmstate_qemu::virtio::{Transport, Virtio};

use crate::round_trip::{Entry, image_at};
use crate::sections::Section;

pub(super) fn entries() -> Vec<Entry> {
    vec![
        image_at(|section| VirtioRngImage { virtio: at(section) }),
        image_at(|section| VirtioScsiImage { virtio: at(section) }),
        image_at(|section| VirtioInputImage { virtio: at(section) }),
        image_at(|section| Virtio9pImage { virtio: at(section) }),
        image_at(|section| VirtioBalloonImage { virtio: at(section) }),
    ]
}

/// The template of the device that is at the section's place.
fn at<P: Default>(section: &Section) -> Virtio<P> {
    Virtio::on(Transport::of_idstr(&section.device.idstr).unwrap())
}
