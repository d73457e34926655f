//! Storage without a disk controller: cards and flash memory; and the network controller of boards.

use vmferry_wire::description::Vmsd;
use vmstate_qemu::cadence_gem::CadenceGemImage;
use vmstate_qemu::sd::card::{SdCard5Image, SdCard7Image, SdCard10Image, SdCardImage};
use vmstate_qemu::sd::sdhci::SdhciImage;
use vmstate_qemu::sd::ssi_sd::SsiSdImage;
use vmstate_qemu::ssi::m25p80::M25p80Image;

use super::{has, octets};
use crate::round_trip::{Entry, image, image_over};
use crate::sections::Section;

pub(super) fn entries() -> Vec<Entry> {
    vec![
        image_over(|vmsd| SdCard5Image::with_write_groups(bits(vmsd, "wp_groups")))
            .only(|section| says(section, "wp_groups")),
        image_over(|vmsd| SdCard7Image::with_write_groups(bits(vmsd, "wp_group_bmap")))
            .only(|section| says(section, "enable")),
        image_over(|vmsd| SdCard10Image::with_write_groups(bits(vmsd, "wp_group_bmap")))
            .only(|section| says(section, "mode")),
        image_over(|vmsd| SdCardImage::with_write_groups(bits(vmsd, "wp_group_bmap"))),
        image_over(|vmsd| SdhciImage::with_buffer(octets(vmsd, "fifo_buffer"))),
        image::<SsiSdImage>(),
        image::<M25p80Image>(),
        image::<CadenceGemImage>(),
    ]
}

fn says(section: &Section, field: &str) -> bool {
    section.vmsd().is_some_and(|vmsd| has(vmsd, field))
}

/// Bits of a bitmap, whole words.
fn bits(vmsd: &Vmsd, field: &str) -> u32 {
    octets(vmsd, field) * 8
}
