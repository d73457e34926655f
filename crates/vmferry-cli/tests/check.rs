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

#[test]
fn several_releases_are_checked_each_against_each() {
    let folder = tempfile::tempdir().unwrap();
    let one = write(folder.path(), "1.0.json", &dump(&json!([field("rbr", false)])));
    let two = write(folder.path(), "1.1.json", &dump(&json!([field("rbr", false)])));
    let three = write(folder.path(), "2.0.json", &dump(&json!([field("rbr", false), field("lcr", false)])));
    let ran = run(&["check", &one, &two, &three, "--json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""));
    let document = ran.document();
    assert_eq!(document["releases"], json!(["1.0", "1.1", "2.0"]));
    let verdict =
        |pair: &Value| [&pair["old"], &pair["new"], &pair["verdict"]].map(|value| value.as_str().unwrap().to_owned());
    let pairs: Vec<_> = document["pairs"].as_array().unwrap().iter().map(verdict).collect();
    assert_eq!(pairs[0], ["1.0", "1.1", "compatible"]);
    assert_eq!(pairs[2], ["1.1", "2.0", "incompatible"]);
    let text = run(&["check", &one, &two, &three]).stdout;
    assert!(text.contains("incompatible  1.1 → 2.0\n"), "{text}");
    assert_eq!(run(&["check", &one, &two, &two]).code, Some(0));
    let ran = run(&["check", &one, &two, &three, "--machine", "q35"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.starts_with("error: 1.0 (OLD) against 1.1 (NEW)\n  caused by: OLD knows"), "{}", ran.stderr);
}

#[test]
fn a_page_is_written_whatever_the_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let one = write(folder.path(), "one.json", &dump(&json!([field("rbr", false)])));
    let two = write(folder.path(), "two.json", &dump(&json!([field("rbr", false), field("lcr", false)])));
    let path = folder.path().join("check.html");
    for (new, code, verdict) in [(&one, 0, "compatible"), (&two, 1, "incompatible")] {
        let ran = run(&["check", &one, new, "--html", path.to_str().unwrap(), "--json"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(code), ""));
        assert_eq!(ran.document()["verdict"], verdict);
        let page = fs::read_to_string(&path).unwrap();
        assert!(page.contains(&format!(">{verdict}</span>")), "{page}");
        assert_eq!(page.contains("id=\"rule-field-added\""), code == 1);
    }
    let ran = run(&["check", &one, &two, "--html", "/nonexistent/check.html"]);
    assert_eq!(ran.code, Some(4));
    assert!(ran.stderr.starts_with("error: cannot write /nonexistent/check.html"), "{}", ran.stderr);
    assert!(ran.stdout.starts_with("forward   incompatible"), "{}", ran.stdout);
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

#[test]
fn a_stream_is_checked_against_what_is_known_of_the_destination() {
    let folder = tempfile::tempdir().unwrap();
    let stream = folder.path().join("stream");
    fs::write(&stream, include_bytes!("../../vmferry-inspect/tests/data/none-10.0.bin")).unwrap();
    let stream = stream.to_str().unwrap();
    let page = folder.path().join("page.html");
    let ran = run(&["check", "--stream", stream, "--reference", stream, "--json", "--html", page.to_str().unwrap()]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let document = ran.document();
    assert_eq!((&document["verdict"], &document["level"]), (&json!("compatible"), &json!("reference")));
    assert!(fs::read_to_string(&page).unwrap().contains("Nothing speaks against it."));

    let ran = run(&["check", "--stream", stream, "--machine", "pc", "--json"]);
    assert_eq!((ran.code, &ran.document()["verdict"]), (Some(1), &json!("incompatible")));
    let ran = run(&["check", "--stream", stream, "--machine", "none"]);
    assert_eq!(ran.code, Some(1), "it depends on the devices");
    assert!(ran.stdout.starts_with("depends: it depends on the questions below"), "{}", ran.stdout);
    assert!(ran.stdout.contains("  ask          does the destination have other devices"), "{}", ran.stdout);
}

#[test]
fn a_check_of_a_stream_says_what_is_wrong_with_its_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let schema = write(folder.path(), "schema", &dump(&json!([field("rbr", false)])));
    let cut = write(folder.path(), "cut", "QEVM");
    for (args, code, text) in [
        (&["check", "--stream", &cut][..], 2, "nothing is known of the destination"),
        (&["check", "--stream", "-", "--reference", "-"], 2, "only one of the streams can be standard input"),
        (&["check", "--stream", &cut, &schema, &schema], 2, "there is one schema, the destination's"),
        (&["check", "--reference", &cut], 2, "--stream"),
        (&["check"], 2, "expected two schemas"),
        (&["check", "--stream", &cut, &schema], 3, "cut short"),
        (&["check", "--stream", &schema, &schema], 3, "is no sound migration stream"),
        (&["check", "--stream", "/nowhere", &schema], 4, "cannot open /nowhere"),
    ] {
        let ran = run(args);
        assert_eq!(ran.code, Some(code), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(text), "{args:?}: {}", ran.stderr);
    }
}
