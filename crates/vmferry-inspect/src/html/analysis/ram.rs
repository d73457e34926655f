//! RAM by block: what was sent of it, and what that took.

use crate::analysis::{Analysis, BlockReport};
use crate::html::analysis::{left_out, sum};
use crate::html::page::{Column, Done, Page, Shown};
use crate::html::quantity::{Bytes, Grouped, Share};
use crate::limits::HTML_ROW_COUNT_LIMIT;

/// A kind of page: its name, the class of its colour, how many of a block are of it.
type Kind = (&'static str, &'static str, fn(&BlockReport) -> u64);

const KINDS: [Kind; 4] = [
    ("normal", "k-ram", |block| block.normal_pages),
    ("zero", "k-zero", |block| block.zero_pages),
    ("xbzrle", "k-xbzrle", |block| block.xbzrle_pages),
    ("compressed", "k-compressed", |block| block.compressed_pages),
];

pub(super) fn blocks(page: &mut Page<'_>, analysis: &Analysis) -> Done {
    let blocks = &analysis.ram.blocks;
    if blocks.is_empty() {
        return page.leaf("p", &[], "No list of RAM blocks was read.");
    }
    let introduction = format_args!(
        "Pages of {}. A page that was sent several times counts as often; distinct pages are addresses.",
        Bytes(analysis.ram.page_bytes)
    );
    page.leaf("p", &[], introduction)?;
    let kinds: Vec<_> = KINDS.into_iter().filter(|(_, _, of)| sum(analysis, of) > 0).collect();
    page.element("ul", &[("class", &"legend")], |page| {
        kinds.iter().try_for_each(|(name, class, _)| {
            page.element("li", &[], |page| {
                page.leaf("i", &[("class", class), ("aria-hidden", &"true")], "")?;
                page.text(name)
            })
        })
    })?;
    let mut columns = vec![Column::words("block"), Column::number("size"), Column::words("what was sent")];
    columns.extend(kinds.iter().map(|(name, _, _)| Column::number(name)));
    columns.extend([Column::number("distinct pages"), Column::number("in the stream")]);
    let shown = blocks.iter().take(HTML_ROW_COUNT_LIMIT);
    page.table("RAM blocks", &columns, |page| {
        shown.clone().try_for_each(|block| row(page, block, &kinds, analysis.ram.page_bytes))?;
        if blocks.len() < 2 {
            return Ok(());
        }
        page.element("tr", &[], |page| {
            page.leaf("th", &[("scope", &"row")], "all")?;
            page.leaf("td", &[("class", &"number")], Bytes(sum(analysis, |block| block.used_bytes)))?;
            page.leaf("td", &[], "")?;
            for (_, _, of) in &kinds {
                page.leaf("td", &[("class", &"number")], Grouped(sum(analysis, of)))?;
            }
            page.leaf("td", &[("class", &"number")], Grouped(sum(analysis, |block| block.distinct_pages)))?;
            page.leaf("td", &[("class", &"number")], Bytes(sum(analysis, |block| block.bytes.total())))
        })
    })?;
    left_out(page, shown.len(), blocks.len(), "block")
}

fn row(page: &mut Page<'_>, block: &BlockReport, kinds: &[Kind], page_bytes: u64) -> Done {
    let kinds: Vec<_> = kinds.iter().map(|(name, class, of)| (name, class, of(block))).collect();
    let sent = kinds.iter().map(|(_, _, pages)| *pages).fold(0, u64::saturating_add);
    page.element("tr", &[], |page| {
        page.leaf("th", &[("scope", &"row"), ("class", &"name")], Shown(&block.id))?;
        page.element("td", &[("class", &"number")], |page| {
            page.text(Bytes(block.used_bytes))?;
            if block.page_bytes == page_bytes {
                return Ok(());
            }
            page.void("br", &[])?;
            page.leaf("small", &[], format_args!("pages of {}", Bytes(block.page_bytes)))
        })?;
        page.element("td", &[("class", &"bar")], |page| {
            if sent == 0 {
                return page.text("nothing");
            }
            page.element("div", &[("class", &"mix"), ("aria-hidden", &"true")], |page| {
                kinds.iter().filter(|(_, _, pages)| *pages > 0).try_for_each(|(name, class, pages)| {
                    let share = Share(*pages, sent);
                    let width = format_args!("width:{:.2}%", share.percent());
                    let title = format_args!("{name}: {} of {} pages, {share}", Grouped(*pages), Grouped(sent));
                    page.leaf("i", &[("class", class), ("style", &width), ("title", &title)], "")
                })
            })
        })?;
        for (_, _, pages) in kinds {
            page.element("td", &[("class", &"number")], |page| {
                page.text(Grouped(pages))?;
                if pages == 0 {
                    return Ok(());
                }
                page.void("br", &[])?;
                page.leaf("small", &[], Share(pages, sent))
            })?;
        }
        page.leaf("td", &[("class", &"number")], Grouped(block.distinct_pages))?;
        page.leaf("td", &[("class", &"number")], Bytes(block.bytes.total()))
    })
}
