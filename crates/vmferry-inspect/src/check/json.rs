//! The text of a dump as a tree that keeps what a usual JSON reader loses: keys that occur twice, and the place of a
//! fault.
//!
//! | fault | message |
//! |---|---|
//! | no JSON | `at $.uart.Description.Fields[3]: expected value at line 21 column 9` |
//! | a key twice in one object | `at $.uart: key "Name" occurs twice` |
//! | beyond [`super::limits`] | `at $.uart: more than 2097152 values` |
//!
//! Strings borrow from the text where it has no escapes.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

use super::limits::{DUMP_BYTES_LIMIT, DUMP_DEPTH_LIMIT, DUMP_VALUE_COUNT_LIMIT};

/// Objects up to this size are searched for repeated keys one by one.
const FEW_KEYS: usize = 16;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json<'t> {
    Null,
    Bool(bool),
    /// An integer that is not negative.
    Unsigned(u64),
    /// Any other number.
    OtherNumber,
    String(Cow<'t, str>),
    Array(Vec<Json<'t>>),
    Object(Vec<(Cow<'t, str>, Json<'t>)>),
}

/// The text is not what a dump can be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at {path}: {reason}")]
pub struct SchemaError {
    /// Where in the document, as `$.uart.Description.Fields[3]`.
    pub path: String,
    /// What was found, and what would have been accepted.
    pub reason: String,
}

/// One step down in the document.
#[derive(Debug)]
enum Step {
    Key(String),
    Index(usize),
}

/// What is known while reading. After a fault `path` is where it was.
#[derive(Debug, Default)]
struct Reading {
    values: usize,
    path: Vec<Step>,
}

/// Reads a whole text.
pub(super) fn parse(text: &[u8]) -> Result<Json<'_>, SchemaError> {
    if text.len() > DUMP_BYTES_LIMIT {
        let reason = format!("{} octets, accepted are up to {DUMP_BYTES_LIMIT}", text.len());
        return Err(SchemaError { path: "$".to_owned(), reason });
    }
    let mut reading = Reading::default();
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let read = Seed(&mut reading).deserialize(&mut deserializer).and_then(|json| deserializer.end().map(|()| json));
    read.map_err(|error| SchemaError { path: reading.shown(), reason: error.to_string() })
}

impl Reading {
    fn shown(&self) -> String {
        let mut shown = "$".to_owned();
        for step in &self.path {
            match step {
                Step::Key(key) => {
                    shown.push('.');
                    shown.push_str(key);
                }
                Step::Index(index) => shown.push_str(&format!("[{index}]")),
            }
        }
        shown
    }
}

struct Seed<'r>(&'r mut Reading);

