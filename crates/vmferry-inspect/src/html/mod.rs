//! Reports as pages for people: one file of HTML that loads nothing and runs nothing.
//!
//! | page | of |
//! |---|---|
//! | [`write_releases`] | schemas of two or more [`Releases`](crate::check::releases::Releases): a matrix of machine types, releases and verdicts; findings with rules and recipes |
//! | [`write_stream_report`] | a stream and what is known of a destination: [`StreamReport`](crate::check::stream::StreamReport) |
//! | [`write_analysis`] | an [`Analysis`](crate::Analysis): facts, warnings, a map of the stream, RAM, devices with their fields, commands |
//!
//! Pages fold by `<details>`, follow the reader's choice of light or dark, and fit screens from 360 pixels on. What
//! comes from a stream or a schema is escaped wherever it stands (`page.rs`), and a policy in the head of each page
//! forbids scripts and loads should that ever fail.
//!
//! # Limits
//!
//! A page has at most [`limits::HTML_BYTES_LIMIT`](crate::limits::HTML_BYTES_LIMIT) octets and the rest of the row that
//! was being written; a table at most [`limits::HTML_ROW_COUNT_LIMIT`](crate::limits::HTML_ROW_COUNT_LIMIT) rows. Where
//! something is left out, the page says how much and where to find it.

mod analysis;
mod check;
mod page;
mod quantity;

pub use analysis::{AnalysisPage, write_analysis};
pub use check::{write_releases, write_stream_report};
use page::{Done, Page};

/// The one block of style.
const STYLE: &str = include_str!("style.css");

/// What a browser may load and run: nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// A whole page: its head, and the body that `body` writes.
fn document(page: &mut Page<'_>, title: &str, body: impl FnOnce(&mut Page<'_>) -> Done) -> Done {
    page.markup("<!DOCTYPE html>\n")?;
    page.element("html", &[("lang", &"en")], |page| {
        page.element("head", &[], |page| {
            page.void("meta", &[("charset", &"utf-8")])?;
            page.void("meta", &[("http-equiv", &"Content-Security-Policy"), ("content", &POLICY)])?;
            page.void("meta", &[("name", &"viewport"), ("content", &"width=device-width, initial-scale=1")])?;
            page.void("meta", &[("name", &"generator"), ("content", &"vmferry")])?;
            page.leaf("title", &[], title)?;
            page.element("style", &[], |page| page.markup(STYLE))
        })?;
        page.element("body", &[], |page| {
            page.element("main", &[], body)?;
            page.leaf("footer", &[], "Made by vmferry. This file needs no network and runs no script.")
        })
    })
}

/// A heading that can be linked to, and what is below it.
fn section(
    page: &mut Page<'_>,
    anchor: &'static str,
    heading: &'static str,
    body: impl FnOnce(&mut Page<'_>) -> Done,
) -> Done {
    page.element("section", &[("id", &anchor)], |page| {
        page.leaf("h2", &[], heading)?;
        body(page)
    })
}

/// Links to the sections of a page.
fn contents(page: &mut Page<'_>, sections: &[(&'static str, &'static str)]) -> Done {
    page.element("nav", &[("aria-label", &"Contents")], |page| {
        page.element("ul", &[], |page| {
            sections.iter().try_for_each(|(anchor, heading)| {
                page.element("li", &[], |page| page.leaf("a", &[("href", &format_args!("#{anchor}"))], heading))
            })
        })
    })
}
