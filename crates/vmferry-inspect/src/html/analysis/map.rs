//! The map of a stream: what takes the octets, to scale and in the order of the stream.
//!
//! | part | scale |
//! |---|---|
//! | strip of the whole stream | all octets; RAM usually hides the rest |
//! | strip of all but RAM | the rest |
//! | table of kinds | shares of the main channel |
//! | table of RAM | blocks by kind of page, largest first |
//! | table of devices | largest first |

use std::collections::HashMap;

use crate::analysis::Analysis;
use crate::dialect::Dialect;
use crate::html::page::{Column, Done, Page, Shown};
use crate::html::quantity::{Bytes, Count, Grouped, Share};
use crate::stream_map::{Span, SpanKind};

/// Segments narrower than so many hundredths of a percent of their strip are drawn together with their neighbours.
const THIN_BASIS_POINTS: u64 = 30;

/// From this share of the strip on a segment has room for its name.
const NAMED_BASIS_POINTS: u64 = 600;

/// Rows of the tables of RAM and devices before the rest is summed up.
const ROWS: usize = 15;

/// A piece of a strip.
struct Segment<'a> {
    class: &'static str,
    label: String,
    /// The device to go to.
    target: Option<&'a usize>,
    offset: u64,
    bytes: u64,
    /// How many spans are drawn as one.
    spans: u64,
}

/// Name and class of a kind; its order in the legend.
fn look(kind: &SpanKind) -> (u8, &'static str, &'static str) {
    match kind {
        SpanKind::Ram => (0, "RAM", "k-ram"),
        SpanKind::Section(..) => (1, "devices", "k-section"),
        SpanKind::Description => (2, "description", "k-description"),
        SpanKind::Command => (3, "commands", "k-command"),
        SpanKind::Head => (4, "header and configuration", "k-head"),
        SpanKind::End => (5, "end mark", "k-head"),
        SpanKind::Ignored => (6, "octets behind the end", "k-head"),
        SpanKind::Mixed => (7, "further elements", "k-head"),
        SpanKind::Broken => (8, "cut short or damaged", "k-broken"),
    }
}

pub(super) fn map(page: &mut Page<'_>, analysis: &Analysis) -> Done {
    let spans = &analysis.map.spans;
    if spans.is_empty() {
        return page.leaf("p", &[], "Nothing was read.");
    }
    // Of sections that came several times the first one.
    let mut places: HashMap<(&str, u32), usize> = HashMap::new();
    for (index, section) in analysis.sections.iter().enumerate() {
        places.entry((&section.name, section.instance_id)).or_insert(index);
    }
    page.leaf("h3", &[], "In the order of the stream")?;
    strip(page, "The whole main channel, to scale", spans.iter(), &places)?;
    let rest = || spans.iter().filter(|span| span.kind != SpanKind::Ram);
    if spans.len() > rest().count() && rest().next().is_some() {
        strip(page, "The same without RAM", rest(), &places)?;
    }
    kinds(page, analysis)?;
    ram(page, analysis)?;
    devices(page, analysis, &places)
}

fn strip<'a>(
    page: &mut Page<'_>,
    title: &'static str,
    spans: impl Iterator<Item = &'a Span> + Clone,
    places: &'a HashMap<(&'a str, u32), usize>,
) -> Done {
    let total = spans.clone().map(|span| span.bytes).fold(0, u64::saturating_add);
    let points = |bytes: u64| u64::try_from(u128::from(bytes) * 10_000 / u128::from(total.max(1))).unwrap_or(u64::MAX);
    let mut segments: Vec<Segment<'_>> = Vec::new();
    for span in spans.clone() {
        let (_, name, class) = look(&span.kind);
        let (label, target) = match &span.kind {
            SpanKind::Section(name, id) => (format!("{}/{id}", Shown(name)), places.get(&(name.as_str(), *id))),
            _ => (name.to_owned(), None),
        };
        let is_thin = points(span.bytes) < THIN_BASIS_POINTS;
        let last = segments.last_mut().filter(|last| is_thin && points(last.bytes) < THIN_BASIS_POINTS);
        if let Some(last) = last {
            last.bytes = last.bytes.saturating_add(span.bytes);
            last.spans = last.spans.saturating_add(1);
            last.label = format!("{} small ones", Grouped(last.spans));
            last.target = None;
            if last.class != class {
                last.class = "k-head";
            }
        } else {
            segments.push(Segment { class, label, target, offset: span.offset, bytes: span.bytes, spans: 1 });
        }
    }
    page.leaf("p", &[("class", &"faint")], format_args!("{title}: {}", Bytes(total)))?;
    page.element("ol", &[("class", &"strip"), ("aria-label", &title)], |page| {
        segments.iter().try_for_each(|segment| {
            let Segment { class, label, offset, bytes, .. } = segment;
            let share = points(*bytes);
            let thin = if share < NAMED_BASIS_POINTS { " thin" } else { "" };
            let title = format_args!("{label}: {} at 0x{offset:x}, {}", Count(*bytes, "octet"), Share(*bytes, total))
                .to_string();
            let grow = format_args!("flex-grow:{}", share.max(10)).to_string();
            page.element("li", &[("class", &format_args!("{class}{thin}")), ("style", &grow)], |page| {
                match segment.target {
                    Some(index) => {
                        page.leaf("a", &[("href", &format_args!("#device-{index}")), ("title", &title)], label)
                    }
                    None => page.leaf("span", &[("title", &title)], label),
                }
            })
        })
    })?;
    let (first, last) = (spans.clone().next(), spans.last());
    let end = last.map_or(0, |span| span.offset.saturating_add(span.bytes));
    page.element("div", &[("class", &"ends"), ("aria-hidden", &"true")], |page| {
        page.leaf("code", &[], format_args!("0x{:x}", first.map_or(0, |span| span.offset)))?;
        page.leaf("code", &[], format_args!("0x{end:x}"))
    })
}

