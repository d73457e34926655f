//! The page shows what is tested: each of its examples stands in one of these files, line by line.

use std::path::Path;

const PAGE: &str = "docs/guide/changing-device-state.md";

#[test]
fn every_example_of_the_page_is_a_part_of_a_tested_file() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(here.join("../..").join(PAGE)).unwrap();
    let mut examples = 0;
    let mut source = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(file) = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) {
            source = std::fs::read_to_string(here.join("tests/guide").join(file)).unwrap();
        }
        if line != "```rust" {
            continue;
        }
        let example: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        assert!(!example.is_empty());
        // Blank lines separate pieces that need not stand together.
        for piece in example.split(|line| line.is_empty()) {
            let piece = piece.join("\n");
            assert!(source.contains(&piece), "{PAGE} shows what no tested file has:\n{piece}");
        }
        examples += 1;
    }
    assert!(examples >= 12, "{examples} examples");
}

#[test]
fn every_attribute_has_its_row() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let parser = std::fs::read_to_string(here.join("../vmstate-derive/src/attributes.rs")).unwrap();
    let page = std::fs::read_to_string(here.join("../../docs/attributes.md")).unwrap();
    let sections: Vec<&str> = page.split("\n## ").collect();
    for (list, heading) in
        [("IMAGE_NAMES", "on an image"), ("FIELD_NAMES", "on a field"), ("LATER_NAMES", "on a field")]
    {
        let names = parser.split_once(&format!("const {list}: &[&str] = &[")).unwrap().1.split_once(']').unwrap().0;
        let section = sections.iter().find(|section| section.lines().next().unwrap().ends_with(heading)).unwrap();
        let mut count = 0;
        for name in names.split('"').skip(1).step_by(2) {
            count += 1;
            let has_row = [format!("| `{name}`"), format!("| `{name} = ")].iter().any(|row| section.contains(row));
            assert!(has_row, "docs/attributes.md has no row for '{name}' {heading}");
        }
        assert!(count > 0, "{list}");
    }
}