impl<'t> DeserializeSeed<'t> for Seed<'_> {
    type Value = Json<'t>;

    fn deserialize<D: serde::Deserializer<'t>>(self, deserializer: D) -> Result<Json<'t>, D::Error> {
        self.0.values = self.0.values.saturating_add(1);
        if self.0.values > DUMP_VALUE_COUNT_LIMIT {
            return Err(D::Error::custom(format_args!("more than {DUMP_VALUE_COUNT_LIMIT} values")));
        }
        if self.0.path.len() > DUMP_DEPTH_LIMIT {
            return Err(D::Error::custom(format_args!(
                "more than {DUMP_DEPTH_LIMIT} objects and lists in one another"
            )));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'t> Visitor<'t> for Seed<'_> {
    type Value = Json<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'t>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'t>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'t>, E> {
        Ok(Json::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'t>, E> {
        Ok(u64::try_from(value).map_or(Json::OtherNumber, Json::Unsigned))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json<'t>, E> {
        Ok(Json::OtherNumber)
    }

    fn visit_borrowed_str<E>(self, value: &'t str) -> Result<Json<'t>, E> {
        Ok(Json::String(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json<'t>, E> {
        Ok(Json::String(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut elements: A) -> Result<Json<'t>, A::Error> {
        let mut list = Vec::new();
        self.0.path.push(Step::Index(0));
        while let Some(element) = elements.next_element_seed(Seed(self.0))? {
            list.push(element);
            if let Some(Step::Index(index)) = self.0.path.last_mut() {
                *index = list.len();
            }
        }
        self.0.path.pop();
        Ok(Json::Array(list))
    }

    fn visit_map<A: MapAccess<'t>>(self, mut members: A) -> Result<Json<'t>, A::Error> {
        let mut object: Vec<(Cow<'t, str>, Json<'t>)> = Vec::new();
        let mut seen: HashSet<Cow<'t, str>> = HashSet::new();
        while let Some(Key(key)) = members.next_key()? {
            if object.len() == FEW_KEYS {
                seen.extend(object.iter().map(|(key, _)| key.clone()));
            }
            let is_repeated = match object.len() {
                ..FEW_KEYS => object.iter().any(|(other, _)| *other == key),
                _ => !seen.insert(key.clone()),
            };
            if is_repeated {
                return Err(A::Error::custom(format_args!("key {key:?} occurs twice")));
            }
            self.0.path.push(Step::Key(key.chars().take(64).collect()));
            let value = members.next_value_seed(Seed(self.0))?;
            self.0.path.pop();
            object.push((key, value));
        }
        Ok(Json::Object(object))
    }
}

/// A key that borrows from the text where it can.
struct Key<'t>(Cow<'t, str>);

impl<'t> serde::Deserialize<'t> for Key<'t> {
    fn deserialize<D: serde::Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowing;
        impl<'t> Visitor<'t> for Borrowing {
            type Value = Key<'t>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, value: &'t str) -> Result<Key<'t>, E> {
                Ok(Key(Cow::Borrowed(value)))
            }

            fn visit_str<E>(self, value: &str) -> Result<Key<'t>, E> {
                Ok(Key(Cow::Owned(value.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrowing)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_fault_says_where_it_is() {
        assert!(fault(r#"{"a": {"b": [1, 2, x]}}"#).starts_with("at $.a.b[2]: expected value at line 1 column 20"));
        assert!(fault(r#"{"a": {"b": 1, "c": 2, "b": 3}}"#).starts_with(r#"at $.a: key "b" occurs twice"#));
        assert!(fault("{} 3").starts_with("at $: trailing characters"));
        assert!(fault("").starts_with("at $: EOF"));
    }

    #[test]
    fn a_repeated_key_is_found_among_many() {
        let many: Vec<String> = (0..40).map(|key| format!("\"k{key}\": 0")).collect();
        assert!(parse(format!("{{{}}}", many.join(",")).as_bytes()).is_ok());
        for repeated in [0, 15, 16, 39] {
            let text = format!("{{{}, \"k{repeated}\": 0}}", many.join(","));
            assert!(fault(&text).contains(&format!("key \"k{repeated}\" occurs twice")), "{repeated}");
        }
    }

    #[test]
    fn depth_and_number_of_values_are_limited() {
        let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(deep(DUMP_DEPTH_LIMIT).as_bytes()).is_ok());
        assert!(fault(&deep(DUMP_DEPTH_LIMIT + 1)).contains("more than 96 objects and lists"));
        let many = format!("[{}0]", "0,".repeat(DUMP_VALUE_COUNT_LIMIT));
        assert!(fault(&many).contains("more than 2097152 values"));
    }

    #[test]
    fn numbers_that_no_dump_has_are_told_apart() {
        let json = parse(br#"[1, -1, 1.5, 18446744073709551615, 18446744073709551616]"#).unwrap();
        let other = Json::OtherNumber;
        let expected = vec![Json::Unsigned(1), other.clone(), other.clone(), Json::Unsigned(u64::MAX), other];
        assert_eq!(json, Json::Array(expected));
    }
}
