//! The plain way to make XBZRLE data, octet by octet: what the fast one is compared with.

use vmferry_wire::ram::xbzrle::Encoded;

/// As `vmferry_wire::ram::xbzrle::encode`: a change ends at three equal octets, or at the end of the page.
pub(crate) fn encode(old: &[u8], new: &[u8], out: &mut [u8]) -> Encoded {
    let page = old.len().min(new.len());
    let (mut at, mut used) = (0, 0);
    loop {
        let start = (at..page).find(|at| old[*at] != new[*at]).unwrap_or(page);
        if start == page {
            return if used == 0 { Encoded::Equal } else { Encoded::Changed(used) };
        }
        let (mut end, mut next) = (start, start);
        while next < page && next < end + 3 {
            next += 1;
            if old[next - 1] != new[next - 1] {
                end = next;
            }
        }
        for count in [start - at, end - start] {
            let octets: &[u8] = match count {
                0..0x80 => &[count as u8],
                0x80..0x4000 => &[count as u8 | 0x80, (count >> 7) as u8],
                _ => return Encoded::Overflow,
            };
            let Some(room) = out.get_mut(used..used + octets.len()) else { return Encoded::Overflow };
            room.copy_from_slice(octets);
            used += octets.len();
        }
        let Some(room) = out.get_mut(used..used + end - start) else { return Encoded::Overflow };
        for (place, octet) in room.iter_mut().zip(&new[start..end]) {
            *place = *octet;
        }
        used += end - start;
        at = end;
    }
}
