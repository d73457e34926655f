//! What is known of QEMU's releases, held against the releases.
//!
//! `VMFERRY_BLESS=1 cargo test -p vmferry-cli --test release_facts` writes the file.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod kit;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use kit::qemu;
use serde_json::Value;

const RELEASES: [&str; 4] = ["5.2", "7.2", "10.0", "11.1"];
const BOARDS: [(&str, &str); 3] = [("x86_64", "pc"), ("aarch64", "virt"), ("riscv64", "virt")];
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../vmferry-inspect/data/qemu-releases.tsv");

const HEAD: &str = "\
# Written by `VMFERRY_BLESS=1 cargo test -p vmferry-cli --test release_facts` from the -dump-vmstate of the releases: x86_64, aarch64, riscv64.
# kind\tdescription\tname\treleases that have it
";

/// Places of the releases that have something.
type Having = BTreeSet<usize>;

#[derive(Default)]
struct Facts {
    descriptions: BTreeMap<String, Having>,
    fields: BTreeMap<(String, String), Having>,
    subsections: BTreeMap<(String, String), Having>,
}

impl Facts {
    fn add(&mut self, description: &Value, release: usize) {
        let name = |value: &Value, key: &str| value[key].as_str().unwrap().to_owned();
        let here = name(description, "name");
        self.descriptions.entry(here.clone()).or_default().insert(release);
        for field in description["Fields"].as_array().into_iter().flatten() {
            self.fields.entry((here.clone(), name(field, "field"))).or_default().insert(release);
            if field["Description"].is_object() {
                self.add(&field["Description"], release);
            }
        }
        for subsection in description["Subsections"].as_array().into_iter().flatten() {
            self.subsections.entry((here.clone(), name(subsection, "name"))).or_default().insert(release);
            self.add(subsection, release);
        }
    }

    fn text(&self) -> String {
        let releases = |having: &Having| having.iter().map(|release| RELEASES[*release]).collect::<Vec<_>>().join(" ");
        let mut lines = BTreeSet::new();
        for (name, having) in self.descriptions.iter().filter(|(_, having)| having.len() < RELEASES.len()) {
            lines.insert(format!("description\t{name}\t-\t{}\n", releases(having)));
        }
        for ((description, name), having) in &self.fields {
            if *having != self.descriptions[description] {
                lines.insert(format!("field\t{description}\t{name}\t{}\n", releases(having)));
            }
        }
        for ((description, name), having) in &self.subsections {
            lines.insert(format!("subsection\t{description}\t{name}\t{}\n", releases(having)));
        }
        lines.into_iter().fold(HEAD.to_owned(), |text, line| text + &line)
    }
}

#[test]
fn the_facts_are_those_of_the_releases() {
    let folder = tempfile::tempdir().unwrap();
    let mut facts = Facts::default();
    for (place, release) in RELEASES.iter().enumerate() {
        for (target, board) in BOARDS {
            let Some(binary) = qemu(&format!("qemu-{release}-{target}")) else { return };
            let path = folder.path().join("dump");
            let ran = Command::new(binary).args(["-M", board, "-dump-vmstate"]).arg(&path).output().unwrap();
            assert!(ran.status.success(), "{release} {target}: {ran:?}");
            let dump: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let described = dump.as_object().unwrap().values().filter(|class| class["Description"].is_object());
            described.for_each(|class| facts.add(&class["Description"], place));
        }
    }
    let (path, found) = (Path::new(FILE), facts.text());
    if std::env::var_os("VMFERRY_BLESS").is_some_and(|bless| bless == "1") {
        std::fs::write(path, &found).unwrap();
    }
    assert!(
        found == std::fs::read_to_string(path).unwrap(),
        "the file is not what the releases say: bless it, and look"
    );
}
