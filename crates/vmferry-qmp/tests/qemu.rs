//! Beside a real QEMU: its monitor as our client's server, as the judge of our server, and as the source of names.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod kit;

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::AsFd;
use std::time::Duration;

use kit::{PATIENCE, Qemu, Raw, serve};
use serde_json::{Value, json};
use vmferry::control::{DowntimePhase, MigrationInfo, Round, Status};
use vmferry_qmp::{Client, ClientError};

#[test]
fn our_client_controls_every_release() {
    for version in ["5.2", "7.2", "10.0", "11.1"] {
        let Some(qemu) = Qemu::start(version) else { continue };
        let mut client = Client::connect(&qemu.path).unwrap();
        let (major, minor) = version.split_once('.').unwrap();
        assert_eq!(client.version()["qemu"]["major"].to_string(), major);
        assert_eq!(client.version()["qemu"]["minor"].to_string(), minor);

        assert_eq!(client.execute("query-migrate", Value::Null).unwrap(), json!({}));
        client.execute("migrate-set-parameters", json!({"downtime-limit": 77, "max-bandwidth": 1 << 20})).unwrap();
        let parameters = client.execute("query-migrate-parameters", Value::Null).unwrap();
        assert_eq!((&parameters["downtime-limit"], &parameters["max-bandwidth"]), (&json!(77), &json!(1 << 20)));

        let refused = client.execute("migrate-set-parameters", json!({"downtime-limit": 2_000_001}));
        assert!(matches!(refused, Err(ClientError::Refused { class, .. }) if class == "GenericError"));

        client.execute("cont", Value::Null).unwrap();
        assert_eq!(client.next_event(PATIENCE).unwrap().unwrap().name, "RESUME");
        assert_eq!(client.next_event(Duration::ZERO).unwrap(), None);

        let null = File::open("/dev/null").unwrap();
        client.execute_with_fd("getfd", json!({"fdname": "a"}), null.as_fd()).unwrap();
        client.execute("closefd", json!({"fdname": "a"})).unwrap();

        let events = json!({"capabilities": [{"capability": "events", "state": true}]});
        client.execute("migrate-set-capabilities", events).unwrap();
        client.execute("migrate", json!({"uri": "unix:/nonexistent/socket"})).unwrap();
        let mut statuses = Vec::new();
        while statuses.last() != Some(&json!("failed")) {
            let event = client.next_event(PATIENCE).unwrap().unwrap();
            assert_eq!(event.name, "MIGRATION");
            statuses.push(event.data["status"].clone());
        }
        assert_eq!(statuses[0], "setup", "{version}");

        client.execute("quit", Value::Null).unwrap();
    }
}

