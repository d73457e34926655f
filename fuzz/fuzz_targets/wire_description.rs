//! The description's reader and writer.
//!
//! Oracles: no panic; what was read is written as ASCII text that reads the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vmferry_wire::description::{self, Device};

fuzz_target!(|data: &[u8]| {
    let Ok(description) = description::read(data) else { return };
    let text = description.to_text();
    assert!(text.is_ascii());
    let again = description::read(text.as_bytes()).expect("what was written is read");
    assert_eq!(again, description);
    description.devices.iter().map(Device::encoded_bytes).for_each(drop);
});
