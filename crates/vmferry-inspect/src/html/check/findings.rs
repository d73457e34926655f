//! A list of findings: by severity, then by class, each with the rule, both sides and the recipe.

use crate::check::text::{Told, grouped};
use crate::check::{Direction, Finding, GUIDE, Severity};
use crate::html::check::{how_many, missing, prose};
use crate::html::page::{Done, Page, Shown};
use crate::html::quantity::Count;

/// So many findings of a severity are open from the start.
const OPEN_FINDINGS: usize = 12;

/// Names of classes and machine types that are listed.
const LISTED: usize = 24;

/// Writes findings; `sides` are what [`Finding::old`] and [`Finding::new`] are of. Links lead to the rules, which the
/// page has elsewhere.
pub(super) fn findings(page: &mut Page<'_>, findings: &[Finding], sides: [&str; 2], dropped: usize) -> Done {
    if findings.is_empty() {
        page.leaf("p", &[], "No difference.")?;
    }
    for (severity, name) in
        [(Severity::Break, "Breaks"), (Severity::Risk, "Risks"), (Severity::Info, "Harmless differences")]
    {
        let of: Vec<_> = findings.iter().filter(|finding| finding.severity == severity).collect();
        if of.is_empty() {
            continue;
        }
        if severity > Severity::Info {
            page.leaf("h4", &[], format_args!("{name}: {}", how_many(&of)))?;
            groups(page, &of, sides)?;
            continue;
        }
        page.element("details", &[], |page| {
            page.element("summary", &[], |page| page.leaf("h4", &[], format_args!("{name}: {}", how_many(&of))))?;
            groups(page, &of, sides)
        })?;
    }
    missing(page, dropped)
}

fn groups(page: &mut Page<'_>, findings: &[&Finding], sides: [&str; 2]) -> Done {
    let is_open = findings.len() <= OPEN_FINDINGS;
    let mut left_out = 0_usize;
    for (class, told) in grouped(findings.iter().copied()) {
        if page.is_full() {
            left_out = left_out.saturating_add(told.iter().map(|(_, others)| others.len().saturating_add(1)).sum());
            continue;
        }
        page.leaf("h5", &[], if class.is_empty() { Shown("machine") } else { Shown(class) })?;
        for one in told {
            finding(page, &one, sides, is_open)?;
        }
    }
    missing(page, left_out)
}

fn finding(page: &mut Page<'_>, told: &Told<'_>, sides: [&str; 2], is_open: bool) -> Done {
    let (finding, others) = told;
    let Finding { severity, direction, rule, path, old, new, question, machines, harmless, section: _ } = *finding;
    let open = [("class", &"finding" as &dyn std::fmt::Display), ("open", &"")];
    page.element("details", if is_open { &open } else { &open[..1] }, |page| {
        page.element("summary", &[], |page| {
            let class = match severity {
                Severity::Break => "no",
                Severity::Risk => "maybe",
                Severity::Info => "yes",
            };
            page.leaf("span", &[("class", &format_args!("verdict {class}"))], severity)?;
            page.text(" ")?;
            page.leaf("b", &[], Shown(path))?;
            page.leaf("small", &[], format_args!(" {rule}, {}", direction_words(*direction)))
        })?;
        page.element("dl", &[("class", &"sides")], |page| {
            for (side, what) in sides.into_iter().zip([old, new]) {
                entry(page, side, |page| page.text(Shown(what)))?;
            }
            if !machines.is_empty() {
                entry(page, "on", |page| page.text(list(machines)))?;
            }
            if !others.is_empty() {
                entry(page, "also in", |page| page.text(list(others)))?;
            }
            if let Some(question) = question {
                entry(page, "breaks if", |page| page.text(format_args!("the answer is yes: {}", Shown(question))))?;
            }
            if let Some(reason) = harmless {
                entry(page, "harmless", |page| page.text(Shown(reason)))?;
            }
            entry(page, "rule", |page| page.leaf("a", &[("href", &format_args!("#rule-{rule}"))], rule))?;
            if *severity == Severity::Info {
                return Ok(());
            }
            let recipe = rule.recipe();
            entry(page, "what to do", |page| {
                prose(page, recipe.text)?;
                page.leaf("small", &[], format_args!(" ({GUIDE}#{})", recipe.anchor))
            })
        })
    })
}

fn entry(page: &mut Page<'_>, name: &str, value: impl FnOnce(&mut Page<'_>) -> Done) -> Done {
    page.leaf("dt", &[], Shown(name))?;
    page.element("dd", &[], value)
}

fn direction_words(direction: Direction) -> &'static str {
    match direction {
        Direction::Forward => "forward",
        Direction::Backward => "backward",
        Direction::Both => "both directions",
    }
}

/// Names with commas, as many as a person reads.
fn list<S: AsRef<str>>(names: &[S]) -> String {
    let mut text: Vec<_> = names.iter().take(LISTED).map(|name| Shown(name.as_ref()).to_string()).collect();
    if let Some(more) = names.len().checked_sub(LISTED).filter(|more| *more > 0) {
        text.push(Count(u64::try_from(more).unwrap_or(u64::MAX), "further one").to_string());
    }
    text.join(", ")
}
