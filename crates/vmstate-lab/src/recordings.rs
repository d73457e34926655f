//! Streams of releases that are not here any more.
//!
//! The code of an old release is rarely at hand; what it sent can be kept. A recording is a stream with what the guest
//! saw, made once with [`Running::save`](crate::Running::save) or taken from a real migration to a file, without RAM's
//! pages. It is loaded by every release that has its machine type, and the first of them is the one that its octets are
//! compared with.

use crate::expected::Met;
use crate::guest::Observation;
use crate::lab::Lab;
use crate::octets;
use crate::pairs::{Arrived, Start, receive};
use crate::release::Release;
use crate::running::Stream;
use crate::scenario::Scenario;

/// What an old release sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recording {
    /// The release that sent it; none of those in the laboratory.
    pub release: &'static str,
    /// Full name of the machine type.
    pub machine: &'static str,
    /// What the guest had done, in a word. Where a scenario of this name is in the laboratory, what releases send
    /// after it must be these octets.
    pub scenario: &'static str,
    /// The stream: `include_bytes!("recordings/1.0.bin")`. What stands behind its end mark may be left out.
    pub octets: &'static [u8],
    /// What the guest saw: registers and values as text.
    pub seen: &'static [(&'static str, &'static str)],
}

/// Loads a recording at every release that has its machine type.
pub(crate) fn run(lab: &mut Lab, recording: &Recording, scenarios: &[Scenario]) {
    let Recording { release: from, machine, scenario, octets, seen } = *recording;
    let releases: Vec<Release> = lab.releases.iter().filter(|release| release.has(machine)).copied().collect();
    if releases.is_empty() {
        lab.problems.push(format!("recording of {from}: no release has the machine type {machine}"));
    }
    let act = scenarios.iter().find(|known| known.name == scenario);
    let nothing = Scenario::at_reset();
    let stream = Stream { octets: octets.to_vec(), needed: octets.len(), sections: Vec::new() };
    for to in releases {
        lab.figures.recordings += 1;
        let at = format!("recording of {from} > {} {machine}, '{scenario}'", to.name);
        let start = Start { from: to, machine, scenario: act.unwrap_or(&nothing), is_sticky: false };
        let result = receive(lab, start, to, &stream);
        let text = result.as_ref().err().map(ToString::to_string);
        let Met { is_covered, is_true } = lab.failures.meet(
            |line| line.covers(from, to.name, machine, scenario),
            |line| text.as_ref().is_some_and(|text| text.contains(line.text)),
        );
        match result {
            Err(_) if is_true => lab.figures.expected_failures += 1,
            Err(refusal) => lab.problems.push(format!("{at}: {refusal}")),
            Ok(_) if is_covered => lab.problems.push(format!("{at}: works, but is listed as a failure")),
            Ok(Arrived { seen: found, .. }) => {
                for problem in differences(lab, recording, to, seen, &found) {
                    lab.problems.push(format!("{at}: {problem}"));
                }
            }
        }
        if let Some(sent) = act.and_then(|scenario| octets::sent(machine, to, scenario)) {
            compare_octets(lab, recording, to, &sent);
        }
    }
}

/// Registers that the guest does not find as they were.
fn differences(
    lab: &mut Lab,
    recording: &Recording,
    to: Release,
    seen: &[(&str, &str)],
    found: &Observation,
) -> Vec<String> {
    let Recording { release: from, machine, scenario, .. } = *recording;
    let mut problems = Vec::new();
    for (register, wanted) in seen {
        let found = found.value(register);
        if found == Some(wanted) {
            continue;
        }
        let found = found.unwrap_or("nothing");
        let covers =
            |line: &crate::Difference| line.register == *register && line.covers(from, to.name, machine, scenario);
        if lab.differences.meet(covers, |line| line.value == found).is_true {
            lab.figures.expected_differences += 1;
        } else {
            problems.push(format!("the guest finds {register} {found}, which was {wanted} at the source"));
        }
    }
    problems
}

fn compare_octets(lab: &mut Lab, recording: &Recording, release: Release, sent: &Stream) {
    let Recording { release: from, machine, scenario, octets, .. } = *recording;
    lab.figures.octet_comparisons += 1;
    let needed = sent.octets.get(..sent.needed).unwrap_or_default();
    if octets.starts_with(needed) {
        return;
    }
    let covers = |line: &crate::OctetDifference| line.covers(release.name, machine, scenario);
    if !lab.octet_differences.meet(covers, |_| true).is_true {
        let same = octets.iter().zip(needed).take_while(|(old, new)| old == new).count();
        lab.problems.push(format!(
            "{} sends of {machine}, '{scenario}', what {from} did not: the recording differs from octet {same:#x} on",
            release.name
        ));
    }
}
