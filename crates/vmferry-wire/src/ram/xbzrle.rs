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
}
