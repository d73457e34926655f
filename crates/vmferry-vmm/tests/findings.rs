//! What is to be said of the descriptions of the machine's devices, and why each of it is meant.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use vmferry::Machine as _;
use vmferry_vmm::machine::{Config, FerryVirt, MEMORY_MIN, types};
use vmstate::lint::section_findings;
use vmstate::testkit::all_findings_are_known;

const KNOWN: &[(&str, &str)] =
    &[("since-at-minimum at serial.divider", "QEMU's own, so that the schema is that of its `serial`")];

#[test]
fn every_finding_in_the_machine_is_known() {
    let machine = FerryVirt::new(Config {
        settings: types::settings(types::find("ferry-virt").unwrap(), Vec::new()).unwrap(),
        memory_bytes: MEMORY_MIN,
        memory_file: None,
        image: None,
        serial: Box::new(|_| true),
        events: Box::new(|_| {}),
        incoming: false,
        only_migratable: false,
    })
    .unwrap();
    let entries = machine.registry().entries();
    let found = section_findings(entries.iter().map(|entry| (entry.idstr(), entry.section().schema())));
    all_findings_are_known(&found, KNOWN);
}
