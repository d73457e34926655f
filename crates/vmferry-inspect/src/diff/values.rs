//! Decoded states side by side.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::diff::difference::{DifferenceKind, Found};
use crate::path::PathText;
use crate::value::{Object, Value};

/// Lists what differs between two states.
pub(super) fn objects(path: &mut PathText, a: &Object, b: &Object, found: &mut Found) {
    both(&a.fields, &b.fields, |name, a, b| {
        path.with_name(name, |path| match (a, b) {
            (Some(a), Some(b)) => values(path, a, b, found),
            (a, b) => found.push(path, DifferenceKind::Field, a, b),
        });
    });
    both(&a.subsections, &b.subsections, |name, a, b| {
        path.with_name(name, |path| match (a, b) {
            (Some(a), Some(b)) => objects(path, a, b, found),
            (a, b) => {
                let [a, b] = [a, b].map(|object| object.cloned().map(Value::Object));
                found.push(path, DifferenceKind::Subsection, a.as_ref(), b.as_ref());
            }
        });
    });
}

/// Visits the entries of two lists by name, those of the first in its order, then those that only the second has.
fn both<T>(a: &[(String, T)], b: &[(String, T)], mut visit: impl FnMut(&str, Option<&T>, Option<&T>)) {
    let mut left: HashMap<&str, &T> = b.iter().map(|(name, value)| (name.as_str(), value)).collect();
    for (name, value) in a {
        visit(name, Some(value), left.remove(name.as_str()));
    }
    for (name, value) in b {
        if left.remove(name.as_str()).is_some() {
            visit(name, None, Some(value));
        }
    }
}

fn values(path: &mut PathText, a: &Value, b: &Value, found: &mut Found) {
    match (a, b) {
        _ if a == b => {}
        (Value::Octets(a), Value::Octets(b)) => found.push_octets(path, DifferenceKind::Field, a, b),
        (Value::Object(a), Value::Object(b)) => objects(path, a, b, found),
        (Value::List(_) | Value::Scalars(_), Value::List(_) | Value::Scalars(_)) => {
            let (mut a, mut b) = (elements(a), elements(b));
            let mut index = 0_usize;
            loop {
                match (a.next(), b.next()) {
                    (None, None) => break,
                    (Some(a), Some(b)) => path.with_index(index, |path| values(path, &a, &b, found)),
                    (a, b) => path
                        .with_index(index, |path| found.push(path, DifferenceKind::Field, a.as_deref(), b.as_deref())),
                }
                index = index.saturating_add(1);
            }
        }
        _ => found.push(path, DifferenceKind::Field, Some(a), Some(b)),
    }
}

fn elements(value: &Value) -> Box<dyn Iterator<Item = Cow<'_, Value>> + '_> {
    match value {
        Value::List(values) => Box::new(values.iter().map(Cow::Borrowed)),
        Value::Scalars(array) => Box::new(array.iter().map(|scalar| Cow::Owned(Value::Scalar(scalar)))),
        value => Box::new(std::iter::once(Cow::Borrowed(value))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::difference::number;
    use crate::value::{ScalarArray, ScalarCodec};

    fn object(fields: &[(&str, Value)]) -> Object {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Object { fields, subsections: Vec::new() }
    }

    fn differences(a: &Object, b: &Object) -> Vec<String> {
        let mut found = Found::default();
        objects(&mut PathText::section("d", 0), a, b, &mut found);
        let text = |difference: crate::diff::Difference| serde_json::to_string(&difference).unwrap();
        found.differences.into_iter().map(text).collect()
    }

    #[test]
    fn differences_have_the_paths_of_their_values() {
        let array = |octets: &[u8]| Value::Scalars(ScalarArray::new(ScalarCodec::Unsigned(1), octets));
        let inner = |value| Value::List(vec![Value::Object(object(&[("x", number(value))])), Value::Null]);
        let mut a =
            object(&[("n", number(1)), ("regs", array(b"\x01\x02\x03")), ("list", inner(5)), ("gone", number(1))]);
        let mut b = object(&[("n", number(1)), ("regs", array(b"\x01\x04")), ("list", inner(6)), ("new", Value::Null)]);
        a.subsections.push(("d/old".into(), Object::default()));
        a.subsections.push(("d/both".into(), object(&[("y", number(1))])));
        b.subsections.push(("d/both".into(), object(&[("y", number(2))])));
        assert_eq!(
            differences(&a, &b),
            [
                r#"{"path":"d/0.regs[1]","kind":"field","a":2,"b":4}"#,
                r#"{"path":"d/0.regs[2]","kind":"field","a":3,"b":null,"only":"a"}"#,
                r#"{"path":"d/0.list[0].x","kind":"field","a":5,"b":6}"#,
                r#"{"path":"d/0.gone","kind":"field","a":1,"b":null,"only":"a"}"#,
                r#"{"path":"d/0.new","kind":"field","a":null,"b":null,"only":"b"}"#,
                r#"{"path":"d/0.d/old","kind":"subsection","a":{},"b":null,"only":"a"}"#,
                r#"{"path":"d/0.d/both.y","kind":"field","a":1,"b":2}"#,
            ]
        );
        assert_eq!(differences(&a, &a), [""; 0]);
    }

    #[test]
    fn an_array_equals_the_list_of_its_elements() {
        let array = object(&[("r", Value::Scalars(ScalarArray::new(ScalarCodec::Unsigned(1), b"\x01\x02")))]);
        let list = object(&[("r", Value::List(vec![number(1), number(2)]))]);
        assert_eq!(differences(&array, &list), [""; 0]);
        let other = object(&[("r", number(1))]);
        assert_eq!(differences(&array, &other), [r#"{"path":"d/0.r","kind":"field","a":[1,2],"b":1}"#]);
    }

    #[test]
    fn buffers_tell_where_they_differ() {
        let octets = |octets: &[u8]| object(&[("buf", Value::Octets(octets.into()))]);
        let expected = concat!(
            r#"{"path":"d/0.buf","kind":"field","a":"010203","b":"010209","#,
            r#""offset":2,"octets_differ":1,"part":false}"#
        );
        assert_eq!(differences(&octets(b"\x01\x02\x03"), &octets(b"\x01\x02\x09")), [expected]);
    }
}
