//! The parameter block in the image.
//!
//! Little-endian doublewords from [`PARAMETERS_OFFSET`] on:
//!
//! | offset | what | 0 means |
//! |---|---|---|
//! | 0 | magic `FERRYPAR` | – |
//! | 8 | version of the block, 1 | – |
//! | 16, 24 | first and end address of the memory walked | 0x8020_0000; where loads begin to fault |
//! | 32 | dirty rate in bytes per second, a page counting 4096 | as fast as possible |
//! | 40 | pages per burst | 64 |
//! | 48 | passes before it powers off | no end |
//! | 56 | seed | |
//! | 64 | bytes from one checked word to the next; a divisor of 4088 and multiple of 8 | 584 |
//! | 72 | whether it polls the time while it waits | it sleeps (`wfi`) |

use vm_memory::GuestAddress;

use super::PROGRAM;

/// Where the block is in the image.
pub const PARAMETERS_OFFSET: usize = 0x40;

/// C of the hash.
pub const HASH_MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

const MAGIC: [u8; 8] = *b"FERRYPAR";
const VERSION: u64 = 1;

/// Offsets in the block, for the assembler.
#[expect(missing_docs, reason = "the table of the module names them")]
pub mod parameter_offset {
    pub const MEMORY_START: i32 = 16;
    pub const MEMORY_END: i32 = 24;
    pub const DIRTY_RATE: i32 = 32;
    pub const BURST_PAGES: i32 = 40;
    pub const PASSES: i32 = 48;
    pub const SEED: i32 = 56;
    pub const STRIDE: i32 = 64;
    pub const POLL: i32 = 72;
    pub const BYTES: usize = 80;
}

/// How many words of a page are checked and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CheckedWords {
    /// The first and the last word.
    Two,
    /// Eight words, 584 bytes apart: about 90 instructions a page.
    #[default]
    Eight,
    /// 74 words, 56 bytes apart.
    SeventyFour,
    /// All 512 words.
    All,
}

impl CheckedWords {
    /// Bytes from one word to the next.
    #[must_use]
    pub const fn stride_bytes(self) -> u64 {
        match self {
            Self::Two => 4088,
            Self::Eight => 584,
            Self::SeventyFour => 56,
            Self::All => 8,
        }
    }
}

/// What the guest is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GuestParameters {
    /// First address walked; `None` is 0x8020_0000.
    pub memory_start: Option<GuestAddress>,
    /// End of the memory walked; `None` lets the guest find the end of RAM.
    pub memory_end: Option<GuestAddress>,
    /// Bytes per second that it dirties, each page counting 4096; `None` is as fast as it can.
    pub dirty_rate_bytes_per_s: Option<u64>,
    /// Pages between two waits; `None` is 64.
    pub burst_pages: Option<u64>,
    /// Passes before it powers off; `None` is for ever.
    pub passes: Option<u64>,
    /// Enters every hash.
    pub seed: u64,
    /// Words checked per page.
    pub words: CheckedWords,
    /// Poll the time between bursts instead of sleeping until the timer's interrupt.
    ///
    /// Needed under a QEMU that forgets to start the timer after an incoming migration (10.0 does; 11.1 does not):
    /// there a guest that sleeps never wakes.
    pub polls: bool,
}

impl GuestParameters {
    fn encode(&self) -> Vec<u8> {
        let Self { memory_start, memory_end, dirty_rate_bytes_per_s, burst_pages, passes, seed, words, polls } = self;
        let mut block = MAGIC.to_vec();
        for value in [
            VERSION,
            memory_start.map_or(0, |address| address.0),
            memory_end.map_or(0, |address| address.0),
            dirty_rate_bytes_per_s.unwrap_or(0),
            burst_pages.unwrap_or(0),
            passes.unwrap_or(0),
            *seed,
            words.stride_bytes(),
            u64::from(*polls),
        ] {
            block.extend_from_slice(&value.to_le_bytes());
        }
        block
    }
}

/// The guest's image with `parameters` in it, to be put at 0x8000_0000.
#[must_use]
pub fn image(parameters: &GuestParameters) -> Vec<u8> {
    with_parameters(PROGRAM, parameters)
}

/// `program` with the block in it.
pub(crate) fn with_parameters(program: &[u8], parameters: &GuestParameters) -> Vec<u8> {
    let block = parameters.encode();
    let mut image = Vec::with_capacity(program.len());
    image.extend(program.iter().take(PARAMETERS_OFFSET));
    image.extend_from_slice(&block);
    image.extend(program.iter().skip(PARAMETERS_OFFSET + block.len()));
    image
}

/// Word `index` of the page at `page` after pass `pass`: what the guest has written there.
#[must_use]
pub const fn word_of_page(page: GuestAddress, pass: u64, seed: u64, index: u64) -> u64 {
    if index == 0 {
        return pass;
    }
    let g = (page.0.wrapping_add(seed) ^ pass.wrapping_mul(HASH_MULTIPLIER)).wrapping_mul(HASH_MULTIPLIER);
    (g ^ (g >> 29)).wrapping_add(index.wrapping_mul(HASH_MULTIPLIER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_replaces_as_many_bytes_as_the_program_reserves() {
        let block = GuestParameters::default().encode();
        assert_eq!(block.len(), parameter_offset::BYTES);
        let image = image(&GuestParameters { seed: 7, ..GuestParameters::default() });
        assert_eq!(image.len(), PROGRAM.len());
        assert_eq!(image[PARAMETERS_OFFSET..][..8], MAGIC);
        assert_eq!(image[PARAMETERS_OFFSET + 56], 7);
        assert_eq!(image[..PARAMETERS_OFFSET], PROGRAM[..PARAMETERS_OFFSET]);
        assert_eq!(image[PARAMETERS_OFFSET + 80..], PROGRAM[PARAMETERS_OFFSET + 80..]);
    }

    #[test]
    fn every_stride_ends_at_the_last_word() {
        for words in [CheckedWords::Two, CheckedWords::Eight, CheckedWords::SeventyFour, CheckedWords::All] {
            assert_eq!((4088 % words.stride_bytes(), words.stride_bytes() % 8), (0, 0), "{words:?}");
        }
    }
}
