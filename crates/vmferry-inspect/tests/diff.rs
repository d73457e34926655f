//! RAM of streams that are written here, page by page.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failed test may panic")]

use vmferry_inspect::diff::{Diff, diff};
use vmferry_inspect::{Options, Source};

const PAGE: u64 = 0x1000;

/// A record of a page: flags 08 with contents, 02 zero, 20 of the same block as before.
fn record(offset: u64, fill: u8) -> Vec<u8> {
    let flags = if fill == 0 { 0x22 } else { 0x28 };
    let mut octets = (offset | flags).to_be_bytes().to_vec();
    octets.resize(octets.len() + if fill == 0 { 1 } else { 0x1000 }, fill);
    octets
}

/// A stream of a machine with blocks `b` of so many pages and `c` of one page, and the pages of `b` that it sends.
fn stream(pages: u64, sent: &[(u64, u8)]) -> Vec<u8> {
    let mut octets = b"QEVM\0\0\0\x03\x07\0\0\0\x04none\x01\0\0\0\x01\x03ram\0\0\0\0\0\0\0\x04".to_vec();
    octets.extend_from_slice(&(((pages + 1) * PAGE) | 4).to_be_bytes());
    octets.extend_from_slice(b"\x01b");
    octets.extend_from_slice(&(pages * PAGE).to_be_bytes());
    octets.extend_from_slice(b"\x01c");
    octets.extend_from_slice(&PAGE.to_be_bytes());
    // The first page of `b` is zero.
    octets.extend_from_slice(b"\0\0\0\0\0\0\0\x02\x01b\0");
    for (page, fill) in sent {
        octets.extend(record(page * PAGE, *fill));
    }
    octets.extend_from_slice(b"\0\0\0\0\0\0\0\x10\x7e\0\0\0\x01\0");
    octets
}

fn compared(a: &[u8], b: &[u8]) -> Diff {
    let options = Options::default();
    diff(Source::from_octets(a), Source::pipe(b), [&options, &options], &mut ()).unwrap()
}

#[test]
fn of_a_page_the_last_contents_count() {
    let a = stream(10, &[(1, 7), (2, 8), (3, 9)]);
    let b = stream(10, &[(3, 1), (2, 8), (1, 5), (1, 7), (3, 9)]);
    assert!(compared(&a, &b).is_equal());
    let diff = compared(&a, &stream(10, &[(1, 7), (2, 8), (3, 9), (2, 1), (3, 0)]));
    assert!(!diff.is_equal() && diff.sections.is_empty() && diff.not_compared.is_empty());
    let [b, c] = &diff.ram.blocks[..] else { panic!("{:?}", diff.ram) };
    assert_eq!((b.pages_differ, &b.first_offsets[..]), (Some(2), &[2 * PAGE, 3 * PAGE][..]));
    assert_eq!((c.pages_differ, c.is_equal()), (Some(0), true));
    assert_eq!(diff.to_text(), "ram block b: 2 pages differ, at 0x2000 0x3000\nnot equal\n");
}

#[test]
fn a_page_sent_as_zero_is_one_that_was_never_sent() {
    assert!(compared(&stream(10, &[(1, 1), (4, 0), (5, 1), (5, 0)]), &stream(10, &[(1, 1)])).is_equal());
}

#[test]
fn pages_that_may_be_on_other_channels_are_never_equal() {
    // No contents at all, and pages that were not sent: what older multifd streams look like.
    let octets = stream(10, &[]);
    let diff = compared(&octets, &octets);
    assert!(!diff.is_equal() && diff.not_compared[0].contains("multifd channels"), "{}", diff.to_text());
    assert_eq!(diff.ram.blocks[0].pages_differ, None);
}

#[test]
fn lengths_that_differ_are_told_and_what_both_have_is_compared() {
    let diff = compared(&stream(10, &[(1, 1), (9, 1)]), &stream(8, &[(1, 2)]));
    let block = &diff.ram.blocks[0];
    assert_eq!(block.used_bytes, [Some(10 * PAGE), Some(8 * PAGE)]);
    assert_eq!((block.pages_differ, &block.first_offsets[..]), (Some(1), &[PAGE][..]));
    assert!(!diff.is_equal());
    assert!(diff.to_text().contains("ram block b: 0xa000 bytes -> 0x8000 bytes\n"), "{}", diff.to_text());
}
