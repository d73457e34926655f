//! The memory balloon.
//!
//! Device part, image `virtio-balloon-device` 1:
//!
//! | field | |
//! |---|---|
//! | `num_pages` u32 | pages that the host wants |
//! | `actual` u32 | pages that the guest gave |
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `virtio-balloon-device/free-page-report` 1 | `free_page_hint_cmd_id` u32, `free_page_hint_status` u32 | free pages are hinted |
//! | `virtio-balloon-device/page-poison` 1 | `poison_val` u32 | pages are poisoned |
//!
//! QEMU 5.2 writes the name of the latter without its `r`, `vitio-balloon-device/page-poison`, so that no loader takes
//! it for a subsection of the balloon: neither 5.2 itself nor 7.2 loads such a section ("Missing section footer").
//! [`VirtioBalloon5Image`] does.
//!
//! Source: `docs/spec/virtio-state.md` section 4.3; streams of QEMU 5.2 to 11.1.

use vmstate::{Input, LoadError, SaveError, Sink, VmState, Wire};

use super::part::image_is_part;
use super::{Around, DevicePart, Virtio};

/// The section.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-balloon", version = 1)]
pub struct VirtioBalloonImage {
    /// All of it.
    pub virtio: Virtio<BalloonImage>,
}

/// The device part.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-balloon-device", version = 1)]
pub struct BalloonImage {
    /// Pages of 4 KiB that the host wants.
    pub num_pages: u32,
    /// Pages of 4 KiB that the guest gave.
    pub actual: u32,
    /// Hints of free pages.
    #[vmstate(subsection)]
    pub free_page_report: Option<FreePageReportImage>,
    /// Poisoned pages.
    #[vmstate(subsection)]
    pub page_poison: Option<PagePoisonImage>,
}

image_is_part!(BalloonImage);

/// Hints of free pages.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-balloon-device/free-page-report", version = 1)]
pub struct FreePageReportImage {
    /// Number of the round of hints.
    pub free_page_hint_cmd_id: u32,
    /// State of the hints.
    pub free_page_hint_status: u32,
}

/// Poisoned pages.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-balloon-device/page-poison", version = 1)]
pub struct PagePoisonImage {
    /// What the guest fills free pages with.
    pub poison_val: u32,
}

/// The section of QEMU 5.2 with poisoned pages.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-balloon", version = 1)]
pub struct VirtioBalloon5Image {
    /// All of it.
    pub virtio: Virtio<Balloon5Part>,
}

/// The device part of QEMU 5.2.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Balloon5Part {
    /// All but the poisoned pages.
    pub balloon: BalloonImage,
    /// Poisoned pages, behind the subsections that have their right name.
    pub page_poison: Option<PagePoisonImage>,
}

/// The header of the subsection that has a wrong name.
const MISNAMED: &[u8] = b"\x05\x20vitio-balloon-device/page-poison\0\0\0\x01";

impl DevicePart for Balloon5Part {
    fn write_part(&self, around: Around, sink: &mut dyn Sink) -> Result<(), SaveError> {
        self.balloon.write_part(around, sink)?;
        let Some(PagePoisonImage { poison_val }) = &self.page_poison else { return Ok(()) };
        sink.put(MISNAMED);
        poison_val.write_to(sink)
    }

    fn read_part(&mut self, around: Around, input: &mut Input<'_>) -> Result<(), LoadError> {
        self.balloon.read_part(around, input)?;
        self.page_poison = None;
        if input.peek(MISNAMED.len())? == MISNAMED {
            input.consume(MISNAMED.len());
            let page_poison = self.page_poison.insert(PagePoisonImage::default());
            page_poison.poison_val.read_from(input).map_err(|error| error.within("poison_val"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    vmstate::vmstate_tests! {
        mod balloon_image: BalloonImage {
            props: (),
            template: BalloonImage::default(),
            samples: [BalloonImage {
                num_pages: 512,
                actual: 256,
                free_page_report: Some(FreePageReportImage { free_page_hint_cmd_id: 0x8000_0001, free_page_hint_status: 2 }),
                page_poison: Some(PagePoisonImage { poison_val: 0xaaaa_aaaa }),
            }],
        }
    }
}
