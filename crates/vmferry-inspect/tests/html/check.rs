//! The page on a check.

use serde_json::{Value, json};
use vmferry_inspect::Source;
use vmferry_inspect::check::releases::{Release, Releases, check_all};
use vmferry_inspect::check::stream::{Destination, Recorded, check_stream};
use vmferry_inspect::check::{Options, Renames, Schema, Verdict};
use vmferry_inspect::html::{write_releases, write_stream_report};
use vmferry_inspect::limits::HTML_BYTES_LIMIT;

use crate::{golden, markup};

/// A dump of QEMU's form with one class of these fields, and machine types if there are any.
fn release(name: &str, fields: &[&str], machines: &[&str]) -> Release {
    let field = |name: &&str| json!({"field": name, "version_id": 0, "field_exists": false, "size": 1});
    let machines: Vec<Value> = machines.iter().map(|name| json!({"Name": name, "properties": {}})).collect();
    let dump = json!({
        "vmschkmachine": {"Name": "board-1.0", "machines": machines},
        "uart": {"Name": "uart", "version_id": 1, "minimum_version_id": 1, "Description":
            {"name": "uart", "version_id": 1, "minimum_version_id": 1, "Fields": fields.iter().map(field).collect::<Vec<_>>()}},
    });
    Release { name: name.to_owned(), schema: Schema::from_json(dump.to_string().as_bytes()).unwrap() }
}

fn page(releases: &Releases) -> String {
    let mut html = Vec::new();
    write_releases(releases, &mut html).unwrap();
    String::from_utf8(html).unwrap()
}

fn checked(releases: &[Release]) -> Releases {
    check_all(releases, &Options::default()).unwrap()
}

#[test]
fn two_releases_have_their_page() {
    let releases = checked(&[
        release("1.0.json", &["rbr"], &["board-1.0"]),
        release("2.0.json", &["rbr", "lcr"], &["board-2.0", "board-1.0"]),
    ]);
    let html = page(&releases);
    markup::read(&html);
    golden::hold("check.html", &html);
}

#[test]
fn each_release_is_checked_against_each() {
    let releases = checked(&[
        release("1.0", &["rbr"], &["board-1.0"]),
        release("1.1", &["rbr"], &["board-1.1", "board-1.0"]),
        release("2.0", &["rbr", "lcr"], &["board-2.0", "board-1.1"]),
    ]);
    let pairs: Vec<_> = releases.pairs.iter().map(|pair| (pair.old.as_str(), pair.new.as_str())).collect();
    assert_eq!(pairs, [("1.0", "1.1"), ("1.0", "2.0"), ("1.1", "2.0")]);
    assert_eq!(releases.verdict(), Verdict::Incompatible);
    let html = page(&releases);
    let elements = markup::read(&html);
    // A row for each machine type that two releases know, one for all; two columns for each pair.
    let rows = elements.iter().filter(|e| e.tag == "th" && e.attributes.get("scope") == Some(&"row"));
    let rows: Vec<_> = rows.map(|element| element.text.as_str()).collect();
    assert_eq!(rows, ["board-1.0", "board-1.1", "all machine types"]);
    assert_eq!(elements.iter().filter(|element| element.tag == "td").count(), 3 * 6);
    assert_eq!(html.matches("not in both").count(), 2 * (2 + 2));
    let text = releases.text(false);
    assert!(text.starts_with("compatible    1.0 → 1.1\ncompatible    1.1 → 1.0\n"), "{text}");
    assert!(text.contains("\n== 1.1 (OLD) and 2.0 (NEW)\n"), "{text}");
    let document: Value = serde_json::from_str(&releases.to_json().unwrap()).unwrap();
    assert_eq!(document["releases"], json!(["1.0", "1.1", "2.0"]));
    assert_eq!(
        (&document["verdict"], &document["pairs"][0]["verdict"]),
        (&json!("incompatible"), &json!("compatible"))
    );
    assert_eq!(document["pairs"][2]["findings"][0]["rule"], "field-added");
}

#[test]
fn the_number_of_releases_is_bounded() {
    let one = release("1.0", &["rbr"], &[]);
    let error = check_all(&vec![one.clone(); 33], &Options::default()).unwrap_err();
    assert_eq!(error.to_string(), "33 schemas, up to 32 are checked against one another");
    let html = page(&checked(&vec![one; 8]));
    markup::read(&html);
}

#[test]
fn names_of_a_schema_are_never_markup() {
    let hostile = "<script>alert(1)</script>\"'&\u{202e}";
    let releases = checked(&[release(hostile, &["rbr"], &[hostile]), release(hostile, &["rbr", hostile], &[hostile])]);
    let html = page(&releases);
    markup::read(&html);
    assert!(html.matches("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;\u{fffd}").count() > 5, "{html}");
}

/// The page on the smallest recorded stream and a destination of this machine type.
fn stream_page(name: &str, machine: &str) -> String {
    let octets = include_bytes!("../data/none-10.0.bin");
    let stream = Recorded::read(Source::from_octets(octets), &vmferry_inspect::Options::default(), &mut ()).unwrap();
    let mut destination = Destination::default();
    destination.machine = Some(machine);
    let report = check_stream(&stream, &destination, &Renames::default()).unwrap();
    let mut html = Vec::new();
    write_stream_report(name, &report, &mut html).unwrap();
    String::from_utf8(html).unwrap()
}

#[test]
fn a_stream_and_a_destination_have_a_page_too() {
    let html = stream_page("vm.stream", "board-1.0");
    let elements = markup::read(&html);
    let texts = |tag: &str| elements.iter().filter(|e| e.tag == tag).map(|e| e.text.as_str()).collect::<Vec<_>>();
    assert_eq!(texts("h3"), ["Breaks: 1 finding", "Risks: 1 finding"]);
    assert!(texts("dt").contains(&"stream") && texts("dd").contains(&"board-1.0"), "{html}");
    assert!(html.contains("start the destination with the machine type that the stream names"), "the recipe is there");
    assert!(html.contains("The destination will refuse the stream."));
}

#[test]
fn names_of_a_stream_are_never_markup() {
    let hostile = "<script>alert(1)</script>\"'&";
    let html = stream_page(hostile, hostile);
    markup::read(&html);
    assert!(html.matches("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;").count() >= 3, "{html}");
}

#[test]
fn a_page_of_findings_is_bounded() {
    let names: Vec<String> = (0..16_384).map(|i| format!("{i}{}", "<".repeat(240))).collect();
    let fields: Vec<&str> = names.iter().map(String::as_str).collect();
    let html = page(&checked(&[release("old", &["rbr"], &[]), release("new", &fields, &[])]));
    assert!((html.len() as u64) < HTML_BYTES_LIMIT + 100_000, "{}", html.len());
    markup::read(&html);
    assert!(html.contains("findings left out."));
}
