//! The report for people: verdicts, then a block a class.
//!
//! ```text
//! forward   incompatible   OLD's streams loaded by NEW: 1 break, 2 risks
//! backward  depends        NEW's streams loaded by OLD: 2 risks
//!
//! uart
//!   break  forward   subsection-removed  uart.uart/fifo
//!     OLD: sent if it is in use
//!     NEW: not known, refused by name
//!     keep loading it; stop sending it by a property (docs/guide/…)
//! ```
//!
//! A nested image that many classes contain is told once, with the number of classes.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::finding::{Direction, Finding, Severity};
use super::report::Report;

/// Names of classes that are listed for a finding that many have.
const LISTED: usize = 6;

/// Renders a report; `with_infos` also what does no harm.
#[must_use]
pub fn text(report: &Report, with_infos: bool) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = verdicts(&mut text, report, with_infos);
    let shown = report.findings.iter().filter(|finding| with_infos || finding.severity > Severity::Info);
    for (section, group) in grouped(shown) {
        let _ = writeln!(text, "\n{}", if section.is_empty() { "machine" } else { section });
        for (finding, others) in group {
            let _ = one(&mut text, finding, &others);
        }
    }
    text
}

fn verdicts(text: &mut String, report: &Report, with_infos: bool) -> std::fmt::Result {
    for (name, direction, verdict, what) in [
        ("forward", Direction::Forward, report.forward, "OLD's streams loaded by NEW"),
        ("backward", Direction::Backward, report.backward, "NEW's streams loaded by OLD"),
    ] {
        let count = |severity, one: &str, many: &str| match report.count(severity, direction) {
            0 => None,
            1 => Some(format!("1 {one}")),
            more => Some(format!("{more} {many}")),
        };
        let counts: Vec<String> = [
            count(Severity::Break, "break", "breaks"),
            count(Severity::Risk, "risk", "risks"),
            count(Severity::Info, "harmless difference", "harmless differences"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let counts = if counts.is_empty() { "no difference".to_owned() } else { counts.join(", ") };
        writeln!(text, "{name:9} {verdict:13} {what}: {counts}")?;
    }
    if !with_infos && report.findings.iter().any(|finding| finding.severity == Severity::Info) {
        writeln!(text, "Harmless differences are listed with -v.")?;
    }
    if report.dropped > 0 {
        writeln!(text, "{} more findings are not listed.", report.dropped)?;
    }
    if report.machines.len() > 1 {
        let width = report.machines.iter().map(|machine| machine.name.len()).max().unwrap_or(0);
        writeln!(text, "\n{:width$}  {:13} backward", "machine type", "forward")?;
        for machine in &report.machines {
            writeln!(text, "{:width$}  {:13} {}", machine.name, machine.forward, machine.backward)?;
        }
    }
    Ok(())
}

/// A finding, and the other classes that have it.
pub(crate) type Told<'r> = (&'r Finding, Vec<&'r str>);

/// Findings by class, in the order of the first of each; equal ones of other classes with the first.
pub(crate) fn grouped<'r>(findings: impl Iterator<Item = &'r Finding>) -> Vec<(&'r str, Vec<Told<'r>>)> {
    let mut groups: Vec<(&str, Vec<Told<'_>>)> = Vec::new();
    let mut sections: HashMap<&str, usize> = HashMap::new();
    let mut known: HashMap<_, (usize, usize)> = HashMap::new();
    for finding in findings {
        let below = finding.path.strip_prefix(&finding.section).unwrap_or(&finding.path);
        // Whole classes are told one by one.
        let below = if below.is_empty() { &finding.path } else { below };
        let key =
            (finding.rule, finding.severity, finding.direction, below, &finding.old, &finding.new, &finding.machines);
        if let Some((group, at)) = known.get(&key) {
            if let Some((_, others)) = groups.get_mut(*group).and_then(|(_, told)| told.get_mut(*at)) {
                others.push(&finding.section);
            }
            continue;
        }
        let group = *sections.entry(&finding.section).or_insert_with(|| {
            groups.push((&finding.section, Vec::new()));
            groups.len().saturating_sub(1)
        });
        if let Some((_, told)) = groups.get_mut(group) {
            known.insert(key, (group, told.len()));
            told.push((finding, Vec::new()));
        }
    }
    groups
}

fn one(text: &mut String, finding: &Finding, others: &[&str]) -> std::fmt::Result {
    let Finding { severity, direction, rule, path, .. } = finding;
    writeln!(text, "  {severity:5}  {direction:8}  {rule:18}  {path}")?;
    writeln!(text, "    OLD: {}", finding.old)?;
    writeln!(text, "    NEW: {}", finding.new)?;
    if !finding.machines.is_empty() {
        writeln!(text, "    on {}", finding.machines.join(", "))?;
    }
    if !others.is_empty() {
        let listed = others.iter().take(LISTED).copied().collect::<Vec<_>>().join(", ");
        let more = others.len().saturating_sub(LISTED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        writeln!(text, "    also in {listed}{more}")?;
    }
    if let Some(question) = &finding.question {
        writeln!(text, "    breaks if the answer is yes: {question}")?;
    }
    match &finding.harmless {
        Some(reason) => writeln!(text, "    harmless: {reason}"),
        None if finding.severity > Severity::Info => writeln!(text, "    {}", finding.rule.recipe()),
        None => Ok(()),
    }
}
