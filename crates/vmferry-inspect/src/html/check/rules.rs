//! What the rules mean that a page has findings of, since the page stands alone.

use std::collections::BTreeSet;

use crate::check::{GUIDE, Rule};
use crate::html::check::prose;
use crate::html::page::{Done, Page};

pub(super) fn rules(page: &mut Page<'_>, used: &BTreeSet<Rule>) -> Done {
    if used.is_empty() {
        return page.leaf("p", &[], "None is needed.");
    }
    let words = "A break is refused or read as something else, a risk depends on what no schema says, an info does no harm. \
                 Forward is OLD's streams loaded by NEW, backward NEW's by OLD.";
    page.leaf("p", &[], words)?;
    used.iter().try_for_each(|rule| {
        page.element("section", &[("id", &format_args!("rule-{rule}")), ("class", &"rule")], |page| {
            page.leaf("h3", &[], rule)?;
            let explanation = rule.explanation();
            page.element("p", &[], |page| prose(page, explanation.text))?;
            page.element("p", &[], |page| {
                page.text("Example: ")?;
                prose(page, explanation.example)
            })?;
            let recipe = rule.recipe();
            page.element("p", &[], |page| {
                page.text("What to do: ")?;
                prose(page, recipe.text)?;
                page.leaf("small", &[], format_args!(" ({GUIDE}#{})", recipe.anchor))
            })
        })
    })
}
