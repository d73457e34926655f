//! What an ordinary client gets from the server.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod kit;

use std::fs::File;
use std::os::fd::AsFd;
use std::time::Duration;

use kit::{PATIENCE, Raw, serve};
use serde_json::{Value, json};
use vmferry::control::{Event, MigrationInfo, Owner, RamStats, Round, RunState, Status};
use vmferry_qmp::{CLIENTS_LIMIT, Client, ClientError, Server, ServerError};

fn client(served: &kit::Served) -> Client {
    Client::connect(served.server.path()).unwrap()
}

fn refusal(result: Result<Value, ClientError>) -> (String, String) {
    match result {
        Err(ClientError::Refused { class, desc, .. }) => (class, desc),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_greeting_has_our_version_where_clients_look_for_qemus() {
    let served = serve();
    let (_, greeting) = Raw::connect(served.server.path());
    assert_eq!(greeting["QMP"]["capabilities"], json!([]));
    let version = &greeting["QMP"]["version"];
    assert!(
        version["qemu"]["major"].is_u64() && version["qemu"]["minor"].is_u64() && version["qemu"]["micro"].is_u64()
    );
    assert!(version["package"].as_str().unwrap().starts_with("vmferry "));
    assert_eq!(&client(&served).execute("query-version", Value::Null).unwrap(), version);
}

#[test]
fn negotiation_comes_first_and_once() {
    let served = serve();
    let (mut raw, _) = Raw::connect(served.server.path());
    for request in [r#"{"execute":"query-status","id":1}"#, r#"{"execute":"nope","id":1}"#] {
        let reply = raw.ask(request);
        assert_eq!((&reply["error"]["class"], &reply["id"]), (&json!("CommandNotFound"), &json!(1)));
    }
    // A negotiation that fails leaves the phase as it was.
    let reply = raw.ask(r#"{"execute":"qmp_capabilities","arguments":{"enable":["oob"]}}"#);
    assert_eq!(reply["error"]["class"], "GenericError");
    assert_eq!(raw.ask(r#"{"execute":"query-status"}"#)["error"]["class"], "CommandNotFound");
    assert_eq!(raw.ask(r#"{"execute":"qmp_capabilities","arguments":{"enable":[]}}"#), json!({"return": {}}));
    assert_eq!(raw.ask(r#"{"execute":"qmp_capabilities"}"#)["error"]["class"], "CommandNotFound");
    assert_eq!(raw.ask(r#"{"execute":"query-status"}"#), json!({"return": {"status": "prelaunch", "running": false}}));
}

#[test]
fn any_id_comes_back_as_it_was() {
    let served = serve();
    let mut raw = Raw::negotiated(served.server.path());
    for id in
        [json!(null), json!([1, [null], {"a": true}]), json!("x\u{e9}\n"), json!(-5), json!(0.25), json!(u64::MAX)]
    {
        let reply = raw.ask(json!({"execute": "stop", "id": id}).to_string());
        assert_eq!(reply, json!({"return": {}, "id": id}));
        let reply = raw.ask(json!({"execute": "nope", "id": id}).to_string());
        assert_eq!((&reply["id"], &reply["error"]["class"]), (&id, &json!("CommandNotFound")));
    }
    assert!(raw.ask(r#"{"execute":"stop"}"#).get("id").is_none());
}

#[test]
fn requests_sent_ahead_are_answered_in_order() {
    let served = serve();
    let mut raw = Raw::negotiated(served.server.path());
    let requests: String = (0..500).map(|id| format!("{{\"execute\":\"query-status\",\"id\":{id}}}")).collect();
    raw.send(requests);
    for id in 0..500 {
        assert_eq!(raw.read()["id"], id);
    }
}

#[test]
fn stop_and_cont_change_the_state_and_tell_every_client() {
    let served = serve();
    let (mut first, mut second) = (client(&served), client(&served));
    for (command, state, event) in [("cont", "running", "RESUME"), ("stop", "paused", "STOP")] {
        assert_eq!(first.execute(command, Value::Null).unwrap(), json!({}));
        // Repeated, it does nothing and says nothing.
        assert_eq!(first.execute(command, Value::Null).unwrap(), json!({}));
        let status = first.execute("query-status", Value::Null).unwrap();
        assert_eq!(status, json!({"status": state, "running": state == "running"}));
        for client in [&mut first, &mut second] {
            let received = client.next_event(PATIENCE).unwrap().unwrap();
            assert_eq!((received.name.as_str(), &received.data), (event, &Value::Null));
            assert!(received.timestamp > Duration::from_secs(1_600_000_000));
        }
    }
    assert_eq!(first.next_event(Duration::ZERO).unwrap(), None);
}

#[test]
fn no_events_come_before_negotiation() {
    let served = serve();
    let (mut raw, _) = Raw::connect(served.server.path());
    served.mock.events.emit(Event::Stop);
    raw.send(r#"{"execute":"qmp_capabilities"}"#);
    assert_eq!(raw.read(), json!({"return": {}}));
    served.mock.events.emit(Event::Resume);
    assert_eq!(raw.read()["event"], "RESUME");
}

#[test]
fn events_of_migration_need_their_capability() {
    let served = serve();
    let mut client = client(&served);
    let all = [Event::Migration(Status::Setup), Event::MigrationPass(1), Event::Shutdown];
    all.iter().for_each(|event| served.mock.events.emit(event.clone()));
    let received = client.next_event(PATIENCE).unwrap().unwrap();
    assert_eq!(
        (received.name.as_str(), received.data),
        ("SHUTDOWN", json!({"guest": true, "reason": "guest-shutdown"}))
    );

    let on = json!({"capabilities": [{"capability": "events", "state": true}]});
    client.execute("migrate-set-capabilities", on).unwrap();
    all.iter().for_each(|event| served.mock.events.emit(event.clone()));
    let received: Vec<_> =
        (0..3).map(|_| client.next_event(PATIENCE).unwrap().unwrap()).map(|event| (event.name, event.data)).collect();
    assert_eq!(received[0], ("MIGRATION".to_owned(), json!({"status": "setup"})));
    assert_eq!(received[1], ("MIGRATION_PASS".to_owned(), json!({"pass": 1})));
    assert_eq!(received[2].0, "SHUTDOWN");
}

#[test]
fn migrate_takes_a_uri_or_channels() {
    let served = serve();
    let mut client = client(&served);
    let address = json!({"transport": "socket", "type": "inet", "host": "::1", "port": "4444"});
    let channels = json!([{"channel-type": "main", "addr": address}]);
    client.execute("migrate", json!({"uri": "unix:/tmp/s", "detach": true})).unwrap();
    client.execute("migrate", json!({ "channels": channels })).unwrap();
    client.execute("migrate_cancel", Value::Null).unwrap();
    assert_eq!(*served.mock.calls.lock().unwrap(), ["migrate unix:/tmp/s", "migrate tcp:[::1]:4444", "migrate_cancel"]);
}

#[test]
fn what_the_machine_refuses_is_a_generic_error_with_its_text() {
    let served = serve();
    let (class, desc) = refusal(client(&served).execute("migrate", json!({"uri": "fd:nope"})));
    assert_eq!(class, "GenericError");
    assert!(desc.contains("'nope'"), "{desc}");
}

#[test]
fn arguments_that_do_not_fit_execute_nothing() {
    let served = serve();
    let mut client = client(&served);
    for (command, arguments) in [
        ("migrate", json!({})),
        ("migrate", json!({"uri": 5})),
        ("migrate", json!({"uri": "smtp:x"})),
        ("migrate", json!({"uri": "tcp:host"})),
        ("migrate", json!({"uri": "file:/x", "foo": 1})),
        ("migrate", json!({"uri": "file:/x", "resume": 1})),
        ("migrate", json!({"uri": "file:/x", "resume": true})),
        ("migrate", json!({"uri": "file:/x", "channels": []})),
        ("migrate-incoming", json!({"uri": "file:/x", "exit-on-error": "no"})),
        ("migrate_cancel", json!({"now": true})),
        ("stop", json!({"x": null})),
        ("quit", json!({"code": 1})),
        ("migrate-set-parameters", json!({"max-bandwidth": 1, "downtime-limit": 2_000_001})),
        ("migrate-set-parameters", json!({"max-bandwidth": 1, "downtime-limit": -1})),
        ("migrate-set-parameters", json!({"max-bandwidth": 1.5})),
        ("migrate-set-parameters", json!({"max-bandwidth": 1, "x-checkpoint-delay": 2})),
        ("migrate-set-parameters", json!({"max-bandwidth": 1, "multifd-channels": 0})),
        ("migrate-set-parameters", json!({"max-bandwidth": 1, "multifd-channels": 256})),
        ("migrate-set-parameters", json!({"max-bandwidth": 1, "multifd-zlib-level": 10})),
        ("migrate-set-parameters", json!({"max-bandwidth": 1, "multifd-zstd-level": 21})),
        ("migrate-set-parameters", json!({"max-bandwidth": 1, "multifd-compression": "lz4"})),
        ("migrate-set-parameters", json!({"max-bandwidth": 1, "multifd-compression": 1})),
        ("migrate-set-parameters", json!({"max-bandwidth": 1, "zero-page-detection": "xbzrle"})),
        ("migrate-set-capabilities", json!({})),
        ("migrate-set-capabilities", json!({"capabilities": [{"capability": "events"}]})),
        (
            "migrate-set-capabilities",
            json!({"capabilities": [{"capability": "events", "state": true}, {"capability": "x-colo", "state": true}]}),
        ),
        ("migrate-set-capabilities", json!({"capabilities": [{"capability": "events", "state": true, "more": 1}]})),
        ("closefd", json!({"fdname": "unknown"})),
    ] {
        let (class, _) = refusal(client.execute(command, arguments.clone()));
        assert_eq!(class, "GenericError", "{command} {arguments}");
    }
    assert!(served.mock.calls.lock().unwrap().is_empty());
    let state = served.mock.state.lock().unwrap();
    assert_eq!((state.run_state, state.parameters), (RunState::Prelaunch, Default::default()));
    assert_eq!(state.capabilities, Default::default());
}

#[test]
fn incoming_hands_its_arguments_on() {
    let served = serve();
    let mut client = client(&served);
    refusal(client.execute("migrate-incoming", json!({"uri": "tcp::0"})));
    served.mock.state.lock().unwrap().run_state = RunState::InMigrate;
    client.execute("migrate-incoming", json!({"uri": "tcp::0", "exit-on-error": false})).unwrap();
    assert_eq!(*served.mock.calls.lock().unwrap(), ["migrate-incoming tcp::0 true", "migrate-incoming tcp::0 false"]);
}

#[test]
fn parameters_are_set_one_by_one_within_their_ranges() {
    let served = serve();
    let mut client = client(&served);
    let parameters = client.execute("query-migrate-parameters", Value::Null).unwrap();
    assert_eq!(parameters["downtime-limit"], 300);
    assert_eq!(parameters["max-bandwidth"], 134_217_728);
    client.execute("migrate-set-parameters", json!({"downtime-limit": 2_000_000})).unwrap();
    client.execute("migrate-set-parameters", json!({"max-bandwidth": -1})).unwrap();
    client.execute("migrate-set-parameters", json!({})).unwrap();
    let parameters = client.execute("query-migrate-parameters", Value::Null).unwrap();
    assert_eq!(parameters["downtime-limit"], 2_000_000);
    assert_eq!(parameters["max-bandwidth"], u64::MAX);
}

#[test]
fn capabilities_do_not_change_while_a_migration_runs() {
    let served = serve();
    let mut client = client(&served);
    let change = json!({"capabilities": [{"capability": "return-path", "state": false}]});
    for status in [Status::Setup, Status::Active, Status::Device, Status::Cancelling] {
        served.mock.state.lock().unwrap().migration.status = status;
        let (_, desc) = refusal(client.execute("migrate-set-capabilities", change.clone()));
        assert!(desc.contains(status.name()), "{desc}");
    }
    let return_path = |client: &mut Client| {
        let list = client.execute("query-migrate-capabilities", Value::Null).unwrap();
        let of = |item: &&Value| item["capability"] == "return-path";
        list.as_array().unwrap().iter().find(of).unwrap()["state"].clone()
    };
    assert_eq!(return_path(&mut client), true);
    served.mock.state.lock().unwrap().migration.status = Status::Failed;
    client.execute("migrate-set-capabilities", change).unwrap();
    assert_eq!(return_path(&mut client), false);
}

#[test]
fn the_dirty_rate_before_any_measurement_is_told_as_qemu_tells_it() {
    let served = serve();
    let mut client = client(&served);
    // docs/spec/control.md section 2.3.
    let verified = json!({
        "status": "unstarted", "sample-pages": 0, "mode": "page-sampling", "calc-time-unit": "second",
        "start-time": 0, "calc-time": 0,
    });
    assert_eq!(client.execute("query-dirty-rate", Value::Null).unwrap(), verified);
    for (arguments, text) in [
        (json!({}), "'calc-time' is missing"),
        (json!({"calc-time": 0}), "50 to 60000 milliseconds, found 0"),
        (json!({"calc-time": 61}), "found 61000"),
        (json!({"calc-time": 49, "calc-time-unit": "millisecond"}), "found 49"),
        (json!({"calc-time": 1, "mode": "dirty-ring"}), "accepted: page-sampling, dirty-bitmap"),
        (json!({"calc-time": 1, "sample-pages": 127}), "128 to 16384 pages, found 127"),
        (json!({"calc-time": 1, "sample-pages": 512, "mode": "dirty-bitmap"}), "is of mode page-sampling"),
        (json!({"calc-time": 1, "calc-time-unit": "hour"}), "accepted: second, millisecond"),
    ] {
        let (class, desc) = refusal(client.execute("calc-dirty-rate", arguments));
        assert!(class == "GenericError" && desc.contains(text), "{desc}");
    }
}

#[test]
fn query_migrate_shows_what_the_machine_knows() {
    let served = serve();
    let mut client = client(&served);
    assert_eq!(client.execute("query-migrate", Value::Null).unwrap(), json!({}));
    served.mock.state.lock().unwrap().migration = MigrationInfo {
        status: Status::Active,
        owner: Owner::Source,
        total_time_ms: 1000,
        expected_downtime_ms: 30,
        ram: RamStats { total: 1 << 30, remaining: 1 << 20, mbps: 80.5, page_size: 4096, ..RamStats::default() },
        rounds: vec![Round { pages_sent: 5, ms: 2.5, ..Round::default() }],
        ..MigrationInfo::default()
    };
    let reply = client.execute("query-migrate", Value::Null).unwrap();
    assert_eq!(
        (&reply["status"], &reply["total-time"], &reply["expected-downtime"]),
        (&json!("active"), &json!(1000), &json!(30))
    );
    assert_eq!((&reply["ram"]["remaining"], &reply["ram"]["mbps"]), (&json!(1 << 20), &json!(80.5)));
    assert_eq!((&reply["x-ferry-rounds"][0]["pages-sent"], &reply["x-ferry-owner"]), (&json!(5), &json!("source")));
}

#[test]
fn descriptors_go_from_getfd_to_the_address_that_names_them() {
    let served = serve();
    let mut client = client(&served);
    let null = File::open("/dev/null").unwrap();
    let (_, desc) = refusal(client.execute("getfd", json!({"fdname": "a"})));
    assert!(desc.contains("SCM_RIGHTS"), "{desc}");
    for name in ["a", "b"] {
        client.execute_with_fd("getfd", json!({ "fdname": name }), null.as_fd()).unwrap();
    }
    refusal(client.execute_with_fd("getfd", json!({"fdname": "7a"}), null.as_fd()));
    // The refused one is closed, not left for the next.
    refusal(client.execute("getfd", json!({"fdname": "c"})));
    client.execute("closefd", json!({"fdname": "a"})).unwrap();
    refusal(client.execute("migrate", json!({"uri": "fd:a"})));
    client.execute("migrate", json!({"uri": "fd:b"})).unwrap();
    refusal(client.execute("migrate", json!({"uri": "fd:b"})));
}

#[test]
fn quit_is_answered_before_the_machine_ends() {
    let served = serve();
    let mut client = client(&served);
    assert_eq!(client.execute("quit", Value::Null).unwrap(), json!({}));
    let event = client.next_event(PATIENCE).unwrap().unwrap();
    assert_eq!((event.name.as_str(), event.data), ("SHUTDOWN", json!({"guest": false, "reason": "host-qmp-quit"})));
    served.has_quit.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(client.next_event(PATIENCE), Err(ClientError::Closed)));
}

#[test]
fn machine_types_are_listed_with_their_lists_on_demand() {
    let served = serve();
    let mut client = client(&served);
    let facts = |name: &str| {
        json!({"name": name, "cpu-max": 8, "hotpluggable-cpus": false, "numa-mem-supported": true, "acpi": true,
               "deprecated": name != "virt-8.2", "default-ram-id": "mach-virt.ram"})
    };
    let mut expected = [facts("virt-8.2"), facts("virt-5.1"), facts("virt-5.0")];
    expected[0]["alias"] = json!("virt");
    expected[0]["is-default"] = json!(true);
    assert_eq!(client.execute("query-machines", Value::Null).unwrap(), json!(expected));
    let entry = |of: &str, property: &str, value: &str| json!({"qom-type": of, "property": property, "value": value});
    let depth = entry("pl011", "fifo-depth", "1");
    expected[0]["compat-props"] = json!([]);
    expected[1]["compat-props"] = json!([depth]);
    // Each entry in the order of application, also the one that a later one overrides.
    let own = [entry("pl011", "migrate-clk", "off"), entry("sys-bus-device", "fifo-depth", "8")];
    expected[2]["compat-props"] = json!([depth, own[0], own[1]]);
    assert_eq!(client.execute("query-machines", json!({"compat-props": true})).unwrap(), json!(expected));
    let (class, _) = refusal(client.execute("query-machines", json!({"compat-props": "on"})));
    assert_eq!(class, "GenericError");
}

#[test]
fn properties_of_a_type_are_listed_with_qemus_types_and_their_defaults() {
    let served = serve();
    let mut client = client(&served);
    for command in ["device-list-properties", "qom-list-properties"] {
        assert_eq!(
            client.execute(command, json!({"typename": "pl011"})).unwrap(),
            json!([
                {"name": "migrate-clk", "type": "bool", "description": "on/off", "default-value": true},
                {"name": "fifo-depth", "type": "uint32", "default-value": 16},
                {"name": "dma", "type": "OnOffAuto", "description": "on/off/auto", "default-value": "auto"},
                {"name": "lines", "type": "list", "default-value": [1, 2]},
            ])
        );
        // The classes of error are QEMU's: of an unknown type, of one that only others derive from, of none.
        assert_eq!(refusal(client.execute(command, json!({"typename": "nonesuch"}))).0, "DeviceNotFound");
        let (class, text) = refusal(client.execute(command, json!({"typename": "sys-bus-device"})));
        assert_eq!(class, "GenericError");
        assert!(text.contains("these are pl011"), "{text}");
        assert_eq!(refusal(client.execute(command, Value::Null)).0, "GenericError");
    }
}

#[test]
fn every_command_that_is_listed_exists() {
    let served = serve();
    let mut client = client(&served);
    let list = client.execute("query-commands", Value::Null).unwrap();
    let names: Vec<_> = list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect();
    assert!(names.len() >= 20, "{names:?}");
    for name in names.iter().filter(|name| *name != "qmp_capabilities") {
        // No command has this argument, so none is executed.
        let (class, _) = refusal(client.execute(name, json!({"no-such-argument": 1})));
        assert_eq!(class, "GenericError", "{name}");
    }
}

#[test]
fn clients_over_the_limit_are_disconnected_and_room_is_made_by_those_that_leave() {
    let served = serve();
    let mut clients: Vec<_> = (0..CLIENTS_LIMIT).map(|_| client(&served)).collect();
    assert!(matches!(Client::connect(served.server.path()), Err(ClientError::Closed)));
    clients.pop();
    // The server notices the end in its own time.
    let deadline = std::time::Instant::now() + PATIENCE;
    while Client::connect(served.server.path()).is_err() {
        assert!(std::time::Instant::now() < deadline);
        std::thread::yield_now();
    }
}

#[test]
fn a_dropped_server_disconnects_and_removes_its_socket() {
    let served = serve();
    let mut client = client(&served);
    let path = served.server.path().to_owned();
    drop(served.server);
    assert!(matches!(client.next_event(PATIENCE), Err(ClientError::Closed)));
    assert!(!path.exists());
    assert!(matches!(Client::connect(&path), Err(ClientError::Connect { .. })));
}

#[test]
fn a_socket_in_use_is_refused_and_one_left_behind_replaced() {
    let served = serve();
    let path = served.server.path();
    let again = Server::bind(path, served.mock.clone(), served.mock.events.clone());
    assert!(matches!(again, Err(ServerError::InUse { .. })), "{again:?}");

    let left = path.with_file_name("left");
    drop(std::os::unix::net::UnixListener::bind(&left).unwrap());
    let server = Server::bind(&left, served.mock.clone(), served.mock.events.clone()).unwrap();
    Client::connect(server.path()).unwrap();

    let file = path.with_file_name("file");
    std::fs::write(&file, "content").unwrap();
    let refused = Server::bind(&file, served.mock.clone(), served.mock.events.clone());
    assert!(matches!(refused, Err(ServerError::Listen { .. })), "{refused:?}");
    assert_eq!(std::fs::read(&file).unwrap(), b"content");
}

#[test]
fn dirty_limits_reach_the_machine_as_they_were_said() {
    let served = serve();
    let mut client = client(&served);
    for (command, arguments) in [
        ("set-vcpu-dirty-limit", json!({"dirty-rate": 10})),
        ("set-vcpu-dirty-limit", json!({"dirty-rate": -1, "cpu-index": 3})),
        ("cancel-vcpu-dirty-limit", json!({"cpu-index": 3})),
        ("cancel-vcpu-dirty-limit", json!({})),
    ] {
        assert_eq!(client.execute(command, arguments).unwrap(), json!({}));
    }
    let calls = [
        "set-vcpu-dirty-limit None 10",
        "set-vcpu-dirty-limit Some(3) 18446744073709551615",
        "cancel-vcpu-dirty-limit Some(3)",
        "cancel-vcpu-dirty-limit None",
    ];
    assert_eq!(*served.mock.calls.lock().unwrap(), calls);
    let limits = client.execute("query-vcpu-dirty-limit", Value::Null).unwrap();
    assert_eq!(limits, json!([{"cpu-index": 1, "limit-rate": u64::MAX, "current-rate": 15}]));
}
