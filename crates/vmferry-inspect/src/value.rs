//! Decoded values of device state.
//!
//! | codec | value | JSON |
//! |---|---|---|
//! | integers | [`Value::Scalar`] | number; above 2^53 a string with `0x`, two's complement for negative ones |
//! | `bool` | [`Value::Scalar`] | `true`, `false` |
//! | `nullptr` | [`Value::Null`] | `null` |
//! | `capability` | [`Value::Text`] | string |
//! | `buffer` and every other codec | [`Value::Octets`] | string of lower-case hex digits |
//! | arrays, repeated names | [`Value::Scalars`], [`Value::List`] | list |
//! | `struct` | [`Value::Object`] | object; its subsections under the key `subsections` |
//!
//! Arrays of integers stay the octets that they were in the stream: a report must not take many times the memory of its
//! stream.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

/// Integers up to here are numbers in JSON; readers that use doubles keep them exact.
const JSON_INTEGER_MAX: u64 = 1 << 53;

/// How an integer or bool is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarCodec {
    /// One octet, any nonzero value is true.
    Bool,
    /// Big-endian, so many octets (1, 2, 4, 8).
    Unsigned(usize),
    /// Big-endian two's complement, so many octets (1, 2, 4, 8).
    Signed(usize),
}

impl ScalarCodec {
    /// The codec of this name in a description, if it is one of these and takes `size` octets.
    pub fn of_type(type_name: &str, size: u64) -> Option<ScalarCodec> {
        let codec = match type_name {
            "bool" => ScalarCodec::Bool,
            "int8" => ScalarCodec::Signed(1),
            "int16" => ScalarCodec::Signed(2),
            "int32" | "int32 equal" | "int32 le" => ScalarCodec::Signed(4),
            "int64" => ScalarCodec::Signed(8),
            "uint8" | "uint8 equal" => ScalarCodec::Unsigned(1),
            "uint16" | "uint16 equal" => ScalarCodec::Unsigned(2),
            "uint32" | "uint32 equal" => ScalarCodec::Unsigned(4),
            // "int64 equal" is QEMU's name of the unsigned variant (docs/spec/vmstate.md section 5.1).
            "uint64" | "uint64 equal" | "int64 equal" => ScalarCodec::Unsigned(8),
            _ => return None,
        };
        (u64::try_from(codec.octets()).ok()? == size).then_some(codec)
    }

    /// Octets of one value.
    pub fn octets(self) -> usize {
        match self {
            ScalarCodec::Bool => 1,
            ScalarCodec::Unsigned(octets) | ScalarCodec::Signed(octets) => octets,
        }
    }

    fn decode(self, octets: &[u8]) -> Scalar {
        let word = octets.iter().fold(0_u64, |word, octet| word << 8 | u64::from(*octet));
        match self {
            ScalarCodec::Bool => Scalar::Bool(word != 0),
            ScalarCodec::Unsigned(_) => Scalar::Unsigned(word),
            ScalarCodec::Signed(octets) => {
                let unused_bits = 64_usize.saturating_sub(octets.saturating_mul(8));
                Scalar::Signed((word << unused_bits).cast_signed() >> unused_bits)
            }
        }
    }
}

/// One integer or bool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// A bool.
    Bool(bool),
    /// An unsigned integer.
    Unsigned(u64),
    /// A signed integer.
    Signed(i64),
}

/// An array of integers or bools, as it was in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalarArray {
    codec: ScalarCodec,
    octets: Box<[u8]>,
}

impl ScalarArray {
    /// The array in `octets`, whose length is a multiple of the codec's.
    pub(crate) fn new(codec: ScalarCodec, octets: &[u8]) -> ScalarArray {
        ScalarArray { codec, octets: octets.into() }
    }

    /// The values.
    pub fn iter(&self) -> impl Iterator<Item = Scalar> + '_ {
        self.octets.chunks_exact(self.codec.octets()).map(|octets| self.codec.decode(octets))
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.octets.len() / self.codec.octets()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }
}

/// A decoded value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// NULL in an array of pointers.
    Null,
    /// One integer or bool.
    Scalar(Scalar),
    /// An array of integers or bools.
    Scalars(ScalarArray),
    /// Text, such as a capability's name.
    Text(String),
    /// Octets whose codec is a buffer, or not known.
    Octets(Box<[u8]>),
    /// Elements of an array, or the fields of one name.
    List(Vec<Value>),
    /// An embedded description.
    Object(Object),
}

