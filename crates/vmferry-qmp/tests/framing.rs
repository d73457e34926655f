//! The splitter against generated input.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use serde_json::Value;
use vmferry_qmp::{Limits, Splitter};

const LIMITS: Limits = Limits { bytes: 4096, depth: 16 };

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4).prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #[test]
    fn objects_in_any_pieces_come_out_as_they_went_in(
        values in prop::collection::vec(json().prop_map(|value| serde_json::json!({ "v": value })), 0..6),
        pretty in any::<bool>(),
        pieces in prop::collection::vec(1_usize..40, 1..20),
    ) {
        let text: String = values
            .iter()
            .map(|value| if pretty { format!("{value:#}\r\n") } else { value.to_string() })
            .collect();
        prop_assume!(text.len() < LIMITS.bytes);
        let mut splitter = Splitter::new(LIMITS);
        let mut split = Vec::new();
        let mut rest = text.as_bytes();
        let mut sizes = pieces.iter().cycle();
        while !rest.is_empty() {
            let (mut piece, after) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
            rest = after;
            while let Some(value) = splitter.next_value(&mut piece) {
                split.push(serde_json::from_slice::<Value>(&value.unwrap()).unwrap());
            }
        }
        prop_assert_eq!(split, values);
    }

    #[test]
    fn any_octets_are_taken_whole_and_octet_ff_always_brings_it_back(octets in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut splitter = Splitter::new(Limits { bytes: 64, depth: 4 });
        let mut rest = octets.as_slice();
        while let Some(value) = splitter.next_value(&mut rest) {
            prop_assert!(value.map_or(0, |text| text.len()) <= 64);
        }
        prop_assert!(rest.is_empty());
        let mut rest = &b"\xff{}"[..];
        prop_assert!(splitter.next_value(&mut rest).unwrap().is_err());
        prop_assert_eq!(splitter.next_value(&mut rest).unwrap().unwrap(), b"{}");
    }
}
