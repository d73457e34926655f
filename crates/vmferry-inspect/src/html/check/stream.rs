//! The page on one stream and one destination.

use std::io::{self, Write};

use super::{headline, missing, prose};
use crate::check::stream::{StreamFinding, StreamReport};
use crate::check::{Severity, Verdict};
use crate::html::page::{Done, Page, Shown};
use crate::html::quantity::{Count, len};
use crate::html::{contents, document, section};
use crate::limits::HTML_BYTES_LIMIT;

/// Writes the page on a stream that was checked; `name` is what the stream is called.
///
/// # Errors
///
/// Those of `out`.
pub fn write_stream_report(name: &str, report: &StreamReport, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page::new(out, HTML_BYTES_LIMIT);
    let title = format!("Will {} load?", Shown(name));
    document(&mut page, &title, |page| {
        page.leaf("h1", &[], &title)?;
        let sentence = match report.verdict() {
            Verdict::Compatible => "Nothing speaks against it.",
            Verdict::Depends => "It depends on the questions below.",
            Verdict::Incompatible => "The destination will refuse the stream.",
        };
        headline(page, report.verdict(), sentence)?;
        contents(page, &[("findings", "Findings")])?;
        page.element("dl", &[("class", &"facts")], |page| {
            let machine = report.machine.as_deref().unwrap_or("not named");
            for (name, value) in [("Machine type", machine), ("Known of the destination", &report.level.to_string())] {
                page.element("div", &[], |page| {
                    page.leaf("dt", &[], name)?;
                    page.leaf("dd", &[], Shown(value))
                })?;
            }
            Ok(())
        })?;
        section(page, "findings", "Findings", |page| findings(page, report))
    })
}

fn findings(page: &mut Page<'_>, report: &StreamReport) -> Done {
    if report.findings.is_empty() {
        page.leaf("p", &[], "No difference.")?;
    }
    let mut left_out = report.dropped;
    for (severity, name) in
        [(Severity::Break, "Breaks"), (Severity::Risk, "Risks"), (Severity::Info, "Harmless differences")]
    {
        let of: Vec<_> = report.findings.iter().filter(|finding| finding.severity == severity).collect();
        if of.is_empty() {
            continue;
        }
        page.leaf("h3", &[], format_args!("{name}: {}", Count(len(&of), "finding")))?;
        for finding in of {
            if page.is_full() {
                left_out = left_out.saturating_add(1);
            } else {
                one(page, finding)?;
            }
        }
    }
    missing(page, left_out)
}

fn one(page: &mut Page<'_>, finding: &StreamFinding) -> Done {
    let StreamFinding { severity, rule, path, offset, found, expected, question, harmless } = finding;
    let open = [("class", &"finding" as &dyn std::fmt::Display), ("open", &"")];
    page.element("details", if *severity > Severity::Info { &open } else { &open[..1] }, |page| {
        page.element("summary", &[], |page| {
            let class = match severity {
                Severity::Break => "no",
                Severity::Risk => "maybe",
                Severity::Info => "yes",
            };
            page.leaf("span", &[("class", &format_args!("verdict {class}"))], severity)?;
            page.text(" ")?;
            page.leaf("b", &[], Shown(path))?;
            page.leaf("small", &[], format_args!(" {rule}"))
        })?;
        page.element("dl", &[("class", &"sides")], |page| {
            entry(page, "stream", Shown(found))?;
            entry(page, "destination", Shown(expected))?;
            if let Some(offset) = offset {
                entry(page, "section at", format_args!("offset 0x{offset:x}"))?;
            }
            if let Some(question) = question {
                entry(page, "refused if", format_args!("the answer is yes: {}", Shown(question)))?;
            }
            if let Some(reason) = harmless {
                entry(page, "harmless", Shown(reason))?;
            }
            if *severity == Severity::Info {
                return Ok(());
            }
            page.leaf("dt", &[], "what to do")?;
            page.element("dd", &[], |page| prose(page, rule.recipe()))
        })
    })
}

fn entry(page: &mut Page<'_>, name: &str, value: impl std::fmt::Display) -> Done {
    page.leaf("dt", &[], name)?;
    page.leaf("dd", &[], value)
}
