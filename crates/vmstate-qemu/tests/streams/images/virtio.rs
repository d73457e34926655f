//! Virtio devices.

use vmstate_qemu::virtio::balloon::{VirtioBalloon5Image, VirtioBalloonImage};
use vmstate_qemu::virtio::blk::VirtioBlkImage;
use vmstate_qemu::virtio::console::VirtioConsoleImage;
use vmstate_qemu::virtio::devices::{Virtio9pImage, VirtioInputImage, VirtioRngImage, VirtioScsiImage};
use vmstate_qemu::virtio::gpu::{GpuState, VirtioGpuImage, VirtioVgaImage};
use vmstate_qemu::virtio::iommu::VirtioIommuImage;
use vmstate_qemu::virtio::mem::{VirtioMemEarlyImage, VirtioMemImage};
use vmstate_qemu::virtio::net::{VirtioNet10Image, VirtioNetImage};
use vmstate_qemu::virtio::{Transport, Virtio};

use super::octets;
use crate::round_trip::{Entry, image, image_at, image_over};
use crate::sections::Section;

pub(super) fn entries() -> Vec<Entry> {
    vec![
        image_at(|section| VirtioBlkImage { virtio: at(section) }),
        image_at(|section| VirtioRngImage { virtio: at(section) }),
        image_at(|section| VirtioScsiImage { virtio: at(section) }),
        image_at(|section| VirtioInputImage { virtio: at(section) }),
        image_at(|section| Virtio9pImage { virtio: at(section) }),
        image_at(|section| VirtioNet10Image { virtio: at(section) }).only(|section| has_text(section, RSS_10)),
        image_at(|section| VirtioNetImage { virtio: at(section) }),
        image_at(|section| VirtioConsoleImage { virtio: at(section) }),
        image_at(|section| VirtioGpuImage { virtio: at(section), gpu: GpuState::default(), blob: None }),
        image::<VirtioVgaImage>(),
        image_at(|section| VirtioMemImage { virtio: at(section) }),
        image_over(|vmsd| VirtioMemEarlyImage::with_blocks(octets(vmsd, "bitmap") * 8)),
        image_at(|section| VirtioIommuImage { virtio: at(section) }),
        image_at(|section| VirtioBalloon5Image { virtio: at(section) }).only(|section| has_text(section, POISON_5)),
        image_at(|section| VirtioBalloonImage { virtio: at(section) }),
    ]
}

/// The template of the device that is at the section's place.
fn at<P: Default>(section: &Section) -> Virtio<P> {
    Virtio::on(Transport::of_idstr(&section.device.idstr).unwrap())
}

/// The subsection that tells the card of QEMU up to 10 from that of QEMU 11.
const RSS_10: &[u8] = b"virtio-net-device/rss\0\0\0\x01";
/// The subsection whose name is wrong in QEMU 5.2.
const POISON_5: &[u8] = b"vitio-balloon-device/page-poison";

fn has_text(section: &Section, text: &[u8]) -> bool {
    section.body.windows(text.len()).any(|window| window == text)
}
