//! Memory that comes and goes.
//!
//! Device part, image `virtio-mem-device` 1:
//!
//! | field | there |
//! |---|---|
//! | `addr`, `memory_region_size`, `block_size` u64, `node` u32 | machine types up to 7.2 |
//! | `usable_region_size` u64 | |
//! | `size` u64 | machine types up to 7.2 |
//! | `requested_size` u64 | |
//! | `bitmap`, a bit for each block | machine types up to 7.2 |
//!
//! What newer machine types leave out is in a section of its own before RAM, [`VirtioMemEarlyImage`]:
//!
//! | field | |
//! |---|---|
//! | `addr`, `region_size`, `block_size` u64, `node` u32, `size` u64 | |
//! | `bitmap`, a bit for each block | |
//!
//! Source: `docs/spec/virtio-state.md` section 4.5; streams of QEMU 5.2 to 11.1.

use vmstate::{Input, LoadError, SaveError, Sink, VmState};

use super::{Around, DevicePart, Virtio};

/// Most blocks of a device: 32 TiB in blocks of 2 MiB.
pub const BLOCKS_MAX: usize = 1 << 24;

/// The section.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-mem", version = 1)]
pub struct VirtioMemImage {
    /// All of it.
    pub virtio: Virtio<MemImage>,
}

/// The device part.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-mem-device", version = 1)]
pub struct MemImage {
    /// Whether the memory's place and its plugged blocks are in [`VirtioMemEarlyImage`], as machine types from 8.0 on
    /// have them: configuration. A load takes it from the stream, where what follows the short form is a subsection.
    #[vmstate(local)]
    pub is_early: bool,
    /// How many blocks the memory has. A load takes it from the stream: it is the region's size in blocks.
    #[vmstate(local)]
    pub blocks: u32,
    /// Guest address of the memory.
    #[vmstate(when = is_whole)]
    pub addr: u64,
    /// Its octets.
    #[vmstate(when = is_whole)]
    pub memory_region_size: u64,
    /// Octets of a block.
    #[vmstate(when = is_whole)]
    pub block_size: u64,
    /// Its node.
    #[vmstate(when = is_whole)]
    pub node: u32,
    /// Octets that the guest may plug.
    pub usable_region_size: u64,
    /// Octets that are plugged.
    #[vmstate(when = is_whole)]
    pub size: u64,
    /// Octets that the host wants to be plugged.
    pub requested_size: u64,
    /// Which blocks are plugged.
    #[vmstate(when = is_whole, bitmap, len = blocks, max = BLOCKS_MAX)]
    pub bitmap: Vec<u64>,
}

fn is_whole(image: &MemImage, _: u32) -> bool {
    !image.is_early
}

/// Octets of the short form, and of the long one up to the size of a block.
const SHORT_OCTETS: usize = 16;
const SIZES_OCTETS: usize = 24;

impl DevicePart for MemImage {
    fn write_part(&self, _: Around, sink: &mut dyn Sink) -> Result<(), SaveError> {
        self.encode(&(), sink)
    }

    fn read_part(&mut self, _: Around, input: &mut Input<'_>) -> Result<(), LoadError> {
        let ahead = input.peek(SIZES_OCTETS)?;
        let behind = ahead.get(SHORT_OCTETS..).unwrap_or_default();
        self.is_early = matches!(behind, [5, _, b'v', b'i', b'r', b't', ..]);
        let number = |at: usize| {
            let octets = ahead.get(at..).and_then(|octets| octets.first_chunk());
            octets.map_or(0, |octets| u64::from_be_bytes(*octets))
        };
        let blocks = if self.is_early { 0 } else { number(8).checked_div(number(16)).unwrap_or(0) };
        self.blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
        self.decode(&(), Self::SCHEMA.version, input)
    }
}

/// What is sent before RAM, so that the destination knows which of it there is.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-mem-device-early", version = 1, early)]
pub struct VirtioMemEarlyImage {
    /// How many blocks the memory has: configuration.
    #[vmstate(local)]
    pub blocks: u32,
    /// Guest address of the memory.
    pub addr: u64,
    /// Its octets.
    pub region_size: u64,
    /// Octets of a block.
    pub block_size: u64,
    /// Its node.
    pub node: u32,
    /// Octets that are plugged.
    pub size: u64,
    /// Which blocks are plugged.
    #[vmstate(bitmap, len = blocks, max = BLOCKS_MAX)]
    pub bitmap: Vec<u64>,
}

impl VirtioMemEarlyImage {
    /// The template of a device with so many blocks, at most [`BLOCKS_MAX`].
    #[must_use]
    pub fn with_blocks(blocks: u32) -> Self {
        let words = usize::try_from(blocks).unwrap_or(0).min(BLOCKS_MAX).div_ceil(64);
        Self { blocks, bitmap: vec![0; words], ..Self::default() }
    }
}
