//! What is written of a report, byte for byte. `VMFERRY_BLESS=1` writes the goldens anew: look at them then.

use std::path::Path;

use super::samples;

fn check(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/commands/bench/report/golden").join(name);
    if std::env::var_os("VMFERRY_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, found).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == found, "{} is not what is written now:\n{found}", path.display());
}

#[test]
fn the_files_are_as_before() {
    let report = samples::report();
    check("bench.json", &format!("{:#}\n", report.document()));
    check("bench.md", &report.markdown());
    check("bench.svg", &report.chart());
    check("terminal.txt", &report.text());
}

#[test]
fn all_three_files_are_written_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    samples::report().write_files(folder.path()).unwrap();
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["bench.json", "bench.md", "bench.svg"]);
}

#[test]
fn without_a_peer_the_reason_is_told() {
    let mut report = samples::report();
    report.peer = Err("there is no qemu-system-x86_64".to_owned());
    for text in [report.text(), report.markdown(), report.chart()] {
        assert!(text.contains("beside no QEMU: there is no qemu-system-x86_64"), "{text}");
    }
    let document = report.document();
    assert_eq!(document["peer"], serde_json::Value::Null);
    assert_eq!(document["no_peer"], "there is no qemu-system-x86_64");
}

#[test]
fn the_chart_has_no_script_and_closes_what_it_opens() {
    let chart = samples::report().chart();
    for word in ["<script", "href", "onload", "http://"] {
        let expected = usize::from(word == "http://");
        assert_eq!(chart.matches(word).count(), expected, "{word}: only the name space has an address");
    }
    for element in ["svg", "text", "style", "title"] {
        let opened = chart.matches(&format!("<{element}>")).count() + chart.matches(&format!("<{element} ")).count();
        assert_eq!(opened, chart.matches(&format!("</{element}>")).count(), "{element}");
    }
}