/// Requests, in the order in which both servers get them.
const REQUESTS: &[&str] = &[
    r#"{"execute":"query-status","id":1}"#,
    r#"{"execute":"nope"}"#,
    r#"{"execute":"qmp_capabilities","arguments":{"enable":["foo"]},"id":1}"#,
    r#"{"execute":"qmp_capabilities","arguments":{"enable":[]},"id":1}"#,
    r#"{"execute":"qmp_capabilities","id":2}"#,
    "garbage\n",
    "[1]",
    "12\n",
    r#""text""#,
    "}\n",
    "{]",
    "{\"execute\":\"qu\n",
    "{\"execute\":\n}",
    r#"{"execute":"stop","execute":"quit","id":5}"#,
    r#"{"execute":"stop","foo":1,"id":5}"#,
    r#"{"id":5}"#,
    "{}",
    r#"{"execute":1,"id":6}"#,
    r#"{"execute":"nope","id":{"a":[null,1.5]}}"#,
    r#"{"execute":"query-status","id":null}"#,
    r#"{"execute":"query-status","id":18446744073709551615}"#,
    r#"{"execute":"query-status","arguments":{"x":1},"id":1}"#,
    r#"{"execute":"query-status","arguments":[],"id":1}"#,
    r#"{"execute":"query-status","arguments":null,"id":1}"#,
    r#"{"exec-oob":"query-status"}"#,
    r#"{"execute":"query-status"}"#,
    r#"{"execute":"query-migrate"}"#,
    r#"{"execute":"migrate","arguments":{}}"#,
    r#"{"execute":"migrate","arguments":{"uri":5}}"#,
    r#"{"execute":"migrate","arguments":{"uri":"bad:5"}}"#,
    r#"{"execute":"migrate","arguments":{"uri":"fd:nope"}}"#,
    r#"{"execute":"migrate","arguments":{"uri":"file:/x","nope":true}}"#,
    r#"{"execute":"migrate","arguments":{"uri":"file:/x","resume":1}}"#,
    r#"{"execute":"migrate","arguments":{"uri":"file:/x","resume":true}}"#,
    r#"{"execute":"migrate","arguments":{"uri":"file:/x","channels":[{"channel-type":"main"}]}}"#,
    r#"{"execute":"migrate","arguments":{"channels":[]}}"#,
    r#"{"execute":"migrate","arguments":{"channels":[{"channel-type":"main","addr":{"transport":"socket"}}]}}"#,
    r#"{"execute":"migrate","arguments":{"channels":[{"channel-type":"main","addr":{"transport":"smtp"}}]}}"#,
    r#"{"execute":"migrate-incoming","arguments":{"uri":"file:/x"}}"#,
    r#"{"execute":"migrate_cancel"}"#,
    r#"{"execute":"migrate-set-parameters"}"#,
    r#"{"execute":"migrate-set-parameters","arguments":{"max-bandwidth":-1}}"#,
    r#"{"execute":"migrate-set-parameters","arguments":{"max-bandwidth":0}}"#,
    r#"{"execute":"migrate-set-parameters","arguments":{"max-bandwidth":1.0}}"#,
    r#"{"execute":"migrate-set-parameters","arguments":{"max-bandwidth":"1"}}"#,
    r#"{"execute":"migrate-set-parameters","arguments":{"max-bandwidth":null}}"#,
    r#"{"execute":"migrate-set-parameters","arguments":{"max-bandwidth":18446744073709551615}}"#,
    r#"{"execute":"migrate-set-parameters","arguments":{"max-bandwidth":18446744073709551616}}"#,
    r#"{"execute":"migrate-set-parameters","arguments":{"downtime-limit":0}}"#,
    r#"{"execute":"migrate-set-parameters","arguments":{"downtime-limit":2000000}}"#,
    r#"{"execute":"migrate-set-parameters","arguments":{"downtime-limit":2000001}}"#,
    r#"{"execute":"migrate-set-parameters","arguments":{"downtime-limit":-1}}"#,
    r#"{"execute":"migrate-set-parameters","arguments":{"multifd-channels":0}}"#,
    r#"{"execute":"migrate-set-parameters","arguments":{"multifd-channels":1}}"#,
    r#"{"execute":"migrate-set-parameters","arguments":{"multifd-channels":255}}"#,
    r#"{"execute":"migrate-set-parameters","arguments":{"multifd-channels":256}}"#,
    r#"{"execute":"migrate-set-parameters","arguments":{"multifd-zlib-level":9}}"#,
    r#"{"execute":"migrate-set-parameters","arguments":{"multifd-zlib-level":10}}"#,
    r#"{"execute":"migrate-set-parameters","arguments":{"multifd-zstd-level":20}}"#,
    r#"{"execute":"migrate-set-parameters","arguments":{"multifd-zstd-level":21}}"#,
    r#"{"execute":"migrate-set-parameters","arguments":{"multifd-compression":"zstd"}}"#,
    r#"{"execute":"migrate-set-parameters","arguments":{"multifd-compression":"lz4"}}"#,
    r#"{"execute":"migrate-set-parameters","arguments":{"zero-page-detection":"none"}}"#,
    r#"{"execute":"migrate-set-parameters","arguments":{"zero-page-detection":"all"}}"#,
    r#"{"execute":"migrate-set-capabilities","arguments":{"capabilities":[{"capability":"zero-copy-send","state":true}]}}"#,
    r#"{"execute":"migrate-set-capabilities","arguments":{"capabilities":[{"capability":"multifd","state":true}]}}"#,
    r#"{"execute":"migrate-set-capabilities"}"#,
    r#"{"execute":"migrate-set-capabilities","arguments":{"capabilities":[]}}"#,
    r#"{"execute":"migrate-set-capabilities","arguments":{"capabilities":[{"capability":"events"}]}}"#,
    r#"{"execute":"migrate-set-capabilities","arguments":{"capabilities":[{"capability":"nope","state":true}]}}"#,
    r#"{"execute":"migrate-set-capabilities","arguments":{"capabilities":[{"capability":"events","state":1}]}}"#,
    r#"{"execute":"getfd","arguments":{"fdname":"a"}}"#,
    r#"{"execute":"getfd"}"#,
    r#"{"execute":"closefd","arguments":{"fdname":"a"}}"#,
    r#"{"execute":"cont"}"#,
    r#"{"execute":"query-status","id":"running"}"#,
    r#"{"execute":"stop"}"#,
    r#"{"execute":"stop"}"#,
    r#"{"execute":"query-status","id":"stopped"}"#,
    r#"{"execute":"quit","id":9}"#,
];

/// What two servers must agree on: everything but the text of errors.
fn without_text(mut reply: Value) -> Value {
    if let Some(error) = reply.get_mut("error") {
        assert!(error.as_object_mut().unwrap().remove("desc").unwrap().is_string());
    }
    reply
}

