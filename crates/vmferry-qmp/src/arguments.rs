//! Typed access to a command's arguments: each is taken by name, and what is left over is refused.
//!
//! Source: `docs/spec/control.md` section 1: wrong type, unknown member, missing member and unknown enum value are
//! `GenericError`, and nothing is executed.

use serde_json::{Map, Value};

use crate::error::CommandError;

/// The members of an arguments object that were not taken yet.
///
/// Commands take what they know and call [`Arguments::finish`] before they act.
#[derive(Debug)]
pub(crate) struct Arguments {
    members: Map<String, Value>,
    /// Where this object is in the arguments, such as `channels[0].addr.`; empty at the top.
    path: String,
    /// Names asked for, for the message of [`Arguments::finish`].
    known: Vec<&'static str>,
}

impl Arguments {
    pub(crate) fn new(members: Map<String, Value>) -> Self {
        Self { members, path: String::new(), known: Vec::new() }
    }

    /// Name of a member with the path to it.
    pub(crate) fn name_of(&self, member: &str) -> String {
        format!("{}{member}", self.path)
    }

    pub(crate) fn optional_string(&mut self, name: &'static str) -> Result<Option<String>, CommandError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong_type(name, "a string", &other)),
        }
    }

    pub(crate) fn string(&mut self, name: &'static str) -> Result<String, CommandError> {
        self.optional_string(name)?.ok_or_else(|| self.missing(name))
    }

    pub(crate) fn optional_bool(&mut self, name: &'static str) -> Result<Option<bool>, CommandError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(self.wrong_type(name, "a boolean", &other)),
        }
    }

    pub(crate) fn boolean(&mut self, name: &'static str) -> Result<bool, CommandError> {
        self.optional_bool(name)?.ok_or_else(|| self.missing(name))
    }

    /// An unsigned integer. As in QEMU a negative one stands for its two's complement: −1 is 2^64−1.
    pub(crate) fn optional_u64(&mut self, name: &'static str) -> Result<Option<u64>, CommandError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match (value.as_u64(), value.as_i64()) {
            (Some(number), _) => Ok(Some(number)),
            (None, Some(number)) => Ok(Some(number.cast_unsigned())),
            (None, None) => Err(self.wrong_type(name, "an unsigned integer of 64 bits", &value)),
        }
    }

    pub(crate) fn u64(&mut self, name: &'static str) -> Result<u64, CommandError> {
        self.optional_u64(name)?.ok_or_else(|| self.missing(name))
    }

    pub(crate) fn optional_list(&mut self, name: &'static str) -> Result<Option<Vec<Value>>, CommandError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(other) => Err(self.wrong_type(name, "a list", &other)),
        }
    }

    pub(crate) fn list(&mut self, name: &'static str) -> Result<Vec<Value>, CommandError> {
        self.optional_list(name)?.ok_or_else(|| self.missing(name))
    }

    pub(crate) fn object(&mut self, name: &'static str) -> Result<Self, CommandError> {
        let value = self.take(name).ok_or_else(|| self.missing(name))?;
        self.nested(name, value)
    }

    /// The object `value`, found under `name` (which may hold an index, such as `channels[0]`).
    pub(crate) fn nested(&self, name: &str, value: Value) -> Result<Self, CommandError> {
        match value {
            Value::Object(members) => Ok(Self { members, path: format!("{}.", self.name_of(name)), known: Vec::new() }),
            other => Err(self.wrong_type(name, "an object", &other)),
        }
    }

    /// Refuses members that nothing asked for.
    pub(crate) fn finish(self) -> Result<(), CommandError> {
        let Some(name) = self.members.keys().next() else { return Ok(()) };
        let accepted = if self.known.is_empty() { "nothing".to_owned() } else { self.known.join(", ") };
        Err(CommandError::generic(format!("parameter '{}' is unexpected; accepted: {accepted}", self.name_of(name))))
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.members.remove(name)
    }

    fn missing(&self, name: &str) -> CommandError {
        CommandError::generic(format!("parameter '{}' is missing", self.name_of(name)))
    }

    fn wrong_type(&self, name: &str, accepted: &str, found: &Value) -> CommandError {
        let found = match found {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(number) if number.is_f64() => "a number out of range or with a fraction",
            Value::Number(_) => "an integer",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        CommandError::generic(format!("parameter '{}' expects {accepted}, found {found}", self.name_of(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn arguments(value: Value) -> Arguments {
        match value {
            Value::Object(members) => Arguments::new(members),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn integers_wrap_like_qemus_and_have_no_fraction() {
        for (value, expected) in [(json!(0), 0), (json!(-1), u64::MAX), (json!(u64::MAX), u64::MAX)] {
            assert_eq!(arguments(json!({ "n": value })).optional_u64("n").unwrap(), Some(expected));
        }
        for value in [json!(1.0), json!("1"), json!(null), json!(18_446_744_073_709_551_616_f64)] {
            let error = arguments(json!({ "n": value })).optional_u64("n").unwrap_err();
            assert!(error.desc.contains("'n' expects an unsigned integer"), "{error}");
        }
    }

    #[test]
    fn left_over_members_are_refused_and_the_accepted_named() {
        let mut arguments = arguments(json!({"uri": "x", "foo": 1}));
        assert_eq!(arguments.string("uri").unwrap(), "x");
        arguments.optional_bool("resume").unwrap();
        let text = arguments.finish().unwrap_err().desc;
        assert_eq!(text, "parameter 'foo' is unexpected; accepted: uri, resume");
    }

    #[test]
    fn nested_objects_are_named_with_their_path() {
        let mut top = arguments(json!({"channels": [{"addr": {}}]}));
        let list = top.list("channels").unwrap();
        let mut channel = top.nested("channels[0]", list[0].clone()).unwrap();
        let text = channel.object("addr").unwrap().string("path").unwrap_err().desc;
        assert_eq!(text, "parameter 'channels[0].addr.path' is missing");
    }
}
