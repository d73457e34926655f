//! Devices of RISC-V boards.

use vmstate_qemu::riscv::mtimer::MtimerImage;
use vmstate_qemu::riscv::plic::PlicImage;

use super::elements;
use crate::round_trip::{Entry, image_over};

pub(super) fn entries() -> Vec<Entry> {
    vec![
        image_over(|vmsd| MtimerImage::with_harts(elements(vmsd, "timecmp"))),
        image_over(|vmsd| PlicImage {
            num_sources: elements(vmsd, "source_priority"),
            num_addrs: elements(vmsd, "target_priority"),
            bitfield_words: elements(vmsd, "pending"),
            num_enables: elements(vmsd, "enable"),
            ..PlicImage::default()
        }),
    ]
}
