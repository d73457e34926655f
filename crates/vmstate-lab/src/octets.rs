//! What a release sends of an old machine type against what the release sent that introduced the type.
//!
//! Guests move on: a stream of an old machine type may go back to the old release at any time, from any newer one
//! (`docs/spec/compat.md` section 5, rows 2 and 6). So octets are compared, not only what a loader makes of them.

use crate::lab::Lab;
use crate::pairs::Start;
use crate::release::Release;
use crate::running::Stream;
use crate::scenario::Scenario;

/// Compares the streams of all releases that have the machine type with that of the first.
pub(crate) fn compare(lab: &mut Lab, machine: &str, releases: &[Release], scenario: &Scenario) {
    let Some((first, later)) = releases.split_first() else { return };
    let Some(original) = sent(machine, *first, scenario) else { return };
    for release in later {
        let Some(stream) = sent(machine, *release, scenario) else { continue };
        lab.figures.octet_comparisons += 1;
        for (section, text) in differences(&original, &stream) {
            let met = lab
                .octet_differences
                .meet(|line| line.covers(release.name, machine, scenario.name), |line| line.section == section);
            if !met.is_true {
                let (release, name) = (release.name, scenario.name);
                lab.problems
                    .push(format!("{release} sends of {machine}, '{name}', what {} did not: {text}", first.name));
            }
        }
    }
}

/// What a release sends; nothing where it does not start, cannot do what the scenario does, or refuses to save.
pub(crate) fn sent(machine: &str, release: Release, scenario: &Scenario) -> Option<Stream> {
    let source = Start { from: release, machine, scenario, is_sticky: false }.source().ok()??;
    source.save().ok()
}

/// Sections that differ, and how; `stream` for what is no device's.
fn differences(original: &Stream, stream: &Stream) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for section in &original.sections {
        let (idstr, instance) = (&section.idstr, section.instance);
        let old = original.body(idstr, instance).unwrap_or_default();
        let Some(new) = stream.sections.iter().find(|new| new.idstr == *idstr && new.instance == instance) else {
            found.push((idstr.clone(), format!("section '{idstr}' instance {instance} is not sent")));
            continue;
        };
        if new.version != section.version {
            let text = format!("section '{idstr}' has version {}, had {}", new.version, section.version);
            found.push((idstr.clone(), text));
        }
        let body = stream.body(idstr, instance).unwrap_or_default();
        if body != old {
            let same = old.iter().zip(body).take_while(|(old, new)| old == new).count();
            let (length, before) = (body.len(), old.len());
            let text = format!("section '{idstr}' differs from octet {same} on ({length} octets, were {before})");
            found.push((idstr.clone(), text));
        }
    }
    for section in &stream.sections {
        let (idstr, instance) = (&section.idstr, section.instance);
        if !original.sections.iter().any(|old| old.idstr == *idstr && old.instance == instance) {
            found.push((idstr.clone(), format!("section '{idstr}' instance {instance} was not sent")));
        }
    }
    // Names in the description are free to change: no loader reads them.
    let needed = |stream: &Stream| stream.octets.get(..stream.needed).unwrap_or_default().to_vec();
    let (old, new) = (needed(original), needed(stream));
    if found.is_empty() && old != new {
        let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
        found.push(("stream".to_owned(), format!("the stream differs from octet {same:#x} on, outside of the bodies")));
    }
    found
}
