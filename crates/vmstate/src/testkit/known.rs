//! Rule: what is to be said of a description is known (`docs/spec/vmstate.md` sections 7 and 8).

use crate::lint::{Finding, Severity, findings};
use crate::schema::Schema;

/// Compares what is found in an image with what is known: warnings and errors are, and nothing is known in vain.
///
/// `known` has labels (`nested-version at serial.state`), each with the reason why it is meant.
///
/// # Panics
///
/// The rule does not hold.
pub fn findings_are_known(schema: &Schema, known: &[(&str, &str)]) {
    let found = findings(schema);
    let serious = found.iter().filter(|finding| finding.severity > Severity::Info);
    none_is_unknown(serious, known);
    none_is_in_vain(&found, known);
}

/// As [`findings_are_known`], of what [`section_findings`](crate::lint::section_findings) found and of each severity.
///
/// # Panics
///
/// The rule does not hold.
pub fn all_findings_are_known(found: &[Finding], known: &[(&str, &str)]) {
    none_is_unknown(found.iter(), known);
    none_is_in_vain(found, known);
}

fn none_is_unknown<'f>(found: impl Iterator<Item = &'f Finding>, known: &[(&str, &str)]) {
    let is_known = |finding: &&Finding| known.iter().any(|(label, _)| *label == finding.label());
    let unknown: Vec<String> = found.filter(|finding| !is_known(finding)).map(ToString::to_string).collect();
    assert!(
        unknown.is_empty(),
        "mend what was found, or add its `RULE at PLACE` with a reason to `allow`:\n{}",
        unknown.join("\n")
    );
}

fn none_is_in_vain(found: &[Finding], known: &[(&str, &str)]) {
    for (label, reason) in known {
        assert!(found.iter().any(|finding| finding.label() == *label), "'{label}' is allowed, and not found any more");
        assert!(!reason.is_empty(), "'{label}' is allowed without a reason");
    }
}
