//! Text forms of property values, read the same way when a program is compiled and when it runs.
//!
//! | kind | text | refused |
//! |---|---|---|
//! | on or off | `on`, `yes`, `true`, `y`; `off`, `no`, `false`, `n` | capitals, 1 and 0 |
//! | number | decimal, or hexadecimal behind `0x`, `-` first where signed | `1k`, `5.0`, `1e3`, blanks, `+` |
//! | size | decimal with one of `B K M G T P E`, small or large, or hexadecimal without | fractions, `KiB`, 2^64 and more |
//! | enumeration | its names, exactly | other capitals |
//! | string | anything | |
//! | array | elements between commas; empty text for none | |
//!
//! What is accepted was tried with `-global` of QEMU 10.0. `Differs from QEMU:` it also takes a leading blank or `+`,
//! reads a number that begins with 0 as octal (`010` is 8, where a size of `010` is 10) and one with `0b` as binary,
//! wraps −2^64+1 to 1, and takes sizes with a fraction (`1.5K`); those are refused here, since they are read
//! differently by different programs.

use std::borrow::Cow;

use super::{LIST_ELEMENTS_LIMIT, PropertyKind, PropertyValue};

/// The value of `on`, `off` and their other forms.
pub(super) const fn read_bool(text: &[u8]) -> Option<bool> {
    match text {
        b"on" | b"yes" | b"true" | b"y" => Some(true),
        b"off" | b"no" | b"false" | b"n" => Some(false),
        _ => None,
    }
}

/// An unsigned number up to `max`.
pub(super) const fn read_unsigned(text: &[u8], max: u64) -> Option<u64> {
    match text {
        [b'0', b'x' | b'X', digits @ ..] => digits_to(digits, 16, max),
        [b'0', _, ..] => None,
        digits => digits_to(digits, 10, max),
    }
}

/// A signed number of so many bits, at most 64.
pub(super) const fn read_signed(text: &[u8], bits: u32) -> Option<i64> {
    let max = i64::MAX.cast_unsigned() >> (64 - bits);
    match text {
        [b'-', number @ ..] => match read_unsigned(number, max + 1) {
            Some(number) => Some(number.wrapping_neg().cast_signed()),
            None => None,
        },
        number => match read_unsigned(number, max) {
            Some(number) => Some(number.cast_signed()),
            None => None,
        },
    }
}

/// A number of bytes, with or without a suffix.
pub(super) const fn read_size(text: &[u8]) -> Option<u64> {
    if let [b'0', b'x' | b'X', digits @ ..] = text {
        return digits_to(digits, 16, u64::MAX);
    }
    let (digits, shift) = match text {
        [digits @ .., b'b' | b'B'] => (digits, 0),
        [digits @ .., b'k' | b'K'] => (digits, 10),
        [digits @ .., b'm' | b'M'] => (digits, 20),
        [digits @ .., b'g' | b'G'] => (digits, 30),
        [digits @ .., b't' | b'T'] => (digits, 40),
        [digits @ .., b'p' | b'P'] => (digits, 50),
        [digits @ .., b'e' | b'E'] => (digits, 60),
        digits => (digits, 0),
    };
    match digits_to(digits, 10, u64::MAX >> shift) {
        Some(number) => Some(number << shift),
        None => None,
    }
}

/// Where `text` stands among the names.
pub(super) const fn index_of(names: &[&str], text: &[u8]) -> Option<usize> {
    let (mut rest, mut index) = (names, 0);
    while let [name, later @ ..] = rest {
        if same_octets(name.as_bytes(), text) {
            return Some(index);
        }
        (rest, index) = (later, index + 1);
    }
    None
}

/// Whether two names are equal.
pub(crate) const fn same(a: &str, b: &str) -> bool {
    same_octets(a.as_bytes(), b.as_bytes())
}

/// Whether the octets are equal. From the end: many names begin alike, and the compiler counts its steps.
const fn same_octets(mut a: &[u8], mut b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    while let ([left_rest @ .., left], [right_rest @ .., right]) = (a, b) {
        if *left != *right {
            return false;
        }
        (a, b) = (left_rest, right_rest);
    }
    true
}

