//! The settings as tables: one line for each parameter and capability, with its name, its range, and its place in the
//! engine's settings.
//!
//! Source: `docs/spec/control.md` sections 3 and 4. Names and ranges are QEMU's; what has no meaning here has no line.

use serde_json::{Map, Value};
use vmferry::control::{
    Capabilities, MultifdCompression, MultifdParameters, Parameters, RestoreMode, ZeroPageDetection,
};
use vmferry::convergence::OvertimeAction;

use crate::arguments::Arguments;
use crate::error::CommandError;

/// The value of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    Int(u64),
    Bool(bool),
    Word(&'static str),
}

/// What a parameter accepts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Accepts {
    /// From, to, unit.
    Int(u64, u64, &'static str),
    /// Powers of two, from, unit.
    PowerOfTwo(u64, &'static str),
    Bool,
    /// One of these.
    Words(&'static [&'static str]),
}

/// A line of the table.
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    accepts: Accepts,
    read: fn(&Parameters) -> Setting,
    write: fn(&mut Parameters, Setting),
}

macro_rules! parameter {
    ($name:literal, $accepts:expr, $variant:ident, $($place:ident).+) => {
        Parameter {
            name: $name,
            accepts: $accepts,
            read: |parameters| Setting::$variant(parameters.$($place).+),
            write: |parameters, setting| {
                if let Setting::$variant(value) = setting {
                    parameters.$($place).+ = value;
                }
            },
        }
    };
}

/// A number that has a small place.
macro_rules! small {
    ($name:literal, $from:literal..=$to:expr, $($place:ident).+) => {
        Parameter {
            name: $name,
            accepts: Accepts::Int($from, $to as u64, ""),
            read: |parameters| Setting::Int(parameters.$($place).+.into()),
            write: |parameters, setting| {
                if let Setting::Int(value) = setting
                    && let Ok(value) = value.try_into()
                {
                    parameters.$($place).+ = value;
                }
            },
        }
    };
}

/// One of the values of an enumeration that has all of them, and their names.
macro_rules! word {
    ($name:literal, $type:ty, $($place:ident).+) => {
        Parameter {
            name: $name,
            accepts: Accepts::Words({
                const NAMES: [&str; <$type>::ALL.len()] = {
                    let [first, second, third] = <$type>::ALL;
                    [first.name(), second.name(), third.name()]
                };
                &NAMES
            }),
            read: |parameters| Setting::Word(parameters.$($place).+.name()),
            write: |parameters, setting| {
                if let Setting::Word(name) = setting
                    && let Some(value) = <$type>::ALL.into_iter().find(|value| value.name() == name)
                {
                    parameters.$($place).+ = value;
                }
            },
        }
    };
}

/// The parameters, in QEMU's order.
pub(crate) const PARAMETERS: &[Parameter] = &[
    parameter!("throttle-trigger-threshold", Accepts::Int(1, 100, "per cent"), Int, throttle.trigger_percent),
    parameter!("cpu-throttle-initial", Accepts::Int(1, 99, "per cent"), Int, throttle.initial_percent),
    parameter!("cpu-throttle-increment", Accepts::Int(1, 99, "per cent"), Int, throttle.increment_percent),
    parameter!("cpu-throttle-tailslow", Accepts::Bool, Bool, throttle.is_tail_slow),
    // The engine knows that it is no less than `cpu-throttle-initial`.
    parameter!("max-cpu-throttle", Accepts::Int(1, 99, "per cent"), Int, throttle.max_percent),
    parameter!("max-bandwidth", Accepts::Int(0, u64::MAX, "bytes per second"), Int, max_bandwidth),
    parameter!(
        "downtime-limit",
        Accepts::Int(0, Parameters::DOWNTIME_LIMIT_MAX_MS, "milliseconds"),
        Int,
        downtime_limit_ms
    ),
    parameter!(
        "avail-switchover-bandwidth",
        Accepts::Int(0, u64::MAX, "bytes per second"),
        Int,
        avail_switchover_bandwidth
    ),
    small!("multifd-channels", 1..=u8::MAX, multifd.channels),
    word!("multifd-compression", MultifdCompression, multifd.compression),
    small!("multifd-zlib-level", 0..=MultifdParameters::ZLIB_LEVEL_MAX, multifd.zlib_level),
    small!("multifd-zstd-level", 0..=MultifdParameters::ZSTD_LEVEL_MAX, multifd.zstd_level),
    parameter!(
        "x-vcpu-dirty-limit-period",
        Accepts::Int(1, Parameters::VCPU_DIRTY_LIMIT_PERIOD_MAX_MS, "milliseconds"),
        Int,
        vcpu_dirty_limit_period_ms
    ),
    parameter!("vcpu-dirty-limit", Accepts::Int(1, u64::MAX, "MB/s"), Int, vcpu_dirty_limit_mb_per_s),
    word!("zero-page-detection", ZeroPageDetection, zero_page_detection),
    parameter!("direct-io", Accepts::Bool, Bool, direct_io),
    parameter!("xbzrle-cache-size", Accepts::PowerOfTwo(4096, "bytes"), Int, xbzrle_cache_bytes),
    // Our own.
    parameter!(
        "x-ferry-downtime-limit-max",
        Accepts::Int(0, Parameters::DOWNTIME_LIMIT_MAX_MS, "milliseconds"),
        Int,
        downtime_limit_max_ms
    ),
    word!("x-ferry-restore", RestoreMode, restore),
    parameter!("x-ferry-total-time-limit", Accepts::Int(0, u64::MAX, "milliseconds"), Int, total_time_limit_ms),
    Parameter {
        name: "x-ferry-total-time-action",
        accepts: Accepts::Words(&["cancel", "pause"]),
        read: |parameters| {
            Setting::Word(match parameters.overtime_action {
                OvertimeAction::Cancel => "cancel",
                OvertimeAction::Pause => "pause",
            })
        },
        write: |parameters, setting| {
            let is_pause = setting == Setting::Word("pause");
            parameters.overtime_action = if is_pause { OvertimeAction::Pause } else { OvertimeAction::Cancel };
        },
    },
];

