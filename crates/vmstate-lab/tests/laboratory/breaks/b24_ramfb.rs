//! Break 24, which was none: a device that had no state gains some.
//!
//! A ramfb's screen was black after a migration until the guest set it again; since QEMU 8.2 it is sent, if `x-migrate`
//! is on (list 8.1: off), which is the section's gate (R7).

use vmstate::machine::DeviceType;
use vmstate::{Properties, VmState};
use vmstate_lab::{Difference, Failure, Lab, Machine, OctetDifference, Release, Scenario, registers};

use crate::plain::{Plain, machine_of};

#[derive(Properties, Clone)]
#[properties(device = "ramfb")]
struct Props {
    #[property(default = true)]
    x_migrate: bool,
}

#[derive(VmState, Clone, Default)]
#[vmstate(name = "ramfb", version = 1, props = Props, gate = x_migrate)]
struct Ramfb {
    address: u64,
    width: u32,
}
registers!(Ramfb { address, width });

mod old {
    use super::*;

    #[derive(Default)]
    struct Unsent {
        address: u64,
        width: u32,
    }
    registers!(Unsent { address, width });

    family! { "8.1": "8.1" }
    pub(super) const RELEASE: Release = Release::new("8.1", &FAMILY, &[], |_| {
        let mut machine = Machine::new();
        machine.show("fb", Unsent::default());
        Ok(machine)
    });
}

mod new {
    use super::*;

    family! { "8.2": "8.2", "8.1" [("ramfb", "x-migrate", "off")] }
    pub(super) const RELEASE: Release = Release::new("8.2", &FAMILY, &[DeviceType::of::<Props>()], |settings| {
        machine_of("fb", Plain::new(Ramfb::default(), settings.properties(&[])?))
    });
}

/// What would have come of it without the entry.
mod broken {
    use super::*;

    family! { "8.2": "8.2", "8.1" }
    pub(super) const RELEASE: Release = Release::new("8.2", &FAMILY, &[DeviceType::of::<Props>()], |settings| {
        machine_of("fb", Plain::new(Ramfb::default(), settings.properties(&[])?))
    });
}

pub(crate) fn lab() -> Lab {
    let black = |register| Difference {
        from: "*",
        to: "*",
        machine: "board-8.1",
        scenario: "screen set",
        register,
        value: "0",
        reason: "8.1 sends nothing, so its machine type never does",
    };
    Lab::new(&[old::RELEASE, new::RELEASE])
        .scenario(Scenario::writes("screen set", &[("fb.address", 0xfd00_0000), ("fb.width", 800)]))
        .differs(&[black("fb.address"), black("fb.width")])
}

#[test]
fn the_section_is_there_for_new_machine_types_only() {
    lab().run().assert();
    let sections = |machine: &str| new::RELEASE.start(machine, &[]).unwrap().save().unwrap().section_list();
    assert_eq!(sections("board-8.2"), ["ramfb 0 version 1"]);
    assert!(sections("board-8.1").is_empty());
}

#[test]
fn without_the_entry_no_guest_goes_back() {
    Lab::new(&[old::RELEASE, broken::RELEASE])
        .fails(&[Failure {
            from: "8.2",
            to: "8.1",
            machine: "board-8.1",
            scenario: "*",
            text: "section 'ramfb' instance 0: this machine has no such section",
            reason: "8.2 sends it for older machine types too",
        }])
        .octets_differ(&[OctetDifference {
            release: "8.2",
            machine: "board-8.1",
            scenario: "*",
            section: "ramfb",
            reason: "the same",
        }])
        .run()
        .assert();
}