const fn digits_to(mut digits: &[u8], radix: u32, max: u64) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let mut number: u64 = 0;
    while let [digit, rest @ ..] = digits {
        let value = match *digit {
            digit @ b'0'..=b'9' => digit - b'0',
            digit @ b'a'..=b'f' => digit - b'a' + 10,
            digit @ b'A'..=b'F' => digit - b'A' + 10,
            _ => return None,
        };
        if value as u32 >= radix {
            return None;
        }
        number = match number.checked_mul(radix as u64) {
            Some(number) => number,
            None => return None,
        };
        number = match number.checked_add(value as u64) {
            Some(number) if number <= max => number,
            _ => return None,
        };
        digits = rest;
    }
    Some(number)
}

/// The part before the first comma, and what is behind it.
pub(super) const fn first_element(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut length = 0;
    let mut rest = text;
    while let [octet, later @ ..] = rest {
        if *octet == b',' {
            let (element, _) = text.split_at(length);
            return (element, Some(later));
        }
        (rest, length) = (later, length + 1);
    }
    (text, None)
}

/// A scalar as a number that is equal for equal values; `None` for text that is no value. A string is none either.
const fn number_of(kind: &PropertyKind, text: &[u8]) -> Option<i128> {
    match *kind {
        PropertyKind::Bool => match read_bool(text) {
            Some(is_on) => Some(is_on as i128),
            None => None,
        },
        PropertyKind::Uint { bits } => match read_unsigned(text, u64::MAX >> (64 - bits)) {
            Some(number) => Some(number as i128),
            None => None,
        },
        PropertyKind::Int { bits } => match read_signed(text, bits) {
            Some(number) => Some(number as i128),
            None => None,
        },
        PropertyKind::Size => match read_size(text) {
            Some(bytes) => Some(bytes as i128),
            None => None,
        },
        PropertyKind::Enum { names, .. } => match index_of(names, text) {
            Some(index) => Some(index as i128),
            None => None,
        },
        PropertyKind::Str | PropertyKind::List { .. } => None,
    }
}

/// Whether `text` is a value of this kind.
pub(crate) const fn is_value(kind: &PropertyKind, text: &[u8]) -> bool {
    match kind {
        PropertyKind::Str => true,
        PropertyKind::List { element } => {
            let mut rest = if text.is_empty() { None } else { Some(text) };
            let mut count = 0;
            while let Some(elements) = rest {
                let (first, later) = first_element(elements);
                count += 1;
                if count > LIST_ELEMENTS_LIMIT || !is_value(element, first) {
                    return false;
                }
                rest = later;
            }
            true
        }
        scalar => number_of(scalar, text).is_some(),
    }
}

/// Whether two texts stand for one value of this kind.
pub(crate) const fn same_value(kind: &PropertyKind, a: &[u8], b: &[u8]) -> bool {
    match kind {
        PropertyKind::Str => same_octets(a, b),
        PropertyKind::List { element } => {
            if a.is_empty() || b.is_empty() {
                return a.is_empty() && b.is_empty();
            }
            let (mut a, mut b) = (Some(a), Some(b));
            loop {
                match (a, b) {
                    (Some(left), Some(right)) => {
                        let ((left, left_rest), (right, right_rest)) = (first_element(left), first_element(right));
                        if !same_value(element, left, right) {
                            return false;
                        }
                        (a, b) = (left_rest, right_rest);
                    }
                    (None, None) => return true,
                    _ => return false,
                }
            }
        }
        scalar => match (number_of(scalar, a), number_of(scalar, b)) {
            (Some(a), Some(b)) => a == b,
            _ => false,
        },
    }
}

/// Whether `text` stands for this value.
pub(crate) const fn is_text_of(kind: &PropertyKind, text: &[u8], value: &PropertyValue) -> bool {
    match (kind, value) {
        (PropertyKind::Str, PropertyValue::Str(held)) => same_octets(text, str_of(held).as_bytes()),
        (PropertyKind::List { element }, PropertyValue::List(held)) => {
            let mut values = list_of(held);
            let mut rest = if text.is_empty() { None } else { Some(text) };
            while let Some(elements) = rest {
                let (first, later) = first_element(elements);
                let [value, others @ ..] = values else { return false };
                if !is_text_of(element, first, value) {
                    return false;
                }
                (rest, values) = (later, others);
            }
            values.is_empty()
        }
        (PropertyKind::Enum { .. }, PropertyValue::Enum(name)) => same_octets(text, name.as_bytes()),
        (scalar, value) => match (number_of(scalar, text), value) {
            (Some(number), PropertyValue::Bool(is_on)) => number == *is_on as i128,
            (Some(number), PropertyValue::Uint { value, .. } | PropertyValue::Size(value)) => number == *value as i128,
            (Some(number), PropertyValue::Int { value, .. }) => number == *value as i128,
            _ => false,
        },
    }
}