impl Parameter {
    pub(crate) fn value(&self, parameters: &Parameters) -> Value {
        match (self.read)(parameters) {
            Setting::Int(value) => value.into(),
            Setting::Bool(value) => value.into(),
            Setting::Word(value) => value.into(),
        }
    }

    /// Takes the parameter out of `arguments`, if it is there, and checks its range.
    fn take(&self, arguments: &mut Arguments) -> Result<Option<Setting>, CommandError> {
        let name = self.name;
        let refused = |accepted: String, found: String| {
            Err(CommandError::generic(format!("parameter '{name}' expects {accepted}, found {found}")))
        };
        match self.accepts {
            Accepts::Int(from, to, unit) => match arguments.optional_u64(name)? {
                Some(value) if !(from..=to).contains(&value) => {
                    refused(format!("{from} to {to} {unit}").trim_end().to_owned(), value.to_string())
                }
                value => Ok(value.map(Setting::Int)),
            },
            Accepts::PowerOfTwo(from, unit) => match arguments.optional_u64(name)? {
                Some(value) if value < from || !value.is_power_of_two() => {
                    refused(format!("a power of two, {from} {unit} or more"), value.to_string())
                }
                value => Ok(value.map(Setting::Int)),
            },
            Accepts::Bool => Ok(arguments.optional_bool(name)?.map(Setting::Bool)),
            Accepts::Words(words) => match arguments.optional_string(name)? {
                None => Ok(None),
                Some(text) => match words.iter().find(|word| **word == text) {
                    Some(word) => Ok(Some(Setting::Word(word))),
                    None => refused(format!("one of {}", words.join(", ")), format!("'{text}'")),
                },
            },
        }
    }
}

/// The parameters as members of the reply to `query-migrate-parameters`.
#[must_use]
pub fn parameter_members(parameters: &Parameters) -> Map<String, Value> {
    PARAMETERS.iter().map(|parameter| (parameter.name.to_owned(), parameter.value(parameters))).collect()
}

/// The names of all capabilities, in QEMU's order.
pub fn capability_names() -> impl Iterator<Item = &'static str> {
    CAPABILITIES.iter().map(|capability| capability.name)
}

/// Which parameters to change, and to what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParametersUpdate(Vec<(&'static str, Setting)>);

impl ParametersUpdate {
    /// The change that the arguments of `migrate-set-parameters` ask for.
    ///
    /// # Errors
    ///
    /// A member is no parameter, or its value is of another type or outside its range.
    pub fn from_members(members: Map<String, Value>) -> Result<Self, CommandError> {
        let mut arguments = Arguments::new(members);
        let update = Self::take(&mut arguments)?;
        arguments.finish()?;
        Ok(update)
    }

    /// Takes what it knows out of `arguments`.
    pub(crate) fn take(arguments: &mut Arguments) -> Result<Self, CommandError> {
        let mut changes = Vec::new();
        for parameter in PARAMETERS {
            if let Some(setting) = parameter.take(arguments)? {
                changes.push((parameter.name, setting));
            }
        }
        Ok(Self(changes))
    }

    /// The parameters after the change.
    #[must_use]
    pub fn applied_to(self, mut parameters: Parameters) -> Parameters {
        for (name, setting) in self.0 {
            if let Some(parameter) = PARAMETERS.iter().find(|parameter| parameter.name == name) {
                (parameter.write)(&mut parameters, setting);
            }
        }
        parameters
    }
}

