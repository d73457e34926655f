//! The octets of a value that is to be set.
//!
//! | codec | text |
//! |---|---|
//! | integers | decimal, or `0x` and hexadecimal digits; what does not fit the width is refused; hexadecimal digits of a signed one are its bits |
//! | `bool` | `true`, `false`, `on`, `off`, `1`, `0` |
//! | `buffer`, `unused_buffer`, `timer`, `bitmap`, `CPU_Double_U` | hexadecimal digits, two for each octet, exactly as many as there are |

use vmferry_wire::description::{Contents, Field};

use crate::edit::error::{EditError, Force};
use crate::edit::place::is_marker;
use crate::fields::TYPE_CAPABILITY;
use crate::value::ScalarCodec;

/// Codecs whose octets are what they are, in any length.
const PLAIN_OCTETS: [&str; 5] = ["buffer", "unused_buffer", "timer", "bitmap", "CPU_Double_U"];

/// The octets for one element of `field`.
pub(super) fn octets(field: &Field, text: &str, what: &str, force: Force) -> Result<Vec<u8>, EditError> {
    let type_name = &field.type_name;
    if type_name == TYPE_CAPABILITY {
        return Err(EditError::refused(what, "names of capabilities say how the stream itself is read"));
    }
    if is_marker(field) {
        return Err(EditError::refused(what, "a marker says whether an element follows it"));
    }
    if let Some(codec) = ScalarCodec::of_type(type_name, field.size) {
        let accepted = || format!("found {text:?}, expected {}", accepted(codec));
        return scalar(codec, text).ok_or_else(|| EditError::unfit(what, accepted()));
    }
    if matches!(field.contents, Contents::Struct(_) | Contents::EmptyStruct) {
        return Err(EditError::unfit(what, "it is a structure: name one of its fields"));
    }
    let is_plain = PLAIN_OCTETS.contains(&type_name.as_str()) && field.contents == Contents::Plain;
    if !is_plain {
        force.or_refuse(what, format!("its codec {type_name:?} is not known, so that any octets may be wrong"))?;
    }
    match hex(text) {
        Some(octets) if u64::try_from(octets.len()).is_ok_and(|length| length == field.size) => Ok(octets),
        Some(octets) => {
            let reason = format!("found {} octets, expected the {} of the {type_name}", octets.len(), field.size);
            Err(EditError::unfit(what, reason))
        }
        None => {
            let reason = format!("found {text:?}, expected two hexadecimal digits for each of {} octets", field.size);
            Err(EditError::unfit(what, reason))
        }
    }
}

fn accepted(codec: ScalarCodec) -> String {
    match codec {
        ScalarCodec::Bool => "true or false".to_owned(),
        ScalarCodec::Unsigned(octets) => format!("an integer from 0 to {:#x}", mask(octets)),
        ScalarCodec::Signed(octets) => {
            let half = (mask(octets) >> 1).cast_signed();
            format!("an integer from {} to {half}", (-half).saturating_sub(1))
        }
    }
}

/// The largest number of so many octets.
fn mask(octets: usize) -> u64 {
    u64::MAX >> 64_usize.saturating_sub(octets.saturating_mul(8)).min(63)
}

fn scalar(codec: ScalarCodec, text: &str) -> Option<Vec<u8>> {
    let octets = codec.octets();
    let word = match codec {
        ScalarCodec::Bool => match text {
            "true" | "on" | "1" => 1,
            "false" | "off" | "0" => 0,
            _ => return None,
        },
        _ if text.starts_with("0x") => {
            let digits = text.strip_prefix("0x").filter(|digits| !digits.starts_with('+'))?;
            u64::from_str_radix(digits, 16).ok().filter(|word| *word <= mask(octets))?
        }
        ScalarCodec::Unsigned(_) => text.parse::<u64>().ok().filter(|word| *word <= mask(octets))?,
        ScalarCodec::Signed(_) => {
            let value = text.parse::<i64>().ok()?;
            let half = (mask(octets) >> 1).cast_signed();
            (value <= half && value >= (-half).saturating_sub(1)).then_some(value.cast_unsigned())?
        }
    };
    let all = word.to_be_bytes();
    all.get(all.len().checked_sub(octets)?..).map(<[u8]>::to_vec)
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(type_name: &str, size: u64, text: &str) -> Option<Vec<u8>> {
        octets(&Field::scalar("f", type_name, size), text, "f", Force(false)).ok()
    }

    #[test]
    fn integers_must_fit_their_width() {
        assert_eq!(set("uint8", 1, "255"), Some(vec![255]));
        assert_eq!(set("uint8", 1, "256"), None);
        assert_eq!(set("uint8", 1, "-1"), None);
        assert_eq!(set("uint16", 2, "0x1fe"), Some(vec![1, 0xfe]));
        assert_eq!(set("uint16", 2, "0x10000"), None);
        assert_eq!(set("int8", 1, "-128"), Some(vec![0x80]));
        assert_eq!((set("int8", 1, "-129"), set("int8", 1, "128")), (None, None));
        assert_eq!(set("int8", 1, "0x80"), Some(vec![0x80]));
        assert_eq!(set("int16", 2, "-2"), Some(vec![0xff, 0xfe]));
        assert_eq!(set("int64", 8, &i64::MIN.to_string()), Some(vec![0x80, 0, 0, 0, 0, 0, 0, 0]));
        assert_eq!(set("uint64", 8, &u64::MAX.to_string()), Some(vec![0xff; 8]));
        for text in ["", "0x", "0x+1", "1_000", " 1", "one", "0xg"] {
            assert_eq!(set("uint32", 4, text), None, "{text:?}");
        }
    }

    #[test]
    fn bools_are_words() {
        assert_eq!(set("bool", 1, "on"), Some(vec![1]));
        assert_eq!(set("bool", 1, "false"), Some(vec![0]));
        assert_eq!(set("bool", 1, "2"), None);
    }

    #[test]
    fn buffers_have_exactly_their_length() {
        assert_eq!(set("buffer", 3, "0aFF00"), Some(vec![10, 255, 0]));
        assert_eq!(set("timer", 8, "ffffffffffffffff"), Some(vec![255; 8]));
        for text in ["0aff", "0aff0", "0x0aff", "", "zzzzzz", "+1+1+1"] {
            assert_eq!(set("buffer", 3, text), None, "{text:?}");
        }
    }

    #[test]
    fn what_nobody_can_vouch_for_is_refused() {
        assert_eq!(set("virtio", 2, "0102"), None);
        let forced = octets(&Field::scalar("f", "virtio", 2), "0102", "f", Force(true));
        assert_eq!(forced.ok(), Some(vec![1, 2]));
        for (type_name, size, text) in [("capability", 3, "026162"), ("nullptr", 1, "30"), ("ptr-marker", 1, "31")] {
            assert!(octets(&Field::scalar("f", type_name, size), text, "f", Force(true)).is_err());
        }
    }
}
