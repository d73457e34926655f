//! A request: `{"execute": name, "arguments": {…}, "id": any}`.
//!
//! Source: `docs/spec/control.md` section 1. Out-of-band execution is not offered in the greeting, so `exec-oob` is
//! a member like any unknown one.

use serde_json::{Map, Value};

use crate::error::CommandError;

/// What a client asks for, its members checked.
#[derive(Debug, PartialEq)]
pub(crate) struct Request {
    /// Name of the command.
    pub(crate) command: String,
    /// Its arguments; empty if absent.
    pub(crate) arguments: Map<String, Value>,
}

/// Checks one value. The `id` is returned beside the result, since refusals carry it too.
pub(crate) fn decode(value: Value) -> (Option<Value>, Result<Request, CommandError>) {
    let Value::Object(mut members) = value else {
        return (None, Err(CommandError::generic("QMP input must be a JSON object")));
    };
    let id = members.remove("id");
    (id, decode_members(members))
}

fn decode_members(mut members: Map<String, Value>) -> Result<Request, CommandError> {
    let command = match members.remove("execute") {
        Some(Value::String(name)) => Some(name),
        Some(_) => return Err(CommandError::generic("QMP input member 'execute' must be a string")),
        None => None,
    };
    let arguments = match members.remove("arguments") {
        Some(Value::Object(arguments)) => arguments,
        Some(_) => return Err(CommandError::generic("QMP input member 'arguments' must be an object")),
        None => Map::new(),
    };
    if let Some(name) = members.keys().next() {
        let text = format!("QMP input member '{name}' is unexpected; accepted: execute, arguments, id");
        return Err(CommandError::generic(text));
    }
    let command = command.ok_or_else(|| CommandError::generic("QMP input lacks member 'execute'"))?;
    Ok(Request { command, arguments })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorClass;
    use serde_json::json;

    #[test]
    fn members_are_taken_apart() {
        let (id, request) = decode(json!({"execute": "stop", "arguments": {"a": 1}, "id": [1, null]}));
        assert_eq!(id, Some(json!([1, null])));
        let mut arguments = Map::new();
        arguments.insert("a".to_owned(), json!(1));
        assert_eq!(request.unwrap(), Request { command: "stop".to_owned(), arguments });
    }

    #[test]
    fn an_id_of_null_is_an_id() {
        assert_eq!(decode(json!({"execute": "stop", "id": null})).0, Some(Value::Null));
        assert_eq!(decode(json!({"execute": "stop"})).0, None);
    }

    #[test]
    fn refusals_name_the_member_and_keep_the_id() {
        for (value, word) in [
            (json!({"id": 7}), "lacks member 'execute'"),
            (json!({"execute": 1, "id": 7}), "'execute' must be a string"),
            (json!({"execute": "stop", "arguments": [], "id": 7}), "'arguments' must be an object"),
            (json!({"execute": "stop", "arguments": null, "id": 7}), "'arguments' must be an object"),
            (json!({"execute": "stop", "foo": 1, "id": 7}), "'foo' is unexpected"),
            (json!({"exec-oob": "stop", "id": 7}), "'exec-oob' is unexpected"),
        ] {
            let (id, request) = decode(value);
            let error = request.unwrap_err();
            assert_eq!((id, error.class), (Some(json!(7)), ErrorClass::GenericError));
            assert!(error.desc.contains(word), "{}", error.desc);
        }
    }

    #[test]
    fn what_is_no_object_is_refused_without_id() {
        for value in [json!(1), json!([]), json!("stop"), json!(null)] {
            let (id, request) = decode(value);
            assert_eq!(id, None);
            assert!(request.unwrap_err().desc.contains("must be a JSON object"));
        }
    }
}
