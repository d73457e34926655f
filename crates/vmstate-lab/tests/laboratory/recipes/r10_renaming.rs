//! R10: renaming and moving.
//!
//! | what | on the wire | to rename it |
//! |---|---|---|
//! | Rust types and fields, `name` of a field (it is in descriptions and errors) | no | freely |
//! | `name` of a section or subsection, device path, instance id | yes | do not |
//! | the same, where it must be | | `older_name` and `alias`: old streams load; new ones do not load in older releases |
//!
//! Octets before a section's body, for the serial port at its second place:
//!
//! | release | header |
//! |---|---|
//! | 1.0 and 1.1 | `04 00000002 06 "serial" 00000001 00000001` |
//! | 2.0 | `04 00000002 0f "isa/serial_port" 00000005 00000001` |

use vmstate_lab::{Failure, Lab, OctetDifference, Scenario};

mod v1_0 {
    use vmstate::{Place, VmState};
    use vmstate_lab::{Machine, Release, registers};

    use crate::plain::Plain;

    #[derive(VmState, Clone, Default)]
    #[vmstate(name = "serial", version = 1)]
    struct SerialState {
        divider: u16,
    }

    registers!(SerialState { divider });

    family! { "1.0": "1.0" }
    pub(super) const RELEASE: Release = Release::new("1.0", &FAMILY, &[], |_| {
        let mut machine = Machine::new();
        machine.add("serial", Place::default().instance(1), Plain::new(SerialState::default(), ()))?;
        Ok(machine)
    });
}

/// Everything has another name, but for those on the wire.
mod v1_1 {
    use vmstate::{Place, VmState};
    use vmstate_lab::{Machine, Release, registers};

    use crate::plain::Plain;

    #[derive(VmState, Clone, Default)]
    #[vmstate(name = "serial", version = 1)]
    struct Uart16550Image {
        #[vmstate(name = "divisor-latch")]
        divisor_latch: u16,
    }

    registers!(Uart16550Image { "divider" => divisor_latch });

    family! { "1.1": "1.1", "1.0" }
    pub(super) const RELEASE: Release = Release::new("1.1", &FAMILY, &[], |_| {
        let mut machine = Machine::new();
        machine.add("serial", Place::default().instance(1), Plain::new(Uart16550Image::default(), ()))?;
        Ok(machine)
    });
}

/// The names on the wire changed as well.
mod v2_0 {
    use vmstate::{Place, VmState};
    use vmstate_lab::{Machine, Release, registers};

    use crate::plain::Plain;

    #[derive(VmState, Clone, Default)]
    #[vmstate(name = "serial_port", version = 1)]
    struct SerialPortImage {
        divider: u16,
    }

    registers!(SerialPortImage { divider });

    family! { "2.0": "2.0", "1.1", "1.0" }
    pub(super) const RELEASE: Release = Release::new("2.0", &FAMILY, &[], |_| {
        let mut machine = Machine::new();
        // It was instance 1 of `serial` up to 1.1, and instance 1 of its new name in a preview of 2.0.
        let place = Place::at("isa").instance(5).alias(1).older_name("serial", 1);
        machine.add("serial", place, Plain::new(SerialPortImage::default(), ()))?;
        Ok(machine)
    });

    /// The preview.
    pub(super) const PREVIEW: Release = Release::new("2.0", &FAMILY, &[], |_| {
        let mut machine = Machine::new();
        machine.add("serial", Place::at("isa").instance(1), Plain::new(SerialPortImage::default(), ()))?;
        Ok(machine)
    });
}

const REASON: &str = "2.0 writes its present name only, which no older release knows";

pub(crate) fn lab() -> Lab {
    let differs =
        |section| OctetDifference { release: "2.0", machine: "board-1.*", scenario: "*", section, reason: REASON };
    Lab::new(&[v1_0::RELEASE, v1_1::RELEASE, v2_0::RELEASE])
        .scenario(Scenario::writes("rate set", &[("serial.divider", 12)]))
        .fails(&[Failure {
            from: "2.0",
            to: "1.0|1.1",
            machine: "board-1.*",
            scenario: "*",
            text: "section 'isa/serial_port' instance 5: this machine has no such section; it has serial/1",
            reason: REASON,
        }])
        .octets_differ(&[differs("serial"), differs("isa/serial_port")])
}

#[test]
fn names_of_the_program_are_free_and_those_on_the_wire_cost_the_way_back() {
    lab().run().assert();
}

#[test]
fn older_names_and_alias_ids_are_loaded() {
    let mut destination = v2_0::RELEASE.start("board-2.0", &[]).unwrap();
    let mut preview = v2_0::PREVIEW.start("board-2.0", &[]).unwrap();
    preview.act("serial.divider", 12).unwrap();
    destination.load(&preview.save().unwrap()).unwrap();
    assert_eq!(destination.observe().value("serial.divider"), Some("12"));
    assert_eq!(destination.save().unwrap().section_list(), ["isa/serial_port 5 version 1"]);
}
