//! High definition audio: the controller, and a codec behind it.
//!
//! | image | name, version | fields |
//! |---|---|---|
//! | [`IntelHdaImage`] | section `intel-hda` 1 | `pci`, a conventional device; 25 registers from `g_ctl` to `ics`, u32 each; `st` × 8; `rirb_count` u32; `wall_base_ns` i64 |
//! | [`HdaStreamImage`] | `intel-hda-stream` 1 | `ctl`, `lpib`, `cbl`, `lvi`, `fmt`, `bdlp_lbase`, `bdlp_ubase` u32 |
//! | [`HdaAudioImage`] | section `hda-audio` 2 | `st` × 4; `running_compat` bool × 16; `running_real` bool × 32 (since 2) |
//! | [`HdaAudioStreamImage`] | `hda-audio-stream` 1 | `stream`, `channel`, `format`, `gain_left`, `gain_right` u32; `mute_left`, `mute_right` bool; `compat_bpos` u32; `compat_buf` 256 octets |
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `hda-audio-stream/buffer` 1 | `buf` 8192 octets; `rpos`, `wpos` i64; `buft` timer; `buft_start` i64 | for each stream that the codec has, unless property `use-timer` is off |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`q35`), and their schema dumps.

use vmstate::VmState;
use vmstate::codecs::TimerExpiry;

use crate::arrays::{LongOctets, Octets};
use crate::pci::PciDeviceImage;

/// The controller.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "intel-hda", version = 1, min = 0)]
#[expect(missing_docs, reason = "registers, by their names in QEMU")]
pub struct IntelHdaImage {
    /// The device.
    pub pci: PciDeviceImage,
    pub g_ctl: u32,
    pub wake_en: u32,
    pub state_sts: u32,
    pub int_ctl: u32,
    pub int_sts: u32,
    pub wall_clk: u32,
    pub corb_lbase: u32,
    pub corb_ubase: u32,
    pub corb_rp: u32,
    pub corb_wp: u32,
    pub corb_ctl: u32,
    pub corb_sts: u32,
    pub corb_size: u32,
    pub rirb_lbase: u32,
    pub rirb_ubase: u32,
    pub rirb_wp: u32,
    pub rirb_cnt: u32,
    pub rirb_ctl: u32,
    pub rirb_sts: u32,
    pub rirb_size: u32,
    pub dp_lbase: u32,
    pub dp_ubase: u32,
    pub icw: u32,
    pub irr: u32,
    pub ics: u32,
    /// Its streams.
    pub st: [HdaStreamImage; 8],
    pub rirb_count: u32,
    /// When the clock of the wall was 0, ns.
    pub wall_base_ns: i64,
}

/// A stream of the controller.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "intel-hda-stream", version = 1, min = 0)]
#[expect(missing_docs, reason = "registers, by their names in QEMU")]
pub struct HdaStreamImage {
    pub ctl: u32,
    pub lpib: u32,
    pub cbl: u32,
    pub lvi: u32,
    pub fmt: u32,
    pub bdlp_lbase: u32,
    pub bdlp_ubase: u32,
}

/// A codec.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "hda-audio", version = 2, min = 0)]
pub struct HdaAudioImage {
    /// Its streams.
    pub st: [HdaAudioStreamImage; 4],
    /// Those that run, as older releases number them.
    pub running_compat: [bool; 16],
    /// Those that run: inputs, then outputs.
    #[vmstate(since = 2)]
    pub running_real: [bool; 32],
}

/// A stream of a codec.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "hda-audio-stream", version = 1, min = 0)]
pub struct HdaAudioStreamImage {
    /// Its number.
    pub stream: u32,
    /// Its first channel.
    pub channel: u32,
    /// Rate and width of samples.
    pub format: u32,
    /// Loudness.
    pub gain_left: u32,
    /// Loudness.
    pub gain_right: u32,
    /// Whether there is no sound.
    pub mute_left: bool,
    /// Whether there is no sound.
    pub mute_right: bool,
    /// Where in its buffer of old it is.
    pub compat_bpos: u32,
    /// The buffer of old.
    pub compat_buf: Octets<256>,
    /// What is in the buffer.
    #[vmstate(subsection)]
    pub buffer: Option<StreamBufferImage>,
}

/// What is in the buffer of a stream.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "hda-audio-stream/buffer", version = 1, min = 0)]
pub struct StreamBufferImage {
    /// The buffer, a ring.
    pub buf: LongOctets<8192>,
    /// Octets that were read.
    pub rpos: i64,
    /// Octets that were written.
    pub wpos: i64,
    /// When more is moved.
    pub buft: TimerExpiry,
    /// When the stream began, ns.
    pub buft_start: i64,
}
