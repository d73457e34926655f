//! Break 3: a test that looks at the wrong object.
//!
//! A macro added a field to QEMU's PIIX4 with a test that was written for another structure; it read whatever was in
//! memory there. Up to 6.2 that was false by luck, so the field was never sent; in 7.0 it was true. Here a test gets
//! the image that it stands in, and one for another image does not compile (`tests/ui/b03_test_of_another_image.rs`).
//! What the luck did to streams is shown all the same, with a test that looks at nothing.
//!
//! The mend of 7.0: a property "do not send", on for machine types up to 6.2.

use vmstate::lint::findings;
use vmstate::machine::{DeviceType, Island};
use vmstate::{Properties, VmState};
use vmstate_lab::{Failure, Lab, OctetDifference, Release, Scenario, registers};

use crate::plain::{Plain, machine_of};

#[derive(VmState, Clone, Default)]
#[vmstate(name = "piix4_pm", version = 3)]
struct Lucky {
    status: u16,
    #[vmstate(when = never)]
    acpi_index: u32,
}
registers!(Lucky { status });

fn never(_: &Lucky, _version: u32) -> bool {
    false
}

mod old {
    use super::*;

    family! { "6.2": "6.2" }
    pub(super) const RELEASE: Release =
        Release::new("6.2", &FAMILY, &[], |_| machine_of("pm", Plain::new(Lucky::default(), ())));
}

mod broken {
    use super::*;

    #[derive(VmState, Clone, Default)]
    #[vmstate(name = "piix4_pm", version = 3)]
    struct Unlucky {
        status: u16,
        #[vmstate(when = always)]
        acpi_index: u32,
    }
    registers!(Unlucky { status, acpi_index });

    fn always(_: &Unlucky, _version: u32) -> bool {
        true
    }

    family! { "7.0": "7.0", "6.2" }
    pub(super) const RELEASE: Release =
        Release::new("7.0", &FAMILY, &[], |_| machine_of("pm", Plain::new(Unlucky::default(), ())));
}

mod fixed {
    use super::*;

    #[derive(Properties, Clone)]
    #[properties(device = "PIIX4_PM")]
    struct Props {
        #[property(default = true)]
        migrate_acpi_index: bool,
    }

    #[derive(VmState, Clone, Default)]
    #[vmstate(name = "piix4_pm", version = 3, props = Props)]
    struct Piix4 {
        status: u16,
        #[vmstate(gate = migrate_acpi_index)]
        acpi_index: u32,
    }
    registers!(Piix4 { status, acpi_index });

    family! { "7.0.1": "7.0", "6.2" [("PIIX4_PM", "migrate-acpi-index", "off")];
        Island {
            release: "7.0",
            machine: "6.2",
            device: "PIIX4_PM",
            property: "migrate-acpi-index",
            value: "on",
            reason: "7.0 has the field for older machine types too",
        },
    }
    pub(super) const RELEASE: Release = Release::new("7.0.1", &FAMILY, &[DeviceType::of::<Props>()], |settings| {
        machine_of("pm", Plain::new(Piix4::default(), settings.properties(&[])?))
    });
}

pub(crate) fn lab() -> Lab {
    let fails = |from, to| Failure {
        from,
        to,
        machine: "board-6.2",
        scenario: "*",
        text: "section 'piix4_pm' instance 0: ",
        reason: "7.0 has the field on one side only",
    };
    Lab::new(&[old::RELEASE, broken::RELEASE, fixed::RELEASE])
        .scenario(Scenario::writes("event pending", &[("pm.status", 1)]))
        .fails(&[fails("6.2|7.0.1", "7.0"), fails("7.0", "6.2|7.0.1")])
        .octets_differ(&[OctetDifference {
            release: "7.0",
            machine: "board-6.2",
            scenario: "*",
            section: "piix4_pm",
            reason: "an island",
        }])
}

#[test]
fn a_field_whose_test_differs_breaks_both_ways() {
    lab().run().assert();
}

#[test]
fn the_lint_names_a_test_that_no_checker_sees_through() {
    let found = findings(Lucky::SCHEMA);
    let labels: Vec<String> = found.iter().map(vmstate::lint::Finding::label).collect();
    assert_eq!(labels, ["opaque-test at piix4_pm.acpi_index"]);
}
