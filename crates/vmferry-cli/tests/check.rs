//! `vmferry check` as scripts see it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod kit;

use std::fs;
use std::path::Path;

use kit::run;
use serde_json::{Value, json};

/// A dump of QEMU's form with one class.
fn dump(fields: &Value) -> String {
    json!({
        "vmschkmachine": {"Name": "pc"},
        "uart": {"Name": "uart", "version_id": 1, "minimum_version_id": 1, "Description":
            {"name": "uart", "version_id": 1, "minimum_version_id": 1, "Fields": fields}},
    })
    .to_string()
}

fn field(name: &str, is_tested: bool) -> Value {
    json!({"field": name, "version_id": 0, "field_exists": is_tested, "size": 1})
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_verdict_is_an_exit_code_and_a_document() {
    let folder = tempfile::tempdir().unwrap();
    let one = write(folder.path(), "one", &dump(&json!([field("rbr", false)])));
    let two = write(folder.path(), "two", &dump(&json!([field("rbr", false), field("lcr", false)])));
    let maybe = write(folder.path(), "maybe", &dump(&json!([field("rbr", false), field("lcr", true)])));
    for (new, code, verdict) in [(&one, 0, "compatible"), (&two, 1, "incompatible"), (&maybe, 1, "depends")] {
        let ran = run(&["check", &one, new, "--json"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(code), ""), "{verdict}");
        let document = ran.document();
        assert_eq!((&document["verdict"], &document["backward"]), (&json!(verdict), &json!(verdict)));
        assert_eq!(run(&["check", &one, new]).code, Some(code));
    }
    let finding = run(&["check", &one, &two, "--json"]).document()["findings"][0].clone();
    let of = |key: &str| finding[key].as_str().unwrap().to_owned();
    assert_eq!(
        ["severity", "direction", "path", "rule", "found", "expected"].map(of),
        ["break", "both", "uart.lcr", "field-added", "1 octet", "no such field"]
    );
    let text = run(&["check", &one, &two]).stdout;
    assert!(text.starts_with("forward   incompatible  OLD's streams loaded by NEW: 1 break\n"), "{text}");
    assert!(text.contains("docs/guide/changing-device-state.md#3-a-property-and-a-subsection-behind-it"), "{text}");
}

#[test]
fn a_file_of_renames_excuses() {
    let folder = tempfile::tempdir().unwrap();
    let one = write(folder.path(), "one", &dump(&json!([field("rbr", false)])));
    let two = write(folder.path(), "two", &dump(&json!([field("lcr", false)])));
    assert_eq!(run(&["check", &one, &two]).code, Some(1));
    let renames = write(folder.path(), "renames", "[[field]]\nsection = 'uart'\nold = 'rbr'\nnew = 'lcr'\n");
    assert_eq!(run(&["check", &one, &two, "--renames", &renames]).code, Some(0));
    let wrong = write(folder.path(), "wrong", "[[fields]]\n");
    let ran = run(&["check", &one, &two, "--renames", &wrong]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.stderr.contains("is no list of renames"), "{}", ran.stderr);
}

#[test]
fn what_cannot_be_read_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let good = write(folder.path(), "good", &dump(&json!([])));
    let bad = write(folder.path(), "bad", r#"{"vmschkmachine": {"Name": "pc"}, "uart": {"Description": 3}}"#);
    let ran = run(&["check", &good, &bad]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.stderr.contains("at $.uart.Description: found an integer, expected an object"), "{}", ran.stderr);
    assert_eq!(run(&["check", &good, "/nonexistent/schema"]).code, Some(4));
    assert_eq!(run(&["check", &good]).code, Some(2));
    let ran = run(&["check", &good, &good, "--machine", "q35"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains(r#"OLD knows no machine type "q35"; it knows pc"#), "{}", ran.stderr);
}

/// The schema of this build: the machine types of the family, each with what it sends.
#[test]
fn the_reference_machine_is_compatible_with_itself_on_each_machine_type() {
    let folder = tempfile::tempdir().unwrap();
    let now = write(folder.path(), "now", &run(&["schema"]).stdout);
    let ran = run(&["check", &now, &now, "--json"]);
    assert_eq!(ran.code, Some(0));
    let machines: Vec<Value> =
        ran.document()["machines"].as_array().unwrap().iter().map(|machine| machine["name"].clone()).collect();
    assert_eq!(machines, [json!("ferry-virt-2.0"), json!("ferry-virt-1.1"), json!("ferry-virt-1.0")]);
    // A released machine type that sends what its release did not know.
    let mut old: Value = serde_json::from_str(&fs::read_to_string(&now).unwrap()).unwrap();
    let subsections = old["riscv_hart"]["Description"]["Subsections"].as_array_mut().unwrap();
    subsections.retain(|subsection| subsection["name"] != "riscv_hart/counters");
    for machine in old["vmschkmachine"]["machines"].as_array_mut().unwrap() {
        machine["properties"].as_object_mut().unwrap().remove("riscv_hart");
    }
    let old = write(folder.path(), "old", &old.to_string());
    let ran = run(&["check", &old, &now, "--machine", "ferry-virt-1.0"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    let ran = run(&["check", &old, &now, "--machine", "ferry-virt-1.1", "--json"]);
    assert_eq!(ran.code, Some(1));
    let finding = &ran.document()["findings"][0];
    assert_eq!((&finding["rule"], &finding["direction"]), (&json!("subsection-added"), &json!("backward")));
}
