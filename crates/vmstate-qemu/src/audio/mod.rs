//! Sound cards.
//!
//! | image | section, version | what |
//! |---|---|---|
//! | [`ac97::Ac97Image`] | `ac97` 3 | that of Intel's older chip sets |
//! | [`hda::IntelHdaImage`], [`hda::HdaAudioImage`] | `intel-hda` 1, `hda-audio` 2 | that of the newer ones, and a codec behind it |
//! | [`sb16::Sb16Image`] | `sb16` 1 | Sound Blaster 16 |
//! | [`AudioImage`] | `audio` 1 | nothing; QEMU 5.2 sends it for a back end |

pub mod ac97;
pub mod hda;
pub mod sb16;

use vmstate::VmState;

/// A section without octets, which QEMU 5.2 sends for each back end.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "audio", version = 1)]
pub struct AudioImage {}
