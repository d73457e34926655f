//! What a reader with one codec makes of what a writer with another one wrote.
//!
//! | writer → reader | |
//! |---|---|
//! | equal, or `uint8` elements and `buffer` | the same |
//! | `int32` → `uint32`; `timer` → `uint64` | the same octets, read with another meaning |
//! | anything → `… equal`, `… le` | refused if it is not what the reader has |
//! | anything → `unused_buffer` | skipped |
//! | `unused_buffer` → anything | zeros |
//! | anything else | something else |
//!
//! Names of codecs: `docs/spec/vmstate.md` section 5.1.

/// How a reader takes what a writer wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// As it was meant.
    Same,
    /// The same octets, with another meaning.
    Otherwise,
    /// Refuses some values that the writer may write.
    Compared,
    /// Ignores it.
    Skipped,
    /// As zeros.
    Zeros,
    /// As something else.
    Wrong,
}

/// The kinds of number that share octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    Bool,
    Signed(u32),
    Unsigned(u32),
    Timer,
    Float,
}

impl Number {
    /// The number of a codec, and whether it compares.
    fn of(codec: &str) -> Option<(Self, bool)> {
        Some(match codec {
            "bool" => (Self::Bool, false),
            "int8" => (Self::Signed(8), false),
            "int16" => (Self::Signed(16), false),
            "int32" => (Self::Signed(32), false),
            "int64" => (Self::Signed(64), false),
            "uint8" => (Self::Unsigned(8), false),
            "uint16" => (Self::Unsigned(16), false),
            "uint32" => (Self::Unsigned(32), false),
            "uint64" => (Self::Unsigned(64), false),
            "uint8 equal" => (Self::Unsigned(8), true),
            "uint16 equal" => (Self::Unsigned(16), true),
            "uint32 equal" => (Self::Unsigned(32), true),
            // The name is that of the unsigned variant.
            "int64 equal" => (Self::Unsigned(64), true),
            "int32 equal" | "int32 le" => (Self::Signed(32), true),
            "timer" => (Self::Timer, false),
            "CPU_Double_U" => (Self::Float, false),
            _ => return None,
        })
    }

    fn bits(self) -> u32 {
        match self {
            Self::Bool => 8,
            Self::Signed(bits) | Self::Unsigned(bits) => bits,
            Self::Timer | Self::Float => 64,
        }
    }
}

/// How elements of one codec are read with another one; of equal size on the wire.
pub(super) fn reading(writer: Option<&str>, reader: Option<&str>) -> Reading {
    let (Some(writer), Some(reader)) = (writer, reader) else { return Reading::Same };
    if writer == reader {
        return Reading::Same;
    }
    if is_octets(writer) && is_octets(reader) {
        return Reading::Same;
    }
    match (writer, reader) {
        (_, "unused_buffer") => return Reading::Skipped,
        ("unused_buffer", _) => return Reading::Zeros,
        _ => {}
    }
    match (Number::of(writer), Number::of(reader)) {
        (Some((written, _)), Some((read, _))) if written.bits() != read.bits() => Reading::Wrong,
        (Some(_), Some((_, true))) => Reading::Compared,
        (Some((written, _)), Some((read, false))) if written == read => Reading::Same,
        // A truth value is 0 or 1 as a number as well.
        (Some((Number::Bool, _)), Some(_)) => Reading::Same,
        (Some(_), Some(_)) => Reading::Otherwise,
        _ => Reading::Wrong,
    }
}

/// Whether it is raw octets, however they are grouped.
pub(super) fn is_octets(codec: &str) -> bool {
    matches!(codec, "buffer" | "uint8" | "int8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_of_codecs_is_read_in_one_way() {
        for (writer, reader, expected) in [
            ("uint32", "uint32", Reading::Same),
            ("uint8", "buffer", Reading::Same),
            ("bool", "uint8", Reading::Same),
            ("uint8", "bool", Reading::Otherwise),
            ("int32", "uint32", Reading::Otherwise),
            ("timer", "uint64", Reading::Otherwise),
            ("uint32", "uint32 equal", Reading::Compared),
            ("uint32 equal", "uint32", Reading::Same),
            ("uint64", "int64 equal", Reading::Compared),
            ("int32", "int32 le", Reading::Compared),
            ("uint32", "unused_buffer", Reading::Skipped),
            ("unused_buffer", "uint32", Reading::Zeros),
            ("uint32", "uint64", Reading::Wrong),
            ("bitmap", "uint64", Reading::Wrong),
            ("virtio", "pci config", Reading::Wrong),
        ] {
            assert_eq!(reading(Some(writer), Some(reader)), expected, "{writer} → {reader}");
        }
        assert_eq!(reading(None, Some("uint8")), Reading::Same);
    }
}
