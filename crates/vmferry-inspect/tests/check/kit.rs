//! Pairs of dumps, and what a check of them says in a line each.

use serde_json::{Value, json};
use vmferry_inspect::check::{Direction, Options, Renames, Report, Schema, Severity, check};
use vmferry_inspect::schema_dump::{SchemaDump, SectionSchema};

/// Compares two documents.
pub(crate) fn compare(old: &Value, new: &Value, options: &Options) -> Report {
    let read = |document: &Value| Schema::from_json(document.to_string().as_bytes()).unwrap();
    check(&read(old), &read(new), options).unwrap()
}

/// The findings that are no infos, each as `severity direction rule path`.
pub(crate) fn findings(report: &Report) -> Vec<String> {
    let shown = report.findings.iter().filter(|finding| finding.severity > Severity::Info);
    shown.map(|f| format!("{} {} {} {}", f.severity, f.direction, f.rule, f.path)).collect()
}

/// The infos, each as `direction rule path`.
pub(crate) fn infos(report: &Report) -> Vec<String> {
    let shown = report.findings.iter().filter(|finding| finding.severity == Severity::Info);
    shown.map(|f| format!("{} {} {}", f.direction, f.rule, f.path)).collect()
}

/// A dump of QEMU's form with one class `uart`.
pub(crate) fn qemu(fields: Value) -> Value {
    qemu_with(fields, json!({}))
}

/// The same with more keys in the description.
pub(crate) fn qemu_with(fields: Value, more: Value) -> Value {
    let mut description = json!({"name": "uart", "version_id": 1, "minimum_version_id": 1, "Fields": fields});
    let members = description.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    json!({
        "vmschkmachine": {"Name": "pc"},
        "uart": {"Name": "uart", "version_id": 1, "minimum_version_id": 1, "Description": description},
        // A number of elements somewhere: 5.2 tells none at all.
        "rtc": {"Name": "rtc", "version_id": 1, "minimum_version_id": 1, "Description":
            {"name": "rtc", "version_id": 1, "minimum_version_id": 1, "Fields": [array("cmos", 1, 128)]}},
    })
}

/// One element of some octets.
pub(crate) fn field(name: &str, size: u32) -> Value {
    json!({"field": name, "version_id": 0, "field_exists": false, "size": size})
}

/// A fixed array.
pub(crate) fn array(name: &str, size: u32, elements: u32) -> Value {
    json!({"field": name, "version_id": 0, "field_exists": false, "num": elements, "size": size})
}

/// A field with a test function.
pub(crate) fn tested(name: &str, size: u32) -> Value {
    json!({"field": name, "version_id": 0, "field_exists": true, "size": size})
}

/// A nested image.
pub(crate) fn nested(field: &str, name: &str, fields: Value) -> Value {
    json!({"field": field, "version_id": 0, "field_exists": false, "size": 64,
           "Description": {"name": name, "version_id": 1, "minimum_version_id": 1, "Fields": fields}})
}

/// A description of a subsection.
pub(crate) fn subsection(name: &str, fields: Value) -> Value {
    json!({"name": name, "version_id": 1, "minimum_version_id": 1, "Fields": fields})
}

/// A dump of ours.
pub(crate) fn ours(schemas: &[&'static vmstate::schema::Schema]) -> Value {
    let section = |schema: &&'static vmstate::schema::Schema| SectionSchema {
        schema,
        idstr: schema.name,
        instance_id: 0,
        other_names: Vec::new(),
        properties: None,
    };
    let mut text = Vec::new();
    SchemaDump::new("board-1.0", schemas.iter().map(section)).write_json(&mut text).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Options with a file of renames.
pub(crate) fn with_renames(text: &str) -> Options {
    let mut options = Options::default();
    options.renames = Renames::from_toml(text).unwrap();
    options
}

/// Both directions of a report, as words.
pub(crate) fn verdicts(report: &Report) -> (String, String) {
    assert_eq!(report.verdict(), report.forward.max(report.backward));
    for finding in &report.findings {
        assert_eq!(finding.question.is_some(), finding.severity == Severity::Risk, "{finding:?}");
        let is_old_found = finding.direction == Direction::Forward;
        assert_eq!(finding.found() == finding.old, is_old_found || finding.old == finding.new);
    }
    (report.forward.to_string(), report.backward.to_string())
}
