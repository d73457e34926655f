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
//! | `virtio-balloon-device/free-page-report` 1 | `free_page_hint_cmd_id` u32, `free_page_hint_status` u32 | the driver acknowledged hints of free pages |
//! | `virtio-balloon-device/page-poison` 1 | `poison_val` u32 | the driver acknowledged poisoned pages |
//!
//! Source: `docs/spec/virtio-state.md` section 4.3; streams of QEMU 5.2 to 11.1.

use vmstate::VmState;

use super::Virtio;
use super::part::image_is_part;

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
