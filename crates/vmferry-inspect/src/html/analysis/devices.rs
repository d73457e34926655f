//! Device sections: a table of all, then a tree of the fields of each.

use crate::analysis::{Analysis, SectionReport};
use crate::html::analysis::fields::Tree;
use crate::html::analysis::left_out;
use crate::html::page::{Column, Done, Page, Shown};
use crate::html::quantity::{Bytes, Count, Grouped, Share};
use crate::limits::HTML_ROW_COUNT_LIMIT;

const COLUMNS: [Column; 7] = [
    Column::words("device"),
    Column::number("instance"),
    Column::number("version"),
    Column::exact("section"),
    Column::number("offset"),
    Column::number("octets"),
    Column::words(""),
];

/// A page with so many devices shows their fields at once.
const FEW: usize = 4;

pub(super) fn devices(page: &mut Page<'_>, analysis: &Analysis) -> Done {
    let sections = &analysis.sections;
    if sections.is_empty() {
        return page.leaf("p", &[], "None.");
    }
    let largest = sections.iter().map(|section| section.body_bytes).max().unwrap_or(0);
    let shown = sections.iter().enumerate().take(HTML_ROW_COUNT_LIMIT);
    page.table("Device sections", &COLUMNS, |page| {
        shown.clone().try_for_each(|(index, section)| row(page, index, section, largest))
    })?;
    left_out(page, shown.len(), sections.len(), "section")?;
    page.leaf("h3", &[], "Fields")?;
    let mut trees = 0_usize;
    for (index, section) in sections.iter().enumerate() {
        if page.is_full() {
            break;
        }
        device(page, index, section, sections.len() <= FEW)?;
        trees = trees.saturating_add(1);
    }
    left_out(page, trees, sections.len(), "device")?;
    // Links to what is left out lead to where that is said.
    (trees..sections.len()).try_for_each(|index| page.leaf("span", &[("id", &format_args!("device-{index}"))], ""))
}

fn row(page: &mut Page<'_>, index: usize, section: &SectionReport, largest: u64) -> Done {
    page.element("tr", &[], |page| {
        page.element("th", &[("scope", &"row"), ("class", &"wide")], |page| {
            page.leaf("a", &[("href", &format_args!("#device-{index}"))], Shown(&section.name))
        })?;
        page.leaf("td", &[("class", &"number")], section.instance_id)?;
        page.leaf("td", &[("class", &"number")], section.version)?;
        page.leaf("td", &[("class", &"number exact")], section.section_id)?;
        page.element("td", &[("class", &"number")], |page| {
            page.leaf("code", &[], format_args!("0x{:x}", section.offset))
        })?;
        page.leaf("td", &[("class", &"number")], Grouped(section.body_bytes))?;
        page.element("td", &[("class", &"bar"), ("aria-hidden", &"true")], |page| {
            let width = format_args!("width:{:.2}%", Share(section.body_bytes, largest).percent()).to_string();
            page.leaf("i", &[("class", &"k-section"), ("style", &width)], "")
        })
    })
}

fn device(page: &mut Page<'_>, index: usize, section: &SectionReport, is_open: bool) -> Done {
    let id = format!("device-{index}");
    let closed = [("class", &"device" as &dyn std::fmt::Display), ("id", &id)];
    let open = [closed[0], closed[1], ("open", &"")];
    page.element("details", if is_open { &open } else { &closed }, |page| {
        page.element("summary", &[], |page| {
            page.leaf("h4", &[], format_args!("{}/{}", Shown(&section.name), section.instance_id))?;
            let parts = section.parts.map(|parts| format!(" in {}", Count(parts, "part"))).unwrap_or_default();
            let guessed = if section.is_end_guessed { ", its end is a guess" } else { "" };
            let facts = format!(
                " version {}, {}{parts} at 0x{:x}{guessed}",
                section.version,
                Bytes(section.body_bytes),
                section.offset
            );
            page.leaf("small", &[], facts)
        })?;
        Tree::new(section).write(page, &section.state)
    })
}
