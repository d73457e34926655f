//! Machine types by releases: does a guest of this type move from this release to that one?

use std::collections::HashMap;

use crate::check::Verdict;
use crate::check::releases::Releases;
use crate::html::check::badge;
use crate::html::page::{Done, Page, Shown};
use crate::html::quantity::Count;
use crate::limits::HTML_ROW_COUNT_LIMIT;

/// Forward and backward.
type Verdicts = [Verdict; 2];

pub(super) fn matrix(page: &mut Page<'_>, releases: &Releases) -> Done {
    page.leaf(
        "p",
        &[],
        "A column is a direction: streams of the release on the left of the arrow, loaded by the one on its right.",
    )?;
    let of_pairs: Vec<HashMap<&str, Verdicts>> = releases
        .pairs
        .iter()
        .map(|pair| {
            let machines = pair.report.machines.iter();
            machines.map(|machine| (machine.name.as_str(), [machine.forward, machine.backward])).collect()
        })
        .collect();
    let machines = releases.machines();
    let boxed: [(&'static str, &dyn std::fmt::Display); 4] =
        [("class", &"scroll"), ("tabindex", &0), ("role", &"region"), ("aria-label", &"Verdicts by machine type")];
    page.element("div", &boxed, |page| {
        page.element("table", &[], |page| {
            page.element("thead", &[], |page| page.element("tr", &[], |page| head(page, releases)))?;
            page.element("tbody", &[], |page| {
                machines.iter().take(HTML_ROW_COUNT_LIMIT).try_for_each(|machine| {
                    row(page, machine, &of_pairs.iter().map(|of| of.get(machine).copied()).collect::<Vec<_>>())
                })?;
                let overall: Vec<_> =
                    releases.pairs.iter().map(|pair| Some([pair.report.forward, pair.report.backward])).collect();
                row(page, if machines.is_empty() { "all" } else { "all machine types" }, &overall)
            })
        })
    })?;
    if let Some(more) = machines.len().checked_sub(HTML_ROW_COUNT_LIMIT).filter(|more| *more > 0) {
        let count = Count(u64::try_from(more).unwrap_or(u64::MAX), "machine type");
        page.leaf("p", &[("class", &"faint")], format_args!("{count} left out."))?;
    }
    if machines.is_empty() {
        let text =
            "The schemas do not tell what machine types make of them: the verdicts are on all devices of a binary.";
        page.leaf("p", &[("class", &"faint")], text)?;
    }
    Ok(())
}

fn head(page: &mut Page<'_>, releases: &Releases) -> Done {
    page.leaf("th", &[("scope", &"col")], "machine type")?;
    releases.pairs.iter().enumerate().try_for_each(|(index, pair)| {
        [(&pair.old, &pair.new), (&pair.new, &pair.old)].into_iter().try_for_each(|(from, to)| {
            page.element("th", &[("scope", &"col")], |page| {
                let name = format!("{} → {}", Shown(from), Shown(to));
                page.leaf("a", &[("href", &format_args!("#pair-{index}"))], name)
            })
        })
    })
}

fn row(page: &mut Page<'_>, name: &str, verdicts: &[Option<Verdicts>]) -> Done {
    page.element("tr", &[], |page| {
        page.leaf("th", &[("scope", &"row"), ("class", &"name")], Shown(name))?;
        verdicts.iter().try_for_each(|verdicts| match verdicts {
            Some(both) => both.iter().try_for_each(|verdict| page.element("td", &[], |page| badge(page, *verdict))),
            None => (0..2).try_for_each(|_| page.leaf("td", &[("class", &"faint")], "not in both")),
        })
    })
}
