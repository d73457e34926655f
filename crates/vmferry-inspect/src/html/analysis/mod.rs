//! The page on a stream.
//!
//! ```text
//! what it is, and whether it is whole
//! facts · warnings · map of the stream · RAM · devices, each a tree · commands
//! ```

mod commands;
mod devices;
mod fields;
mod map;
mod ram;
mod warnings;

use std::io::{self, Write};

use crate::analysis::{Analysis, BlockReport, uuid_text};
use crate::html::page::{Done, Page, Shown};
use crate::html::quantity::{Bytes, Count, Grouped, len};
use crate::html::{contents, document, section};
use crate::limits::HTML_BYTES_LIMIT;

/// A report that becomes a page.
#[derive(Clone, Copy, Debug)]
pub struct AnalysisPage<'a> {
    /// What was read of the stream.
    pub analysis: &'a Analysis,
    /// What the stream is called: the name of its file.
    pub name: &'a str,
    /// Why reading ended before the end, if the stream is damaged.
    pub fault: Option<&'a str>,
}

/// Writes the page, without holding it in memory.
///
/// # Errors
///
/// Those of `out`.
pub fn write_analysis(report: AnalysisPage<'_>, out: &mut dyn Write) -> io::Result<()> {
    write_up_to(HTML_BYTES_LIMIT, report, out)
}

fn write_up_to(limit: u64, report: AnalysisPage<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page::new(out, limit);
    let analysis = report.analysis;
    let machine = analysis.configuration.as_ref().map_or("?", |configuration| configuration.machine.as_str());
    let title = format!("{}: migration stream of {}", Shown(report.name), Shown(machine));
    document(&mut page, &title, |page| {
        page.leaf("h1", &[], Shown(report.name))?;
        page.leaf("p", &[("class", &"faint")], format_args!("Migration stream of machine {}", Shown(machine)))?;
        outcome(page, report)?;
        let mut sections = vec![("facts", "Facts")];
        if !analysis.warnings.is_empty() {
            sections.push(("warnings", "Warnings"));
        }
        sections.extend([("map", "Map of the stream"), ("ram", "RAM"), ("devices", "Devices")]);
        if !analysis.commands.is_empty() {
            sections.push(("commands", "Commands"));
        }
        contents(page, &sections)?;
        section(page, "facts", "Facts", |page| facts(page, analysis))?;
        if !analysis.warnings.is_empty() {
            section(page, "warnings", "Warnings", |page| warnings::list(page, analysis))?;
        }
        section(page, "map", "Map of the stream", |page| map::map(page, analysis))?;
        section(page, "ram", "RAM", |page| ram::blocks(page, analysis))?;
        section(page, "devices", "Devices", |page| devices::devices(page, analysis))?;
        if analysis.commands.is_empty() {
            return Ok(());
        }
        section(page, "commands", "Commands", |page| commands::list(page, analysis))
    })
}

/// Whether the stream is whole, in one sentence.
fn outcome(page: &mut Page<'_>, report: AnalysisPage<'_>) -> Done {
    let analysis = report.analysis;
    let warnings = len(&analysis.warnings);
    let (class, verdict, sentence) = if let Some(fault) = report.fault {
        ("no", "damaged", format!("Reading ended: {}.", Shown(fault)))
    } else if analysis.is_truncated() {
        let last = analysis.warnings.last();
        let place = last.map(|warning| format!(" At offset 0x{:x}: {}.", warning.offset, Shown(&warning.text)));
        ("no", "cut short", format!("The stream or a channel ends before its end.{}", place.unwrap_or_default()))
    } else if warnings > 0 {
        ("maybe", "complete", format!("Read to its end, with {}.", Count(warnings, "warning")))
    } else {
        ("yes", "complete", "Read to its end, and nothing odd about it.".to_owned())
    };
    page.element("div", &[("class", &format_args!("box is-{class}"))], |page| {
        page.leaf("span", &[("class", &format_args!("verdict {class}"))], verdict)?;
        page.text(" ")?;
        page.text(sentence)
    })
}

fn sum(analysis: &Analysis, of: impl Fn(&BlockReport) -> u64) -> u64 {
    analysis.ram.blocks.iter().map(of).fold(0, u64::saturating_add)
}

fn facts(page: &mut Page<'_>, analysis: &Analysis) -> Done {
    let configuration = analysis.configuration.as_ref();
    let words: Vec<_> = analysis.dialects.iter().map(|dialect| dialect.word()).collect();
    let capabilities = configuration.and_then(|configuration| configuration.capabilities.as_ref()).map(|names| {
        let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    });
    let end = match (analysis.end.eof, analysis.end.vmdesc) {
        (false, _) => "before its end",
        (true, false) => "with its end mark, no description",
        (true, true) => "with its end mark and a description",
    };
    page.element("dl", &[("class", &"facts")], |page| {
        let mut fact = |name: &str, value: &str| {
            page.element("div", &[], |page| {
                page.leaf("dt", &[], name)?;
                page.leaf("dd", &[], Shown(value))
            })
        };
        fact("Machine type", configuration.map_or("not told", |configuration| configuration.machine.as_str()))?;
        fact("Stream version", &analysis.version.map_or("?".to_owned(), |version| version.to_string()))?;
        fact("Dialects", &words.join(", "))?;
        fact("Ends", end)?;
        fact("Main channel", &format!("{} read", Bytes(analysis.map.read_bytes())))?;
        if analysis.map.channel_bytes > 0 {
            fact("Further channels", &format!("{} read", Bytes(analysis.map.channel_bytes)))?;
        }
        if let Some(unread) = analysis.map.unread_bytes.filter(|unread| *unread > 0) {
            fact("Not read", &Bytes(unread).to_string())?;
        }
        let (total, blocks) = (sum(analysis, |block| block.used_bytes), len(&analysis.ram.blocks));
        fact("Guest RAM", &format!("{} in {}", Bytes(total), Count(blocks, "block")))?;
        fact("Target page", &Bytes(analysis.ram.page_bytes).to_string())?;
        for (name, pages) in [
            ("Normal pages", sum(analysis, |block| block.normal_pages)),
            ("Zero pages", sum(analysis, |block| block.zero_pages)),
            ("XBZRLE pages", sum(analysis, |block| block.xbzrle_pages)),
            ("Compressed pages", sum(analysis, |block| block.compressed_pages)),
        ] {
            if pages > 0 || matches!(name, "Normal pages" | "Zero pages") {
                fact(name, &Grouped(pages).to_string())?;
            }
        }
        fact("Device sections", &Grouped(len(&analysis.sections)).to_string())?;
        if let Some(capabilities) = &capabilities {
            fact("Capabilities told", capabilities)?;
        }
        if let Some(uuid) = configuration.and_then(|configuration| configuration.uuid) {
            fact("UUID", &uuid_text(uuid))?;
        }
        Ok(())
    })
}

/// Says what a table has no room for.
fn left_out(page: &mut Page<'_>, shown: usize, all: usize, what: &'static str) -> Done {
    let Some(more) = all.checked_sub(shown).filter(|more| *more > 0) else { return Ok(()) };
    let more = u64::try_from(more).unwrap_or(u64::MAX);
    page.leaf("p", &[("class", &"faint")], format_args!("{} left out; `analyze --json` has all.", Count(more, what)))
}