/// One row of a table: what, how much, of how much.
struct Row<'a> {
    label: String,
    target: Option<&'a usize>,
    class: &'static str,
    bytes: u64,
}

fn rows(page: &mut Page<'_>, title: &'static str, what: &'static str, rows: &[Row<'_>], total: u64) -> Done {
    page.leaf("h3", &[], title)?;
    let columns =
        [Column::words(what), Column::exact("octets"), Column::number(""), Column::number("share"), Column::words("")];
    page.table(title, &columns, |page| {
        rows.iter().try_for_each(|Row { label, target, class, bytes }| {
            page.element("tr", &[], |page| {
                page.element("th", &[("scope", &"row"), ("class", &"wide")], |page| match target {
                    Some(index) => page.leaf("a", &[("href", &format_args!("#device-{index}"))], label),
                    None => page.text(label),
                })?;
                page.leaf("td", &[("class", &"number exact")], Grouped(*bytes))?;
                page.leaf("td", &[("class", &"number")], Bytes(*bytes))?;
                let share = Share(*bytes, total);
                page.leaf("td", &[("class", &"number")], share)?;
                page.element("td", &[("class", &"bar"), ("aria-hidden", &"true")], |page| {
                    let width = format_args!("width:{:.2}%", share.percent());
                    page.leaf("i", &[("class", class), ("style", &width)], "")
                })
            })
        })
    })
}

/// Sorts, and sums up what is beyond the first rows.
fn largest<'a>(mut all: Vec<Row<'a>>, what: &'static str) -> Vec<Row<'a>> {
    all.sort_by_key(|row| std::cmp::Reverse(row.bytes));
    if all.len() > ROWS.saturating_add(1) {
        let rest = all.split_off(ROWS);
        let bytes = rest.iter().map(|row| row.bytes).fold(0, u64::saturating_add);
        let count = u64::try_from(rest.len()).unwrap_or(u64::MAX);
        all.push(Row { label: format!("{} smaller {what}", Grouped(count)), target: None, class: "k-head", bytes });
    }
    all
}

fn kinds(page: &mut Page<'_>, analysis: &Analysis) -> Done {
    let mut sums: Vec<(u8, Row<'_>)> = Vec::new();
    for span in &analysis.map.spans {
        let (order, label, class) = look(&span.kind);
        match sums.iter_mut().find(|(known, _)| *known == order) {
            Some((_, row)) => row.bytes = row.bytes.saturating_add(span.bytes),
            None => sums.push((order, Row { label: label.to_owned(), target: None, class, bytes: span.bytes })),
        }
    }
    sums.sort_by_key(|(order, _)| *order);
    let sums: Vec<_> = sums.into_iter().map(|(_, row)| row).collect();
    rows(page, "What takes the octets of the main channel", "kind", &sums, analysis.map.read_bytes())
}

fn ram(page: &mut Page<'_>, analysis: &Analysis) -> Done {
    let mut all = Vec::new();
    for block in &analysis.ram.blocks {
        let bytes = block.bytes;
        for (kind, class, bytes) in [
            ("normal", "k-ram", bytes.normal),
            ("zero", "k-zero", bytes.zero),
            ("xbzrle", "k-xbzrle", bytes.xbzrle),
            ("compressed", "k-compressed", bytes.compressed),
        ] {
            if bytes > 0 {
                all.push(Row { label: format!("{}, {kind} pages", Shown(&block.id)), target: None, class, bytes });
            }
        }
    }
    let is_ram = |span: &&Span| span.kind == SpanKind::Ram;
    let sections = analysis.map.spans.iter().filter(is_ram).map(|span| span.bytes).fold(0, u64::saturating_add);
    let total = sections.saturating_add(analysis.map.channel_bytes);
    let pages = all.iter().map(|row| row.bytes).fold(0, u64::saturating_add);
    if pages == 0 {
        return Ok(());
    }
    let mut all = largest(all, "parts");
    if let Some(bytes) = total.checked_sub(pages).filter(|bytes| *bytes > 0) {
        let label = if analysis.dialects.contains(&Dialect::MappedRam) {
            "places of zero pages, bitmaps, alignment"
        } else if analysis.map.channel_bytes > 0 {
            "list of blocks, packets, sections"
        } else {
            "list of blocks, sections"
        };
        all.push(Row { label: label.to_owned(), target: None, class: "k-head", bytes });
    }
    let title = if analysis.map.channel_bytes > 0 { "RAM, on all channels" } else { "RAM" };
    rows(page, title, "pages", &all, total.max(pages))
}

fn devices(page: &mut Page<'_>, analysis: &Analysis, places: &HashMap<(&str, u32), usize>) -> Done {
    let mut sums: HashMap<(&str, u32), u64> = HashMap::new();
    for span in &analysis.map.spans {
        if let SpanKind::Section(name, instance_id) = &span.kind {
            let bytes = sums.entry((name, *instance_id)).or_default();
            *bytes = bytes.saturating_add(span.bytes);
        }
    }
    if sums.is_empty() {
        return Ok(());
    }
    let total = sums.values().copied().fold(0, u64::saturating_add);
    let mut sums: Vec<_> = sums.into_iter().collect();
    // The order of a map is another one each time.
    sums.sort_unstable();
    let all = sums.into_iter().map(|(device, bytes)| {
        let label = format!("{}/{}", Shown(device.0), device.1);
        Row { label, target: places.get(&device), class: "k-section", bytes }
    });
    rows(
        page,
        "Devices, with headers and footers of their sections",
        "device",
        &largest(all.collect(), "devices"),
        total,
    )
}
