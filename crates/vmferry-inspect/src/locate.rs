//! Finds the description at the end of what can be read from any place.
//!
//! `docs/spec/vmdesc.md` section A7: the last `00 06` + u32 + `{` whose length ends exactly at the end and whose text
//! parses. QEMU ignores octets behind the description, so one that ends earlier is taken where none ends exactly.

use std::io::{self, Read, SeekFrom};

use vmferry_wire::description::{self, Description};
use vmferry_wire::limits::DESCRIPTION_BYTES_LIMIT;
use vmferry_wire::section::{EOF, VMDESCRIPTION};

use crate::source::ReadSeek;

/// Octets of the end of the stream, the description's type and its length.
const HEAD_BYTES: usize = 6;

/// First look; nearly every description fits.
const FIRST_WINDOW_BYTES: u64 = 256 << 10;

/// The description, and where its type octet stands.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) offset: u64,
    /// Octets of type, length and text.
    pub(crate) octets: u64,
    pub(crate) description: Description,
}

/// Looks at the last octets of `file`; its cursor is somewhere else afterwards. Offsets are those in the file.
pub(crate) fn find_description(file: &mut dyn ReadSeek) -> io::Result<Option<Located>> {
    let end = file.seek(SeekFrom::End(0))?;
    let largest = u64::from(DESCRIPTION_BYTES_LIMIT).saturating_add(FIRST_WINDOW_BYTES);
    let mut window = FIRST_WINDOW_BYTES;
    loop {
        let start = end.saturating_sub(window);
        file.seek(SeekFrom::Start(start))?;
        let mut octets = Vec::new();
        file.take(window).read_to_end(&mut octets)?;
        let found = candidate(&octets, true).or_else(|| candidate(&octets, false));
        if let Some((at, octets, description)) = found {
            let offset = start.saturating_add(u64::try_from(at).unwrap_or(u64::MAX));
            let octets = u64::try_from(octets).unwrap_or(u64::MAX);
            return Ok(Some(Located { offset, octets, description }));
        }
        if start == 0 || window >= largest {
            return Ok(None);
        }
        window = window.saturating_mul(8).min(largest);
    }
}

/// The last place in `octets` where a description starts, and its octets from there on. Linear: the text of a candidate
/// has no NUL, so parsing it stops before the next candidate, which starts with one.
fn candidate(octets: &[u8], ends_at_end: bool) -> Option<(usize, usize, Description)> {
    let mut searched = octets;
    loop {
        let (at, head) = last_head(searched)?;
        let length = usize::try_from(u32::from_be_bytes(head)).unwrap_or(usize::MAX);
        let text = octets.get(at.saturating_add(HEAD_BYTES)..).unwrap_or_default();
        let text = if ends_at_end { Some(text).filter(|text| text.len() == length) } else { text.get(..length) };
        if let Some(text) = text
            && let Ok(description) = description::read(text)
        {
            let framed = text.len().saturating_add(HEAD_BYTES).saturating_sub(1);
            return Some((at.saturating_add(1), framed, description));
        }
        // One octet of overlap, since a candidate's last octet may be another's first.
        searched = searched.get(..at.saturating_add(HEAD_BYTES)).unwrap_or_default();
    }
}

/// The last `00 06 LLLL {` in `octets`, and its length.
fn last_head(octets: &[u8]) -> Option<(usize, [u8; 4])> {
    let heads = octets.windows(HEAD_BYTES + 1).enumerate().rev();
    heads.into_iter().find_map(|(at, head)| match *head {
        [EOF, VMDESCRIPTION, a, b, c, d, b'{'] => Some((at, [a, b, c, d])),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"page_size": 4096, "devices": []}"#;

    fn framed(text: &str) -> Vec<u8> {
        let mut octets = vec![EOF, VMDESCRIPTION];
        octets.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
        octets.extend_from_slice(text.as_bytes());
        octets
    }

    fn find(octets: Vec<u8>) -> Option<u64> {
        let mut file = io::Cursor::new(octets);
        find_description(&mut file).unwrap().map(|located| located.offset)
    }

    #[test]
    fn a_description_at_the_end_is_found() {
        let mut octets = vec![0x7e; 100];
        octets.extend(framed(TEXT));
        assert_eq!(find(octets), Some(101));
    }

    #[test]
    fn a_brace_in_the_length_does_not_confuse() {
        // QEMU's own script fails where the length holds an octet 7b.
        let text = format!("{}{}", TEXT, " ".repeat(0x7b - TEXT.len()));
        assert_eq!(framed(&text)[5], b'{');
        assert_eq!(find(framed(&text)), Some(1));
        let text = format!("{}{}", TEXT, " ".repeat(0x7b00 - TEXT.len()));
        assert_eq!(find(framed(&text)), Some(1));
    }

    #[test]
    fn octets_behind_the_description_are_ignored() {
        let mut octets = framed(TEXT);
        octets.extend_from_slice(&[0; 4096]);
        assert_eq!(find(octets), Some(1));
    }

    #[test]
    fn a_description_inside_a_page_loses_against_the_one_at_the_end() {
        let mut octets = framed(r#"{"devices": [], "x": 1}"#);
        octets.extend(framed(TEXT));
        let at = octets.len() - TEXT.len() - 5;
        assert_eq!(find(octets), Some(at as u64));
    }

    #[test]
    fn a_large_description_is_found() {
        let text = format!("{}{}", TEXT, " ".repeat(3 << 20));
        let mut octets = vec![1; 1 << 20];
        octets.extend(framed(&text));
        assert_eq!(find(octets), Some((1 << 20) + 1));
    }

    #[test]
    fn a_cut_description_is_not_one() {
        let mut octets = framed(TEXT);
        octets.pop();
        assert_eq!(find(octets), None);
        assert_eq!(find(Vec::new()), None);
    }

    #[test]
    fn many_false_starts_cost_linear_time() {
        let octets: Vec<u8> = std::iter::repeat_n(*b"\x00\x06\x00\xff\xff\xff{", 600_000).flatten().collect();
        assert_eq!(find(octets), None);
    }
}
