//! Pages with content that arrive in the window of the main channel: whose memory is populated run by run.
//!
//! A run of pages whose headers are in the window is known exactly; it is populated at once, and nothing beside it but
//! what [`super::regions`] allows.

use std::ops::Range;

use vmferry_wire::ram::{PageKind, page_header};

use super::held::Held;
use crate::memory::{RamBlock, TARGET_PAGE, TARGET_PAGE_BYTES};

/// Octets of a page record that names no block.
const HEADER_OCTETS: usize = 8;

/// What was populated last.
#[derive(Debug, Default)]
pub(super) struct Arrival {
    block: usize,
    populated: Range<u64>,
}

impl Arrival {
    /// Prepares the memory of the page at `offset`, whose content `ahead` starts with.
    pub(super) fn page(&mut self, index: usize, block: &dyn RamBlock, offset: u64, ahead: &[u8], held: &Held) {
        if self.block == index && self.populated.contains(&offset) {
            return;
        }
        // A run that leaves its block is not populated; it is refused page by page, with its place in the stream.
        let end = offset.saturating_add(run_ahead(ahead, offset) as u64);
        held.populate(index, block, offset..end);
        (self.block, self.populated) = (index, offset..end);
    }
}

/// Bytes of the run of pages with content that starts with the page at `offset`, as far as the headers of those behind
/// it are in `ahead`, which starts with the first page's content. No page is in it that is not about to be written.
fn run_ahead(ahead: &[u8], offset: u64) -> usize {
    let mut len = TARGET_PAGE;
    let mut next = offset;
    for record in ahead.get(TARGET_PAGE..).unwrap_or_default().chunks(HEADER_OCTETS + TARGET_PAGE) {
        next = next.wrapping_add(TARGET_PAGE_BYTES);
        if record.first_chunk() != Some(&page_header(PageKind::Normal, next, true).to_be_bytes()) {
            break;
        }
        len += TARGET_PAGE;
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page's content, then records of the pages at `offsets`.
    fn stream(offsets: &[u64]) -> Vec<u8> {
        let mut octets = vec![1; TARGET_PAGE];
        for offset in offsets {
            octets.extend_from_slice(&page_header(PageKind::Normal, *offset, true).to_be_bytes());
            octets.extend_from_slice(&[2; TARGET_PAGE]);
        }
        octets
    }

    #[test]
    fn a_run_ends_where_the_next_page_is_not_the_next_one() {
        assert_eq!(run_ahead(&stream(&[0x6000, 0x7000, 0x9000]), 0x5000), 3 * TARGET_PAGE);
        let mut zero = stream(&[0x6000]);
        zero.extend_from_slice(&page_header(PageKind::Zero, 0x7000, true).to_be_bytes());
        assert_eq!(run_ahead(&zero, 0x5000), 2 * TARGET_PAGE);
    }

    #[test]
    fn a_run_is_told_from_what_is_there() {
        let octets = stream(&[0x6000, 0x7000]);
        for cut in 0..octets.len() {
            let headers = [2 * HEADER_OCTETS + 2 * TARGET_PAGE, HEADER_OCTETS + TARGET_PAGE];
            let whole = headers.iter().filter(|end| cut >= **end).count();
            assert_eq!(run_ahead(&octets[..cut], 0x5000), (1 + whole) * TARGET_PAGE, "{cut}");
        }
        assert_eq!(run_ahead(&[], u64::MAX - 4095), TARGET_PAGE);
    }
}
