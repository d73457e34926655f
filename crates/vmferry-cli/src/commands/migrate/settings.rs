//! `--cap NAME=on|off` and `--param NAME=VALUE`.

use std::str::FromStr;

use anyhow::{Context as _, anyhow};
use serde_json::{Map, Value, json};
use vmferry::control::Parameters;
use vmferry_qmp::{CapabilitiesUpdate, Client, ParametersUpdate, capability_names, parameter_members};

use crate::exit::{Failure, OrExit as _};
use crate::size::Size;

/// A capability and its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands) struct Capability {
    name: String,
    state: bool,
}

/// A parameter and its value, as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands) struct Setting {
    name: String,
    value: String,
}

impl FromStr for Capability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Setting { name, value } = text.parse()?;
        let state = switch(&value).ok_or_else(|| format!("'{name}' is '{value}', expected on or off"))?;
        Ok(Self { name, state })
    }
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self { name: name.to_owned(), value: value.to_owned() }),
            _ => Err(format!("found '{text}', expected NAME=VALUE")),
        }
    }
}

/// The same for a machine of this process.
pub(in crate::commands) fn updates(
    capabilities: &[Capability],
    settings: &[Setting],
) -> Result<(CapabilitiesUpdate, ParametersUpdate), anyhow::Error> {
    let mut update = CapabilitiesUpdate::default();
    for Capability { name, state } in capabilities {
        if !update.add(name, *state) {
            let accepted: Vec<_> = capability_names().collect();
            return Err(anyhow!("there is no capability '{name}'; accepted: {}", accepted.join(", ")));
        }
    }
    let present = parameter_members(&Parameters::default());
    let members = settings.iter().map(|setting| setting.typed(&present)).collect::<Result<Map<_, _>, _>>()?;
    Ok((update, ParametersUpdate::from_members(members).map_err(|error| anyhow!(error.desc))?))
}

impl Setting {
    /// Its member of the arguments, in the type that `present` shows.
    fn typed(&self, present: &Map<String, Value>) -> Result<(String, Value), anyhow::Error> {
        let Self { name, value } = self;
        let typed = with_type_of(present.get(name), value).with_context(|| format!("parameter '{name}'"))?;
        Ok((name.clone(), typed))
    }
}

/// Sets everything at the machine.
pub(super) fn apply(client: &mut Client, capabilities: &[Capability], settings: &[Setting]) -> Result<(), Failure> {
    if !capabilities.is_empty() {
        let list: Vec<_> = capabilities
            .iter()
            .map(|Capability { name, state }| json!({ "capability": name, "state": state }))
            .collect();
        client.execute("migrate-set-capabilities", json!({ "capabilities": list })).or_environment()?;
    }
    if !settings.is_empty() {
        let present = client.execute("query-migrate-parameters", Value::Null).or_environment()?;
        let present = present.as_object().cloned().unwrap_or_default();
        let members = settings.iter().map(|setting| setting.typed(&present)).collect::<Result<_, _>>();
        let members = members.map_err(Failure::usage)?;
        client.execute("migrate-set-parameters", Value::Object(members)).or_environment()?;
    }
    Ok(())
}

/// The value in the JSON type that the machine shows for the parameter.
///
/// One that it does not show (optional, or unknown) gets the type that the text looks like; the machine judges.
fn with_type_of(present: Option<&Value>, text: &str) -> Result<Value, anyhow::Error> {
    match present {
        Some(Value::Bool(_)) => {
            switch(text).map(Value::from).ok_or_else(|| anyhow!("found '{text}', expected on or off"))
        }
        Some(Value::Number(_)) => Ok(match text.parse::<i64>() {
            // −1 is QEMU's way to write the largest number.
            Ok(negative) if negative < 0 => json!(negative),
            _ => json!(text.parse::<Size>()?.0),
        }),
        Some(Value::String(_)) => Ok(json!(text)),
        _ => Ok(serde_json::from_str(text).unwrap_or_else(|_| json!(text))),
    }
}

fn switch(text: &str) -> Option<bool> {
    match text {
        "on" | "true" => Some(true),
        "off" | "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_that_of_the_present_value() {
        for (present, text, expected) in [
            (json!(300), "1G", json!(1 << 30)),
            (json!(300), "-1", json!(-1)),
            (json!(300), "18446744073709551615", json!(u64::MAX)),
            (json!(false), "on", json!(true)),
            (json!(""), "12", json!("12")),
            (json!("none"), "zstd", json!("zstd")),
            (json!(null), "", json!("")),
        ] {
            assert_eq!(with_type_of(Some(&present), text).unwrap(), expected, "{present} {text}");
        }
        assert_eq!(with_type_of(None, "12").unwrap(), json!(12));
        assert_eq!(with_type_of(None, "word").unwrap(), json!("word"));
        assert!(with_type_of(Some(&json!(true)), "1").unwrap_err().to_string().contains("on or off"));
        assert!(with_type_of(Some(&json!(1)), "fast").unwrap_err().to_string().contains("256M"));
    }

    #[test]
    fn capabilities_are_on_or_off() {
        let events = |state| Ok(Capability { name: "events".to_owned(), state });
        assert_eq!("events=on".parse(), events(true));
        assert_eq!("events=off".parse(), events(false));
        for text in ["events", "events=", "events=maybe", "=on", ""] {
            assert!(text.parse::<Capability>().is_err(), "{text}");
        }
        assert_eq!("a=b=c".parse(), Ok(Setting { name: "a".to_owned(), value: "b=c".to_owned() }));
    }
}
