//! The page on a check: verdicts, a matrix, findings with what to do about them.
//!
//! ```text
//! verdict · matrix of machine types and releases · for each pair: breaks, risks, harmless ones · what the rules mean
//! ```

mod findings;
mod matrix;
mod rules;
mod stream;

use std::collections::BTreeSet;
use std::io::{self, Write};

pub use stream::write_stream_report;

use crate::check::releases::{Pair, Releases};
use crate::check::{Direction, Finding, Rule, Severity, Verdict};
use crate::html::page::{Done, Page, Shown};
use crate::html::quantity::{Count, len};
use crate::html::{contents, document, section};
use crate::limits::HTML_BYTES_LIMIT;

/// Writes the page on some releases that were checked against one another.
///
/// # Errors
///
/// Those of `out`.
pub fn write_releases(releases: &Releases, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page::new(out, HTML_BYTES_LIMIT);
    let names: Vec<_> = releases.names.iter().map(|name| Shown(name).to_string()).collect();
    let title = format!("Migration between {}", names.join(", "));
    document(&mut page, &Shown(&title).to_string(), |page| {
        page.leaf("h1", &[], Shown(&title))?;
        let sentence = match (releases.pairs.as_slice(), releases.verdict()) {
            ([], _) => "There is nothing to compare.".to_owned(),
            (_, Verdict::Compatible) => "Streams of each load in each, as far as descriptions go.".to_owned(),
            (_, Verdict::Depends) => "Whether streams load depends on the questions below.".to_owned(),
            (_, Verdict::Incompatible) => "Some streams do not load.".to_owned(),
        };
        headline(page, releases.verdict(), &sentence)?;
        contents(page, &[("matrix", "Matrix"), ("findings", "Findings"), ("rules", "Rules")])?;
        section(page, "matrix", "Machine types and releases", |page| matrix::matrix(page, releases))?;
        section(page, "findings", "Findings", |page| {
            releases.pairs.iter().enumerate().try_for_each(|(index, of)| pair(page, index, of))
        })?;
        let found = releases.pairs.iter().flat_map(|pair| &pair.report.findings);
        explained(page, found)
    })
}

fn explained<'f>(page: &mut Page<'_>, findings: impl Iterator<Item = &'f Finding>) -> Done {
    let used: BTreeSet<Rule> = findings.map(|finding| finding.rule).collect();
    section(page, "rules", "Rules", |page| rules::rules(page, &used))
}

/// The class of a verdict.
fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Compatible => "yes",
        Verdict::Depends => "maybe",
        Verdict::Incompatible => "no",
    }
}

fn badge(page: &mut Page<'_>, verdict: Verdict) -> Done {
    page.leaf("span", &[("class", &format_args!("verdict {}", class(verdict)))], verdict)
}

fn headline(page: &mut Page<'_>, verdict: Verdict, sentence: &str) -> Done {
    page.element("div", &[("class", &format_args!("box is-{}", class(verdict)))], |page| {
        badge(page, verdict)?;
        page.text(" ")?;
        page.text(Shown(sentence))
    })
}

fn pair(page: &mut Page<'_>, index: usize, pair: &Pair) -> Done {
    let Pair { old, new, report } = pair;
    page.element("section", &[("id", &format_args!("pair-{index}"))], |page| {
        page.leaf("h3", &[], format_args!("{} (OLD) and {} (NEW)", Shown(old), Shown(new)))?;
        page.element("ul", &[("class", &"plain")], |page| {
            for (name, direction, from, to, verdict) in [
                ("forward", Direction::Forward, old, new, report.forward),
                ("backward", Direction::Backward, new, old, report.backward),
            ] {
                page.element("li", &[], |page| {
                    badge(page, verdict)?;
                    page.text(format_args!(" {name}: streams of {} loaded by {}", Shown(from), Shown(to)))?;
                    let count = |severity| u64::try_from(report.count(severity, direction)).unwrap_or(u64::MAX);
                    let counts =
                        [(Severity::Break, "break"), (Severity::Risk, "risk"), (Severity::Info, "harmless one")]
                            .map(|(severity, word)| Count(count(severity), word))
                            .into_iter()
                            .filter(|count| count.0 > 0)
                            .map(|count| count.to_string())
                            .collect::<Vec<_>>();
                    page.leaf("small", &[], format_args!(" {}", counts.join(", ")))
                })?;
            }
            Ok(())
        })?;
        findings::findings(page, &report.findings, [old, new], report.dropped)
    })
}

/// How many findings are not there.
fn missing(page: &mut Page<'_>, dropped: usize) -> Done {
    if dropped == 0 {
        return Ok(());
    }
    let count = Count(u64::try_from(dropped).unwrap_or(u64::MAX), "finding");
    page.leaf("p", &[("class", &"faint")], format_args!("{count} left out."))
}

/// A sentence in which words in backticks are code.
fn prose(page: &mut Page<'_>, text: &str) -> Done {
    text.split('`').enumerate().try_for_each(|(index, part)| match index % 2 {
        0 => page.text(part),
        _ => page.leaf("code", &[], part),
    })
}

/// Number of findings in words.
fn how_many(findings: &[&Finding]) -> Count {
    Count(len(findings), "finding")
}
