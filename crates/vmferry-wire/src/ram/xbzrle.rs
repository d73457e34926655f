//! The data of an XBZRLE page: a difference from what the destination has at this place.
//!
//! ```text
//! data  = *( zrun nzrun )
//! zrun  = leb14                       octets that stay
//! nzrun = leb14 octet[count]          octets that change, and their new values
//! leb14 = 00..7f  |  (v & 7f) | 80, v >> 7
//! ```
//!
//! Source: `docs/spec/ram.md` section A7, whose checks are made in its order.

mod encode;

pub use encode::{Encoded, encode};

use crate::error::{Reason, WireError};

/// Changes `page` in place, as `data` says.
///
/// # Errors
///
/// A count that is cut short or malformed; no octets that stay, behind the first; none that change; more than the page
/// or the data have. The offset is that in `data`. What stood before it is applied.
pub fn apply(data: &[u8], page: &mut [u8]) -> Result<(), WireError> {
    let mut at = 0_usize;
    let mut place = 0_usize;
    while at < data.len() {
        let start = at;
        let kept = count(data, &mut at)?;
        if kept == 0 && start != 0 {
            return Err(refused(start, "no unchanged octets between two changes"));
        }
        place = place.saturating_add(kept);
        if place > page.len() {
            return Err(refused(start, "unchanged octets beyond the end of the page"));
        }
        let start = at;
        let changed = count(data, &mut at)?;
        if changed == 0 {
            return Err(refused(start, "a change of no octets"));
        }
        let end = place.saturating_add(changed);
        let Some(target) = page.get_mut(place..end) else {
            return Err(refused(start, "changed octets beyond the end of the page"));
        };
        let values_end = at.saturating_add(changed);
        let Some(values) = data.get(at..values_end) else {
            return Err(refused(start, "fewer changed octets than announced"));
        };
        target.copy_from_slice(values);
        (at, place) = (values_end, end);
    }
    Ok(())
}

/// A count of one or two octets; two must be there, since a count is always followed.
fn count(data: &[u8], at: &mut usize) -> Result<usize, WireError> {
    let Some([low, high]) = data.get(*at..).and_then(<[u8]>::first_chunk::<2>) else {
        return Err(refused(*at, "a count that is cut short"));
    };
    if low & 0x80 == 0 {
        *at = at.saturating_add(1);
        return Ok(usize::from(*low));
    }
    if high & 0x80 != 0 {
        return Err(refused(*at, "a count of more than two octets"));
    }
    *at = at.saturating_add(2);
    Ok(usize::from(low & 0x7f) | usize::from(*high) << 7)
}

#[cold]
fn refused(at: usize, what: &'static str) -> WireError {
    WireError::new(u64::try_from(at).unwrap_or(u64::MAX), Reason::BadXbzrle { what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verified_difference_is_applied() {
        // docs/spec/ram.md section A7: octets at 0x000 and 0x801.
        let mut page = [0x55; 4096];
        apply(b"\x00\x01\xd6\x80\x10\x01\x82", &mut page).unwrap();
        let mut expected = [0x55; 4096];
        (expected[0], expected[0x801]) = (0xd6, 0x82);
        assert_eq!(page, expected);
    }

    #[test]
    fn no_data_is_no_change_and_counts_may_be_longer_than_needed() {
        let mut page = [7; 16];
        apply(b"", &mut page).unwrap();
        assert_eq!(page, [7; 16]);
        apply(b"\x80\x00\x81\x00\x01", &mut page).unwrap();
        assert_eq!(page[..2], [1, 7]);
    }

    #[test]
    fn the_last_octet_of_a_page_can_change_and_none_behind_it() {
        let mut page = [0; 16];
        apply(b"\x0f\x01\x09", &mut page).unwrap();
        assert_eq!(page[15], 9);
        assert_eq!(apply(b"\x0f\x02\x09\x09", &mut page).unwrap_err().offset(), 1);
        assert_eq!(apply(b"\x11\x01\x09", &mut page).unwrap_err().offset(), 0);
    }

    #[test]
    fn data_that_ends_early_or_changes_nothing_is_refused() {
        let mut page = [0; 16];
        for data in
            [&b"\x01"[..], b"\x01\x00", b"\x01\x01", b"\x00\x02\x01", b"\x00\x01\x05\x00\x01\x05", b"\x80\x80\x01"]
        {
            assert!(apply(data, &mut page).is_err(), "{data:?}");
        }
    }

    fn delta(old: &[u8], new: &[u8]) -> Option<Vec<u8>> {
        let mut out = vec![0; new.len()];
        match encode(old, new, &mut out) {
            Encoded::Equal => Some(Vec::new()),
            Encoded::Changed(used) => Some(out[..used].to_vec()),
            Encoded::Overflow => None,
        }
    }

    #[test]
    fn the_verified_difference_is_encoded() {
        let old = [0x55; 4096];
        let mut new = old;
        (new[0], new[0x801]) = (0xd6, 0x82);
        assert_eq!(delta(&old, &new).unwrap(), b"\x00\x01\xd6\x80\x10\x01\x82");
    }

    #[test]
    fn two_equal_octets_stay_in_a_change_and_three_end_it() {
        let old = [0; 64];
        let mut new = old;
        (new[5], new[8], new[12]) = (1, 2, 3);
        assert_eq!(delta(&old, &new).unwrap(), b"\x05\x04\x01\0\0\x02\x03\x01\x03");
        (new[62], new[63]) = (4, 5);
        assert_eq!(delta(&old, &new).unwrap()[9..], *b"\x31\x02\x04\x05");
    }

    /// Changes of every length at every place and distance, each against the decoder.
    #[test]
    fn what_is_encoded_decodes_to_the_new_page() {
        const PAGE: usize = 200;
        let old: Vec<u8> = (0..PAGE).map(|at| u8::try_from(at * 7 % 256).unwrap()).collect();
        for start in 0..PAGE {
            for len in (1..20).chain([64, 65, 127, 128, 129, 200]) {
                for gap in [1, 2, 3, 4, 9, 70, 131] {
                    let mut new = old.clone();
                    let ends = [start, start + len + gap];
                    ends.iter().for_each(|from| new.iter_mut().skip(*from).take(len).for_each(|octet| *octet ^= 0x81));
                    let Some(data) = delta(&old, &new) else { continue };
                    let mut page = old.clone();
                    apply(&data, &mut page).unwrap();
                    assert!(page == new, "{start} {len} {gap}");
                }
            }
        }
    }

    #[test]
    fn data_that_is_longer_than_the_page_is_given_up() {
        let (old, new) = ([0; 4096], [1; 4096]);
        assert_eq!(encode(&old, &new, &mut [0; 4096]), Encoded::Overflow);
        let mut half = old;
        half[..4000].fill(1);
        assert_eq!(encode(&old, &half, &mut [0; 4096]), Encoded::Changed(4003));
        assert_eq!(encode(&old, &half, &mut [0; 4002]), Encoded::Overflow);
        assert_eq!(encode(&old, &old, &mut []), Encoded::Equal);
        // No count reaches as far.
        let (old, mut far) = (vec![0; 1 << 15], vec![0; 1 << 15]);
        far[20_000] = 1;
        assert_eq!(encode(&old, &far, &mut [0; 64]), Encoded::Overflow);
    }
}
