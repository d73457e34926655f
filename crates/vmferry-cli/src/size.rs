//! Sizes on the command line, written as QEMU writes them: `512`, `4K`, `256M`, `1G`.

use std::fmt;
use std::str::FromStr;

/// Suffixes and the powers of two that they stand for.
const SUFFIXES: [(char, u32); 6] = [('K', 10), ('M', 20), ('G', 30), ('T', 40), ('P', 50), ('E', 60)];

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(pub(crate) u64);

/// Why a text is no size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SizeError {
    found: String,
    too_large: bool,
}

impl fmt::Display for SizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.too_large {
            return write!(f, "'{}' is more than 2^64 - 1 bytes", self.found);
        }
        write!(f, "found '{}', expected bytes with an optional suffix K, M, G, T, P or E, such as 256M", self.found)
    }
}

impl std::error::Error for SizeError {}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let error = |too_large| SizeError { found: text.to_owned(), too_large };
        let suffix = text.chars().next_back().map(|last| last.to_ascii_uppercase());
        let shift = SUFFIXES.iter().find(|(letter, _)| suffix == Some(*letter)).map(|(_, shift)| *shift);
        // A suffix is one octet long.
        let digits = if shift.is_some() { text.get(..text.len().saturating_sub(1)).unwrap_or_default() } else { text };
        // `parse` alone would take a sign.
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(error(false));
        }
        let number: u64 = digits.parse().map_err(|_| error(true))?;
        number.checked_mul(1 << shift.unwrap_or(0)).map(Self).ok_or_else(|| error(true))
    }
}

impl fmt::Display for Size {
    /// The largest suffix that leaves a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = SUFFIXES.iter().rev().find(|(_, shift)| self.0 != 0 && self.0.trailing_zeros() >= *shift);
        match whole {
            Some((letter, shift)) => write!(f, "{}{letter}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_powers_of_1024_in_either_case() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("4K", 4096),
            ("4k", 4096),
            ("256M", 256 << 20),
            ("1G", 1 << 30),
            ("2t", 2 << 40),
            ("1P", 1 << 50),
            ("15E", 15 << 60),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "K", "4KB", "1.5G", "-1", "+1", " 1", "1 M", "0x10", "M4", "4µ", "é"] {
            assert_eq!(text.parse::<Size>(), Err(SizeError { found: text.to_owned(), too_large: false }), "{text}");
        }
    }

    #[test]
    fn what_passes_64_bits_is_refused() {
        for text in ["16E", "18446744073709551616", "18446744073709551615K"] {
            assert_eq!(text.parse::<Size>(), Err(SizeError { found: text.to_owned(), too_large: true }), "{text}");
        }
    }

    #[test]
    fn a_size_is_shown_with_the_largest_whole_suffix() {
        for text in ["0", "512", "4K", "1536M", "1G", "1025K"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
        assert_eq!(Size(1024 * 1024).to_string(), "1M");
    }
}
