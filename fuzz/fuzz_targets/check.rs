//! The reader of schema dumps, and a check of whatever it accepts.
//!
//! Oracles: no panic, memory within libFuzzer's limit; a dump is compatible with itself, unless it does not load the
//! version that it writes; what can be compared can be compared the other way round.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vmferry_inspect::check::{Options, Rule, Schema, check, text};

fuzz_target!(|data: &[u8]| {
    // Two dumps, separated by an octet that JSON does not have.
    let mut parts = data.splitn(2, |octet| *octet == 0);
    let Some(Ok(old)) = parts.next().map(Schema::from_json) else { return };
    let same = check(&old, &old, &Options::default()).expect("machine types of its own");
    let is_of_version = |rule: Rule| rule == Rule::VersionTooOld || rule == Rule::VersionTooNew;
    assert!(same.findings.iter().all(|finding| is_of_version(finding.rule)), "{}", text(&same, true));
    let Some(Ok(new)) = parts.next().map(Schema::from_json) else { return };
    let Ok(there) = check(&old, &new, &Options::default()) else { return };
    text(&there, true);
    there.to_json().expect("a report is JSON");
    check(&new, &old, &Options::default()).expect("asked the other way round");
});
