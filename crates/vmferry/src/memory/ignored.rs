//! Which blocks capability `x-ignore-shared` leaves out: those whose memory is a shared mapping of a file with a name,
//! which the destination maps as well.
//!
//! The stream does not say which blocks its source left out, so both ends go by their own memory
//! (`docs/spec/ram.md` section A9).

use std::sync::Arc;

use super::{Backing, RamBlock};

/// Whether `block` has memory that another process can map by its name.
#[must_use]
pub fn is_in_named_file(block: &dyn RamBlock) -> bool {
    matches!(block.backing(), Backing::Shared { is_named: true, .. })
}

/// Whether each block is left out, in the machine's order; none without the capability.
#[must_use]
pub fn ignored(blocks: &[Arc<dyn RamBlock>], ignore_shared: bool) -> Vec<bool> {
    blocks.iter().map(|block| ignore_shared && is_in_named_file(&**block)).collect()
}