impl Value {
    pub(crate) fn scalar(codec: ScalarCodec, octets: &[u8]) -> Value {
        Value::Scalar(codec.decode(octets))
    }
}

/// The fields and subsections of one description, in stream order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// The fields; no name appears twice.
    pub fields: Vec<(String, Value)>,
    /// The subsections by full name.
    pub subsections: Vec<(String, Object)>,
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Scalar::Bool(value) => serializer.serialize_bool(value),
            Scalar::Unsigned(value) => JsonInteger(value).serialize(serializer),
            Scalar::Signed(value) if value.unsigned_abs() <= JSON_INTEGER_MAX => serializer.serialize_i64(value),
            Scalar::Signed(value) => serializer.collect_str(&format_args!("0x{value:x}")),
        }
    }
}

/// An integer of a report: a number up to 2^53, a string with `0x` above.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonInteger(pub(crate) u64);

impl Serialize for JsonInteger {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 <= JSON_INTEGER_MAX {
            serializer.serialize_u64(self.0)
        } else {
            serializer.collect_str(&format_args!("0x{:x}", self.0))
        }
    }
}

/// Octets as lower-case hex digits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_none(),
            Value::Scalar(scalar) => scalar.serialize(serializer),
            Value::Scalars(array) => {
                let mut list = serializer.serialize_seq(Some(array.len()))?;
                array.iter().try_for_each(|scalar| list.serialize_element(&scalar))?;
                list.end()
            }
            Value::Text(text) => serializer.serialize_str(text),
            Value::Octets(octets) => serializer.collect_str(&Hex(octets)),
            Value::List(values) => values.serialize(serializer),
            Value::Object(object) => object.serialize(serializer),
        }
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.fields.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        if !self.subsections.is_empty() {
            map.serialize_entry("subsections", &Named(&self.subsections))?;
        }
        map.end()
    }
}

/// Named values as an object, in their order.
#[derive(Debug)]
pub(crate) struct Named<'a, T>(pub(crate) &'a [(String, T)]);

impl<T: Serialize> Serialize for Named<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: &Value) -> String {
        serde_json::to_string(value).unwrap()
    }

    #[test]
    fn integers_are_signed_as_typed() {
        let octets = [0xff, 0xfe];
        assert_eq!(json(&Value::scalar(ScalarCodec::Signed(2), &octets)), "-2");
        assert_eq!(json(&Value::scalar(ScalarCodec::Unsigned(2), &octets)), "65534");
        assert_eq!(json(&Value::scalar(ScalarCodec::Signed(8), &[0xff; 8])), "-1");
        assert_eq!(json(&Value::scalar(ScalarCodec::Signed(1), &[0x80])), "-128");
    }

    #[test]
    fn integers_above_2_to_the_53_are_strings() {
        let at = |value: u64| json(&Value::scalar(ScalarCodec::Unsigned(8), &value.to_be_bytes()));
        assert_eq!(at(1 << 53), "9007199254740992");
        assert_eq!(at((1 << 53) + 1), "\"0x20000000000001\"");
        let signed = |value: i64| json(&Value::scalar(ScalarCodec::Signed(8), &value.to_be_bytes()));
        assert_eq!(signed(-(1 << 53)), "-9007199254740992");
        assert_eq!(signed(i64::MIN), "\"0x8000000000000000\"");
    }

    #[test]
    fn a_codec_of_another_size_is_unknown() {
        assert_eq!(ScalarCodec::of_type("uint32", 4), Some(ScalarCodec::Unsigned(4)));
        assert_eq!(ScalarCodec::of_type("uint32", 8), None);
        assert_eq!(ScalarCodec::of_type("timer", 8), None);
    }

    #[test]
    fn arrays_and_octets_have_their_forms() {
        let array = Value::Scalars(ScalarArray::new(ScalarCodec::Signed(2), &[0, 1, 0xff, 0xff]));
        assert_eq!(json(&array), "[1,-1]");
        assert_eq!(json(&Value::Octets([0x0a, 0xff].into())), "\"0aff\"");
    }
}