/// A line of the table of capabilities.
pub(crate) struct Capability {
    pub(crate) name: &'static str,
    pub(crate) place: fn(&mut Capabilities) -> &mut bool,
}

macro_rules! capability {
    ($name:literal, $place:ident) => {
        Capability { name: $name, place: |capabilities| &mut capabilities.$place }
    };
}

/// The capabilities, in QEMU's order.
pub(crate) const CAPABILITIES: &[Capability] = &[
    capability!("xbzrle", xbzrle),
    capability!("auto-converge", auto_converge),
    capability!("events", events),
    capability!("release-ram", release_ram),
    capability!("return-path", return_path),
    capability!("multifd", multifd),
    capability!("x-ignore-shared", ignore_shared),
    capability!("background-snapshot", background_snapshot),
    capability!("zero-copy-send", zero_copy_send),
    capability!("dirty-limit", dirty_limit),
    capability!("mapped-ram", mapped_ram),
];

/// Which capabilities to change, and to what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CapabilitiesUpdate(Vec<(&'static str, bool)>);

impl CapabilitiesUpdate {
    /// Adds a change; of a name that is repeated the last one counts. False if there is no such capability.
    pub fn add(&mut self, name: &str, state: bool) -> bool {
        let known = CAPABILITIES.iter().find(|capability| capability.name == name);
        self.0.extend(known.map(|capability| (capability.name, state)));
        known.is_some()
    }

    /// The capabilities after the change.
    #[must_use]
    pub fn applied_to(self, mut capabilities: Capabilities) -> Capabilities {
        for (name, state) in self.0 {
            if let Some(capability) = CAPABILITIES.iter().find(|capability| capability.name == name) {
                *(capability.place)(&mut capabilities) = state;
            }
        }
        capabilities
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn update(arguments: Value) -> Result<Parameters, CommandError> {
        let Value::Object(members) = arguments else { panic!("no object") };
        Ok(ParametersUpdate::from_members(members)?.applied_to(Parameters::default()))
    }

    /// Each line reads back what it wrote, whatever the others hold.
    #[test]
    fn each_parameter_has_a_place_of_its_own() {
        for parameter in PARAMETERS {
            let settings: Vec<Value> = match parameter.accepts {
                Accepts::Int(from, to, _) => vec![from.into(), to.into()],
                Accepts::Bool => vec![false.into(), true.into()],
                Accepts::Words(words) => words.iter().map(|word| (*word).into()).collect(),
                Accepts::PowerOfTwo(from, _) => vec![from.into(), (1_u64 << 40).into()],
            };
            for setting in settings {
                let after = update(json!({ parameter.name: setting })).unwrap();
                assert_eq!(parameter.value(&after), setting, "{}", parameter.name);
                let others = PARAMETERS.iter().filter(|other| other.name != parameter.name);
                for other in others {
                    assert_eq!(other.value(&after), other.value(&Parameters::default()), "{}", other.name);
                }
            }
        }
    }

    #[test]
    fn each_capability_has_a_place_of_its_own() {
        for capability in CAPABILITIES {
            for state in [true, false] {
                let mut update = CapabilitiesUpdate::default();
                assert!(update.add(capability.name, state));
                let mut after = update.applied_to(Capabilities::default());
                for other in CAPABILITIES {
                    let expected = *(other.place)(&mut Capabilities::default());
                    let expected = if other.name == capability.name { state } else { expected };
                    assert_eq!(*(other.place)(&mut after), expected, "{}", other.name);
                }
            }
        }
        assert!(!CapabilitiesUpdate::default().add("unknown", true));
    }

    #[test]
    fn values_out_of_range_are_refused_with_what_is_accepted() {
        for (arguments, text) in [
            (json!({"xbzrle-cache-size": 12288}), "a power of two, 4096 bytes or more, found 12288"),
            (json!({"xbzrle-cache-size": 2048}), "a power of two, 4096 bytes or more, found 2048"),
            (json!({"cpu-throttle-initial": 0}), "1 to 99 per cent, found 0"),
            (json!({"x-ferry-total-time-action": "postcopy"}), "one of cancel, pause, found 'postcopy'"),
            (json!({"multifd-channels": 256}), "1 to 255, found 256"),
            (json!({"multifd-compression": "lz4"}), "one of none, zlib, zstd, found 'lz4'"),
            (json!({"x-vcpu-dirty-limit-period": 1001}), "1 to 1000 milliseconds, found 1001"),
            (json!({"vcpu-dirty-limit": 0}), "1 to 18446744073709551615 MB/s, found 0"),
            (json!({"downtime-limit": 2_000_001}), "0 to 2000000 milliseconds, found 2000001"),
        ] {
            let error = update(arguments).unwrap_err();
            assert!(error.desc.ends_with(text), "{error}");
        }
    }
}
