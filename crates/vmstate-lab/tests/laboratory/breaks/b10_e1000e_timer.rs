//! Break 10: a new number in the middle of a description.
//!
//! e1000e's timers got an adjustment (QEMU 8.0), sent between fields that were there. A field has no name on the wire:
//! who does not expect it reads everything behind it from the wrong place. QEMU did it right, with a property (list
//! 7.2); `broken` is what would have been released without.

use vmstate::VmState;
use vmstate::testkit::schema_text;
use vmstate_lab::{Failure, Lab, OctetDifference, Release, Scenario, registers};

use crate::plain::{Plain, machine_of};

mod old {
    use super::*;

    #[derive(VmState, Clone, Default)]
    #[vmstate(name = "e1000e", version = 1)]
    pub(super) struct E1000e {
        delay: u32,
        rx: u32,
    }
    registers!(E1000e { delay, rx });

    family! { "7.2": "7.2" }
    pub(super) const RELEASE: Release =
        Release::new("7.2", &FAMILY, &[], |_| machine_of("e1000e", Plain::new(E1000e::default(), ())));
}

mod broken {
    use super::*;

    #[derive(VmState, Clone, Default)]
    #[vmstate(name = "e1000e", version = 1)]
    pub(super) struct E1000e {
        delay: u32,
        timadj: i64,
        rx: u32,
    }
    registers!(E1000e { delay, timadj, rx });

    family! { "8.0": "8.0", "7.2" }
    pub(super) const RELEASE: Release =
        Release::new("8.0", &FAMILY, &[], |_| machine_of("e1000e", Plain::new(E1000e::default(), ())));
}

mod fixed {
    use vmstate::Properties;
    use vmstate::machine::{DeviceType, Island};

    use super::*;

    #[derive(Properties, Clone)]
    #[properties(device = "e1000e")]
    struct Props {
        #[property(default = true)]
        migrate_timadj: bool,
    }

    #[derive(VmState, Clone, Default)]
    #[vmstate(name = "e1000e", version = 1, props = Props)]
    struct E1000e {
        delay: u32,
        #[vmstate(gate = migrate_timadj)]
        timadj: i64,
        rx: u32,
    }
    registers!(E1000e { delay, timadj, rx });

    family! { "8.0.1": "8.0", "7.2" [("e1000e", "migrate-timadj", "off")];
        Island {
            release: "8.0",
            machine: "7.2",
            device: "e1000e",
            property: "migrate-timadj",
            value: "on",
            reason: "8.0 has the field for older machine types too",
        },
    }
    pub(super) const RELEASE: Release = Release::new("8.0.1", &FAMILY, &[DeviceType::of::<Props>()], |settings| {
        machine_of("e1000e", Plain::new(E1000e::default(), settings.properties(&[])?))
    });
}

pub(crate) fn lab() -> Lab {
    let fails = |from, to| Failure {
        from,
        to,
        machine: "board-7.2",
        scenario: "*",
        text: "missing section footer",
        reason: "8.0 has the field for old machine types too: an island",
    };
    Lab::new(&[old::RELEASE, broken::RELEASE, fixed::RELEASE])
        .scenario(Scenario::writes("ring in use", &[("e1000e.delay", 1), ("e1000e.rx", 0x55)]))
        .fails(&[fails("7.2|8.0.1", "8.0"), fails("8.0", "7.2|8.0.1")])
        .octets_differ(&[OctetDifference {
            release: "8.0",
            machine: "board-7.2",
            scenario: "*",
            section: "e1000e",
            reason: "8.0 is an island",
        }])
}

#[test]
fn the_broken_release_is_an_island_and_the_fixed_one_is_not() {
    lab().run().assert();
}

#[test]
fn a_committed_schema_shows_the_field() {
    let (old, new) = (schema_text(old::E1000e::SCHEMA), schema_text(broken::E1000e::SCHEMA));
    let inserted: Vec<&str> = new.lines().filter(|line| !old.contains(line)).map(str::trim).collect();
    assert_eq!(inserted, ["timadj: int64"]);
}
