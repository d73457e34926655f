//! Commands: how many of each, and where each is.

use std::collections::BTreeMap;

use crate::analysis::Analysis;
use crate::html::analysis::left_out;
use crate::html::page::{Column, Done, Page};
use crate::html::quantity::{Bytes, Grouped};
use crate::limits::HTML_ROW_COUNT_LIMIT;

pub(super) fn list(page: &mut Page<'_>, analysis: &Analysis) -> Done {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for command in &analysis.commands {
        let count = counts.entry(command.name).or_default();
        *count = count.saturating_add(1);
    }
    let counts: Vec<_> = counts.iter().map(|(name, count)| format!("{} {name}", Grouped(*count))).collect();
    page.leaf("p", &[], counts.join(", "))?;
    let shown = analysis.commands.iter().take(HTML_ROW_COUNT_LIMIT);
    page.table("Commands", &["offset", "command", "payload", "package"].map(Column::words), |page| {
        shown.clone().try_for_each(|command| {
            page.element("tr", &[], |page| {
                let offset = format_args!("0x{:x}", command.offset);
                page.element("td", &[("class", &"nowrap")], |page| page.leaf("code", &[], offset))?;
                page.leaf("td", &[("class", &"nowrap")], command.name)?;
                page.leaf("td", &[("class", &"nowrap")], Bytes(command.payload_bytes))?;
                let package = command.package_bytes.map(|bytes| Bytes(u64::from(bytes)).to_string());
                page.leaf("td", &[("class", &"nowrap")], package.unwrap_or_default())
            })
        })
    })?;
    left_out(page, shown.len(), analysis.commands.len(), "command")
}