#[test]
fn the_same_requests_get_the_same_replies_but_for_texts() {
    let Some(qemu) = Qemu::start("10.0") else { return };
    let served = serve();
    let (mut theirs, _) = Raw::connect(&qemu.path);
    let (mut ours, _) = Raw::connect(served.server.path());
    for request in REQUESTS {
        let expected = without_text(theirs.ask(request));
        assert_eq!(without_text(ours.ask(request)), expected, "{request}");
    }
}

/// QEMU's description of itself, in which types have numbers for names.
struct Schema(Vec<Value>);

impl Schema {
    fn entity(&self, name: &Value) -> &Value {
        self.0.iter().find(|entity| &entity["name"] == name).unwrap_or_else(|| panic!("no {name}"))
    }

    /// Names and types of an object's members; of a union, those of every variant.
    fn members(&self, object: &Value) -> Vec<(String, Value)> {
        let own = object["members"].as_array().unwrap_or_else(|| panic!("{object} has no members"));
        let mut members: Vec<_> =
            own.iter().map(|member| (member["name"].as_str().unwrap().to_owned(), member["type"].clone())).collect();
        for variant in object["variants"].as_array().into_iter().flatten() {
            members.extend(self.members(self.entity(&variant["type"])));
        }
        members
    }

    /// Refuses members of `value` that the type does not have, at every level; our own begin with `x-ferry-`.
    fn check(&self, value: &Value, type_name: &Value, at: &str) {
        let entity = self.entity(type_name);
        match (value, entity["meta-type"].as_str().unwrap()) {
            (Value::Object(found), "object") => {
                let known = self.members(entity);
                for (name, inner) in found.iter().filter(|(name, _)| !name.starts_with("x-ferry-")) {
                    let (_, inner_type) =
                        known.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("{at}.{name}"));
                    self.check(inner, inner_type, &format!("{at}.{name}"));
                }
                for member in entity["members"].as_array().unwrap() {
                    // A member without default is required.
                    let required = member.get("default").is_none();
                    let name = member["name"].as_str().unwrap();
                    assert!(!required || found.contains_key(name), "{at} lacks {name}");
                }
            }
            (Value::Array(list), "array") => {
                list.iter().for_each(|inner| self.check(inner, &entity["element-type"], &format!("{at}[]")));
            }
            (Value::String(word), "enum") => {
                let words: BTreeSet<_> =
                    entity["values"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
                assert!(words.contains(word.as_str()), "{at}: {word}");
            }
            (scalar, "builtin") => {
                let accepted = match entity["json-type"].as_str().unwrap() {
                    "int" => scalar.is_i64() || scalar.is_u64(),
                    "number" => scalar.is_number(),
                    "string" => scalar.is_string(),
                    "boolean" => scalar.is_boolean(),
                    "value" => true,
                    other => panic!("{at}: {other}"),
                };
                assert!(accepted, "{at}: {scalar}");
            }
            (Value::String(_) | Value::Null, "alternate") => {}
            (found, meta) => panic!("{at}: {found} for {meta}"),
        }
    }

    fn check_reply(&self, command: &str, reply: &Value) {
        self.check(reply, &self.entity(&json!(command))["ret-type"], command);
    }

    fn check_arguments(&self, command: &str, arguments: &Value) {
        self.check(arguments, &self.entity(&json!(command))["arg-type"], command);
    }
}

