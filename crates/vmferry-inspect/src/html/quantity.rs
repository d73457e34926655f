//! Numbers as people read them: grouped, in larger units, as shares.

use std::fmt::{self, Display};

/// An integer with a comma between groups of three digits.
#[derive(Clone, Copy)]
pub(super) struct Grouped(pub(super) u64);

impl Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let first = digits.len() % 3;
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && at % 3 == first {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// Octets in the largest unit that they fill.
#[derive(Clone, Copy)]
pub(super) struct Bytes(pub(super) u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u32, &str); 6] = [(60, "EiB"), (50, "PiB"), (40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        for (bits, unit) in UNITS {
            if self.0 >> bits > 0 {
                return write!(f, "{:.2} {unit}", ratio(self.0, 1 << bits));
            }
        }
        write!(f, "{} B", self.0)
    }
}

/// A part of a whole, in percent.
#[derive(Clone, Copy)]
pub(super) struct Share(pub(super) u64, pub(super) u64);

impl Share {
    /// In percent, for a style: between 0 and 100.
    pub(super) fn percent(self) -> f64 {
        (ratio(self.0, self.1) * 100.0).clamp(0.0, 100.0)
    }
}

impl Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.percent() {
            _ if self.0 == 0 => f.write_str("0 %"),
            percent if percent < 0.1 => f.write_str("< 0.1 %"),
            percent if self.0 != self.1 && percent > 99.9 => f.write_str("> 99.9 %"),
            percent => write!(f, "{percent:.1} %"),
        }
    }
}

/// How many of what: the word in singular or plural.
pub(super) struct Count(pub(super) u64, pub(super) &'static str);

impl Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", Grouped(self.0), self.1, if self.0 == 1 { "" } else { "s" })
    }
}

/// The number of elements of a list.
pub(super) fn len<T>(list: &[T]) -> u64 {
    u64::try_from(list.len()).unwrap_or(u64::MAX)
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_have_units() {
        let grouped: Vec<_> = [0, 999, 1000, 1_234_567].map(|n| Grouped(n).to_string()).to_vec();
        assert_eq!(grouped, ["0", "999", "1,000", "1,234,567"]);
        let bytes: Vec<_> = [0, 1023, 1024, 3 << 29, u64::MAX].map(|n| Bytes(n).to_string()).to_vec();
        assert_eq!(bytes, ["0 B", "1023 B", "1.00 KiB", "1.50 GiB", "16.00 EiB"]);
        let shares: Vec<_> =
            [(0, 7), (1, 100_000), (1, 3), (99_999, 100_000), (7, 7)].map(|(a, b)| Share(a, b).to_string()).to_vec();
        assert_eq!(shares, ["0 %", "< 0.1 %", "33.3 %", "> 99.9 %", "100.0 %"]);
        assert_eq!(format!("{}, {}", Count(1, "page"), Count(1000, "page")), "1 page, 1,000 pages");
    }
}
