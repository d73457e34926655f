//! The end of a section that no description tells the length of.
//!
//! `docs/spec/vmdesc.md` section A6: search `7e` + section id such that a plausible element follows. It held on every
//! stream that was tried, but data may contain these octets: the result is a guess, and is reported as one.

use vmferry_wire::section::{
    COMMAND, EOF, FOOTER_BYTES, SECTION_END, SECTION_FOOTER, SECTION_FULL, SECTION_PART, SECTION_START, VMDESCRIPTION,
};

/// Octets of a START or FULL before its id string.
const IDSTR_AT: usize = 6;

/// Octets behind a footer that decide whether an element is plausible: the longest header.
pub(crate) const LOOKAHEAD_BYTES: usize = FOOTER_BYTES + IDSTR_AT + 255;

/// What is known about the stream where the footer is looked for.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) section_id: u32,
    /// Says whether a section of this id may be continued by PART or END.
    pub(crate) is_started: &'a dyn Fn(u32) -> bool,
    /// Whether the octets end where the stream or the package ends.
    pub(crate) is_at_end: bool,
    pub(crate) is_in_package: bool,
}

/// Length of the body at the start of `octets`, from `from` on. `None` if no footer follows in them, or if the element
/// behind the first candidate is cut by their end, which only more octets can decide.
pub(crate) fn find(octets: &[u8], from: usize, surroundings: Surroundings<'_>) -> Option<usize> {
    let mut footer = [0; FOOTER_BYTES];
    let [mark, id @ ..] = &mut footer;
    *mark = SECTION_FOOTER;
    id.copy_from_slice(&surroundings.section_id.to_be_bytes());
    let searched = octets.get(from..)?;
    let candidates = searched.windows(FOOTER_BYTES).enumerate().filter(|(_, window)| **window == footer);
    for (at, _) in candidates {
        let at = at.saturating_add(from);
        let behind = octets.get(at.saturating_add(FOOTER_BYTES)..).unwrap_or_default();
        if behind.len() < LOOKAHEAD_BYTES && !surroundings.is_at_end {
            return None;
        }
        if is_plausible_element(behind, surroundings) {
            return Some(at);
        }
    }
    None
}

/// Whether an element may start here. At the end of a stream that is cut short, the beginning of one is plausible too.
fn is_plausible_element(octets: &[u8], surroundings: Surroundings<'_>) -> bool {
    let Surroundings { is_started, is_at_end, is_in_package, .. } = surroundings;
    match *octets {
        [SECTION_START | SECTION_FULL, _, _, _, _, length, ref rest @ ..] => {
            let idstr = rest.get(..usize::from(length));
            let is_whole = idstr.is_some() || is_at_end;
            is_whole && length > 0 && idstr.unwrap_or(rest).iter().all(|c| (b' '..=b'~').contains(c))
        }
        [SECTION_PART | SECTION_END, a, b, c, d, ..] => is_started(u32::from_be_bytes([a, b, c, d])),
        [COMMAND, 0, 1..=11, _, _, ..] => true,
        // The end of the stream: nothing behind, or the description, or its beginning.
        [EOF] => is_at_end && !is_in_package,
        [EOF, VMDESCRIPTION, _, _, _, _, c, ..] => c == b'{',
        [EOF, VMDESCRIPTION, ..] => is_at_end && !is_in_package,
        [SECTION_START..=SECTION_FULL | COMMAND, ref rest @ ..] => is_at_end && rest.len() < FOOTER_BYTES,
        [] => is_at_end,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_end(section_id: u32) -> Surroundings<'static> {
        Surroundings { section_id, is_started: &|id| id == 1, is_at_end: true, is_in_package: false }
    }

    #[test]
    fn a_footer_before_a_plausible_element_is_found() {
        for behind in [
            &b"\x04\0\0\0\x09\x05timer"[..],
            b"\x08\0\x02\0\x04\0\0\0\x03",
            b"\x02\0\0\0\x01",
            b"\0",
            b"\0\x06\0\0\0\x02{}",
            b"\0\x06\0\0",
        ] {
            let octets = [&b"body\x7e\0\0\0\x07"[..], behind].concat();
            assert_eq!(find(&octets, 0, at_end(7)), Some(4), "{behind:?}");
        }
    }

    #[test]
    fn the_octets_of_a_footer_inside_the_body_are_passed_over() {
        let octets = b"\x7e\0\0\0\x07\x04\0\0\0\0\xffbody\x7e\0\0\0\x07\0";
        assert_eq!(find(octets, 0, at_end(7)), Some(15));
        let octets = b"\x7e\0\0\0\x07\x02\0\0\0\x05body\x7e\0\0\0\x07\0";
        assert_eq!(find(octets, 0, at_end(7)), Some(14));
    }

    #[test]
    fn a_footer_near_the_end_of_what_is_read_waits_for_more() {
        let octets = b"body\x7e\0\0\0\x07\x04\0\0\0\x09\x05tim";
        assert_eq!(find(octets, 0, Surroundings { is_at_end: false, ..at_end(7) }), None);
    }

    #[test]
    fn a_stream_may_be_cut_behind_a_section() {
        for behind in [&b""[..], b"\x04\0\0", b"\x04\0\0\0\x09\x05tim", b"\x08\0"] {
            let octets = [&b"body\x7e\0\0\0\x07"[..], behind].concat();
            assert_eq!(find(&octets, 0, at_end(7)), Some(4), "{behind:?}");
        }
    }

    #[test]
    fn the_end_of_a_package_ends_a_section() {
        let octets = b"body\x7e\0\0\0\x07";
        assert_eq!(find(octets, 0, Surroundings { is_in_package: true, ..at_end(7) }), Some(4));
        let octets = b"body\x7e\0\0\0\x07\0";
        assert_eq!(find(octets, 0, Surroundings { is_in_package: true, ..at_end(7) }), None);
    }
}
