//! The report for people: the verdict and its level, then the findings, worst first.

use std::fmt::Write as _;

use super::report::{Level, StreamFinding, StreamReport};
use crate::check::{Severity, Verdict};

/// Renders a report; `with_infos` also what does no harm.
#[must_use]
pub fn text(report: &StreamReport, with_infos: bool) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, report, with_infos);
    text
}

fn write(text: &mut String, report: &StreamReport, with_infos: bool) -> std::fmt::Result {
    let verdict = report.verdict();
    let meaning = match (verdict, report.level) {
        (Verdict::Compatible, _) => "nothing speaks against it",
        (Verdict::Depends, _) => "it depends on the questions below",
        (Verdict::Incompatible, _) => "the destination will refuse the stream",
    };
    let known = match report.level {
        Level::Schema => "the destination's schema",
        Level::Machine => "the destination's machine type, and its schema if given",
        Level::Reference => "a stream of the destination's own, and its schema if given",
    };
    writeln!(text, "{verdict}: {meaning} (known: {known})")?;
    let shown = report.findings.iter().filter(|finding| with_infos || finding.severity > Severity::Info);
    for finding in shown {
        one(text, finding)?;
    }
    let hidden = if with_infos { 0 } else { report.count(Severity::Info) };
    if hidden > 0 {
        writeln!(
            text,
            "\n{hidden} harmless difference{} not shown; -v shows them",
            if hidden == 1 { "" } else { "s" }
        )?;
    }
    if report.dropped > 0 {
        writeln!(text, "\n{} further findings are not listed", report.dropped)?;
    }
    Ok(())
}

fn one(text: &mut String, finding: &StreamFinding) -> std::fmt::Result {
    let StreamFinding { severity, rule, path, offset, found, expected, question, harmless } = finding;
    let path = printable(path);
    match offset {
        Some(offset) => writeln!(text, "\n{severity:6} {rule}  {path}  (section at offset 0x{offset:x})")?,
        None => writeln!(text, "\n{severity:6} {rule}  {path}")?,
    }
    writeln!(text, "  stream       {}", printable(found))?;
    writeln!(text, "  destination  {}", printable(expected))?;
    if let Some(question) = question {
        writeln!(text, "  ask          {} (yes: refused)", printable(question))?;
    }
    match harmless {
        Some(reason) => writeln!(text, "  harmless     {}", printable(reason)),
        None if *severity == Severity::Info => Ok(()),
        None => writeln!(text, "  do           {}", rule.recipe()),
    }
}

/// Names come from a stream: nothing that steers a terminal, or turns the direction of what follows, reaches it.
fn printable(text: &str) -> String {
    let steers = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if steers(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