#[expect(clippy::ptr_arg, reason = "a constant cannot deref a Cow")]
const fn str_of<'a>(held: &'a Cow<'static, str>) -> &'a str {
    match held {
        Cow::Borrowed(text) => text,
        Cow::Owned(text) => text.as_str(),
    }
}

#[expect(clippy::ptr_arg, reason = "a constant cannot deref a Cow")]
const fn list_of<'a>(held: &'a Cow<'static, [PropertyValue]>) -> &'a [PropertyValue] {
    match held {
        Cow::Borrowed(list) => list,
        Cow::Owned(list) => list.as_slice(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_or_hexadecimal_and_within_their_bits() {
        for (text, value) in [("0", 0), ("255", 255), ("0xff", 255), ("0XfF", 255), ("0x0010", 16)] {
            assert_eq!(read_unsigned(text.as_bytes(), 255), Some(value), "{text}");
        }
        // QEMU takes the first four, and reads 010 as 8.
        for text in
            ["+5", " 5", "0b11", "010", "5 ", "", "0x", "0x+1", "-1", "256", "0x100", "1k", "1e3", "5.0", "f", "_1"]
        {
            assert_eq!(read_unsigned(text.as_bytes(), 255), None, "{text}");
        }
        assert_eq!(read_unsigned(b"18446744073709551615", u64::MAX), Some(u64::MAX));
        assert_eq!(read_unsigned(b"18446744073709551616", u64::MAX), None);
    }

    #[test]
    fn signed_numbers_end_where_their_bits_end() {
        for (text, value) in [("-2147483648", i64::from(i32::MIN)), ("2147483647", i64::from(i32::MAX)), ("-0x1", -1)] {
            assert_eq!(read_signed(text.as_bytes(), 32), Some(value), "{text}");
        }
        for text in ["-2147483649", "2147483648", "0xffffffff", "--1", "-", "- 1"] {
            assert_eq!(read_signed(text.as_bytes(), 32), None, "{text}");
        }
        assert_eq!(read_signed(b"-9223372036854775808", 64), Some(i64::MIN));
        assert_eq!(read_signed(b"9223372036854775808", 64), None);
    }

    #[test]
    fn sizes_have_suffixes_of_powers_of_1024() {
        let values = [
            ("1", 1),
            ("4k", 4096),
            ("4K", 4096),
            ("2m", 2 << 20),
            ("1G", 1 << 30),
            ("1T", 1 << 40),
            ("15E", 15 << 60),
        ];
        for (text, value) in values.into_iter().chain([("1P", 1 << 50), ("1B", 1), ("0x1000", 4096), ("010", 10)]) {
            assert_eq!(read_size(text.as_bytes()), Some(value), "{text}");
        }
        for text in ["16E", "18446744073709551616", "0x1k", "1KiB", "1kk", "1 k", "k", "", "-1", "1.5", "1.5K", "1e3"] {
            assert_eq!(read_size(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn texts_of_one_value_are_the_same_and_others_are_not() {
        let numbers = PropertyKind::List { element: &PropertyKind::Uint { bits: 8 } };
        let same = |kind: &PropertyKind, a: &str, b: &str| same_value(kind, a.as_bytes(), b.as_bytes());
        assert!(same(&PropertyKind::Bool, "on", "yes") && !same(&PropertyKind::Bool, "on", "off"));
        assert!(same(&PropertyKind::Size, "4k", "4096") && same(&PropertyKind::Int { bits: 32 }, "-1", "-0x1"));
        assert!(!same(&PropertyKind::Str, "1", "01") && !same(&PropertyKind::Uint { bits: 8 }, "x", "x"));
        assert!(same(&numbers, "1,0x2", "1,2") && same(&numbers, "", ""));
        assert!(!same(&numbers, "1,2", "1") && !same(&numbers, "1", "1,2") && !same(&numbers, "", "0"));
        assert!(is_value(&numbers, b"") && is_value(&numbers, b"1,2") && !is_value(&numbers, b"1,"));
        assert!(!is_value(&numbers, b",") && !is_value(&numbers, b"1,256"));
        let held = PropertyValue::of_list(vec![PropertyValue::of_u8(1), PropertyValue::of_u8(2)]);
        assert!(is_text_of(&numbers, b"1,2", &held) && !is_text_of(&numbers, b"1", &held));
        assert!(!is_text_of(&numbers, b"1,2,3", &held) && !is_text_of(&numbers, b"", &held));
    }
}
