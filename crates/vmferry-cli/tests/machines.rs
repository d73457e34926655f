//! `vmferry machines` and `vmferry schema` as scripts see them.
//!
//! The schemas that this build declares are committed under `crates/vmferry-vmm/schemas`: for each machine type, and in
//! `releases` for each release, against which this build is checked. A difference is a change of what streams hold: see
//! that old machine types keep theirs, then run with `VMFERRY_BLESS=1` and commit the files.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod kit;

use std::path::Path;

use kit::run;
use serde_json::{Value, json};

const SCHEMAS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../vmferry-vmm/schemas");

#[test]
fn machines_are_listed_newest_first_with_what_is_in_effect() {
    let ran = run(&["machines", "--json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let fifo = json!({"device": "serial", "property": "migrate-fifo-timeout", "value": "off"});
    let counters = json!({"device": "riscv_hart", "property": "migrate-counters", "value": "off"});
    let machine = |version: &str, deprecated_in: &str, removed_in: &str, compat: Value| {
        json!({"name": format!("ferry-virt-{version}"), "accel": "soft", "default": false, "deprecated": false, "compat": compat,
               "deprecated_in": deprecated_in, "removed_in": removed_in, "islands": []})
    };
    let mut newest = machine("2.0", "5.0", "8.0", json!([]));
    newest["default"] = json!(true);
    newest["alias"] = json!("ferry-virt");
    let document = ran.document();
    let mut expected = vec![
        newest,
        machine("1.1", "4.1", "7.1", json!([fifo])),
        machine("1.0", "4.0", "7.0", json!([fifo, counters])),
    ];
    if cfg!(target_arch = "x86_64") {
        let mut kvm = machine("1.0", "4.0", "7.0", json!([]));
        for (key, value) in [("name", "ferry-x86-1.0"), ("alias", "ferry-x86"), ("accel", "kvm")] {
            kvm[key] = json!(value);
        }
        kvm["default"] = json!(true);
        expected.push(kvm);
    }
    assert_eq!(document["machines"], Value::from(expected));
    assert_eq!((&document["release"], &document["removed"]), (&json!("2.0"), &json!([])));
    let text = run(&["machines"]).stdout;
    assert!(
        text.starts_with("ferry-virt-2.0 (default)\nferry-virt-1.1\n  serial.migrate-fifo-timeout=off\n"),
        "{text}"
    );
    assert_eq!(run(&["machines", "--quiet"]).stdout, "");
}

#[test]
fn device_types_are_listed_with_what_their_properties_accept() {
    let document = run(&["machines", "--json"]).document();
    let serial = document["devices"].as_array().unwrap().iter().find(|device| device["name"] == "serial").unwrap();
    assert_eq!(
        serial["properties"],
        json!([{"name": "migrate-fifo-timeout", "type": "bool", "default": "on", "aliases": [], "old_names": [],
                "accepted": "on (yes, true, y) and off (no, false, n)", "deprecated": null}])
    );
    assert_eq!((&serial["parents"], &serial["removed"]), (&json!([]), &json!([])));
}

/// No release of the reference machine was an island; `vmstate` tests the answer for one that was.
#[test]
fn what_a_guest_of_a_release_needs_is_told_of_releases_that_are_known() {
    for release in ["1.0", "1.1", "2.0"] {
        let ran = run(&["machines", "--json", "--started-on", release]);
        assert_eq!(ran.code, Some(0));
        for machine in ran.document()["machines"].as_array().unwrap() {
            assert_eq!(machine["sticky"], json!([]), "{machine}");
        }
    }
    let text = run(&["machines", "--started-on", "1.1"]).stdout;
    assert!(text.starts_with("ferry-virt-2.0 (default)\n  needs no setting at a destination\n"), "{text}");
    let newer = run(&["machines", "--started-on", "2.0.1"]);
    assert_eq!(newer.code, Some(2));
    assert!(
        newer.stderr.contains("this is release 2.0: it does not know what guests of 2.0.1 need"),
        "{}",
        newer.stderr
    );
    assert_eq!(run(&["machines", "--started-on", "two"]).code, Some(2));
}

/// Raise the release of the machine after it was published: then its file is not written again.
#[test]
fn state_stays_loadable_by_and_from_every_release() {
    let machines = run(&["machines", "--json"]).document();
    let schema = Ok::<_, serde_json::Error>(run(&["schema"]).stdout);
    vmferry_inspect::baseline!("../vmferry-vmm/schemas/releases", schema, machines["release"].as_str().unwrap());
}

/// As above, for the machine on KVM.
#[test]
fn state_on_kvm_stays_loadable_by_and_from_every_release() {
    if !kit::has_kvm() {
        return;
    }
    let machines = run(&["machines", "--json"]).document();
    let schema = Ok::<_, serde_json::Error>(run(&["schema", "--accel", "kvm"]).stdout);
    vmferry_inspect::baseline!("../vmferry-vmm/schemas/releases-x86", schema, machines["release"].as_str().unwrap());
}

#[test]
fn schemas_are_the_committed_ones() {
    let mut plans = Vec::new();
    for machine in run(&["machines", "--json"]).document()["machines"].as_array().unwrap() {
        let name = machine["name"].as_str().unwrap();
        if machine["accel"] == "kvm" && !kit::has_kvm() {
            continue;
        }
        plans.push((format!("{name}.json"), vec!["schema".to_owned(), "--machine".to_owned(), name.to_owned()]));
    }
    for (file, args) in plans {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ran = run(&args);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{file}");
        let path = Path::new(SCHEMAS).join(&file);
        if std::env::var_os("VMFERRY_BLESS").is_some() {
            std::fs::create_dir_all(SCHEMAS).unwrap();
            std::fs::write(&path, &ran.stdout).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        let line = committed.lines().zip(ran.stdout.lines()).position(|(old, new)| old != new);
        assert!(
            committed == ran.stdout,
            "{} differs from the schema of this build, first at line {:?}; VMFERRY_BLESS=1 writes it anew",
            path.display(),
            line.map(|line| line + 1)
        );
    }
}

/// Every object below `value` that has a gate.
fn gates<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(map) => {
            if map.contains_key("gate") {
                found.push(value);
            }
            map.values().for_each(|inner| gates(inner, found));
        }
        Value::Array(list) => list.iter().for_each(|inner| gates(inner, found)),
        _ => {}
    }
}

#[test]
fn every_gate_is_evaluated_by_the_machine_type_and_only_then() {
    let open = |args: &[&str]| {
        let document = run(args).document();
        let mut found = Vec::new();
        gates(&document, &mut found);
        found.iter().map(|entry| (entry["gate"].clone(), entry.get("gate_open").cloned())).collect::<Vec<_>>()
    };
    let expected = |counters: Option<bool>, fifo: Option<bool>| {
        [("migrate-counters", counters), ("migrate-fifo-timeout", fifo)]
            .map(|(gate, is_open)| (Value::from(gate), is_open.map(Value::from)))
    };
    assert_eq!(open(&["schema"]), expected(None, None));
    assert_eq!(open(&["schema", "--machine", "ferry-virt-2.0"]), expected(Some(true), Some(true)));
    assert_eq!(open(&["schema", "--machine", "ferry-virt-1.1"]), expected(Some(true), Some(false)));
    assert_eq!(open(&["schema", "--machine", "ferry-virt-1.0"]), expected(Some(false), Some(false)));
}

#[test]
fn a_schema_is_the_same_document_with_and_without_json() {
    assert_eq!(run(&["schema"]).stdout, run(&["schema", "--json"]).stdout);
    let ran = run(&["schema", "--machine", "ferry-virt-3.0"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert!(ran.stderr.starts_with("error: there is no machine type 'ferry-virt-3.0'; there are ferry-virt-2.0"));
}
