//! Values that generated images have: the extremes of each type, and arbitrary ones from a seed.

use crate::schema::Scalar;

/// Which value every integer of an image has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    /// 0, and no element where the number is free.
    Zero,
    /// 1, and one element.
    One,
    /// The smallest, and one element.
    Smallest,
    /// The largest, and as many elements as are accepted, or [`MANY`].
    Largest,
    /// Arbitrary ones, of which the seed decides.
    Arbitrary(u64),
    /// What the template has.
    Template,
}

/// The kinds of values that are tried, in this order.
pub(super) const ALL: &[Values] = &[
    Values::Arbitrary(0x5eed),
    Values::Template,
    Values::Zero,
    Values::One,
    Values::Smallest,
    Values::Largest,
    Values::Arbitrary(0xfe44),
];

/// Octets of a counted field up to which an image with as many elements as are accepted is made.
pub(super) const MANY_OCTETS: usize = 4 << 10;

/// Elements of a field whose limit would make an image large, and of lists and trees with large limits.
pub(super) const MANY: usize = 7;

/// Arbitrary numbers, the same from the same seed (xorshift).
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn new(values: Values) -> Self {
        match values {
            Values::Arbitrary(seed) => Self(seed | 1),
            _ => Self(1),
        }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number from 0 to `limit`.
    pub(super) fn up_to(&mut self, limit: u64) -> u64 {
        match limit.checked_add(1) {
            Some(numbers) => self.next() % numbers,
            None => self.next(),
        }
    }
}

/// The octets of a value.
pub(super) fn scalar(values: Values, scalar: Scalar, numbers: &mut Numbers) -> Vec<u8> {
    let octets = scalar.octets();
    let is_signed = matches!(scalar, Scalar::I8 | Scalar::I16 | Scalar::I32 | Scalar::I64);
    let top = 1_u64 << (octets * 8 - 1);
    let value = match values {
        Values::Zero | Values::Template => 0,
        Values::One => 1,
        Values::Smallest => top * u64::from(is_signed),
        Values::Largest if scalar == Scalar::Bool => 1,
        Values::Largest => (top - 1) | if is_signed { 0 } else { top },
        Values::Arbitrary(_) if scalar == Scalar::Bool => numbers.next() >> 9 & 1,
        Values::Arbitrary(_) => numbers.next(),
    };
    let all = value.to_be_bytes();
    all.get(all.len() - octets..).unwrap_or_default().to_vec()
}

/// Raw octets.
pub(super) fn raw(values: Values, octets: usize, numbers: &mut Numbers) -> Vec<u8> {
    (0..octets).flat_map(|_| scalar(values, Scalar::U8, numbers)).collect()
}

/// How many elements a field has whose number is free, up to `limit`.
pub(super) fn elements(values: Values, limit: u64, template: Option<u64>, numbers: &mut Numbers) -> u64 {
    let wanted = match values {
        Values::Zero => 0,
        Values::One | Values::Smallest => 1,
        Values::Largest => limit,
        Values::Arbitrary(_) => 1 + numbers.up_to(limit.min(MANY as u64 - 1)),
        Values::Template => template.unwrap_or(0),
    };
    wanted.min(limit)
}
