//! What two configuration sections say.

use crate::analysis::{Analysis, uuid_text};
use crate::diff::difference::{DifferenceKind, Found, number};
use crate::path::PathText;
use crate::value::Value;

/// Lists the differences under `configuration`, with the names of the document of `analyze`.
pub(super) fn compare(a: &Analysis, b: &Analysis, found: &mut Found) {
    let (facts_a, facts_b) = (facts(a), facts(b));
    let mut path = PathText::word("configuration");
    for ((name, a), (_, b)) in facts_a.iter().zip(&facts_b) {
        if a != b {
            path.with_name(name, |path| found.push(path, DifferenceKind::Configuration, a.as_ref(), b.as_ref()));
        }
    }
}

/// What one side says; always the same names in the same order.
fn facts(analysis: &Analysis) -> [(&'static str, Option<Value>); 5] {
    let configuration = analysis.configuration.as_ref();
    let machine = configuration.map(|configuration| Value::Text(configuration.machine.to_string()));
    let page = configuration.and_then(|configuration| configuration.target_page);
    let capabilities = configuration.and_then(|configuration| configuration.capabilities.as_ref()).map(|names| {
        let mut names: Vec<_> = names.iter().map(|name| name.as_str().to_owned()).collect();
        // Their order means nothing.
        names.sort();
        Value::List(names.into_iter().map(Value::Text).collect())
    });
    let uuid = configuration.and_then(|configuration| configuration.uuid);
    [
        ("machine", machine),
        ("target_page_bits", page.map(|page| number(u64::from(page.bits())))),
        ("capabilities", capabilities),
        ("uuid", uuid.map(|uuid| Value::Text(uuid_text(uuid)))),
        ("page_size", Some(number(analysis.ram.page_bytes))),
    ]
}
