//! SiFive's platform-level interrupt controller.
//!
//! | field | elements, u32 each |
//! |---|---|
//! | `source_priority` | `num_sources`: 127 in 5.2, 96 later |
//! | `target_priority` | `num_addrs`: contexts, two for each hart |
//! | `pending`, `claimed` | `bitfield_words` each: one for each 32 sources |
//! | `enable` | `num_enables`: `num_addrs` times `bitfield_words` |
//!
//! None of the numbers is on the wire: the section changed its size under one version. Source: streams of QEMU 5.2,
//! 7.2, 10.0 and 11.1 (`virt`), and their schema dumps.

use vmstate::VmState;

/// Most sources that the specification allows.
pub const SOURCES_MAX: usize = 1024;
/// Most contexts that the specification allows.
pub const CONTEXTS_MAX: usize = 15_872;
/// Words of a bit for each source.
const WORDS_MAX: usize = SOURCES_MAX / 32;

/// The controller.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "riscv_sifive_plic", version = 1)]
pub struct PlicImage {
    /// Sources that have a priority: configuration, as are the other numbers.
    #[vmstate(local)]
    pub num_sources: u32,
    /// Contexts.
    #[vmstate(local)]
    pub num_addrs: u32,
    /// Words that have a bit for each source.
    #[vmstate(local)]
    pub bitfield_words: u32,
    /// Words of `enable`.
    #[vmstate(local)]
    pub num_enables: u32,
    /// Priority of each source.
    #[vmstate(len = num_sources, max = SOURCES_MAX)]
    pub source_priority: Vec<u32>,
    /// Threshold of each context.
    #[vmstate(len = num_addrs, max = CONTEXTS_MAX)]
    pub target_priority: Vec<u32>,
    /// Sources that ask for service.
    #[vmstate(len = bitfield_words, max = WORDS_MAX)]
    pub pending: Vec<u32>,
    /// Sources that are served.
    #[vmstate(len = bitfield_words, max = WORDS_MAX)]
    pub claimed: Vec<u32>,
    /// Sources that each context listens to.
    #[vmstate(len = num_enables, max = CONTEXTS_MAX * WORDS_MAX)]
    pub enable: Vec<u32>,
}

impl PlicImage {
    /// The template of a controller with so many sources and contexts.
    #[must_use]
    pub fn with(num_sources: u32, num_addrs: u32) -> Self {
        let bitfield_words = num_sources.div_ceil(32);
        let num_enables = bitfield_words.saturating_mul(num_addrs);
        Self {
            num_sources,
            num_addrs,
            bitfield_words,
            num_enables,
            source_priority: vec![0; num_sources as usize],
            target_priority: vec![0; num_addrs as usize],
            pending: vec![0; bitfield_words as usize],
            claimed: vec![0; bitfield_words as usize],
            enable: vec![0; num_enables as usize],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> PlicImage {
        PlicImage {
            source_priority: vec![1; 96],
            target_priority: vec![2, 3],
            pending: vec![4; 3],
            enable: vec![6; 6],
            ..PlicImage::with(96, 2)
        }
    }

    vmstate::vmstate_tests! {
        mod plic_image: PlicImage {
            props: (),
            template: PlicImage::with(96, 2),
            samples: [sample()],
        }
    }
}
