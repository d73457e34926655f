//! The examples of `docs/guide/changing-device-state.md`, which shows parts of these files word for word.
//!
//! Each recipe has a device as it was released (`before`) and as it is changed (`after`).

#![allow(clippy::unwrap_used, dead_code, reason = "a test may fail by panicking; the devices are as small as can be")]

#[path = "guide/computed.rs"]
mod computed;
#[path = "guide/configuration.rs"]
mod configuration;
#[path = "guide/dropped.rs"]
mod dropped;
#[path = "guide/marker.rs"]
mod marker;
#[path = "guide/moved.rs"]
mod moved;
#[path = "guide/new_section.rs"]
mod new_section;
#[path = "guide/new_state.rs"]
mod new_state;
#[path = "guide/page.rs"]
mod page;
#[path = "guide/rare_state.rs"]
mod rare_state;
#[path = "guide/removed.rs"]
mod removed;
#[path = "guide/resized.rs"]
mod resized;
#[path = "guide/version.rs"]
mod version;

use vmstate::{Input, Migrate, Versions, VmState};

/// The octets of a device's section, without header and footer; none if the section is not sent.
fn save<M: Migrate>(device: &M) -> Vec<u8> {
    let (image, props) = (device.snapshot().unwrap(), device.props());
    let mut octets = Vec::new();
    if device.needed() && M::Image::is_open(&props) {
        image.encode(&props, &mut octets).unwrap();
    }
    octets
}

/// Loads a section that a sender at `version` wrote; the error is what the operator reads.
fn load<M: Migrate>(device: &mut M, version: u32, octets: &[u8]) -> Result<(), String> {
    let mut image = device.template().map_err(|refused| refused.to_string())?;
    let mut input = Input::from_slice(octets, 0);
    image.decode(&device.props(), version, &mut input).map_err(|error| error.to_string())?;
    match input.buffered() {
        [] => device.restore(image, &Versions::new(version)).map_err(|refused| refused.to_string()),
        rest => Err(format!("missing section footer: {} octets are left", rest.len())),
    }
}
