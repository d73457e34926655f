//! What a running machine says of machine types and properties, and of what its operator changed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod kit;

use std::process::Stdio;
use std::time::{Duration, Instant};

use kit::{Ran, run, vmferry};
use serde_json::{Value, json};
use vmferry_qmp::Client;

#[test]
fn a_machine_tells_its_types_and_what_every_destination_needs() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("qmp");
    let address = format!("unix:{}", socket.display());
    // The first is what the machine type has anyway.
    let globals = ["--global", "serial.migrate-fifo-timeout=off", "--global", "riscv_hart.migrate-counters=n"];
    let arguments = [&["run", "--machine", "ferry-virt-1.1", "--paused", "--json", "--qmp", &address][..], &globals];
    let child = vmferry(&arguments.concat()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut client = loop {
        match Client::connect(&socket) {
            Ok(client) => break client,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        std::thread::yield_now();
    };

    let machines = client.execute("query-machines", json!({"compat-props": true})).unwrap();
    let fifo = json!({"qom-type": "serial", "property": "migrate-fifo-timeout", "value": "off"});
    let counters = json!({"qom-type": "riscv_hart", "property": "migrate-counters", "value": "off"});
    let told: Vec<_> = machines
        .as_array()
        .unwrap()
        .iter()
        .map(|machine| (&machine["name"], machine.get("alias"), &machine["compat-props"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!("ferry-virt-2.0"), Some(&json!("ferry-virt")), &json!([])),
            (&json!("ferry-virt-1.1"), None, &json!([fifo])),
            (&json!("ferry-virt-1.0"), None, &json!([fifo, counters])),
        ]
    );
    let properties = client.execute("device-list-properties", json!({"typename": "riscv_hart"})).unwrap();
    assert_eq!(properties[0]["name"], "migrate-counters");

    client.execute("quit", Value::Null).unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.document()["sticky"], json!(["riscv_hart.migrate-counters=off"]));
    let note = "every destination of this guest needs --global riscv_hart.migrate-counters=off";
    assert!(ran.stderr.contains(note) && !ran.stderr.contains("fifo"), "{}", ran.stderr);
}

#[test]
fn a_machine_type_that_never_was_is_refused_with_those_that_there_are() {
    let ran = run(&["run", "--machine", "ferry-virt-1.2"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("there are ferry-virt-2.0, ferry-virt-1.1, ferry-virt-1.0"), "{}", ran.stderr);
}
