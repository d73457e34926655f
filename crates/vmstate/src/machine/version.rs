//! Numbers of releases and of machine types: `MAJOR.MINOR` or `MAJOR.MINOR.MICRO`.

use std::fmt;

/// The number of a release, or of a machine type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// `4` of `4.0.1`.
    pub major: u16,
    /// `0` of `4.0.1`.
    pub minor: u16,
    /// `1` of `4.0.1`; 0 if there is none: the release `4.0` is the release `4.0.0`.
    pub micro: u16,
}

impl Version {
    /// Reads `MAJOR.MINOR` or `MAJOR.MINOR.MICRO`, each a decimal number below 65536 without leading zeros.
    #[must_use]
    pub const fn parse(text: &str) -> Option<Self> {
        let Some((major, Some(rest))) = number(text.as_bytes()) else { return None };
        let Some((minor, rest)) = number(rest) else { return None };
        let micro = match rest {
            None => 0,
            Some(rest) => match number(rest) {
                Some((micro, None)) => micro,
                _ => return None,
            },
        };
        Some(Self { major, minor, micro })
    }

    /// Whether this is older than `other`.
    pub(super) const fn is_before(self, other: Self) -> bool {
        self.weight() < other.weight()
    }

    /// The number without its last part.
    pub(super) const fn base(self) -> Self {
        Self { micro: 0, ..self }
    }

    /// The version of this name, without its last part, so many major releases later.
    pub(super) const fn later(self, majors: u16) -> Self {
        Self { major: self.major.saturating_add(majors), ..self.base() }
    }

    const fn weight(self) -> u64 {
        (self.major as u64) << 32 | (self.minor as u64) << 16 | self.micro as u64
    }
}

/// The number before the first dot, and what is behind that.
const fn number(text: &[u8]) -> Option<(u16, Option<&[u8]>)> {
    if let [] | [b'.', ..] | [b'0', b'0'..=b'9', ..] = text {
        return None;
    }
    let (mut rest, mut number) = (text, 0_u16);
    while let [octet, later @ ..] = rest {
        match *octet {
            b'.' => return Some((number, Some(later))),
            digit @ b'0'..=b'9' => {
                number = match number.checked_mul(10) {
                    Some(tens) => match tens.checked_add((digit - b'0') as u16) {
                        Some(number) => number,
                        None => return None,
                    },
                    None => return None,
                };
            }
            _ => return None,
        }
        rest = later;
    }
    Some((number, None))
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { major, minor, micro } = self;
        match micro {
            0 => write!(f, "{major}.{minor}"),
            _ => write!(f, "{major}.{minor}.{micro}"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn versions_are_two_or_three_numbers() {
        for text in ["0.0", "4.0", "10.2", "4.0.1", "65535.65535.65535"] {
            assert_eq!(Version::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Version::parse("4.0.0"), Version::parse("4.0"));
        for text in ["", "4", "4.", ".4", "4..1", "4.0.", "4.0.1.2", "04.0", "4.00", "4.x", "+4.0", "65536.0", " 4.0"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }

    #[test]
    fn versions_are_ordered_by_number_not_by_text() {
        let version = |text| Version::parse(text).unwrap();
        for (older, newer) in [("2.9", "2.10"), ("9.2", "10.0"), ("4.0", "4.0.1"), ("4.0.9", "4.1")] {
            assert!(version(older) < version(newer) && version(older).is_before(version(newer)), "{older} {newer}");
            assert!(!version(newer).is_before(version(older)));
        }
    }
}
