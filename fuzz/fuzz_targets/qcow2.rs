//! A qcow2 image with the state of a machine.
//!
//! Oracles: no panic, memory within libFuzzer's limit; what is read of a state does not depend on where reading begins.

#![no_main]

use std::io::{Cursor, Read, Seek, SeekFrom};

use libfuzzer_sys::fuzz_target;
use vmferry_inspect::qcow2::Image;

/// Octets of a state that are looked at: an image may promise any number, of zeros.
const LOOKED_AT: u64 = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Ok(image) = Image::open(Cursor::new(data)) else { return };
    let name = image.snapshots().first().map(|snapshot| snapshot.name.clone());
    let Ok(mut state) = image.into_state(name.as_deref()) else { return };
    let mut whole = Vec::new();
    if state.by_ref().take(LOOKED_AT).read_to_end(&mut whole).is_err() {
        return;
    }
    assert_eq!(whole.len() as u64, state.state_bytes().min(LOOKED_AT));
    let half = whole.len() / 2;
    state.seek(SeekFrom::Start(half as u64)).expect("a position inside the state");
    let mut rest = vec![0; whole.len() - half];
    state.read_exact(&mut rest).expect("it could be read before");
    assert_eq!(rest, whole[half..]);
});
