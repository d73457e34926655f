//! The sections in `tests/data`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::images;
use crate::round_trip::Entry;
use crate::sections::{self, Section};
use crate::table;

/// Releases of QEMU that sections were recorded from.
pub(crate) const RELEASES: [&str; 4] = ["5.2", "7.2", "10.0", "11.1"];

/// The sections of one stream.
pub(crate) struct Recording {
    /// The file's name without its ending.
    pub(crate) name: String,
    /// The release that wrote it.
    pub(crate) release: &'static str,
    pub(crate) sections: Vec<Section>,
}

/// Everything in `tests/data`, by name.
pub(crate) fn recordings() -> Vec<Recording> {
    let recordings = recordings_of("");
    assert!(recordings.len() >= 4, "only {} recordings", recordings.len());
    recordings
}

/// Those whose names begin so, by name.
pub(crate) fn recordings_of(start: &str) -> Vec<Recording> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut recordings: Vec<_> = names
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?.strip_suffix(".jsonl.zst")?.to_owned();
            if !name.starts_with(start) {
                return None;
            }
            let release = RELEASES.into_iter().find(|release| name.ends_with(&format!("-{release}")));
            let text = zstd::decode_all(&*fs::read(&path).unwrap()).unwrap();
            let sections = sections::from_text(std::str::from_utf8(&text).unwrap()).unwrap();
            Some(Recording { release: release.unwrap_or_else(|| panic!("{name}: of no release")), sections, name })
        })
        .collect();
    recordings.sort_by(|a, b| a.name.cmp(&b.name));
    recordings
}

/// The image of a section.
pub(crate) fn image_of<'a>(entries: &'a [Entry], section: &Section) -> Option<&'a Entry> {
    entries.iter().find(|entry| entry.is_for(section))
}

#[test]
fn every_section_with_an_image_comes_back() {
    let entries = images::all();
    let mut failures = Vec::new();
    for recording in recordings() {
        for section in &recording.sections {
            if let Some(Err(error)) = image_of(&entries, section).map(|entry| entry.check(section)) {
                failures.push(format!("{}: {error}", recording.name));
            }
        }
    }
    assert!(failures.is_empty(), "{} sections do not come back:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn a_damaged_section_does_not() {
    let entries = images::all();
    for recording in recordings() {
        for section in &recording.sections {
            let Some(entry) = image_of(&entries, section) else { continue };
            let mut longer = section.clone();
            longer.body.push(0);
            assert!(entry.check(&longer).is_err(), "{}: {} with an octet more", recording.name, section.place());
            let mut shorter = section.clone();
            if shorter.body.pop().is_some() {
                assert!(entry.check(&shorter).is_err(), "{}: {} cut by an octet", recording.name, section.place());
            }
        }
    }
}

/// Octets that are changed in one section, one at a time.
const MUTATIONS: u64 = 64;
/// Longest body that is mutated: a change in a longer one is mostly one in a register file or a buffer.
const MUTATED_OCTETS_MAX: usize = 4096;

#[test]
fn mutated_sections_are_survived() {
    let entries = images::all();
    let mut done = BTreeSet::new();
    let mut survived = 0;
    for recording in recordings() {
        for section in &recording.sections {
            let Some(entry) = image_of(&entries, section) else { continue };
            if !(1..=MUTATED_OCTETS_MAX).contains(&section.body.len())
                || !done.insert((entry.type_path, section.body.len()))
            {
                continue;
            }
            // The same numbers in every run: what fails, fails again.
            let mut state = section.body.len() as u64 | 1;
            for _ in 0..MUTATIONS {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let mut mutated = section.clone();
                let at = usize::try_from(state >> 8).unwrap() % mutated.body.len();
                mutated.body[at] = state.to_le_bytes()[0];
                // Accepted or refused: a value may mean anything, but nothing may panic.
                survived += u64::from(entry.check(&mutated).is_ok());
            }
        }
    }
    println!("{survived} of {} mutated sections were accepted", done.len() as u64 * MUTATIONS);
    assert!(survived > 0, "a register may have any value");
}

#[test]
fn images_with_recorded_state_pass_the_generated_tests() {
    let entries = images::all();
    let mut done = BTreeSet::new();
    for recording in recordings() {
        for section in &recording.sections {
            let Some(entry) = image_of(&entries, section) else { continue };
            let is_newest = section.version == entry.schema.version;
            if is_newest && done.insert((entry.type_path, section.body.len())) {
                entry.kit(section);
            }
        }
    }
    assert!(done.len() >= entries.len(), "{} kinds of sections, {} images", done.len(), entries.len());
}

#[test]
fn every_image_has_a_section() {
    let recordings = recordings();
    let sections: Vec<_> = recordings.iter().flat_map(|recording| &recording.sections).collect();
    let entries = images::all();
    for entry in &entries {
        let is_its_own =
            |section: &Section| image_of(&entries, section).is_some_and(|found| std::ptr::eq(found, entry));
        assert!(sections.iter().any(|section| is_its_own(section)), "{}: nothing recorded", entry.type_path);
    }
}

#[test]
fn the_table_is_as_written() {
    table::compare(&images::all(), &recordings());
}

#[test]
fn a_section_file_says_what_it_was_made_of() {
    for recording in recordings() {
        let text = sections::to_text(&recording.sections);
        assert_eq!(sections::from_text(&text).unwrap(), recording.sections, "{}", recording.name);
    }
}
