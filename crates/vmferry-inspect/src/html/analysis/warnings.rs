//! What is odd about the stream, with the place and a link to the device there.

use crate::analysis::{Analysis, SectionReport};
use crate::html::analysis::left_out;
use crate::html::page::{Column, Done, Page, Shown};
use crate::limits::HTML_ROW_COUNT_LIMIT;

/// Octets of a FULL section around its id string and body: type, section id, length, instance id, version, footer.
const FRAME_BYTES: u64 = 1 + 4 + 1 + 4 + 4 + 5;

pub(super) fn list(page: &mut Page<'_>, analysis: &Analysis) -> Done {
    let shown = analysis.warnings.iter().take(HTML_ROW_COUNT_LIMIT);
    page.table("Warnings", &["offset", "what", "where"].map(Column::words), |page| {
        shown.clone().try_for_each(|warning| {
            page.element("tr", &[], |page| {
                let offset = format_args!("0x{:x}", warning.offset);
                page.element("td", &[("class", &"nowrap")], |page| page.leaf("code", &[], offset))?;
                page.leaf("td", &[("class", &"wide")], Shown(&warning.text))?;
                page.element("td", &[], |page| match device_at(analysis, warning.offset) {
                    Some((index, section)) => {
                        let name = format_args!("{}/{}", Shown(&section.name), section.instance_id);
                        page.leaf("a", &[("href", &format_args!("#device-{index}"))], name)
                    }
                    None => Ok(()),
                })
            })
        })
    })?;
    left_out(page, shown.len(), analysis.warnings.len(), "warning")
}

/// The device section that this octet is in.
fn device_at(analysis: &Analysis, offset: u64) -> Option<(usize, &SectionReport)> {
    analysis.sections.iter().enumerate().find(|(_, section)| {
        let name_bytes = u64::try_from(section.name.len()).unwrap_or(u64::MAX);
        let bytes = section.body_bytes.saturating_add(name_bytes).saturating_add(FRAME_BYTES);
        section.parts.is_none() && offset.checked_sub(section.offset).is_some_and(|inside| inside < bytes)
    })
}
