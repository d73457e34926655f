//! Break 6: a section that disappears silently.
//!
//! Whether s390's channel subsystem is sent depended on the machine type; in QEMU 9.1 the switch became the initial
//! state of a global, off for all types. No load fails: a section that does not come is no error. The guest finds its
//! channels as at reset. What finds it before is a list of what is sent: here the comparison with the release that
//! introduced the machine type, and a list of sections.

use vmstate::Properties;
use vmstate::VmState;
use vmstate::machine::DeviceType;
use vmstate_lab::{Difference, Lab, OctetDifference, Release, Scenario, registers};

use crate::plain::{Plain, machine_of};

#[derive(Properties, Clone)]
#[properties(device = "css")]
struct Props {
    #[property(default = true)]
    migrate: bool,
}

/// The switch as it came to be in 9.1.
#[derive(Properties, Clone)]
#[properties(device = "css")]
struct BrokenProps {
    #[property(default = false)]
    migrate: bool,
}

#[derive(VmState, Clone, Default)]
#[vmstate(name = "s390_css", version = 1, props = Props, gate = migrate)]
struct Css {
    max_cssid: u8,
}
registers!(Css { max_cssid });

mod old {
    use super::*;

    family! { "9.0": "9.0" }
    pub(super) const RELEASE: Release = Release::new("9.0", &FAMILY, &[DeviceType::of::<Props>()], |settings| {
        machine_of("css", Plain::new(Css::default(), settings.properties(&[])?))
    });
}

mod broken {
    use super::*;

    family! { "9.1": "9.1", "9.0" }
    pub(super) const RELEASE: Release = Release::new("9.1", &FAMILY, &[DeviceType::of::<BrokenProps>()], |settings| {
        let BrokenProps { migrate } = settings.properties(&[])?;
        machine_of("css", Plain::new(Css::default(), Props { migrate }))
    });
}

mod fixed {
    use super::*;

    family! { "9.1.1": "9.1", "9.0" }
    pub(super) const RELEASE: Release = Release::new("9.1.1", &FAMILY, &[DeviceType::of::<Props>()], |settings| {
        machine_of("css", Plain::new(Css::default(), settings.properties(&[])?))
    });
}

pub(crate) fn lab() -> Lab {
    Lab::new(&[old::RELEASE, broken::RELEASE, fixed::RELEASE])
        .scenario(Scenario::writes("channels in use", &[("css.max_cssid", 3)]))
        .differs(&[Difference {
            from: "9.1",
            to: "*",
            machine: "*",
            scenario: "channels in use",
            register: "css.max_cssid",
            value: "0",
            reason: "9.1 does not send the section: the guest's channels are lost, and nothing says so",
        }])
        .octets_differ(&[
            OctetDifference {
                release: "9.1",
                machine: "board-9.0",
                scenario: "*",
                section: "s390_css",
                reason: "it is not sent",
            },
            OctetDifference {
                release: "9.1.1",
                machine: "board-9.1",
                scenario: "*",
                section: "s390_css",
                reason: "9.1, which introduced the machine type, does not send it; a sender that does is loaded there",
            },
        ])
        .chains_differ(&[via("9.0|9.1.1 > 9.1 > *"), via("9.0|9.1.1 > 9.1 > * > *"), via("9.0|9.1.1 > * > 9.1 > *")])
}

fn via(chain: &'static str) -> vmstate_lab::ChainDifference {
    let text = "differs from the direct migration: css.max_cssid 0, was 3";
    let reason = "lost at 9.1 without a word, however far the guest goes on";
    vmstate_lab::ChainDifference { chain, machine: "*", scenario: "channels in use", text, reason }
}

#[test]
fn a_lost_section_is_found_by_what_the_guest_sees_and_by_what_is_sent() {
    lab().run().assert();
}

#[test]
fn the_list_of_sections_of_a_machine_type_is_kept() {
    let list = |release: Release| release.start("board-9.0", &[]).unwrap().save().unwrap().section_list();
    assert_eq!(list(old::RELEASE), ["s390_css 0 version 1"]);
    assert_eq!(list(fixed::RELEASE), list(old::RELEASE));
    assert_ne!(list(broken::RELEASE), list(old::RELEASE));
}
