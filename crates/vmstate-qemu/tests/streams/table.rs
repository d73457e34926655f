//! The tables in `docs/qemu-devices.md`, made from what was recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use vmferry_wire::description::{Contents, Vmsd};
use vmstate::Schema;

use crate::recorded::{RELEASES, Recording, image_of};
use crate::round_trip::Entry;
use crate::sections::Section;

const BEGIN: &str =
    "<!-- made by the tests of vmstate-qemu: VMFERRY_BLESS=1 cargo test -p vmstate-qemu --test streams -->";
const END: &str = "<!-- end of what the tests make -->";

/// Compares the tables with those in the document, or writes them there.
pub(crate) fn compare(entries: &[Entry], recordings: &[Recording]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/qemu-devices.md");
    let document = fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let made = format!("{before}{BEGIN}\n\n{}\n{END}{after}", tables(entries, recordings));
    if env::var_os("VMFERRY_BLESS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap();
    let line = made.lines().zip(written.lines()).find(|(made, written)| made != written);
    assert!(made == written, "docs/qemu-devices.md is not what was recorded; VMFERRY_BLESS=1 writes it: {line:?}");
}

/// What was recorded of one image or name: by release, the versions and the number of sections.
#[derive(Default)]
struct Row {
    releases: BTreeMap<&'static str, (BTreeSet<u32>, usize)>,
    subsections: BTreeSet<String>,
}

impl Row {
    fn add(&mut self, release: &'static str, section: &Section) {
        let (versions, count) = self.releases.entry(release).or_default();
        versions.insert(section.version);
        *count += 1;
        if let Some(vmsd) = section.vmsd() {
            collect_subsections(vmsd, &mut self.subsections);
        }
    }

    fn cells(&self) -> String {
        let cell = |release| match self.releases.get(release) {
            Some((versions, count)) => {
                let versions: Vec<_> = versions.iter().map(u32::to_string).collect();
                format!("{} ({count})", versions.join(", "))
            }
            None => "–".to_owned(),
        };
        RELEASES.map(cell).join(" | ")
    }
}

fn tables(entries: &[Entry], recordings: &[Recording]) -> String {
    let mut rows: Vec<Row> = entries.iter().map(|_| Row::default()).collect();
    let mut without: BTreeMap<String, Row> = BTreeMap::new();
    for recording in recordings {
        for section in &recording.sections {
            let entry = image_of(entries, section);
            let index = entry.and_then(|entry| entries.iter().position(|other| std::ptr::eq(other, entry)));
            let row = match index.and_then(|index| rows.get_mut(index)) {
                Some(row) => row,
                None => without.entry(section.name().to_owned()).or_default(),
            };
            row.add(recording.release, section);
        }
    }
    let mut text = String::new();
    let total: usize = rows.iter().flat_map(|row| row.releases.values()).map(|(_, count)| count).sum();
    writeln!(text, "{} images, {total} sections of {} streams.\n", entries.len(), recordings.len()).unwrap();
    let head = format!("| {} |", RELEASES.join(" | "));
    writeln!(text, "| section | image {head} subsections seen, of those declared |\n|---|---|---|---|---|---|---|")
        .unwrap();
    for (entry, row) in entries.iter().zip(&rows) {
        let mut declared = BTreeSet::new();
        collect_declared(entry.schema, &mut declared);
        let seen = row.subsections.iter().filter(|name| declared.contains(name.as_str())).count();
        let missing: Vec<_> = declared.iter().filter(|name| !row.subsections.contains(**name)).copied().collect();
        let subsections = match (declared.len(), missing.is_empty()) {
            (0, _) => String::new(),
            (all, true) => format!("{seen} of {all}"),
            (all, false) => format!("{seen} of {all}; not `{}`", missing.join("`, `")),
        };
        let name = entry.schema.name;
        writeln!(text, "| `{name}` | `{}` | {} | {subsections} |", entry.type_path, row.cells()).unwrap();
    }
    writeln!(text, "\nWithout an image, not counted above:\n").unwrap();
    writeln!(text, "| section {head}\n|---|---|---|---|---|").unwrap();
    for (name, row) in &without {
        writeln!(text, "| `{name}` | {} |", row.cells()).unwrap();
    }
    text
}

/// Names of all subsections in a description.
fn collect_subsections(vmsd: &Vmsd, names: &mut BTreeSet<String>) {
    for field in &vmsd.fields {
        match &field.contents {
            Contents::Struct(nested) => collect_subsections(nested, names),
            Contents::Flat(parts) => parts.iter().for_each(|part| collect_subsections(part, names)),
            Contents::Plain | Contents::EmptyStruct => {}
        }
    }
    for subsection in &vmsd.subsections {
        names.insert(subsection.name.clone());
        collect_subsections(subsection, names);
    }
}

/// Names of all subsections that an image has a place for.
fn collect_declared(schema: &'static Schema, names: &mut BTreeSet<&'static str>) {
    for nested in schema.fields.iter().filter_map(|field| field.kind.image()) {
        collect_declared(nested, names);
    }
    for subsection in schema.subsections {
        names.insert(subsection.schema.name);
        collect_declared(subsection.schema, names);
    }
}
