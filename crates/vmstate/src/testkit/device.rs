//! Rule: a device that refuses an image is what it was (`docs/spec/vmstate.md` section 12).

use std::fmt::Debug;

use crate::error::Refused;
use crate::image::VmState;
use crate::migrate::{Migrate, Versions};

/// Checks that a device refuses `image` and is what it was.
///
/// # Panics
///
/// The device accepts the image, or changed.
pub fn refuses_untouched<M: Migrate<Image: Debug + PartialEq>>(device: &mut M, image: M::Image) -> Refused {
    let before = device.snapshot().expect("the device can be saved");
    let version = M::Image::SCHEMA.version;
    let refused = device.restore(image, &Versions::new(version)).expect_err("the image is refused");
    assert_eq!(device.snapshot().expect("the device can still be saved"), before, "{refused}");
    refused
}