#[test]
fn every_name_of_ours_is_in_qemus_schema() {
    let Some(qemu) = Qemu::start("10.0") else { return };
    let reply = Client::connect(&qemu.path).unwrap().execute("query-qmp-schema", Value::Null).unwrap();
    let schema = Schema(reply.as_array().unwrap().clone());

    let served = serve();
    let mut client = Client::connect(served.server.path()).unwrap();
    let commands = client.execute("query-commands", Value::Null).unwrap();
    for command in commands.as_array().unwrap() {
        assert_eq!(schema.entity(&command["name"])["meta-type"], "command");
    }
    for event in ["STOP", "RESUME", "SHUTDOWN", "MIGRATION", "MIGRATION_PASS"] {
        assert_eq!(schema.entity(&json!(event))["meta-type"], "event");
    }
    for status in [
        Status::None,
        Status::Setup,
        Status::Active,
        Status::Device,
        Status::Completed,
        Status::Failed,
        Status::Cancelling,
        Status::Cancelled,
    ] {
        served.mock.state.lock().unwrap().migration = MigrationInfo {
            status,
            downtime_ms: Some(1.5),
            rounds: vec![Round::default()],
            downtime_phases: vec![DowntimePhase { name: "devices", ms: 1.0 }],
            error: Some("text".to_owned()),
            ..MigrationInfo::default()
        };
        schema.check_reply("query-migrate", &client.execute("query-migrate", Value::Null).unwrap());
        schema.check(&json!({"status": status.name()}), &schema.entity(&json!("MIGRATION"))["arg-type"], "MIGRATION");
    }
    for uri in ["tcp:[::1]:4444", "unix:/a"] {
        let incoming = MigrationInfo { status: Status::Setup, incoming: true, ..MigrationInfo::default() };
        served.mock.state.lock().unwrap().migration = incoming;
        served.mock.state.lock().unwrap().listening = Some(uri.parse().unwrap());
        let reply = client.execute("query-migrate", Value::Null).unwrap();
        assert_eq!(reply["socket-address"].as_array().map(Vec::len), Some(1), "{reply}");
        schema.check_reply("query-migrate", &reply);
    }
    for command in [
        "query-status",
        "query-memory-size-summary",
        "query-dirty-rate",
        "query-version",
        "query-commands",
        "query-migrate-capabilities",
        "query-migrate-parameters",
    ] {
        schema.check_reply(command, &client.execute(command, Value::Null).unwrap());
    }
    for (command, arguments) in [
        ("query-machines", json!({"compat-props": true})),
        ("query-machines", json!({})),
        ("device-list-properties", json!({"typename": "pl011"})),
        ("qom-list-properties", json!({"typename": "pl011"})),
    ] {
        let reply = client.execute(command, arguments.clone()).unwrap();
        assert!(reply.as_array().unwrap().len() > 2, "{reply}");
        schema.check_arguments(command, &arguments);
        schema.check_reply(command, &reply);
    }
    // What our server accepts, QEMU's schema has.
    served.mock.state.lock().unwrap().migration = MigrationInfo::default();
    served.mock.state.lock().unwrap().run_state = vmferry::control::RunState::InMigrate;
    for (command, arguments) in [
        ("migrate", json!({"uri": "file:/x", "detach": true, "resume": false})),
        ("migrate-incoming", json!({"uri": "file:/x", "exit-on-error": false})),
        ("migrate-set-parameters", json!({"downtime-limit": 1, "max-bandwidth": 1})),
        (
            "migrate-set-parameters",
            json!({
                "throttle-trigger-threshold": 1, "cpu-throttle-initial": 1, "cpu-throttle-increment": 1,
                "cpu-throttle-tailslow": true, "max-cpu-throttle": 99, "avail-switchover-bandwidth": 1,
                "xbzrle-cache-size": 4096,
            }),
        ),
        ("migrate-set-capabilities", json!({"capabilities": [{"capability": "xbzrle", "state": true}]})),
        ("migrate-set-capabilities", json!({"capabilities": [{"capability": "xbzrle", "state": false}]})),
        ("migrate-set-capabilities", json!({"capabilities": [{"capability": "auto-converge", "state": true}]})),
        ("migrate-set-capabilities", json!({"capabilities": [{"capability": "events", "state": true}]})),
        ("migrate-set-capabilities", json!({"capabilities": [{"capability": "return-path", "state": true}]})),
        ("migrate-set-capabilities", json!({"capabilities": [{"capability": "multifd", "state": true}]})),
        ("migrate-set-capabilities", json!({"capabilities": [{"capability": "zero-copy-send", "state": true}]})),
        (
            "migrate-set-parameters",
            json!({
                "multifd-channels": 3,
                "multifd-compression": "zlib",
                "multifd-zlib-level": 2,
                "multifd-zstd-level": 3,
                "zero-page-detection": "legacy",
            }),
        ),
    ] {
        client.execute(command, arguments.clone()).unwrap();
        schema.check_arguments(command, &arguments);
    }
    for address in [
        json!({"transport": "socket", "type": "inet", "host": "a", "port": "1"}),
        json!({"transport": "socket", "type": "unix", "path": "/a"}),
        json!({"transport": "file", "filename": "/a", "offset": 0}),
        json!({"transport": "exec", "args": ["cat"]}),
    ] {
        let arguments = json!({"channels": [{"channel-type": "main", "addr": address}]});
        client.execute("migrate", arguments.clone()).unwrap();
        schema.check_arguments("migrate", &arguments);
    }
    let shutdown = json!({"guest": false, "reason": "host-qmp-quit"});
    for (event, data) in [
        ("MIGRATION_PASS", json!({"pass": 1})),
        ("SHUTDOWN", json!({"guest": true, "reason": "guest-shutdown"})),
        ("SHUTDOWN", shutdown),
    ] {
        schema.check(&data, &schema.entity(&json!(event))["arg-type"], event);
    }
}
